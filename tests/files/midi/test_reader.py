from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from partimento.errors import FileError, MusicError
from partimento.files import open_corpus
from partimento.files.midi import events as mm
from partimento.files.midi.chunks import parse
from partimento.files.midi.layers import layers_granted
from partimento.files.midi.reader import read_midi, require_notes, score_of_midi
from partimento.files.midi.writer import (
    midi_bytes,
    playable,
    write_midi,
)
from partimento.files.unsupported import LeftOut
from partimento.music import Lyric, Note, Pedal, Score, Tempo, TimeSignature, Track

from support.midi_bytes import END, NOTE, midi
from support.score_strategies import only_file_errors, scores


@given(scores())
@settings(max_examples=40, deadline=None)
def test_what_is_written_is_read_again(score: Score) -> None:
    assert score_of_midi(midi_bytes(score)) == score


@pytest.mark.parametrize("recipe", ['{"seed": 7}', "Ж\n\0ü", "x" * 100_000])
def test_recipe_travels(recipe: str) -> None:
    assert score_of_midi(midi_bytes(Score(recipe=recipe))).recipe == recipe


@given(st.binary(max_size=60), st.booleans())
@example(b"\x00\x90\x3c", True)
@example(b"", True)
@settings(max_examples=300, deadline=None)
def test_any_bytes_raise_file_error_alone(data: bytes, framed: bool) -> None:
    with only_file_errors():
        score_of_midi(midi(data) if framed else data)


@given(scores(), st.integers(0, 400), st.integers(0, 255))
@settings(max_examples=50, deadline=None)
def test_a_changed_byte_raises_file_error_alone(score: Score, at: int, value: int) -> None:
    data = bytearray(midi_bytes(score))
    data[at % len(data)] = value
    with only_file_errors():
        score_of_midi(bytes(data))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "the file is empty"),
        (b"not music at all, but long enough", "no MIDI file"),
        (midi(NOTE + END)[:-6], "cut short in track 1"),
        (midi(NOTE + END)[:12], "cut short in its header"),
        (midi(NOTE + END)[:14], "no tracks"),
        (midi(b"\x00\x90\x3c"), "inside an event of track 1"),
        (midi(NOTE + END, division=0xE728), "SMPTE"),
        (midi(NOTE + END, kind=2), "type 2"),
        (midi(b"\x00\xff\x51\x03\x00\x00\x00" + NOTE + END), "tempo at tick 0"),
        (midi(b"\x00\x3c\x40" + END), "without status"),
    ],
)
def test_bad_files_say_what_is_wrong(tmp_path: Path, data: bytes, says: str) -> None:
    path = tmp_path / "bad.mid"
    path.write_bytes(data)
    with pytest.raises(FileError, match=says) as caught:
        read_midi(path)
    assert str(path) in str(caught.value)
    assert caught.value.remedy
    assert "\n" not in str(caught.value)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot be read"):
        read_midi(tmp_path / "none.mid")


def test_no_notes_is_a_score_but_may_be_refused() -> None:
    score = score_of_midi(midi(b"\x00\xff\x03\x02hi" + END))
    assert score == Score(title="hi")
    with pytest.raises(FileError, match="no notes"):
        require_notes(score, "a.mid")


def test_stuck_notes_end_with_their_track() -> None:
    score = score_of_midi(midi(b"\x00\x90\x3c\x40\x00\x90\x40\x40\x10\x80\x40\x00\x30\xff\x2f\x00"))
    assert score.notes == (Note(0, 60, 64, 64), Note(0, 64, 16, 64))


def test_stuck_pedal_ends_with_the_music() -> None:
    score = score_of_midi(midi(b"\x00\xb0\x40\x7f" + NOTE + END))
    assert score.tracks[0].pedals == (Pedal(0, 16),)


