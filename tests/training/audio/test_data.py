"""Sound to learn from: recordings good and bad, scores played, shards kept, crops drawn."""

from __future__ import annotations

import errno
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from partimento.errors import FileError, TrainingError
from partimento.files import open_corpus
from partimento.files.formats import write
from partimento.music import Note, Score, Track
from partimento.music.channels import fold
from partimento.runtime.audio.presets import AudioData
from partimento.training.audio import data as audio_data
from partimento.training.audio import shards as audio_shards
from partimento.training.audio.data import AudioSet, load_audio, prepare_audio

RATE, LATENT = 8000, 400
DATA = AudioData(sample_rate_hz=RATE, shard_seconds=2, renditions=2)


def music(seconds: float, rate: int = RATE, seed: int = 0, channels: int = 2) -> np.ndarray:
    """Return (frames, channels) of tones with noise."""
    draw = np.random.default_rng(seed)
    t = np.arange(round(seconds * rate)) / rate
    tones = [0.2 * np.sin(2 * np.pi * hz * t + seed) for hz in (220, 331 + seed, 443)]
    return np.stack([sum(tones) + 0.01 * draw.standard_normal(len(t)) for _ in range(channels)], 1)


def put(folder: Path, name: str, samples: np.ndarray, rate: int = RATE, subtype: str = "") -> Path:
    path = folder / name
    soundfile.write(path, samples, rate, subtype=subtype or None)
    return path


def prepared(source: Path, folder: Path, **options: Any) -> tuple[dict[str, AudioSet], list[str]]:
    said: list[str] = []
    options = {"config": DATA, "latent_samples": LATENT, "workers": 1} | options
    return prepare_audio([open_corpus(source)], folder, said.append, **options), said


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    folder = tmp_path / "songs"
    folder.mkdir()
    return folder


def chorale(shift: int = 0) -> Score:
    notes = [
        tuple(Note(480 * i, pitch + shift + i % 3, 480) for i in range(4))
        for pitch in (72, 67, 60, 48)
    ]
    names = ("Soprano", "Alto", "Tenor", "Bass")
    return Score(tracks=tuple(Track(n, t) for n, t in zip(names, notes, strict=True)))


def test_a_recording_is_cut_held_out_and_read_back(songs: Path, tmp_path: Path) -> None:
    sound = music(21)
    put(songs, "one.wav", sound, subtype="FLOAT")
    sets, said = prepared(songs, tmp_path)
    assert 0.75 < sets["train"].seconds / 21 < 0.85  # what the splits lack is cut off the end
    assert sets["valid"].seconds == pytest.approx(2.1, abs=0.2)
    assert sets["test"].seconds == pytest.approx(2.1, abs=0.2)
    first = sets["train"].clips[0]
    assert np.abs(first.samples(0, first.latents) - sound[: first.latents * LATENT].T).max() < 1e-4
    beyond = first.samples(first.latents - 1, 2)
    assert beyond[:, :LATENT].any()
    assert not beyond[:, LATENT:].any()
    part = first.part(2, 3)
    assert np.array_equal(part.samples(1, 2), first.samples(3, 2))
    assert np.array_equal(part.conditions, first.conditions[2:5])
    assert "1 recordings, 0.3 minutes" in said[0]
    assert "memorises" in said[-1]


