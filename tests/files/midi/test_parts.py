from __future__ import annotations

import pytest

from partimento.files.midi.reader import score_of_midi
from partimento.files.midi.writer import midi_bytes
from partimento.files.unsupported import LeftOut
from partimento.music import Note, Pedal, Score, Track

from support.midi_bytes import END, NOTE, midi, name

SECOND = NOTE.replace(b"\x90", b"\x91").replace(b"\x80", b"\x81")  # on channel 2
SETUP = b"\x00\xc0\x28\x00\xc1\x38\x00\xb1\x07\x28\x00\xb1\x0a\x14" + END


@pytest.mark.parametrize("setup_at", [0, 1, 2])
def test_programs_and_levels_of_a_channel_hold_in_all_tracks(setup_at: int) -> None:
    bodies = [name("Fiddle") + NOTE + END, name("Brass") + SECOND + END]
    bodies.insert(setup_at, SETUP)
    tracks = score_of_midi(midi(*bodies)).tracks
    assert [(t.name, t.program, t.volume, t.pan) for t in tracks] == [
        ("Fiddle", 40, 100, 64),
        ("Brass", 56, 40, 20),
    ]


def test_a_program_of_another_track_holds_from_its_tick_on() -> None:
    later = b"\x08\xc0\x28" + END
    with pytest.warns(LeftOut, match="is read as 2 tracks"):
        tracks = score_of_midi(midi(NOTE + NOTE + END, later)).tracks
    assert [(t.program, [n.onset_ticks for n in t.notes]) for t in tracks] == [(0, [0]), (40, [16])]


def test_a_pedal_of_another_track_is_that_of_the_channel() -> None:
    pedal = b"\x00\xb0\x40\x7f\x20\xb0\x40\x00" + END
    apart, together = score_of_midi(midi(NOTE + END, pedal)), score_of_midi(midi(NOTE + END))
    assert apart.tracks == (
        Track(together.tracks[0].name, together.tracks[0].notes, pedals=(Pedal(0, 32),)),
    )


def test_ports_have_channels_of_their_own() -> None:
    port = b"\x00\xff\x21\x01\x01"
    data = midi(b"\x00\xc0\x28" + NOTE + END, port + b"\x00\xc0\x38" + NOTE + END)
    assert [track.program for track in score_of_midi(data).tracks] == [40, 56]
    again = score_of_midi(midi_bytes(score_of_midi(data)))
    assert [track.program for track in again.tracks] == [40, 56]


def test_more_tracks_than_channels_are_written_on_further_ports() -> None:
    kits = [Track(f"K{i}", (Note(0, 36, 9),), is_drum=True, volume=i) for i in range(3)]
    tracks = [Track(f"T{i}", (Note(0, 60, 9),), i, volume=i) for i in range(33)]
    data = midi_bytes(Score((*kits, *tracks)))
    assert score_of_midi(data).tracks == (*kits, *tracks)
    assert data.count(b"\xff\x21\x01\x01") == 15 + 1
    assert data.count(b"\xff\x21\x01\x02") == 3 + 1


def test_a_level_that_fades_in_is_that_of_most_notes() -> None:
    fade = b"\x00\xb0\x07\x00" + NOTE + b"\x00\xb0\x07\x64" + NOTE + NOTE + END
    with pytest.warns(LeftOut, match="1 control change left out"):
        assert score_of_midi(midi(fade)).tracks[0].volume == 100
