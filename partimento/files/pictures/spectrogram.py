"""Spectrograms: sound as a picture, time to the right, pitch upwards, the louder the brighter.

The sound may come bit by bit and be of any length: there are at most ``_MOST_COLUMNS`` columns, and
when they are full each two become one.
"""

from __future__ import annotations

from os import PathLike

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from partimento.errors import FileError
from partimento.files.atomic import atomic_path
from partimento.files.pictures.metadata import PNG_RECIPE_KEY
from partimento.music import Audio

__all__ = ["Spectrogram", "write_spectrogram"]

_SIZE, _HOP = 4096, 1024  # samples of a window, and from one to the next
_MOST_COLUMNS = 4096
_BATCH = 64  # windows that are analysed at once
_LOWEST_HZ, _HIGHEST_HZ, _BANDS = 40.0, 20_000.0, 360
_RANGE_DB = 80.0  # from black to the brightest
_HEIGHT_PX, _LEFT_PX, _BOTTOM_PX, _ROOM_PX = 360, 58, 30, 12
_BACKGROUND, _FAINT = (16, 18, 24), (140, 148, 168)
_COLOURS = (
    (8, 9, 14),
    (43, 24, 92),
    (124, 36, 120),
    (212, 70, 92),
    (250, 152, 90),
    (252, 246, 196),
)
_NAMED_HZ = {50: "50", 100: "100", 200: "200", 500: "500", 1000: "1k", 2000: "2k", 5000: "5k",
             10_000: "10k"}  # fmt: skip
_TICK_SECONDS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200)

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]


