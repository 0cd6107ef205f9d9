"""The same music played otherwise: tempo, key, touch, instruments, places, room, level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from partimento.music import Audio, Score, Track
from partimento.music.transform import stretch, transpose
from partimento.sound.render import check_rate
from partimento.sound.room import Room

__all__ = ["Playing", "draw_playing", "only_tracks", "place", "play_otherwise"]

_SWELL = 14  # velocities that phrases rise and fall by
_SWELL_QUARTERS = (6.0, 20.0)
_TOUCH = 3.0  # velocities, deviation of each note
_SPREAD = 24  # of MIDI's pan, outermost tracks
_WET = 3.7  # so that a room of 1 is about as loud as the sound in it
_CHUNK = 81_920  # with the room's length this fills a transform of 2^17 at 44.1 kHz

F32 = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Playing:
    """How a score is played this time.

    ``programs`` are the pitched tracks' in turn (empty: their own); ``velocity`` is the mean,
    None leaves every note as it is; ``level_db`` is the peak in dBFS; ``seed`` draws the phrases.
    """

    tempo: float = 1.0
    semitones: int = 0
    programs: tuple[int, ...] = ()
    velocity: float | None = None
    spread: float = 0.0
    room: float = 0.0
    level_db: float = -1.0
    seed: int = 0


def draw_playing(
    draw: np.random.Generator,
    *,
    tempo: tuple[float, float] = (1.0, 1.0),
    semitones: int = 0,
    programs: tuple[int, ...] = (),
    velocity: tuple[int, int] | None = None,
    room: tuple[float, float] = (0.0, 0.0),
    level_db: tuple[float, float] = (-1.0, -1.0),
) -> Playing:
    """Return a playing drawn from ranges; tempo evenly in its logarithm."""
    return Playing(
        tempo=float(np.exp(draw.uniform(np.log(tempo[0]), np.log(tempo[1])))),
        semitones=int(draw.integers(-semitones, semitones + 1)),
        programs=programs,
        velocity=None if velocity is None else float(draw.uniform(*velocity)),
        spread=float(draw.uniform(0.0, 1.0)),
        room=float(draw.uniform(*room)),
        level_db=float(draw.uniform(*level_db)),
        seed=int(draw.integers(2**31)),
    )


def play_otherwise(score: Score, playing: Playing) -> Score:
    """Return the score at another tempo, key and velocity, on other programs and places.

    Notes that would leave 0..127 make the key change smaller.
    """
    pitches = [n.pitch for t in score.tracks if not t.is_drum for n in t.notes]
    lowest, highest = (-min(pitches), 127 - max(pitches)) if pitches else (0, 0)
    moved = transpose(score, int(np.clip(playing.semitones, lowest, highest)))
    draw = np.random.default_rng(playing.seed)
    phrase = (float(draw.uniform(*_SWELL_QUARTERS)), float(draw.uniform(0, 2 * np.pi)))
    tracks, pitched = [], 0
    total = sum(not track.is_drum for track in moved.tracks)
    for track in moved.tracks:
        changed = _touched(track, playing, phrase, score.ticks_per_quarter, draw)
        if not track.is_drum:
            side = 2.0 * pitched / (total - 1) - 1.0 if total > 1 else 0.0
            pan = int(np.clip(round(track.pan + _SPREAD * playing.spread * side), 0, 127))
            program = (
                playing.programs[pitched % len(playing.programs)]
                if playing.programs
                else track.program
            )
            changed = replace(changed, pan=pan, program=program)
            pitched += 1
        tracks.append(changed)
    return stretch(replace(moved, tracks=tuple(tracks)), 1.0 / playing.tempo)


def _touched(
    track: Track,
    playing: Playing,
    phrase: tuple[float, float],
    ticks_per_quarter: int,
    draw: np.random.Generator,
) -> Track:
    """Return a track in which the differences of velocity stay, around another mean."""
    if playing.velocity is None or not track.notes:
        return track
    written = np.array([note.velocity for note in track.notes], dtype=np.float64)
    onsets = np.array([note.onset_ticks for note in track.notes]) / ticks_per_quarter
    quarters, start = phrase
    swell = _SWELL * np.sin(2 * np.pi * onsets / quarters + start)
    drawn = playing.velocity + written - written.mean() + swell
    velocities = np.clip(np.round(drawn + draw.normal(0, _TOUCH, len(written))), 1, 127)
    notes = tuple(
        replace(note, velocity=int(velocity))
        for note, velocity in zip(track.notes, velocities, strict=True)
    )
    return replace(track, notes=notes)


def place(audio: Audio, room: float, level_db: float) -> Audio:
    """Return stereo sound put into a room (0 dry, 1 half of it echo), its peak at ``level_db``.

    The room's tail makes it longer. Silence stays silence.

    Raises:
        MusicError: if the sample rate is not 8000..192000 Hz.
    """
    check_rate(audio.sample_rate_hz)
    samples = audio.samples
    if room > 0:
        samples = _in_room(samples, room, audio.sample_rate_hz)
    peak = float(np.max(np.abs(samples), initial=0.0))
    gain = 10 ** (level_db / 20) / peak if peak > 0 else 1.0
    return Audio(np.multiply(samples, gain, dtype=np.float32), audio.sample_rate_hz, audio.recipe)


@lru_cache(maxsize=1)
def _room(sample_rate_hz: int) -> Room:
    return Room(sample_rate_hz)


def _in_room(samples: F32, amount: float, rate: int) -> F32:
    room = _room(rate)
    tail = room.silence()
    send = samples.mean(axis=0, dtype=np.float32) * np.float32(_WET * amount)
    out = np.zeros((2, samples.shape[1] + room.length - 1), dtype=np.float32)
    out[:, : samples.shape[1]] = samples
    for start in range(0, samples.shape[1], _CHUNK):
        part = send[start : start + _CHUNK]
        wet, tail = room.process(part, tail)
        out[:, start : start + len(part)] += wet
    out[:, samples.shape[1] :] += tail
    return out


def only_tracks(score: Score, names: Sequence[str] | None) -> Score:
    """Return the score with the tracks of these names alone; ``"drums"`` is any drums."""
    if names is None:
        return score
    wanted = {name.lower() for name in names}
    return score.with_tracks(
        [
            track
            for track in score.tracks
            if track.name.lower() in wanted or (track.is_drum and "drums" in wanted)
        ]
    )
