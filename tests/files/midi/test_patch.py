from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partimento.errors import NotSupported
from partimento.files.midi.chunks import parse, spans
from partimento.files.midi.patch import patched
from partimento.files.midi.reader import score_of_midi
from partimento.files.midi.writer import midi_bytes
from partimento.music import (
    Key,
    KeySignature,
    Lyric,
    Note,
    Pedal,
    Score,
    Tempo,
    TimeSignature,
    Track,
    parse_chord,
)
from partimento.music.score import ChordSymbol
from partimento.music.transform import rescale

from support.midi_bytes import END, NOTE, chunk, midi, name
from support.score_strategies import notes, scores

pytestmark = pytest.mark.filterwarnings("ignore::partimento.files.unsupported.LeftOut")

SECOND = NOTE.replace(b"\x90", b"\x91").replace(b"\x80", b"\x81")  # on channel 2
MARKS = (
    b"\x00\xf0\x03\x43\x12\xf7\x00\xc0\x28\x00\xb0\x01\x11\x02\xe0\x01\x41\x00\xff\x06\x01A"
    b"\x00\xff\x7f\x02\x00\x01\x00\xd0\x10\x00\xff\x02\x01C\x00\xf8\x00\xff\x01\x02\x83\x73"
)
CONDUCTOR = name("Song") + b"\x00\xff\x51\x03\x09\x27\xc0\x00\xff\x58\x04\x03\x02\x24\x08" + END
FULL = midi(
    CONDUCTOR,
    name("Lead") + MARKS + NOTE * 4 + MARKS + NOTE * 4 + b"\x10\xb0\x0b\x22" + END,
    name("Bass") + b"\x00\xff\x05\x02la" + SECOND * 8 + b"\x05\xe1\x00\x40" + END,
)


def others(data: bytes) -> list[list[tuple[int, bytes]]]:
    """Return what is no note and no text of ours, in order, of each track of a file."""
    return [
        [
            (tick, event)
            for tick, _, event in spans(data, track)
            if event[0] >= 0xA0 and b"partimento-" not in event
        ]
        for track in parse(data).chunks
    ]


def changed(
    data: bytes, place: int, edit: Callable[[Track], Track], **more: object
) -> tuple[bytes, Score]:
    """Return the file with one track edited, and the score that was wanted."""
    before = score_of_midi(data)
    tracks = list(before.tracks)
    tracks[place] = edit(tracks[place])
    after = replace(before, tracks=tuple(tracks), **more)  # type: ignore[arg-type]
    return patched(data, before, after), after


def heard(score: Score) -> list[tuple[Note, ...]]:
    return [track.notes for track in score.tracks]


def test_nothing_changes_where_nothing_was_asked() -> None:
    before = score_of_midi(FULL)
    assert patched(FULL, before, before) == FULL


def test_only_the_notes_change() -> None:
    new = (Note(40, 72, 7, 33), Note(64, 60, 3, 44), Note(70, 60, 9, 1))
    made, after = changed(
        FULL, 0, lambda t: replace(t, notes=(*t.notes[:2], *new, *t.notes[6:])), recipe='{"a": 1}'
    )
    assert heard(score_of_midi(made)) == heard(after)
    assert others(made) == others(FULL)
    assert score_of_midi(made).recipe == '{"a": 1}'
    untouched = parse(FULL).chunks[2]
    assert FULL[untouched.start - 8 : untouched.stop] in made
    again, _ = changed(made, 0, lambda t: t, recipe='{"a": 2}')
    assert again.count(b"partimento-recipe") == 1


def test_appended_bars_leave_hanging_notes_and_pedals_as_long_as_they_were() -> None:
    body = b"\x00\x90\x30\x40\x00\xb0\x40\x7f" + NOTE + END
    data = midi(CONDUCTOR, body)
    before = score_of_midi(data)
    assert before.tracks[0].notes[0] == Note(0, 48, 16, 64)
    made, after = changed(
        data,
        0,
        lambda t: replace(t, notes=(*t.notes, Note(2000, 60, 9))),
        written_length_ticks=4000,
    )
    read = score_of_midi(made)
    assert heard(read) == heard(after)
    assert read.tracks[0].pedals == (Pedal(0, 16),)
    assert read.length_ticks == 4000


def test_maps_words_and_pedals_are_added_and_words_move() -> None:
    made, after = changed(
        FULL,
        1,
        lambda t: replace(
            t,
            notes=(*t.notes, Note(5000, 60, 9)),
            lyrics=(Lyric(16, "la"), Lyric(5000, "lo")),
            pedals=(Pedal(5000, 9),),
        ),
        tempos=(*score_of_midi(FULL).tempos, Tempo(4320, 60.0)),
        time_signatures=(TimeSignature(0, 3, 4), TimeSignature(4320, 4, 4)),
        key_signatures=(KeySignature(4320, Key(2)),),
        chords=(ChordSymbol(4320, parse_chord("Am")),),
    )
    read = score_of_midi(made)
    assert heard(read) == heard(after)
    assert (read.tempos, read.time_signatures) == (after.tempos, after.time_signatures)
    assert (read.key_signatures, read.chords) == (after.key_signatures, after.chords)
    assert read.tracks[1].lyrics == after.tracks[1].lyrics
    assert read.tracks[1].pedals == after.tracks[1].pedals