def test_notes_of_no_length_last_a_tick() -> None:
    score = score_of_midi(midi(b"\x00\x90\x3c\x40\x00\x80\x3c\x00" + END))
    assert score.notes == (Note(0, 60, 1, 64),)


def test_type_0_is_parted_by_channel() -> None:
    body = b"\x00\xff\x03\x04Song" + NOTE + b"\x00\x99\x24\x50\x10\x89\x24\x00" + END
    score = score_of_midi(midi(body, kind=0))
    assert [(t.name, t.is_drum) for t in score.tracks] == [
        ("Acoustic Grand Piano", False),
        ("Drums", True),
    ]
    assert score.title == "Song"


def test_equal_names_are_numbered() -> None:
    score = score_of_midi(midi(END, *([b"\x00\xff\x03\x05Piano" + NOTE + END] * 3)))
    assert [track.name for track in score.tracks] == ["Piano", "Piano 2", "Piano 3"]


def names_in(data: bytes) -> list[bytes]:
    """Return the names that stand in the bytes of a MIDI file, one for each of its tracks."""
    found = []
    for chunk in parse(data).chunks:
        names = [e.data for e in chunk.events if e.status == 0xFF and e.kind == mm.TRACK_NAME]
        found.append(names[0] if names else b"")
    return found


def test_equal_and_missing_names_come_back() -> None:
    violin, viola = b"\x00\xff\x03\x06Violin", b"\x00\xff\x03\x05Viola"
    unnamed = b"\x00\xc0\x28" + NOTE + END
    given = midi(
        END, violin + NOTE + END, unnamed, violin + NOTE + END, viola + NOTE + END, unnamed
    )
    score = score_of_midi(given)
    inside = ["Violin", "Violin 2", "Violin 3", "Viola", "Violin 4"]
    assert [track.name for track in score.tracks] == inside
    again = midi_bytes(score)
    assert names_in(again) == [b"", b"Violin", b"", b"Violin", b"Viola", b""]
    assert score_of_midi(again).tracks == playable(score).tracks == score.tracks
    # One alone needs no number; and a name that was given since is the name.
    alone = Score((score.tracks[2], replace(score.tracks[1], name="Lead")))
    assert names_in(midi_bytes(alone)) == [b"", b"Violin", b"Lead"]
    assert score_of_midi(midi_bytes(alone)).tracks == playable(alone).tracks
    assert [t.name for t in playable(Score((Track("A"), Track("A")))).tracks] == ["A", "A 2"]


LOSSES = [
    (b"\x00\xb0\x0b\x40\x00\x01\x20", "2 control changes left out"),
    (b"\x00\xb0\x07\x40\x00\xb0\x07\x50", "1 control change left out"),
    (b"\x00\xb0\x40\x30\x00\xb0\x40\x7f\x01\xb0\x40\x00", "1 pedal depth left out"),
    (b"\x00\xe0\x00\x40\x00\xe0\x01\x40", "1 pitch bend left out"),
    (b"\x00\xd0\x10\x00\xa0\x3c\x10", "2 key pressures left out"),
    (b"\x00\xff\x06\x01A\x00\xff\x06\x08chord: C", "1 marker left out"),
    (b"\x00\xff\x06\x07chord:?", "1 marker left out"),
    (b"\x00\xff\x07\x01A", "1 cue point left out"),
    (b"\x00\xff\x02\x01A", "1 copyright notice left out"),
    (b"\x00\xff\x01\x01A\x00\xff\x09\x01A", "2 texts left out"),
    (b"\x00\xff\x04\x01A", "1 instrument name left out"),
    (b"\x00\xff\x03\x01B", "1 track name left out"),
    (b"\x00\xff\x7f\x01A", "1 other event left out"),
    (b"\x00\xf0\x03\x7e\x7f\xf7", "1 system message left out"),
    (b"\x00\xff\x59\x02\x01\x00\x00\xff\x59\x02\x02\x00", "1 key signature left out"),
    (b"\x00\xff\x59\x02\x09\x00", "1 key signature left out"),
    (b"\x00\xff\x58\x04\x63\x02\x18\x08", "1 time signature left out"),
]


