"""What a run sounds like on the way: now and then a WAV and the picture of its spectra."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from partimento.files.audio.sound_files import write_audio
from partimento.files.pictures.spectrogram import write_spectrogram
from partimento.music import Audio
from partimento.training import distributed

__all__ = ["Demos"]

_EVERY_SECONDS = 45.0


class Demos:
    """Demos ``STAGE-001`` and so on in ``demo`` of a run's folder, by the first process alone."""

    def __init__(self, folder: Path | None, stage: str, sample_rate_hz: int) -> None:
        self.folder = None if folder is None else folder / "demo"
        self.stage, self.rate = stage, sample_rate_hz
        self._last = -_EVERY_SECONDS
        self._count = 0

    def offer(self, make: Callable[[], npt.NDArray[np.float32]]) -> None:
        """Write the sound (2, N) that ``make`` gives, if it is time for one.

        What is louder than full scale is turned down.
        """
        if self.folder is None or distributed.rank() != 0:
            return
        if time.monotonic() - self._last < _EVERY_SECONDS:
            return
        samples = make()
        peak = float(np.abs(samples).max(initial=0.0))
        if not np.isfinite(peak):
            return
        self._last = time.monotonic()
        self._count += 1
        self.folder.mkdir(parents=True, exist_ok=True)
        audio = Audio((samples / max(1.0, peak)).astype(np.float32), self.rate)
        name = self.folder / f"{self.stage}-{self._count:03d}"
        write_audio(audio, name.with_suffix(".wav"))
        write_spectrogram(audio, name.with_suffix(".png"))
