"""What was asked of sound against what is heard in it: the chord of each beat.

A chord is heard by templates: the 24 major and minor triads against the mean chroma of a beat, as
in Fujishima 1999 ("Realtime chord recognition of musical sound"), the bass counting for the root.
Richer chords are held against by their triads.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from partimento.analysis.stft import short_time_spectra
from partimento.music import Chord
from partimento.music.chords import QUALITIES

__all__ = ["chord_adherence", "heard_triads", "triad_of"]

F32 = npt.NDArray[np.float32]
_SIZE, _HOP = 8192, 2048
_HIGH_HZ, _LOW_HZ = (100.0, 2000.0), (50.0, 260.0)
_BASS = 0.25  # what a bass on the root adds
_SILENCE = 1e-3


def triad_of(chord: Chord) -> Chord:
    """Return the major or minor triad nearest to a chord: its root, and its third."""
    steps = QUALITIES[chord.quality]
    return Chord(chord.root, "m" if 3 in steps and 4 not in steps else "")


def _classes(rate: int, low: float, high: float) -> F32:
    hz = np.arange(_SIZE // 2 + 1) * (rate / _SIZE)
    heard = (hz >= low) & (hz <= high)
    pitch = 69 + 12 * np.log2(np.where(heard, hz, 440.0) / 440.0)
    apart = (pitch - np.arange(12)[:, None] + 6) % 12 - 6
    out: F32 = (np.maximum(0, 1 - np.abs(apart)) * heard).T.astype(np.float32)
    return out


def heard_triads(
    samples: F32, sample_rate_hz: int, beats_seconds: Sequence[float]
) -> tuple[Chord | None, ...]:
    """Return the triad heard between each beat and the next; None in silence.

    Args:
        samples: (C, N).
        sample_rate_hz: of them.
        beats_seconds: the beginnings of beats, and the end of the last one.

    Raises:
        ValueError: if there are not two times, each later than the one before.
    """
    times = np.asarray(beats_seconds, dtype=np.float64)
    if len(times) < 2 or (np.diff(times) <= 0).any():
        raise ValueError("beats need two times or more, each later than the one before")
    mono = samples.mean(axis=0, keepdims=True, dtype=np.float32)
    sizes = np.abs(short_time_spectra(mono, _SIZE, _HOP)[0]) * np.float32(4 / _SIZE)
    middles = ((np.arange(len(sizes)) + 1) * _HOP - _SIZE / 2) / sample_rate_hz
    high, low = (sizes @ _classes(sample_rate_hz, *span) for span in (_HIGH_HZ, _LOW_HZ))
    table, chords = _templates()
    out: list[Chord | None] = []
    for start, stop in pairwise(times.tolist()):
        rows = (middles >= start) & (middles < stop)
        if not rows.any():
            rows = (
                np.abs(middles - (start + stop) / 2) == np.abs(middles - (start + stop) / 2).min()
            )
        mean, bass = high[rows].mean(axis=0), low[rows].mean(axis=0)
        mean, bass = mean - mean.min(), bass - bass.min()
        if np.linalg.norm(mean) < _SILENCE:
            out.append(None)
            continue
        fits = table @ (mean / np.linalg.norm(mean))
        if (norm := np.linalg.norm(bass)) > _SILENCE:
            fits = fits + _BASS * np.tile(bass / norm, 2)
        out.append(chords[int(np.argmax(fits))])
    return tuple(out)


def chord_adherence(heard: Sequence[Chord | None], asked: Sequence[Chord | None]) -> float:
    """Return the share of the beats with a chord asked whose triad is the one heard.

    Raises:
        ValueError: if there are not as many, or no chord was asked.
    """
    if len(heard) != len(asked):
        raise ValueError(f"{len(heard)} beats were heard, {len(asked)} asked")
    pairs = [(h, triad_of(a)) for h, a in zip(heard, asked, strict=True) if a is not None]
    if not pairs:
        raise ValueError("no chord was asked")
    return sum(h == a for h, a in pairs) / len(pairs)


def _templates() -> tuple[F32, tuple[Chord, ...]]:
    """Return (24, 12) of length 1, major then minor triads, and the chords."""
    rows, chords = np.zeros((24, 12), dtype=np.float32), []
    for at, quality in enumerate(("", "m")):
        for root in range(12):
            for step, weight in zip(QUALITIES[quality], (1.0, 0.8, 0.9), strict=True):
                rows[12 * at + root, (root + step) % 12] = weight
            chords.append(Chord(root, quality))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True), tuple(chords)
