from __future__ import annotations

import pytest

from partimento.files.midi.reader import score_of_midi
from partimento.files.midi.writer import midi_bytes
from partimento.files.unsupported import LeftOut
from partimento.music import Lyric

from support.midi_bytes import END, NOTE, midi, name


def text(words: str, delta: int = 0, kind: int = 1) -> bytes:
    return bytes((delta, 0xFF, kind, len(words))) + words.encode()


HEADER = text("@KMIDI KARAOKE FILE") + text("@LENGL") + text("@TSong")
WORDS = HEADER + name("Words") + text("\\Hel") + text("lo", 16) + text("/you", 16) + END
SUNG = (Lyric(0, "Hel"), Lyric(16, "lo"), Lyric(32, "you"))


def test_the_texts_of_a_karaoke_file_are_words_of_the_part_under_them() -> None:
    drums = b"\x00\x99\x24\x40\x10\x89\x24\x00" * 3 + END
    other = b"\x08\x91\x30\x40\x08\x81\x30\x00" + END
    with pytest.warns(LeftOut, match="2 texts left out"):  # the kind of file and its language
        score = score_of_midi(midi(WORDS, drums, other, NOTE * 3 + END))
    assert [track.lyrics for track in score.tracks] == [(), (), SUNG]
    assert score.title == "Song"
    assert score_of_midi(midi_bytes(score)).tracks[2].lyrics == SUNG


def test_lyric_events_come_before_texts() -> None:
    both = midi(WORDS, text("la", kind=5) + NOTE + END)
    with pytest.warns(LeftOut, match="5 texts left out"):
        assert score_of_midi(both).tracks[0].lyrics == (Lyric(0, "la"),)


def test_texts_of_other_files_are_texts() -> None:
    with pytest.warns(LeftOut, match="2 texts left out"):
        score = score_of_midi(midi(text("Hel") + text("lo") + NOTE + END))
    assert not score.tracks[0].lyrics


def test_words_that_share_a_tick_are_kept() -> None:
    data = midi(text("la", kind=5) + text("lo", kind=5) + NOTE + END)
    score = score_of_midi(data)
    assert score.tracks[0].lyrics == (Lyric(0, "la"), Lyric(0, "lo"))
    assert score_of_midi(midi_bytes(score)) == score_of_midi(midi_bytes(score_of_midi(data)))
    assert score_of_midi(midi_bytes(score)).tracks[0].lyrics == score.tracks[0].lyrics