def test_the_same_sound_comes_of_every_rate_and_every_part(songs: Path, tmp_path: Path) -> None:
    config = DATA.model_copy(update={"sample_rate_hz": 16000})
    t = np.arange(8 * 22_050) / 22_050
    put(songs, "tone.flac", 0.5 * np.sin(2 * np.pi * 440 * t), 22_050)
    sets, _ = prepared(songs, tmp_path, config=config)
    clips = [clip for each in sets.values() for clip in each.clips]
    # The tone starts in every part as in the first, for parts are whole seconds long, and a part
    # knows its neighbours: no edge is heard where it was cut.
    whole = 0.5 * np.sin(2 * np.pi * 440 * np.arange(2 * 16_000) / 16_000)
    for clip in (clip for clip in clips if clip.first == 0):
        samples = clip.samples(0, clip.latents)
        assert np.array_equal(samples[0], samples[1])
        apart = np.abs(samples[0] - whole[: samples.shape[1]])
        assert apart[100:-100].max() < 1e-3


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda f: put(f, "bad.wav", np.zeros((RATE * 3, 2))), "silence"),
        (lambda f: put(f, "bad.wav", np.zeros((0, 2))), "no samples"),
        (lambda f: put(f, "bad.wav", np.full((RATE * 3, 1), np.nan), subtype="FLOAT"), "numbers"),
        (lambda f: (f / "bad.flac").write_bytes(b"fLaC" + bytes(400)), "no audio that can be read"),
        (lambda f: (f / "bad.mp3").write_bytes(b""), "no audio that can be read"),
        (lambda f: put(f, "bad.wav", music(0.2)), "too short"),
        (lambda f: shutil.copy(f / "good.wav", f / "bad.wav"), "repeats another file"),
    ],
)
def test_what_cannot_be_learnt_from_is_named_and_left_out(
    make: Callable[[Path], object], told: str, songs: Path, tmp_path: Path
) -> None:
    put(songs, "good.wav", music(2))
    make(songs)
    sets, said = prepared(songs, tmp_path)
    assert sum(each.seconds for each in sets.values()) == pytest.approx(2, abs=0.1)
    (line,) = (line for line in said if line.startswith("skipped"))
    assert "skipped 1: songs/" in line
    assert told in line


@pytest.mark.parametrize(
    ("name", "sound", "rate", "told"),
    [
        ("clipped.wav", np.clip(4 * music(2), -1, 1), RATE, "clipped"),
        ("dc.wav", music(2) + 0.2, RATE, "off centre"),
        ("quiet.wav", music(2) / 200, RATE, "very quiet"),
        ("mono.wav", music(2, channels=1), RATE, "1 mono"),
        ("low.wav", music(2), 8000, "nothing above 4000 Hz"),
        ("high.wav", music(2, 192_000), 192_000, "192000 Hz"),
        ("round.wav", music(2, channels=6), RATE, "5.1"),
        ("half.wav", np.concatenate([music(1), np.zeros((RATE, 2))]), RATE, "silence (under"),
    ],
)
def test_what_is_odd_is_told_and_kept(
    name: str, sound: np.ndarray, rate: int, told: str, songs: Path, tmp_path: Path
) -> None:
    put(songs, name, sound, rate)
    sets, said = prepared(songs, tmp_path)
    assert any(told in line for line in said)
    assert sum(each.seconds for each in sets.values()) == pytest.approx(2, abs=0.1)
    samples, conditions = sets["train"].crops(np.random.default_rng(0), 4, 8)
    assert np.isfinite(samples).all()
    assert np.isfinite(conditions).all()
    assert abs(samples.mean()) < 0.02
    assert np.abs(samples).max() <= 1


def test_a_file_damaged_in_the_middle_is_read_up_to_there(songs: Path, tmp_path: Path) -> None:
    path = put(songs, "cut.flac", music(8))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    sets, said = prepared(songs, tmp_path)
    assert 2 < sum(each.seconds for each in sets.values()) < 4.5
    assert any("cut.flac" in line and "skipped" in line for line in said)


def test_what_is_folded_keeps_left_and_right_and_grows_no_louder() -> None:
    for channels in range(1, 10):
        matrix = fold(channels)
        assert matrix.shape == (2, channels)
        assert np.allclose(matrix.sum(axis=1), 1, atol=1e-6)
    assert np.array_equal(np.nonzero(fold(6)[0])[0], [0, 2, 4])  # not the bass box
    assert np.array_equal(np.nonzero(fold(6)[1])[0], [1, 2, 5])


