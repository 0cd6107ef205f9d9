"""Audio: samples and their rate."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from partimento.errors import MusicError

__all__ = ["Audio"]


@dataclass(frozen=True, slots=True, eq=False)
class Audio:
    """Sound: ``samples`` of shape (channels, frames), float32, full scale -1..1."""

    samples: npt.NDArray[np.float32]
    sample_rate_hz: int
    recipe: str = field(default="")

    def __post_init__(self) -> None:
        if self.samples.ndim != 2 or self.samples.dtype != np.float32:
            shape, dtype = self.samples.shape, self.samples.dtype
            raise MusicError(f"audio is (channels, frames) in float32, not {shape} in {dtype}")
        if self.sample_rate_hz < 1:
            raise MusicError(f"a sample rate is positive, not {self.sample_rate_hz}")

    @property
    def duration_seconds(self) -> float:
        """How long it sounds."""
        return float(self.samples.shape[1] / self.sample_rate_hz)

    @property
    def peak(self) -> float:
        """The largest absolute sample; 0 for silence or no samples."""
        peak: np.float32 = np.max(np.abs(self.samples), initial=0.0)
        return float(peak)