@pytest.mark.parametrize("kind", [0, 1])
@pytest.mark.parametrize("is_drum", [False, True])
def test_new_tracks_are_on_free_channels(kind: int, is_drum: bool) -> None:
    data = midi(NOTE + SECOND + END, kind=0) if kind == 0 else FULL
    before = score_of_midi(data)
    new = Track("New", (Note(0, 60, 7),), 0 if is_drum else 5, is_drum, volume=90)
    after = before.with_tracks((before.tracks[0], new, *before.tracks[1:]))
    made = patched(data, before, after)
    read = score_of_midi(made)
    assert read.track("New").notes == new.notes
    assert sorted(heard(read)) == sorted(heard(after))
    assert others(made)[0] == others(data)[0]
    channels = {channel for track in parse(made).chunks for channel in track.strikes}
    assert channels == {0, 1, 9 if is_drum else 2}


def test_a_new_note_is_played_by_the_program_of_its_track() -> None:
    viola = name("Vla") + b"\x00\xc0\x29" + NOTE * 2 + b"\x00\xc0\x2d" + NOTE * 2 + END
    data = midi(CONDUCTOR, viola)
    made, after = changed(data, 0, lambda t: replace(t, notes=(*t.notes, Note(40, 70, 5))))
    read = score_of_midi(made)
    assert heard(read) == heard(after)
    assert [track.program for track in read.tracks] == [41, 45]


def test_a_note_off_that_ends_nothing_does_not_end_a_new_note() -> None:
    data = midi(CONDUCTOR, NOTE + b"\x10\x80\x40\x00" + NOTE + END)
    made, after = changed(data, 0, lambda t: replace(t, notes=(*t.notes, Note(20, 64, 40))))
    assert heard(score_of_midi(made)) == heard(after)


def test_layers_of_a_track_take_notes_that_overlap() -> None:
    data = midi_bytes(Score((Track("P", (Note(0, 60, 10), Note(5, 60, 10), Note(90, 60, 9))),)))
    made, after = changed(
        data, 0, lambda t: replace(t, notes=(*t.notes[:2], Note(80, 60, 9), Note(85, 60, 9)))
    )
    assert heard(score_of_midi(made)) == heard(after)


def test_a_finer_grid_scales_every_tick() -> None:
    before = score_of_midi(FULL)
    after = rescale(before, 4 * 480)
    track = replace(after.tracks[0], notes=(*after.tracks[0].notes, Note(1001, 60, 3)))
    after = after.with_tracks((track, after.tracks[1]))
    made = patched(FULL, before, after)
    assert heard(score_of_midi(made)) == heard(after)
    scaled = [[(tick * 4, event) for tick, event in track] for track in others(FULL)]
    assert others(made) == scaled


def test_foreign_chunks_and_wrong_lengths_are_mended_around() -> None:
    foreign = b"XFIH\0\0\0\3abc"
    data = midi(tracks=2) + chunk(CONDUCTOR) + foreign + chunk(NOTE + END, 99) + b""
    made, after = changed(data, 0, lambda t: replace(t, notes=(Note(3, 60, 3),)))
    assert heard(score_of_midi(made)) == heard(after)
    assert foreign in made


@pytest.mark.parametrize(
    "edit",
    [
        lambda s: s.with_tracks(s.tracks[:1]),
        lambda s: s.with_tracks((replace(s.tracks[0], program=9), s.tracks[1])),
        lambda s: replace(s, tempos=()),
        lambda s: rescale(s, 481),
        lambda s: s.with_tracks(
            (s.tracks[0], replace(s.tracks[1], notes=(Note(0, 60, 30), Note(3, 60, 7))))
        ),
    ],
)
def test_what_cannot_be_said_by_edits_is_refused(edit: Callable[[Score], Score]) -> None:
    before = score_of_midi(FULL)
    with pytest.raises(NotSupported):
        patched(FULL, before, edit(before))


def test_another_score_is_refused() -> None:
    before = score_of_midi(FULL)
    with pytest.raises(NotSupported, match="not that of the file"):
        patched(midi(NOTE + END), before, before)


@given(scores(), st.data())
@settings(max_examples=25, deadline=None)
def test_any_notes_can_be_put_in(before: Score, data: st.DataObject) -> None:
    made = midi_bytes(before)
    before = score_of_midi(made)
    tracks = []
    for track in before.tracks:
        new = data.draw(notes(1, 60))
        apart = {note.pitch: note for note in new}  # one of each pitch, so that none overlap
        tracks.append(track if track.notes and not new else replace(track, notes=apart.values()))
    tracks = [replace(track, notes=tuple(sorted(track.notes))) for track in tracks]
    after = replace(before.with_tracks(tracks), recipe="{}")
    again = patched(made, before, after)
    assert score_of_midi(again).tracks == after.tracks
    assert others(again) == others(made)
