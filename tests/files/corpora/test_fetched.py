from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from partimento.errors import FileError, NotSupported
from partimento.files import open_corpus, write
from partimento.music import Audio

from support.sound_fonts import font

HEAD = "id\tsplit\tgroup\ttier\tkind\tfile\n"
ROWS = (
    "p/a\ttrain\tA - One\tA\tmusic\tA - One.wav\n"
    "p/b\ttest\tA - Two\tA\tstem\tA - Two.wav\n"
    "p/c\ttrain\tB - Wind\tA\tambience\tB - Wind.wav\n"
    "p/d\ttrain\tB - Three\tB\tmusic\tB - Three.wav\n"
)


def test_game_music_is_what_was_fetched(tmp_path: Path) -> None:
    (tmp_path / "free_game_music").mkdir()
    (tmp_path / "free_game_music" / "tracks.tsv").write_text(HEAD + ROWS)
    with pytest.raises(FileError, match=r"not been fetched; run .*get FOLDER, then name it: free_"):
        open_corpus("free_game_music", tmp_path)
    there = tmp_path / "there"
    there.mkdir()
    write(Audio(np.ones((1, 50), dtype=np.float32), 8000), there / "A - One.wav")
    corpus = open_corpus("free_game_music", tmp_path, fetched=there)
    assert [(i.id, i.split) for i in corpus.items] == [("p/a", "train"), ("p/b", "test")]
    found = corpus.preflight()
    assert found.usable == ("p/a",)
    assert "there is no such file" in found.summary()
    both = open_corpus("free_game_music", tmp_path, fetched=there, tier="AB")
    assert [i.id for i in both.items] == ["p/a", "p/b", "p/d"]
    with pytest.raises(NotSupported, match="no tier 'C'"):
        open_corpus("free_game_music", tmp_path, fetched=there, tier="C")
    with pytest.raises(FileError, match="not there"):
        open_corpus("free_game_music", tmp_path / "nowhere", fetched=there)
    with pytest.raises(NotSupported, match="takes no option tier"):
        open_corpus("mutopia", tmp_path, tier="AB")


def test_samples_are_split_by_instrument(tmp_path: Path) -> None:
    rows = [(f"Piano C{n}", 10 * n, 10 * n + 10, 60, 1) for n in range(8)]
    (tmp_path / "FluidR3_GM.sf2").write_bytes(font(bytes(range(200)), rows))
    corpus = open_corpus("instrument_samples", tmp_path, fetched=tmp_path)
    assert corpus.items[0].id == "FluidR3_GM/Piano C0"
    assert {(i.split, i.group) for i in corpus.items} == {(corpus.items[0].split, "Piano")}
    assert len(corpus.preflight().usable) == 8
    with pytest.raises(FileError, match="not been fetched"):
        open_corpus("instrument_samples", tmp_path)
