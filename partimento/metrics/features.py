"""What a score is like, in numbers: one value or one histogram a feature.

Sources of the definitions, named again beside each:

- MusPy: Dong, Chen, McAuley, Berg-Kirkpatrick, "MusPy: A Toolkit for Symbolic Music Generation",
  ISMIR 2020.
- Wu and Yang, "The Jazz Transformer on the Front Line", ISMIR 2020.
- Yang and Lerch, "On the evaluation of generative models in music", Neural Computing and
  Applications 32, 2020.
- Mogren, "C-RNN-GAN", 2016. Dong et al., "MuseGAN", AAAI 2018.
- Krumhansl, "Cognitive Foundations of Musical Pitch", 1990 (the key, ``music.key_finding``).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from partimento.analysis.keys import key_of_weights
from partimento.metrics.notes import (
    STEPS_PER_QUARTER,
    TIME_CLASSES,
    NoteTable,
    NoteVoice,
    note_table,
    time_class,
    voices,
)
from partimento.music import Score

__all__ = [
    "HISTOGRAMS",
    "SCALARS",
    "Features",
    "Histograms",
    "PitchFeatures",
    "TimeFeatures",
    "empty_bar_rate",
    "entropy_bits",
    "estimate_tonic",
    "features",
    "groove_consistency",
    "polyphony",
    "scale_consistency",
]

Floats = npt.NDArray[np.float64]
_MAJOR_SCALE = (1, 0, 1, 0, 1, 1, 0, 1, 0, 1, 0, 1)
_SCALES = np.array([np.roll(_MAJOR_SCALE, tonic) for tonic in range(12)], dtype=np.float64)
_STEPS_PER_SIXTEENTH = STEPS_PER_QUARTER // 4
_WIDEST_INTERVAL = 12

SCALARS = MappingProxyType(
    {
        "pitch_class_entropy": "bits",
        "scale_consistency": "share",
        "groove_consistency": "share",
        "polyphony": "notes",
        "polyphony_rate": "share",
        "notes_per_bar": "notes",
        "notes_per_quarter": "notes",
        "pitch_range": "semitones",
        "pitch_mean": "MIDI pitch",
        "pitch_variance": "semitones^2",
        "pitches_used": "pitches",
        "inter_onset_mean": "quarters",
        "duration_mean": "quarters",
        "empty_bar_rate": "share",
    }
)
HISTOGRAMS = MappingProxyType(
    {
        "pitch_classes": "semitones over the tonic",
        "intervals": "semitones, -12..12",
        "inter_onsets": "half octaves around a quarter",
        "durations": "half octaves around a quarter",
    }
)


@dataclass(frozen=True)
class PitchFeatures:
    """Values that speak of pitch; drums do not count, and without pitched notes they are NaN.

    - ``pitch_class_entropy``, bits, 0..log2(12) (Wu and Yang; MusPy).
    - ``scale_consistency``, 0..1: the largest share of notes in any one major or natural minor
      scale (Mogren; MusPy).
    - ``pitch_range``, semitones from lowest to highest; ``pitch_mean``, MIDI pitch;
      ``pitch_variance``, semitones squared; ``pitches_used``, a count (Yang and Lerch; MusPy).
    """

    pitch_class_entropy: float
    scale_consistency: float
    pitch_range: float
    pitch_mean: float
    pitch_variance: float
    pitches_used: float


@dataclass(frozen=True)
class TimeFeatures:
    """Values that speak of time; NaN where not defined (no notes, one bar).

    Drums count for groove, density, onsets and empty bars, not for polyphony and duration.

    - ``groove_consistency``, 0..1: one less the mean share of sixteenths at which the onset
      patterns of neighbouring bars differ (Wu and Yang; MusPy).
    - ``polyphony``, notes: how many sound on average while any sounds (MusPy).
    - ``polyphony_rate``, 0..1: the share of time in which two or more sound (Dong; MusPy).
    - ``notes_per_bar``, ``notes_per_quarter``: over the whole length.
    - ``inter_onset_mean``, quarters between successive distinct onsets (Yang and Lerch);
      ``duration_mean``, quarters.
    - ``empty_bar_rate``, 0..1: bars in which no note sounds (MuseGAN; MusPy).
    """

    groove_consistency: float
    polyphony: float
    polyphony_rate: float
    notes_per_bar: float
    notes_per_quarter: float
    inter_onset_mean: float
    duration_mean: float
    empty_bar_rate: float


@dataclass(frozen=True, eq=False)
class Histograms:
    """Shares that sum to 1, or all NaN where there is nothing to count (Yang and Lerch).

    - ``pitch_classes`` (12,), from the tonic that fits best.
    - ``intervals`` (25,), between successive notes of each line, clipped to an octave.
    - ``inter_onsets`` (17,) and ``durations`` (17,): by ``notes.time_class``.
    """

    pitch_classes: Floats
    intervals: Floats
    inter_onsets: Floats
    durations: Floats


@dataclass(frozen=True, eq=False)
class Features:
    """The features of one score: of its pitches, of its time, and histograms of both."""

    pitch: PitchFeatures
    time: TimeFeatures
    histograms: Histograms

    def as_dict(self) -> dict[str, float | Floats]:
        """Return every feature by its name, those of ``SCALARS`` and of ``HISTOGRAMS``."""
        parts = (self.pitch, self.time, self.histograms)
        return {field.name: getattr(part, field.name) for part in parts for field in fields(part)}


def entropy_bits(histogram: Floats) -> float:
    """Return the entropy in bits of a histogram of counts or shares; NaN if it is empty."""
    total = float(histogram.sum())
    if not total > 0:
        return float("nan")
    share = histogram[histogram > 0] / total
    return float(max(0.0, -(share * np.log2(share)).sum()))


def scale_consistency(pitch_class_counts: Floats) -> float:
    """Return the largest share (0..1) of notes inside one diatonic scale, of counts (12,)."""
    total = float(pitch_class_counts.sum())
    if not total > 0:
        return float("nan")
    return float((_SCALES @ pitch_class_counts).max() / total)


def estimate_tonic(pitch_class_weights: Floats) -> int:
    """Return the tonic 0..11 by the Krumhansl-Schmuckler method from weights (12,); 0 if flat."""
    key = key_of_weights(pitch_class_weights)
    return 0 if key is None else key.tonic


def groove_consistency(table: NoteTable) -> float:
    """Return 1 - the mean Hamming share between onset patterns of neighbouring bars.

    Patterns are on sixteenths; only neighbours of equal length compare. NaN without any.
    """
    width = -(-table.bar_steps // _STEPS_PER_SIXTEENTH)
    place = np.minimum(table.in_bar // _STEPS_PER_SIXTEENTH, width[table.bar] - 1)
    starts = np.concatenate([[0], np.cumsum(width)])
    struck = np.zeros(int(starts[-1]), dtype=bool)
    struck[starts[table.bar] + place] = True
    bar_of = np.repeat(np.arange(table.bars), width)
    here = np.flatnonzero(bar_of < table.bars - 1)
    equal = width[bar_of[here]] == width[np.minimum(bar_of[here] + 1, table.bars - 1)]
    here = here[equal]
    if not len(here) or not len(table):
        return float("nan")
    differs = struck[here] != struck[here + width[bar_of[here]]]
    share = np.bincount(bar_of[here], differs) / width[: bar_of[here].max() + 1]
    return float(1 - share.sum() / len(np.unique(bar_of[here])))


def polyphony(table: NoteTable) -> tuple[float, float]:
    """Return (mean notes while any sounds, share of the whole time with two or more)."""
    if not len(table):
        return float("nan"), float("nan")
    times = np.concatenate([table.onset, table.onset + table.duration])
    change = np.repeat([1, -1], len(table))
    order = np.argsort(times, kind="stable")
    span = np.diff(times[order])
    count = np.cumsum(change[order])[:-1]
    whole = max(table.length_steps, int(times.max()))
    mean = float((span * count).sum() / span[count > 0].sum())
    return mean, float(span[count >= 2].sum() / whole)


def empty_bar_rate(table: NoteTable) -> float:
    """Return the share (0..1) of bars in which no note sounds, struck there or held into it."""
    bar_starts = np.concatenate([[0], np.cumsum(table.bar_steps)])
    last = np.searchsorted(bar_starts, table.onset + table.duration - 1, side="right") - 1
    last = np.clip(last, table.bar, table.bars - 1)
    change = np.zeros(table.bars + 1, dtype=np.int64)
    np.add.at(change, table.bar, 1)
    np.add.at(change, last + 1, -1)
    return float((np.cumsum(change)[:-1] == 0).mean())


def _shares(values: npt.NDArray[np.int64], bins: int) -> Floats:
    counts = np.bincount(values, minlength=bins).astype(np.float64)
    return counts / counts.sum() if len(values) else np.full(bins, np.nan)


def _intervals(lines: list[NoteVoice]) -> Floats:
    steps = [np.clip(np.diff(line.pitch), -_WIDEST_INTERVAL, _WIDEST_INTERVAL) for line in lines]
    joined = np.concatenate([np.zeros(0, dtype=np.int64), *steps]) + _WIDEST_INTERVAL
    return _shares(joined, 2 * _WIDEST_INTERVAL + 1)


def _mean(values: npt.NDArray[np.int64], scale: float = 1.0) -> float:
    return float(values.mean()) / scale if len(values) else float("nan")


def features(score: Score) -> Features:
    """Return the features of ``score``."""
    table = note_table(score)
    pitched = table.pitched()
    counts = np.bincount(pitched.pitch % 12, minlength=12).astype(np.float64)
    weights = np.bincount(pitched.pitch % 12, pitched.duration, minlength=12).astype(np.float64)
    relative = (pitched.pitch - estimate_tonic(weights)) % 12
    gaps = np.diff(np.unique(table.onset)).astype(np.int64)
    mean_polyphony, rate = polyphony(pitched)
    quarters = float(table.bar_steps.sum()) / STEPS_PER_QUARTER
    some = len(pitched) > 0
    pitch = PitchFeatures(
        pitch_class_entropy=entropy_bits(counts),
        scale_consistency=scale_consistency(counts),
        pitch_range=float(np.ptp(pitched.pitch)) if some else float("nan"),
        pitch_mean=_mean(pitched.pitch),
        pitch_variance=float(pitched.pitch.var()) if some else float("nan"),
        pitches_used=float(len(np.unique(pitched.pitch))) if some else float("nan"),
    )
    time = TimeFeatures(
        groove_consistency=groove_consistency(table),
        polyphony=mean_polyphony,
        polyphony_rate=rate,
        notes_per_bar=len(table) / table.bars,
        notes_per_quarter=len(table) / quarters,
        inter_onset_mean=_mean(gaps, STEPS_PER_QUARTER),
        duration_mean=_mean(pitched.duration, STEPS_PER_QUARTER),
        empty_bar_rate=empty_bar_rate(table),
    )
    histograms = Histograms(
        pitch_classes=_shares(relative, 12),
        intervals=_intervals(voices(score, table)),
        inter_onsets=_shares(time_class(gaps), TIME_CLASSES),
        durations=_shares(time_class(pitched.duration), TIME_CLASSES),
    )
    return Features(pitch, time, histograms)
