from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from partimento.errors import FileError
from partimento.files import read_recipe, write
from partimento.files.pictures.spectrogram import Spectrogram
from partimento.music import Audio

RATE = 44100


def tone(hertz: float, seconds: float = 1.0, rate: int = RATE, recipe: str = "") -> Audio:
    wave = 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
    return Audio(np.stack([wave, 0.2 * wave]).astype(np.float32), rate, recipe)


def brightest_row(image: Image.Image, x: int) -> int:
    """Return where a column of the plot is brightest, counted from its top."""
    return int(np.asarray(image).sum(axis=2)[12:372, x].argmax())


def place_of(hertz: float) -> float:
    """Return the row of a frequency: 40 Hz at the bottom, 20 kHz at the top."""
    return 360 * (1 - np.log(hertz / 40) / np.log(20_000 / 40))


@pytest.mark.parametrize("hertz", [110, 440, 3520])
def test_a_tone_is_a_line_at_its_pitch(hertz: float) -> None:
    drawn = Spectrogram(RATE)
    drawn.take(tone(hertz).samples)
    image = drawn.draw(800)
    assert image.size == (800, 402)
    for x in (150, 400, 700):
        assert abs(brightest_row(image, x) - place_of(hertz)) < 8


def test_time_goes_to_the_right() -> None:
    drawn = Spectrogram(RATE)
    for hertz in (200, 2000):
        drawn.take(tone(hertz).samples)
    image = drawn.draw(800)
    assert abs(brightest_row(image, 200) - place_of(200)) < 8
    assert abs(brightest_row(image, 600) - place_of(2000)) < 8


def test_pieces_of_any_size_give_the_same_picture() -> None:
    samples = tone(300, 4.0).samples
    whole, parts = Spectrogram(RATE), Spectrogram(RATE)
    whole.take(samples)
    for at in range(0, samples.shape[1], 9973):
        parts.take(samples[:, at : at + 9973])
    assert np.array_equal(np.asarray(whole.draw(600)), np.asarray(parts.draw(600)))
    assert parts.duration_seconds == pytest.approx(4.0)


def test_memory_stays_the_same_however_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("partimento.files.pictures.spectrogram._MOST_COLUMNS", 64)
    drawn = Spectrogram(RATE)
    for hertz in (200, 2000):
        for _ in range(10):
            drawn.take(tone(hertz).samples)
    assert drawn._columns.shape == (64, 360)
    image = drawn.draw(800)
    assert abs(brightest_row(image, 200) - place_of(200)) < 8
    assert abs(brightest_row(image, 700) - place_of(2000)) < 8


@pytest.mark.parametrize("frames", [1, 100, 4096, 5000, 70_000])
@pytest.mark.parametrize("rate", [8000, 44100, 192_000])
def test_any_length_and_rate_is_drawn(tmp_path: Path, frames: int, rate: int) -> None:
    sound = tone(100, 1.0 * frames / rate, rate, '{"seed": 1}')
    write(sound, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (1600, 402)
    assert read_recipe(tmp_path / "a.png") == '{"seed": 1}'


def test_silence_is_dark_and_nothing_is_refused(tmp_path: Path) -> None:
    drawn = Spectrogram(RATE)
    drawn.take(np.zeros((1, RATE), np.float32))
    assert np.asarray(drawn.draw(400))[12:372, 58:388].max() < 20
    with pytest.raises(FileError, match="no sound to draw"):
        Spectrogram(RATE).save(tmp_path / "a.png")
    assert not (tmp_path / "a.png").exists()
