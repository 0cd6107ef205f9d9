from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from partimento.errors import FileError
from partimento.files import read, read_recipe, write
from partimento.files.audio.ogg import settle_serial
from partimento.files.audio.sound_files import (
    audio_blocks,
    audio_of_bytes,
    read_audio,
    replace_comment,
    resample,
    riff_comment,
    write_audio,
)
from partimento.music import Audio

from support.score_strategies import only_file_errors

RECIPE = '{"system": "x", "text": "ü' + "y" * 3000 + '"}'


def tone(frames: int = 4410, channels: int = 2, rate: int = 44100, recipe: str = "") -> Audio:
    time = np.arange(frames) / rate
    wave = 0.5 * np.sin(2 * np.pi * 440 * time)
    return Audio(np.tile(wave, (channels, 1)).astype(np.float32), rate, recipe)


@pytest.mark.parametrize(("suffix", "bound"), [("wav", 2e-5), ("flac", 2e-5), ("ogg", 0.1)])
def test_what_is_written_is_read_again(tmp_path: Path, suffix: str, bound: float) -> None:
    path = tmp_path / f"a.{suffix}"
    audio = tone(recipe=RECIPE)
    write(audio, path)
    again = read(path)
    assert isinstance(again, Audio)
    assert again.samples.shape == audio.samples.shape
    assert again.sample_rate_hz == 44100
    assert np.abs(again.samples - audio.samples).max() < bound
    assert again.recipe == RECIPE
    assert read_recipe(path) == RECIPE


