from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path

import numpy as np
import pytest

from partimento.errors import FileError, MusicError
from partimento.metrics.copying import CopyIndex, copy_rate
from partimento.metrics.hashing import hash_columns, hash_prefixes, hash_row_prefixes
from partimento.music import Note, Score, Track
from partimento.music.transform import transpose

from support.tiny_music import drums, random_melody, solo, two_part


def melodies(count: int, seed: int) -> dict[str, tuple[list[int], list[float]]]:
    rng = np.random.default_rng(seed)
    return {f"song {k}": random_melody(rng) for k in range(count)}


TRAINING = melodies(30, 0)
INDEX = CopyIndex.build({name: solo(*tune) for name, tune in TRAINING.items()})


def test_hash_is_the_same_everywhere() -> None:
    rows = np.array([[1, -2, 3], [0, 0, 0]])
    assert hash_columns(rows).tolist() == [12448149530738887898, 9271759356047530030]
    for row, hashes in zip(rows, np.stack(hash_prefixes(rows), axis=1), strict=True):
        assert hash_row_prefixes(row.tolist()) == hashes.tolist()


def test_a_training_piece_is_wholly_known() -> None:
    found = INDEX.check(solo(*TRAINING["song 3"]))
    assert found.longest_notes == 40
    assert found.copied_share == found.nearest_share == 1.0
    assert (found.source, found.nearest) == ("song 3", "song 3")
    assert (found.longest_bar, found.source_bar, found.longest_voice) == (0, 0, "Melody")


@pytest.mark.parametrize("semitones", [-5, 0, 4])
def test_a_planted_phrase_is_found_in_any_key(semitones: int) -> None:
    pitches, quarters = TRAINING["song 7"]
    own, own_quarters = random_melody(np.random.default_rng(99))
    bridge = own[-1] + 13  # an interval and a rhythm that no training melody has
    phrase = [p - pitches[10] + bridge for p in pitches[10:25]]
    mixed = solo([*own, *phrase], [*own_quarters[:-1], 7.0, *quarters[10:25]])
    found = INDEX.check(transpose(mixed, semitones))
    assert found.longest_notes == 15
    assert found.source == found.nearest == "song 7"
    assert found.longest_bar == int(sum([*own_quarters[:-1], 7.0]) // 4)
    assert found.source_bar == int(sum(quarters[:10]) // 4)
    assert 0 < found.copied_share < 0.5


def test_small_shifts_of_time_and_repeated_notes_do_not_hide_a_copy() -> None:
    rng = np.random.default_rng(5)
    notes = list(solo(*TRAINING["song 1"]).notes)
    shaken = [
        dataclasses.replace(n, onset_ticks=n.onset_ticks + int(rng.integers(9))) for n in notes
    ]
    assert INDEX.check(Score((Track("x", tuple(shaken)),))).copied_share == 1.0
    halves = [
        Note(n.onset_ticks + k * (n.duration_ticks // 2), n.pitch, n.duration_ticks // 2)
        for n in notes
        for k in range(2)
    ]
    assert INDEX.check(Score((Track("x", tuple(halves)),))).longest_notes == 40


def test_other_music_is_not_a_copy() -> None:
    made = {name: solo(*tune) for name, tune in melodies(30, 1).items()}
    rate = copy_rate(INDEX, made)
    assert rate.share < 0.01
    assert rate.longest_max < 10


def test_formulas_count_neither_way() -> None:
    scale = solo([60 + k for k in range(20)])
    index = CopyIndex.build({"scale": scale})
    found = index.check(scale)
    assert (found.ngrams, found.copied_share, found.longest_notes) == (0, 0.0, 0)
    assert (found.source, found.nearest, found.source_bar) == ("", "", -1)


def test_a_run_goes_on_through_a_formula() -> None:
    pitches, quarters = TRAINING["song 2"]
    joined = [*pitches, *(pitches[-1] + k for k in range(1, 13)), *(p + 30 for p in pitches)]
    tune = solo(joined, [*quarters, *[1.0] * 12, *quarters])
    assert CopyIndex.build({"x": tune}).check(tune).longest_notes == len(joined)


def test_leaving_one_out() -> None:
    tune = solo(*TRAINING["song 4"])
    assert INDEX.check(tune, exclude="song 4").copied_share < 0.1
    pieces = {name: solo(*t) for name, t in TRAINING.items()}
    assert copy_rate(INDEX, pieces).share == 1.0
    assert copy_rate(INDEX, pieces, leave_one_out=True).share < 0.01


@pytest.mark.parametrize("score", [Score(), drums(8), solo([60, 62, 64])])
def test_pieces_without_ngrams(score: Score) -> None:
    assert INDEX.check(score).ngrams == 0
    index = CopyIndex.build({"x": score})
    assert index.check(solo(*TRAINING["song 0"])).longest_notes == 0
    assert np.isnan(copy_rate(INDEX, {"x": score}).share)


def test_bad_requests() -> None:
    with pytest.raises(MusicError, match=r"4\.\.64"):
        CopyIndex.build({}, notes=3)
    with pytest.raises(MusicError, match="one name"):
        CopyIndex.build([("a", Score()), ("a", Score())])
    with pytest.raises(MusicError, match="at least one piece"):
        copy_rate(INDEX, {})


def test_saved_and_loaded_it_is_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    pieces = {f"Lied № {k}": two_part(rng, bars=20) for k in range(5)} | {"drums": drums()}
    index = CopyIndex.build(pieces, notes=6)
    path = tmp_path / "copies.bin"
    index.save(path)
    again = CopyIndex.load(path)
    assert (again.names, again.notes) == (index.names, 6)
    for name in ("prints", "bars", "line_lengths", "line_pieces"):
        assert np.array_equal(getattr(again, name), getattr(index, name))
    for score in pieces.values():
        assert again.check(score) == index.check(score)
    first = path.read_bytes()
    again.save(path)
    assert path.read_bytes() == first
    assert [p.name for p in tmp_path.iterdir()] == ["copies.bin"]


def test_the_index_is_compact(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    tunes = {f"piece {k}": solo(*random_melody(rng, 200)) for k in range(100)}
    CopyIndex.build(tunes).save(tmp_path / "x.npz")
    assert (tmp_path / "x.npz").stat().st_size < 2.5 * 200 * 100


def test_damaged_files_raise_one_line(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    INDEX.save(path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    bad = [b"", b"junk", whole[:100], whole[:-30], np.arange(3).tobytes(), rng.bytes(500)]
    for content in bad:
        path.write_bytes(content)
        with pytest.raises(FileError) as raised:
            CopyIndex.load(path)
        assert "\n" not in str(raised.value)
    for _ in range(200):
        changed = bytearray(whole)
        changed[int(rng.integers(len(whole)))] ^= int(rng.integers(1, 256))
        path.write_bytes(bytes(changed))
        with contextlib.suppress(FileError):
            CopyIndex.load(path)
    with pytest.raises(FileError, match="cannot be read"):
        CopyIndex.load(tmp_path / "missing.npz")
    with pytest.raises(FileError, match="cannot be written"):
        INDEX.save(tmp_path / "no" / "x.npz")
