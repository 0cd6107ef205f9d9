"""A whole score to sound: the mix, the stems, and the level of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from partimento.errors import MusicError
from partimento.music import Audio, Score, Timeline
from partimento.music.bounds import check_whole
from partimento.music.repeats import unfolded
from partimento.music.timeline import DEFAULT_QUARTERS_PER_MINUTE
from partimento.sound.bank import Bank
from partimento.sound.fluidsynth import render_with_fluidsynth
from partimento.sound.player import ScorePlayer

__all__ = ["PEAK", "SAMPLE_RATE_HZ", "check_rate", "forget_sounds", "mix", "render", "render_stems"]

SAMPLE_RATE_HZ = 44_100
PEAK = 10 ** (-1 / 20)  # -1 dBFS
_MOST_GAIN = 16.0  # 24 dB; a score that is quieter still stays quiet
_LEAST_SECONDS = 0.1

F32 = npt.NDArray[np.float32]


def check_rate(sample_rate_hz: int) -> None:
    """Raise MusicError unless the rate is one that music is heard at."""
    check_whole("sample_rate_hz", sample_rate_hz, 8_000, 192_000)


def render(
    score: Score, *, sample_rate_hz: int = SAMPLE_RATE_HZ, soundfont: str | Path | None = None
) -> Audio:
    """Return a score as stereo sound, its peak at -1 dBFS, with the release and the room's tail.

    The built-in synthesiser plays, or FluidSynth where a ``soundfont`` (.sf2, .sf3) is named. The
    same score gives the same bytes. Repeats are played out. A score without notes gives silence of
    its length, at least 0.1 s. A very quiet score is amplified by 24 dB at most.

    Raises:
        MusicError: if the sample rate is not 8000..192000 Hz.
        FileError: if the soundfont does not exist or cannot be played.
        NotSupported: if a soundfont is named and FluidSynth is not installed.
    """
    check_rate(sample_rate_hz)
    whole = _with_all_notes(unfolded(score))
    raw = _raw(whole, sample_rate_hz, soundfont, _player(sample_rate_hz))
    return _levelled(raw, sample_rate_hz, score.recipe)


def _with_all_notes(score: Score) -> Score:
    """Return a score whose written length does not end before its last note starts.

    A file may state such a length where another program made the piece longer.
    """
    last = max((track.notes[-1].onset_ticks for track in score.tracks if track.notes), default=-1)
    if not 0 < score.written_length_ticks <= last:
        return score
    return replace(score, written_length_ticks=score.length_ticks)


def render_stems(
    score: Score, *, sample_rate_hz: int = SAMPLE_RATE_HZ, soundfont: str | Path | None = None
) -> dict[str, Audio]:
    """Return one stem a track, in the score's order, all equally long and at one common gain.

    Keys are the tracks' names, numbered where two tracks share one. The gain is such that the sum
    of the stems (`mix`) peaks at -1 dBFS.

    Raises:
        As `render`.
    """
    check_rate(sample_rate_hz)
    score, player = unfolded(score), _player(sample_rate_hz)
    raw: dict[str, F32] = {}
    for track in score.tracks:
        base = track.name or "track"
        name, number = base, 2
        while name in raw:
            name, number = f"{base} {number}", number + 1
        alone = replace(score.with_tracks([track]), written_length_ticks=score.length_ticks)
        raw[name] = _raw(alone, sample_rate_hz, soundfont, player)
    longest = max((part.shape[1] for part in raw.values()), default=0)
    total = np.zeros((2, longest), dtype=np.float32)
    for part in raw.values():
        total[:, : part.shape[1]] += part
    gain = np.float32(_gain(total))
    return {
        name: Audio(_padded(part * gain, longest), sample_rate_hz) for name, part in raw.items()
    }


def mix(stems: Mapping[str, Audio]) -> Audio:
    """Return the sum of stems, turned down only if it would pass -1 dBFS.

    Raises:
        MusicError: if there are no stems, or they differ in rate, channels or length.
    """
    parts = list(stems.values())
    if not parts:
        raise MusicError("a mix needs at least one stem")
    first = parts[0]
    for part in parts[1:]:
        if (part.samples.shape, part.sample_rate_hz) != (first.samples.shape, first.sample_rate_hz):
            raise MusicError("stems to be mixed have one rate, length and number of channels")
    total = first.samples.copy()
    for part in parts[1:]:
        total += part.samples
    peak = float(np.max(np.abs(total), initial=0.0))
    if peak > PEAK:
        total *= np.float32(PEAK / peak)
    return Audio(total, first.sample_rate_hz)


@lru_cache(maxsize=1)
def _player(sample_rate_hz: int) -> ScorePlayer:
    # Kept between calls: the second score starts with the sounds of the first.
    return ScorePlayer(Bank(sample_rate_hz))


def forget_sounds() -> None:
    """Drop the sounds kept between calls (some 100 MB at most); the next call makes them again."""
    _player.cache_clear()


def _raw(score: Score, rate: int, soundfont: str | Path | None, player: ScorePlayer) -> F32:
    """Return the sound (2, frames) before its level is set."""
    seconds = max(float(Timeline(score).seconds(score.length_ticks)), _LEAST_SECONDS)
    if not any(track.notes for track in score.tracks):
        return np.zeros((2, round(seconds * rate)), dtype=np.float32)
    if soundfont is not None:
        raw = render_with_fluidsynth(score, soundfont, rate)
    else:
        parts, state = player.advance(player.start(DEFAULT_QUARTERS_PER_MINUTE), score)
        raw = np.concatenate([*parts, *player.finish(state)], axis=1)
    return _padded(raw, round(seconds * rate))


def _padded(samples: F32, length: int) -> F32:
    if samples.shape[1] >= length:
        return samples
    return np.pad(samples, ((0, 0), (0, length - samples.shape[1])))


def _gain(samples: F32) -> float:
    peak = float(np.max(np.abs(samples), initial=0.0))
    return min(PEAK / peak, _MOST_GAIN) if peak > 0 else 1.0


def _levelled(samples: F32, rate: int, recipe: str = "") -> Audio:
    return Audio(np.multiply(samples, _gain(samples), dtype=np.float32), rate, recipe)