def test_nothing_to_learn_from_is_an_error_that_says_why(songs: Path, tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no music in it"):
        open_corpus(songs)
    put(songs, "a.wav", np.zeros((100, 1)))
    with pytest.raises(TrainingError, match=r"no sound to learn from: songs/a.wav: is too short"):
        prepared(songs, tmp_path)
    put(songs, "b.wav", np.zeros((2 * RATE, 2)))
    with pytest.raises(TrainingError, match=r"too short; songs/b.wav: silence;"):
        prepared(songs, tmp_path)


def test_a_process_that_makes_sound_ends_with_the_one_that_leads() -> None:
    code = """
import os, signal, sys
from multiprocessing import get_context
from partimento.training.audio.data import _serve
if __name__ == "__main__":
    from concurrent.futures import ProcessPoolExecutor
    pool = ProcessPoolExecutor(1, get_context("spawn"), initializer=_serve)
    print(pool.submit(os.getpid).result(), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    # The worker holds the pipe of what is printed: it closes when the worker ends.
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60)
    assert int(run.stdout) > 0
    assert run.returncode == -signal.SIGKILL


def test_a_zip_of_sound_is_read(songs: Path, tmp_path: Path) -> None:
    inside = put(songs, "a.flac", music(5))
    archive = tmp_path / "songs.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.write(inside, "a.flac")
    sets, _ = prepared(archive, tmp_path)
    assert sum(each.seconds for each in sets.values()) == pytest.approx(5, abs=0.3)


def test_scores_are_played_with_their_conditions(songs: Path, tmp_path: Path) -> None:
    for shift in range(4):
        write(chorale(shift), songs / f"{shift}.mid")
    write(chorale(0), songs / "again.mid")
    sets, said = prepared(songs, tmp_path)
    assert "4 scores" in said[0]
    assert any("repeat another" in line for line in said)
    again, _ = prepared(songs, tmp_path / "other")
    for split, found in sets.items():
        for one, two in zip(found.clips, again[split].clips, strict=True):
            assert np.array_equal(one.samples(0, one.latents), two.samples(0, two.latents))
    clip = sets["train"].clips[0]
    sound = clip.samples(0, clip.latents)
    assert 0.2 < np.abs(sound).max() < 0.9
    tempo = clip.conditions[0, 2] * 120 + 60
    assert 96 <= tempo <= 150
    assert clip.conditions[2:20, 0] * 8 == pytest.approx(tempo / 60, rel=0.6)  # crotchets
    angles = np.unwrap(np.arctan2(clip.conditions[:, 4], clip.conditions[:, 3]))
    per_latent = 2 * np.pi * tempo / 60 * LATENT / RATE
    assert np.allclose(np.diff(angles), per_latent, atol=1e-3)
    assert angles[0] == pytest.approx(per_latent / 2, abs=1e-3)


def test_short_scores_are_repeated_and_long_ones_cut(songs: Path, tmp_path: Path) -> None:
    write(chorale(), songs / "a.mid")
    config = DATA.model_copy(update={"least_seconds": 7.0, "shard_seconds": 60, "tempo": (1, 1)})
    whole, _ = prepared(songs, tmp_path / "a", config=config)
    assert sum(each.seconds for each in whole.values()) > 7
    long = Score(tracks=(Track("a", tuple(Note(480 * i, 60, 480) for i in range(32))),))
    write(long, songs / "a.mid")
    cut, _ = prepared(songs, tmp_path / "b", config=config.model_copy(update={"shard_seconds": 4}))
    assert sum(len(each.clips) for each in cut.values()) >= 4


def test_hours_bound_what_is_made(songs: Path, tmp_path: Path) -> None:
    put(songs, "a.wav", music(30))
    config = DATA.model_copy(update={"hours": 10 / 3600})
    sets, _ = prepared(songs, tmp_path, config=config)
    assert 9 < sum(each.seconds for each in sets.values()) < 13


def test_crops_come_from_everywhere_and_repeat_with_their_seed(songs: Path, tmp_path: Path) -> None:
    put(songs, "a.wav", music(6))
    train = prepared(songs, tmp_path)[0]["train"]
    samples, conditions = train.crops(np.random.default_rng(3), 16, 8)
    assert samples.shape == (16, 2, 8 * LATENT)
    assert conditions.shape == (16, 8, 5)
    assert samples.dtype == conditions.dtype == np.float32
    assert np.array_equal(samples, train.crops(np.random.default_rng(3), 16, 8)[0])
    assert len(np.unique(samples[:, 0, 0])) > 10
    assert np.array_equal(train.evenly(4, 8)[0], train.evenly(4, 8)[0])
    long, _ = train.crops(np.random.default_rng(0), 2, 60)  # longer than any clip
    assert long[:, :, :LATENT].any()
    assert not long[:, :, -LATENT:].any()


def test_a_full_disk_keeps_what_was_made_and_the_next_run_goes_on(
    songs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(songs, "a.wav", music(12))
    real, count = np.save, 0

    def save(*args: Any, **kwargs: Any) -> None:
        nonlocal count
        count += 1
        if count > 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(*args, **kwargs)

    monkeypatch.setattr(np, "save", save)
    with pytest.raises(TrainingError, match="disk is full; 3 of 6 parts of sound are kept"):
        prepared(songs, tmp_path)
    assert load_audio(tmp_path) is None
    assert not list((tmp_path / "audio").glob(".*"))
    count = -10
    _, said = prepared(songs, tmp_path)
    assert count == -7
    assert any("3 of 6 parts were there already" in line for line in said)
    assert not any("already" in line for line in prepared(songs, tmp_path)[1])


def test_ctrl_c_keeps_what_was_made(
    songs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(songs, "a.wav", music(12))
    real, count = audio_data.make_shard, 0

    def make(*args: Any, **kwargs: Any) -> audio_shards.Made:
        nonlocal count
        count += 1
        if count == 3:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    monkeypatch.setattr(audio_data, "make_shard", make)
    said: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        prepare_audio([open_corpus(songs)], tmp_path, said.append, DATA, LATENT, 1)
    assert said == ["interrupted: 2 of 6 parts of sound are kept"]
    prepared(songs, tmp_path)
    assert count == 7


def test_too_little_room_is_told_before_work_begins(
    songs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(songs, "a.wav", music(12))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: type("Usage", (), {"free": 2**20}))
    with pytest.raises(TrainingError, match=r"GB are free; free some space or set data.hours"):
        prepared(songs, tmp_path)


def test_processes_make_what_one_makes(
    songs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(songs, "a.wav", music(6))
    monkeypatch.setattr(audio_data, "_SECONDS_A_PROCESS", 1.0)
    one, _ = prepared(songs, tmp_path / "one")
    two, _ = prepared(songs, tmp_path / "two", workers=2)
    assert one["train"].latents == two["train"].latents
    assert np.array_equal(one["train"].evenly(3, 8)[0], two["train"].evenly(3, 8)[0])


def test_what_is_damaged_or_deleted_is_noticed(songs: Path, tmp_path: Path) -> None:
    put(songs, "a.wav", music(6))
    sets, _ = prepared(songs, tmp_path)
    shard = sets["train"].clips[0].path
    shard.unlink()
    assert load_audio(tmp_path) is None
    with pytest.raises(TrainingError, match="cannot be read"):
        sets["train"].clips[0].samples(0, 1)
    prepared(songs, tmp_path)
    assert shard.exists()
    (tmp_path / "audio" / "index.json").write_text("{")
    with pytest.raises(TrainingError, match="damaged"):
        load_audio(tmp_path)


def test_the_machines_soundfont_is_taken_where_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    font = tmp_path / "gm.sf2"
    font.write_bytes(b"RIFF")
    monkeypatch.setenv("PARTIMENTO_SOUNDFONT", str(font))
    for has_program, found in ((True, font), (False, None)):
        where = "/usr/bin/fluidsynth" if has_program else None
        monkeypatch.setattr(audio_shards.shutil, "which", lambda _name, where=where: where)
        assert audio_shards._soundfont(AudioData(soundfont="auto")) == found
        assert audio_shards._soundfont(AudioData()) is None
        assert audio_shards._soundfont(AudioData(soundfont="my.sf2")) == "my.sf2"