@pytest.mark.parametrize(("events", "says"), LOSSES)
def test_what_is_not_kept_is_counted_before_and_after_the_notes(events: bytes, says: str) -> None:
    for body in (events + NOTE, NOTE + b"\x00\x90\x40\x40\x10\x40\x00" + events):
        with pytest.warns(LeftOut) as told:
            score_of_midi(midi(b"\x00\xff\x03\x01T" + body + END), "a.mid")
        assert [str(each.message) for each in told] == [f"a.mid: {says}"]


def test_all_that_is_not_kept_is_told_once_and_not_by_a_corpus(tmp_path: Path) -> None:
    path = tmp_path / "a.mid"
    path.write_bytes(midi(b"\x00\xe0\x01\x01" * 3 + b"\x00\xff\x06\x01A" + NOTE + END, kind=0))
    with pytest.warns(LeftOut, match=r"a\.mid: 3 pitch bends, 1 marker left out$") as told:
        score = read_midi(path)
    assert len(told) == 1
    corpus = open_corpus(tmp_path)
    assert next(corpus.pieces())[1] == score  # without a word, as filterwarnings would tell
    assert corpus.preflight().summary() == "1 usable, 0 skipped"
    score_of_midi(midi_bytes(score))  # nothing is left to lose
    score_of_midi(midi(b"\x00\x90\x3c\x40\x10\x80\x3c\x41" + END))  # how a key rises: no word


def test_tracks_that_change_their_program_are_told() -> None:
    bow, pluck = b"\x00\xc0\x29" + NOTE, b"\x00\xc0\x2d" + NOTE
    viola = b"\x00\xff\x03\x03Vla" + bow + pluck + bow + END
    into = "is read as 2 tracks, one for each program and channel: 'Viola', 'Pizzicato Strings'"
    with pytest.warns(LeftOut) as told:
        score = score_of_midi(midi(END, viola), "a.mid")
    assert [str(each.message) for each in told] == [f"a.mid: track 'Vla' {into}"]
    assert [len(track.notes) for track in score.tracks] == [2, 1]
    with pytest.warns(LeftOut, match=f"channel 1 {into}"):
        score_of_midi(midi(viola, kind=0))
    score_of_midi(midi(bow + b"\x00\xc1\x2d\x00\x91\x3c\x40\x10\x81\x3c\x00" + END, kind=0))


def test_of_the_lyrics_the_first_verse_is_held() -> None:
    sung = (Lyric(0, "la"), Lyric(0, "lo", 2))
    held = score_of_midi(midi_bytes(Score((Track("A", (Note(0, 60, 9),), lyrics=sung),))))
    assert held.tracks[0].lyrics == (Lyric(0, "la"),)


def test_latin_1_names_and_lyrics() -> None:
    body = b"\x00\xff\x03\x02F\xfc\x00\xff\x05\x02\xe9t" + NOTE + END
    (track,) = score_of_midi(midi(b"\x00\xff\x03\x01T" + END, body)).tracks
    assert track.name == "Fü"
    assert track.lyrics == (Lyric(0, "ét"),)


def test_three_hundred_thousand_notes() -> None:
    score = score_of_midi(midi(NOTE * 300_000 + END))
    assert len(score.tracks[0].notes) == 300_000
    assert score.end_ticks == 300_000 * 16


def test_what_midi_cannot_hold_has_a_rule() -> None:
    long = Note(0, 60, 960)
    notes = (long, Note(0, 60, 240), Note(480, 60, 120))
    held = playable(Score((Track("A", notes, is_drum=True), Track("A"))))
    assert held.tracks[0].notes == (Note(0, 60, 480), Note(480, 60, 120))
    assert held.tracks[1].name == "A 2"
    assert held.tempos == (Tempo(0, 120.0),)
    assert held.time_signatures == (TimeSignature(0, 4, 4),)
    assert playable(held) == held