def test_mp3_keeps_sound_and_recipe(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    write(tone(44100, recipe=RECIPE), path)
    again = read_audio(path)
    assert abs(again.duration_seconds - 1.0) < 0.1
    assert 0.4 < again.peak < 0.6
    assert read_recipe(path) == RECIPE


@pytest.mark.parametrize("suffix", ["flac", "ogg", "mp3"])
def test_a_comment_is_replaced_in_a_finished_file(tmp_path: Path, suffix: str) -> None:
    """The file is then, to the byte, what it would be had it been written with that comment."""
    first, second = (tmp_path / f"{name}.{suffix}" for name in "ab")
    old, new = '{"head": "' + "h" * 30 + '", "end": "1"}   ', '{"head": "' + "h" * 30 + '"}'
    for path, recipe in ((first, old), (second, new.ljust(len(old)))):
        write(tone(44100 * 3, recipe=recipe), path)
    replace_comment(first, old, new.ljust(len(old)))
    assert first.read_bytes() == second.read_bytes()
    assert read_recipe(first) == new
    with pytest.raises(ValueError, match="same length"):
        replace_comment(first, old, new)


def test_an_ogg_page_has_the_checksum_of_its_bytes(tmp_path: Path) -> None:
    """RFC 3533: the remainder by 0x04C11DB7 of the page with zeros for the checksum."""
    path = tmp_path / "a.ogg"
    write(tone(44100, recipe=RECIPE), path)
    settle_serial(path, RECIPE.encode(), RECIPE.replace("y", "z").encode())
    data, at, pages = path.read_bytes(), 0, 0
    while at < len(data):
        end = at + 27 + data[at + 26] + sum(data[at + 27 : at + 27 + data[at + 26]])
        page = data[at : at + 22] + bytes(4) + data[at + 26 : end]
        value = 0
        for byte in page:
            value ^= byte << 24
            for _ in range(8):
                value = (value << 1) ^ (0x104C11DB7 if value & 0x80000000 else 0)
        assert int.from_bytes(data[at + 22 : at + 26], "little") == value
        assert data[at + 14 : at + 18] == b"\1\0\0\0"
        at, pages = end, pages + 1
    assert pages >= 3
    assert read_recipe(path) == RECIPE.replace("y", "z")


def test_wav_is_16_bit_and_clips(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_audio(Audio(np.array([[2.0, -2.0, 0.0]], dtype=np.float32), 8000), path)
    assert path.read_bytes()[34:36] == b"\x10\x00"
    assert read_audio(path).samples[0, 0] > 0.999
    write_audio(tone(100), path, subtype="FLOAT")
    assert np.array_equal(read_audio(path).samples, tone(100).samples)


@pytest.mark.parametrize(
    ("audio", "name", "says"),
    [
        (tone(0), "a.wav", "no sound"),
        (Audio(np.full((1, 5), np.nan, dtype=np.float32), 44100), "a.wav", "not numbers"),
        (tone(rate=50_000), "a.mp3", "resample to one of"),
        (tone(channels=3), "a.mp3", "1..2 channels"),
        (tone(rate=700_000), "a.flac", "at most"),
        (tone(), "a.xyz", "cannot be written"),
        (tone(), "a.mid", "cannot be written as a score"),
    ],
)
def test_what_a_format_cannot_hold(tmp_path: Path, audio: Audio, name: str, says: str) -> None:
    with pytest.raises(FileError, match=says):
        write(audio, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("data", [b"", b"RIFF", b"fLaC\0\0", b"nothing that sounds"])
def test_bad_files(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(data)
    with pytest.raises(FileError) as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_no_samples(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_audio(tone(8), path)
    data = path.read_bytes()
    path.write_bytes(data[:40] + b"\0\0\0\0")
    with pytest.raises(FileError, match="no samples"):
        read(path)


def test_resampling_keeps_pitch_and_length() -> None:
    there = resample(tone(4410, recipe="r"), 22050)
    assert there.samples.shape == (2, 2205)
    assert there.recipe == "r"
    spectrum = np.abs(np.fft.rfft(there.samples[0]))
    assert abs(float(spectrum.argmax()) * 22050 / 2205 - 440) < 11
    same = tone()
    assert resample(same, 44100) is same


def test_blocks_join_to_the_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_audio(tone(1000), path)
    blocks = [b.samples for b in audio_blocks(path, 300 / 44100)]
    assert [b.shape[1] for b in blocks] == [300, 300, 300, 100]
    assert np.array_equal(np.concatenate(blocks, axis=1), read_audio(path).samples)
    with pytest.raises(FileError):
        next(audio_blocks(tmp_path / "none.wav"))


def test_a_header_that_lies_about_samples(tmp_path: Path) -> None:
    """The count of a FLAC (36 bits of its first block) is no promise: what is there is read."""
    path = tmp_path / "a.flac"
    write_audio(tone(1000), path)
    data = bytearray(path.read_bytes())
    for claimed in (0, 2000, 2**36 - 1):
        data[21] = data[21] & 0xF0 | claimed >> 32
        data[22:26] = (claimed & 0xFFFFFFFF).to_bytes(4, "big")
        with only_file_errors():
            assert audio_of_bytes(bytes(data)).samples.shape[1] <= 1000


def test_sound_beyond_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.flac"
    write_audio(tone(1000), path)
    monkeypatch.setattr("partimento.files.audio.sound_files.MAX_SAMPLES", 1999)
    with pytest.raises(FileError, match="longer than 0 minutes; cut it into parts"):
        read_audio(path)


def test_a_rate_that_cannot_be_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_audio(Audio(np.ones((1, 5), dtype=np.float32), 3), path)
    with pytest.raises(FileError, match="sample rate of 3 Hz"):
        read_audio(path)


def test_hostile_chunks_of_a_wav_end(tmp_path: Path) -> None:
    """Comments are looked for in finite time, wherever sizes point."""
    head = b"RF64\xff\xff\xff\xffWAVE"
    assert riff_comment(head + b"junk\0\0\0\0" * 50_000) == ""
    far = b"ds64" + (16).to_bytes(4, "little") + b"\xff" * 16 + b"data\xff\xff\xff\xff"
    assert riff_comment(head + far + b"LIST") == ""
