"""The multi-hot roll: tracks by time by pitch, any number of notes at once, sustain beside onset.

The pianoroll of Coconet, MuseGAN and the diffusion models of rolls (Whole-Song Gen, arXiv
2405.09901): two layers of ones and zeros, ``onset`` where a note starts and ``sustain`` where one
sounds, its onset included. With the layers apart a repeated note differs from a held one.

Time is in even steps, ``steps_per_quarter`` of them (4: sixteenths). The roll holds neither
dynamics nor tempo nor metre: a decoded score is in 4/4 without a tempo, and a caller that knows
the metre says so. Of notes that start on one step and pitch of a track the longest stays; a note
that is struck again while it sounds ends there. Drums are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from partimento.errors import ConfigError, NotSupported
from partimento.music import Note, Score, TimeSignature, Track
from partimento.music.score import TICKS_PER_QUARTER
from partimento.representations.base import whole_numbers
from partimento.representations.registry import RepresentationEntry

__all__ = ["ENTRY", "ONSET", "PITCHES", "SUSTAIN", "MultiHotRoll", "RollTrack"]

Roll = npt.NDArray[np.float32]  # (2, tracks, steps, pitches): onset and sustain, 0 or 1
ONSET, SUSTAIN = 0, 1
PITCHES = 128
_VELOCITY = 80
_THRESHOLD = 0.5


@dataclass(frozen=True)
class RollTrack:
    """One track of the roll."""

    name: str
    program: int = 0


@dataclass(frozen=True)
class MultiHotRoll:
    """Scores as float32 (2, tracks, steps, pitches), pitches from ``lowest`` to ``highest``.

    Raises:
        ConfigError: for no track, a name used twice, an empty range, or steps that are no whole
            number of ticks.
    """

    tracks: tuple[RollTrack, ...]
    lowest: int = 0
    highest: int = PITCHES - 1
    steps_per_quarter: int = 4

    def __post_init__(self) -> None:
        names = [track.name for track in self.tracks]
        if not names or len(set(names)) < len(names):
            problem = "has at least one track, each with a name of its own"
            raise ConfigError("representation.tracks", problem)
        if not 0 <= self.lowest <= self.highest < PITCHES:
            problem = f"{self.lowest}..{self.highest} is no range inside 0..{PITCHES - 1}"
            raise ConfigError("representation.lowest", problem)
        if self.steps_per_quarter < 1 or TICKS_PER_QUARTER % self.steps_per_quarter:
            problem = f"divides {TICKS_PER_QUARTER}, which {self.steps_per_quarter} does not"
            raise ConfigError("representation.steps_per_quarter", problem)

    @property
    def pitches(self) -> int:
        """How many pitches there are."""
        return self.highest - self.lowest + 1

    def spec(self) -> dict[str, Any]:
        """Return what makes this representation again, as JSON values."""
        return {
            "name": "multi_hot_roll",
            "tracks": [{"name": track.name, "program": track.program} for track in self.tracks],
            "lowest": self.lowest,
            "highest": self.highest,
            "steps_per_quarter": self.steps_per_quarter,
        }

    def places(self, score: Score) -> list[int | None]:
        """Return for each track of the roll the score's pitched track that goes there.

        By name where every pitched track has the name of a roll's track; else in order.

        Raises:
            NotSupported: if there are more pitched tracks with notes than the roll holds.
        """
        pitched = [i for i, t in enumerate(score.tracks) if t.notes and not t.is_drum]
        if len(pitched) > len(self.tracks):
            found = ", ".join(score.tracks[i].name for i in pitched[:12])
            raise NotSupported(
                f"the roll holds {len(self.tracks)} tracks, not {len(pitched)} ({found}); leave "
                "some out"
            )
        known = [track.name for track in self.tracks]
        names = [score.tracks[i].name for i in pitched]
        chosen: list[int | None] = [None] * len(known)
        if len(set(names)) == len(names) and set(names) <= set(known):
            for i, name in zip(pitched, names, strict=True):
                chosen[known.index(name)] = i
        else:
            chosen[: len(pitched)] = pitched
        return chosen

    def encode(self, score: Score) -> Roll:
        """Return (2, tracks, steps, pitches), steps up to the end of the score.

        Onsets and ends go to the nearest step, halves up; a note lasts at least one step. Pitches
        outside the range are left out.

        Raises:
            NotSupported: if there are more pitched tracks with notes than the roll holds.
        """
        steps = -(-score.length_ticks * self.steps_per_quarter // score.ticks_per_quarter)
        roll = np.zeros((2, len(self.tracks), steps, self.pitches), dtype=np.float32)
        for index, place in enumerate(self.places(score)):
            notes = () if place is None else score.tracks[place].notes
            inside = [note for note in notes if self.lowest <= note.pitch <= self.highest]
            # In order of time, of equal onsets the longest last: each note ends those before it.
            for first, end, pitch in sorted(self._place(note, score, steps) for note in inside):
                roll[ONSET, index, first, pitch] = 1
                roll[SUSTAIN, index, first:, pitch] = 0
                roll[SUSTAIN, index, first:end, pitch] = 1
        return roll

    def _place(self, note: Note, score: Score, steps: int) -> tuple[int, int, int]:
        """Return the first step of a note, the step after its last, and its row."""
        # A note that rounds past the last step stays in it rather than vanish.
        first = min(self._rounded(note.onset_ticks, score), steps - 1)
        end = max(first + 1, self._rounded(note.end_ticks, score))
        return first, end, note.pitch - self.lowest

    def _rounded(self, ticks: int, score: Score) -> int:
        per_quarter = score.ticks_per_quarter
        return (2 * ticks * self.steps_per_quarter + per_quarter) // (2 * per_quarter)

    def decode(self, roll: Roll) -> Score:
        """Return the score of any roll; values from 0.5 on are ones.

        A note starts at each onset and sounds on while its sustain holds and no other onset comes.
        Sustain without an onset before it starts a note of its own.
        """
        onset, sustain = roll[ONSET] >= _THRESHOLD, roll[SUSTAIN] >= _THRESHOLD
        before = np.zeros_like(sustain)
        before[:, 1:] = (onset | sustain)[:, :-1]
        starts = onset | (sustain & ~before)
        goes_on = sustain & ~starts
        ticks = TICKS_PER_QUARTER // self.steps_per_quarter
        tracks = []
        for index, track in enumerate(self.tracks):
            notes = []
            for step, pitch in zip(*np.nonzero(starts[index]), strict=True):
                rest = goes_on[index, step + 1 :, pitch]
                steps = 1 + (len(rest) if rest.all() else int(rest.argmin()))
                onset_ticks, midi = int(step) * ticks, int(pitch) + self.lowest
                notes.append(Note(onset_ticks, midi, steps * ticks, _VELOCITY))
            tracks.append(Track(track.name, tuple(sorted(notes)), program=track.program))
        return Score(
            tuple(tracks),
            time_signatures=(TimeSignature(0, 4, 4),),
            written_length_ticks=roll.shape[2] * ticks,
        )

    def quantize(self, score: Score) -> Score:
        """Return the score as the roll can hold it."""
        return replace(self.decode(self.encode(score)), recipe=score.recipe)

    def transposed(self, roll: Roll, semitones: int) -> Roll | None:
        """Return the roll transposed, or None where a note would leave the range."""
        rows = np.arange(self.pitches) + semitones
        stays = (rows >= 0) & (rows < self.pitches)
        if roll[..., ~stays].any():
            return None
        out = np.zeros_like(roll)
        out[..., rows[stays]] = roll[..., stays]
        return out


def _make(options: Mapping[str, Any]) -> MultiHotRoll:
    where, tracks = "representation.tracks", options.get("tracks")
    if not isinstance(tracks, Sequence) or isinstance(tracks, str):
        raise ConfigError(where, "is a list of tables with name and program")
    made = []
    for track in tracks:
        if not isinstance(track, Mapping) or not set(track) <= {"name", "program"}:
            raise ConfigError(where, f"holds tables with name and program, not {track}")
        name, program = track.get("name"), track.get("program", 0)
        if not isinstance(name, str) or not isinstance(program, int):
            raise ConfigError(where, f"name is a text and program a number, not {track}")
        made.append(RollTrack(name, program))
    rest = {key: value for key, value in options.items() if key != "tracks"}
    return MultiHotRoll(tuple(made), **whole_numbers(rest))


def _meaning(spec: dict[str, Any]) -> dict[str, Any]:
    """Return the spec with the names of the tracks; a program is how one is played."""
    return {**spec, "tracks": ", ".join(track["name"] for track in spec["tracks"])}


ENTRY = RepresentationEntry(
    _make, ("tracks", "lowest", "highest", "steps_per_quarter"), meaning=_meaning
)