class Spectrogram:
    """Takes sound and draws it; memory stays the same however long the sound is."""

    def __init__(self, sample_rate_hz: int = 44100) -> None:
        self.sample_rate_hz = sample_rate_hz
        top = min(_HIGHEST_HZ, sample_rate_hz / 2)
        self._edges_hz = np.geomspace(min(_LOWEST_HZ, top / 2), top, _BANDS + 1)
        self._window = np.hanning(_SIZE + 1)[:-1].astype(np.float32)
        self._waiting: F32 = np.zeros((1, 0), dtype=np.float32)  # (channels, less than a batch)
        self._columns: F64 = np.zeros((_MOST_COLUMNS, _BANDS))  # sums of power
        self._count = 0  # windows so far
        self._folds = 0  # a column is of 2 ** folds windows
        self._frames = 0

    @property
    def duration_seconds(self) -> float:
        """How much sound was taken."""
        return self._frames / self.sample_rate_hz

    def take(self, samples: F32) -> None:
        """Add samples (channels, frames); always of as many channels."""
        self._frames += samples.shape[1]
        old = self._waiting if self._waiting.shape[1] else samples[:, :0]
        joined: F32 = np.concatenate([old, samples], axis=1)
        whole = (_BATCH - 1) * _HOP + _SIZE
        at = 0
        while joined.shape[1] - at >= whole:
            self._add(joined[:, at : at + whole])
            at += _BATCH * _HOP
        self._waiting = joined[:, at:].copy()

    def draw(self, width_px: int = 1600) -> Image.Image:
        """Return the picture as RGB; bands of pitch are equally high."""
        levels = self._levels()
        loudest = max(float(levels.max(initial=-200.0)), -100.0)
        shares = np.clip((levels - loudest) / _RANGE_DB + 1.0, 0.0, 1.0)
        steps = np.linspace(0.0, 1.0, len(_COLOURS))
        mixed = [np.interp(shares, steps, [c[i] for c in _COLOURS]) for i in range(3)]
        pixels = np.stack(mixed, axis=-1).astype(np.uint8)[:, ::-1].transpose(1, 0, 2)
        inner = (width_px - _LEFT_PX - _ROOM_PX, _HEIGHT_PX)
        plot = Image.fromarray(np.ascontiguousarray(pixels)).resize(inner, Image.Resampling.BOX)
        whole = (width_px, _HEIGHT_PX + _ROOM_PX + _BOTTOM_PX)
        image = Image.new("RGB", whole, _BACKGROUND)
        image.paste(plot, (_LEFT_PX, _ROOM_PX))
        self._label(ImageDraw.Draw(image), inner[0])
        return image

    def save(self, path: str | PathLike[str], recipe: str = "", width_px: int = 1600) -> None:
        """Write the picture as PNG, with the recipe in a text chunk; whole or not at all.

        Raises:
            FileError: if there was no sound, or it cannot be written.
        """
        if not self._frames:
            raise FileError(path, "there is no sound to draw", "make it at least one sample long")
        info = PngInfo()
        if recipe:
            info.add_itxt(PNG_RECIPE_KEY, recipe)
        image = self.draw(width_px)
        with atomic_path(path) as temporary:
            image.save(temporary, "PNG", pnginfo=info)

    def _powers(self, samples: F32) -> F64:
        """Return the power in each band of each window, (windows, bands)."""
        windows = np.lib.stride_tricks.sliding_window_view(samples, _SIZE, axis=1)[:, ::_HOP]
        spectra = np.fft.rfft(windows * self._window, axis=-1)
        power = np.mean(spectra.real**2 + spectra.imag**2, axis=0)
        # The power up to a frequency; between two bins it grows evenly.
        up_to = np.concatenate([np.zeros((len(power), 1)), np.cumsum(power, axis=1)], axis=1)
        places = self._edges_hz / self.sample_rate_hz * _SIZE + 0.5
        below = np.minimum(places.astype(np.int64), up_to.shape[1] - 2)
        share = places - below
        edges = up_to[:, below] * (1 - share) + up_to[:, below + 1] * share
        found: F64 = np.diff(edges, axis=1) / np.diff(places)
        return found

    def _add(self, samples: F32) -> None:
        for row in self._powers(samples):
            if self._count >> self._folds == _MOST_COLUMNS:
                half = self._columns[0::2] + self._columns[1::2]
                self._columns[: _MOST_COLUMNS // 2] = half
                self._columns[_MOST_COLUMNS // 2 :] = 0.0
                self._folds += 1
            self._columns[self._count >> self._folds] += row
            self._count += 1

    def _levels(self) -> F64:
        """Return decibels (columns, bands) up to the last sample, what still waits among them."""
        columns, count = self._columns[: -(-self._count >> self._folds)], self._count
        rest = self._waiting
        rows = columns / np.minimum(
            1 << self._folds, count - (np.arange(len(columns))[:, None] << self._folds)
        )
        if rest.shape[1] and (rest.shape[1] > _SIZE - _HOP or not count):
            missing = -(rest.shape[1] - _SIZE) % _HOP if rest.shape[1] > _SIZE else 0
            room = max(_SIZE - rest.shape[1], missing)
            last = self._powers(np.pad(rest, ((0, 0), (0, room))))
            size = 1 << self._folds
            means = [last[i : i + size].mean(axis=0) for i in range(0, len(last), size)]
            rows = np.concatenate([rows, np.stack(means)])
        levels: F64 = 10.0 * np.log10(np.maximum(rows, 1e-20))
        return levels

    def _label(self, pen: ImageDraw.ImageDraw, width: int) -> None:
        font = ImageFont.load_default(12)
        low, high = self._edges_hz[0], self._edges_hz[-1]
        for hertz, name in _NAMED_HZ.items():
            if low <= hertz <= high:
                up = np.log(hertz / low) / np.log(high / low)
                y = _ROOM_PX + _HEIGHT_PX * (1.0 - up)
                pen.line((_LEFT_PX - 5, y, _LEFT_PX - 1, y), fill=_FAINT)
                pen.text((_LEFT_PX - 9, y), f"{name} Hz", fill=_FAINT, font=font, anchor="rm")
        seconds = self.duration_seconds
        step = next((s for s in _TICK_SECONDS if seconds / s <= width / 80), seconds or 1.0)
        for index in range(int(seconds / step + 1e-9) + 1 if seconds else 0):
            x = _LEFT_PX + width * index * step / seconds
            y = _ROOM_PX + _HEIGHT_PX
            pen.line((x, y, x, y + 4), fill=_FAINT)
            pen.text((x, y + 8), _clock(index * step), fill=_FAINT, font=font, anchor="mt")


def write_spectrogram(audio: Audio, path: str | PathLike[str], width_px: int = 1600) -> None:
    """Write the spectrogram of a whole sound as PNG, with its recipe in a text chunk.

    Raises:
        FileError: if there are no samples, or it cannot be written.
    """
    drawn = Spectrogram(audio.sample_rate_hz)
    drawn.take(audio.samples)
    drawn.save(path, audio.recipe, width_px)


def _clock(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