def crowded(most: int) -> st.SearchStrategy[Score]:
    """Return scores of up to ``most`` tracks with many notes of few pitches."""
    note = st.builds(
        Note, st.integers(0, 8), st.integers(60, 61), st.integers(1, 6), st.integers(1, 127)
    )
    track = st.builds(
        Track,
        st.sampled_from(["Left", "Right"]),
        st.lists(note, min_size=1, max_size=9).map(tuple),
        st.integers(0, 127),
        st.integers(0, 9).map(lambda n: n == 9),
        st.just((Pedal(1, 4),)),
        st.just((Lyric(2, "la"),)),
        st.integers(0, 127),
        st.integers(0, 127),
    )
    return st.lists(track, max_size=most).map(lambda tracks: Score(tuple(tracks), 24))


@given(crowded(3))
@settings(max_examples=60, deadline=None)
def test_notes_that_overlap_are_held_where_channels_are_free(score: Score) -> None:
    held = playable(score)
    assert score_of_midi(midi_bytes(score)) == held
    needs = layers_granted(score.tracks, 10**6)
    for before, after in zip(score.tracks, held.tracks, strict=True):
        if sum(needs) <= 15 and not before.is_drum:
            assert after.notes == before.notes
        assert {note.onset_ticks for note in after.notes} == {n.onset_ticks for n in before.notes}


@given(crowded(17))
@settings(max_examples=30, deadline=None)
def test_what_is_held_of_a_crowd_is_read_again(score: Score) -> None:
    held = playable(score)
    assert playable(held) == held
    assert score_of_midi(midi_bytes(held)) == held


def test_layers_of_a_track_sound_alike_and_on_channels_of_their_own() -> None:
    low = Track("Low", (Note(0, 40, 10),), program=32)
    high = Track("High", (Note(0, 60, 10), Note(5, 60, 10)), 7, pedals=(Pedal(0, 9),), pan=20)
    data = midi_bytes(Score((low, high)))
    for layer in (1, 2):
        for message in (
            bytes((0xC0 | layer, 7)),
            bytes((0xB0 | layer, 10, 20)),
            bytes((0xB0 | layer, 64, 127)),
            bytes((0x90 | layer, 60, 80)),
        ):
            assert data.count(message) == 1
    assert b"partimento-layers: 2" in data
    assert score_of_midi(data).tracks == (low, high)
    # What an editor has given another program is another track.
    with pytest.warns(LeftOut, match="track 'High' is read as 2 tracks"):
        other = score_of_midi(data.replace(bytes((0xC2, 7)), bytes((0xC2, 8))))
    assert [track.program for track in other.tracks] == [32, 7, 8]


def test_only_drums_are_on_channel_10() -> None:
    tracks = [Track(f"T{i}", (Note(0, 60, 480),), program=i) for i in range(20)]
    data = midi_bytes(Score((*tracks, Track("Kit", (Note(0, 36, 10),), is_drum=True))))
    score = score_of_midi(data)
    assert [track.is_drum for track in score.tracks] == [False] * 20 + [True]
    assert [track.program for track in score.tracks[:20]] == list(range(20))


def test_written_file_is_explicit(tmp_path: Path) -> None:
    path = tmp_path / "a.mid"
    write_midi(Score((Track("Lead", (Note(0, 60, 480),)),), recipe='{"seed": 7}'), path)
    data = path.read_bytes()
    for part in (b"\xff\x51\x03", b"\xff\x58\x04", b'partimento-recipe: {"seed": 7}', b"Lead"):
        assert part in data
    assert data[8:10] == b"\x00\x01"


def test_too_long_a_wait_is_refused() -> None:
    with pytest.raises(MusicError, match="time step"):
        midi_bytes(Score((Track("A", (Note(2**29, 60, 1),)),)))
