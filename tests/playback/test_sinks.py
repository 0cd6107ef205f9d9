from __future__ import annotations

import errno
import io
import os
from pathlib import Path

import numpy as np
import pytest

from partimento import files
from partimento.errors import FileError
from partimento.playback.sinks import SoundFile, WavFile, WavPipe

from support.full_disk import fill_disk


def tone(frames: int = 1000, level: float = 0.5) -> np.ndarray:
    return np.full((2, frames), level, dtype=np.float32)


def test_a_wav_comes_to_its_place_with_its_first_samples(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"old")
    sink = WavFile(path)
    assert path.read_bytes() == b"old"
    sink.take(tone())
    assert files.read_audio(path).samples.shape == (2, 1000)
    sink.close("{}")
    assert list(tmp_path.iterdir()) == [path]


def test_a_wav_without_samples_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"old")
    WavFile(path).close("{}")
    assert path.read_bytes() == b"old"


def test_two_wavs_of_one_name_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    first, second = WavFile(path), WavFile(path)
    for _ in range(3):
        first.take(tone(level=0.25))
        second.take(tone(level=0.5))
    first.take(tone(level=0.25))
    first.close("{}")
    second.close("{}")
    heard = files.read_audio(path).samples
    assert heard.shape == (2, 3000)  # of the one that came last
    assert np.allclose(heard, 0.5, atol=1e-4)


@pytest.mark.parametrize("suffix", [".flac", ".ogg", ".mp3"])
@pytest.mark.parametrize("left", [0, 300])
def test_a_full_disk_leaves_the_older_file(tmp_path, monkeypatch, suffix, left) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"old")
    fill_disk(monkeypatch, left)
    sink = SoundFile(path, " " * 100)
    noise = np.random.default_rng(1).normal(0, 0.2, (2, 30_000)).astype(np.float32)

    def stream() -> None:
        try:
            for _ in range(5):
                sink.take(noise)
        finally:
            sink.close("{}")

    with pytest.raises(FileError, match="cannot be written: the disk is full"):
        stream()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_pipe_says_why_it_cannot_be_written() -> None:
    class Full(io.BytesIO):
        def flush(self) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(FileError, match="standard output: cannot be written: the disk is full"):
        WavPipe(Full()).take(tone())
