from __future__ import annotations

import struct

import pytest

from partimento.files.midi.chunks import MAX_BYTES, parse, spans
from partimento.files.midi.events import MidiBytesError
from partimento.files.midi.reader import score_of_midi
from partimento.files.unsupported import LeftOut
from partimento.music import Note

from support.midi_bytes import END, NOTE, chunk, midi

LOW, HIGH = NOTE + END, NOTE.replace(b"\x3c", b"\x48") + END
HEAD = midi(tracks=2)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (HEAD + chunk(LOW, len(LOW) + 4) + chunk(HIGH), "track 1 is 12 bytes long, not 16"),
        (HEAD + chunk(LOW, 0) + chunk(HIGH), "track 1 is 12 bytes long, not 0"),
        (HEAD + chunk(LOW, 5) + chunk(HIGH), "track 1 is 12 bytes long, not 5"),
        (HEAD + chunk(LOW, len(LOW) + 8 + len(HIGH)) + chunk(HIGH), "track 1 is 12 bytes long"),
        (HEAD + chunk(LOW) + chunk(HIGH, len(HIGH) + 4), "track 2 is 12 bytes long, not 16"),
        (midi(LOW, HIGH, tracks=3), "its header counts 3 tracks, and 2 are there"),
        (midi(LOW, HIGH, tracks=0), "its header counts 0 tracks, and 2 are there"),
    ],
)
def test_the_events_decide_where_a_file_contradicts_itself(data: bytes, says: str) -> None:
    with pytest.warns(LeftOut, match=says):
        score = score_of_midi(data)
    assert [note.pitch for note in score.notes] == [60, 72]


def test_padding_and_foreign_chunks_are_passed_over() -> None:
    foreign = b"XFIH" + struct.pack(">I", 3) + b"abc"
    data = HEAD + foreign + chunk(LOW + b"\0\0\0") + foreign + chunk(HIGH) + foreign
    assert [note.pitch for note in score_of_midi(data).notes] == [60, 72]


@pytest.mark.parametrize("order", ["data", "info first", "no data"])
def test_riff_is_unwrapped(order: str) -> None:
    inner = midi(LOW)
    info = b"LIST" + struct.pack("<I", 5) + b"INFOx\0"
    body = b"data" + struct.pack("<I", len(inner)) + inner
    if order == "info first":
        body = info + body
    if order == "no data":
        body = b"\0\0\0" + inner
    data = b"RIFF" + struct.pack("<I", len(body) + 4) + b"RMID" + body
    assert score_of_midi(data) == score_of_midi(inner)


SYSEX = b"\x00\xf0\x03\x43\x12\x00\x10\xf7\x02\x43\xf7"  # in two packets, the second at tick 16


def test_split_system_messages_and_escapes_take_their_time_alone() -> None:
    with pytest.warns(LeftOut, match="2 system messages left out"):
        assert score_of_midi(midi(SYSEX + LOW)).notes == (Note(16, 60, 16, 64),)
    with pytest.warns(LeftOut, match="1 system message left out"):
        assert score_of_midi(midi(b"\x00\xf7\x03\xf3\x01\x02" + LOW)).notes[0].onset_ticks == 0


@pytest.mark.parametrize("status", [*range(0xF1, 0xF7), *range(0xF8, 0xFF)])
def test_system_messages_that_have_no_place_in_a_file_are_counted(status: int) -> None:
    length = {0xF1: 1, 0xF2: 2, 0xF3: 1}.get(status, 0)
    message = bytes((5, status)) + b"\x01" * length
    with pytest.warns(LeftOut, match="2 system messages left out"):
        score = score_of_midi(midi(message + NOTE + message + LOW))
    assert [note.onset_ticks for note in score.notes] == [5, 26]


def test_running_status_goes_on_behind_system_and_meta_events() -> None:
    score = score_of_midi(midi(b"\x00\x90\x3c\x40\x00\xff\x01\x00\x10\x3c\x00" + END))
    assert score.notes == (Note(0, 60, 16, 64),)


def test_damaged_messages_are_counted_and_loud_velocities_cut() -> None:
    with pytest.warns(LeftOut, match="1 damaged message left out"):
        score = score_of_midi(midi(b"\x00\xb0\x07\xff\x00\x90\x3c\xff\x10\x80\x3c\x00" + END))
    assert score.notes == (Note(0, 60, 16, 127),)


@pytest.mark.parametrize(
    "stop",
    [
        b"\x10\xb0\x7b\x00" + END,  # all notes off
        b"\x10\xb0\x78\x00" + END,  # all sound off
        b"\x10\x80\x3c\x00" + END,  # a note-off in another track
    ],
)
@pytest.mark.filterwarnings("ignore::partimento.files.unsupported.LeftOut")
def test_a_hanging_note_ends_where_another_track_ends_it(stop: bytes) -> None:
    hanging = b"\x00\x90\x3c\x40\x40\xff\x2f\x00"
    assert score_of_midi(midi(hanging, stop)).notes == (Note(0, 60, 16, 64),)


def test_a_hanging_note_ends_with_its_track_though_padding_follows() -> None:
    hanging = b"\x00\x90\x3c\x40\x40\xff\x2f\x00"
    for padding in (b"", b"\0\0\0"):
        assert score_of_midi(midi(hanging + padding)).notes == (Note(0, 60, 64, 64),)


def test_of_notes_of_one_pitch_the_first_ends_first() -> None:
    body = b"\x00\x90\x3c\x40\x10\x3c\x41\x10\x3c\x00\x10\x3c\x00" + END
    assert score_of_midi(midi(body)).notes == (Note(0, 60, 32, 64), Note(16, 60, 32, 65))


def test_spans_are_all_events_with_their_bytes() -> None:
    data = midi(b"\x00\x90\x3c\x40\x81\x00\x3c\x00\x00\xff\x01\x02ab\x05\xf8\x00\xc0\x07" + END)
    (track,) = parse(data).chunks
    assert [(tick, event) for tick, _, event in spans(data, track)] == [
        (0, b"\x90\x3c\x40"),
        (128, b"\x90\x3c\x00"),
        (128, b"\xff\x01\x02ab"),
        (133, b"\xf8"),
        (133, b"\xc0\x07"),
    ]


def test_large_files_are_refused() -> None:
    with pytest.raises(MidiBytesError, match="larger than 8 MiB"):
        parse(bytes(MAX_BYTES + 1))
