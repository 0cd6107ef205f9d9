"""Bar events: bars, positions, notes with durations; for scores of any number of instruments.

The form is that of REMI (Huang and Yang 2020, arXiv 2002.00212) and its multi-instrument kin, on
a grid of twelve positions a quarter. A piece is, bar by bar::

    BAR [METRE] [TEMPO] then for each onset:
        POSITION then for each note: [INSTRUMENT] [VELOCITY] PITCH DURATION
    ... END

METRE, TEMPO, INSTRUMENT and VELOCITY are said when they change and rule until they change again,
across bars. Positions ascend in a bar, instruments in a position, pitches in an instrument.

What the representation cannot say is rounded, and ``quantize`` shows it. Onsets go to the nearest
position (one that rounds past its bar goes to the next bar; in the last bar it stays inside);
durations to the nearest of ``DURATIONS`` that ends inside the piece; tempos to ``TEMPOS`` at bar
lines; velocities to bins of four. Notes of one program are one track, the longest of equal notes
stays. A first bar that is shorter than the second is a pickup and is filled up at its front. A
bar that is in no listed metre takes one of its length, or else the next longer one, with silence
at its end. A bar of more than eight quarters is split (9/4 into three of 3/4).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from partimento.music import Note, Score, Tempo, TimeSignature, Track
from partimento.music.instruments import PROGRAMS
from partimento.music.score import TICKS_PER_QUARTER
from partimento.representations.bar_events.bar_grid import (
    DURATIONS,
    METRE_POSITIONS,
    METRES,
    POSITIONS,
    POSITIONS_PER_QUARTER,
    TEMPOS,
    GridBar,
    layout,
    nearest,
    rounded,
)
from partimento.representations.base import Tokens, Vocabulary

__all__ = [
    "DRUMS",
    "DURATIONS",
    "METRES",
    "METRE_POSITIONS",
    "POSITIONS",
    "POSITIONS_PER_QUARTER",
    "TEMPOS",
    "BarEvents",
    "BarEventsWalk",
    "Ruling",
]

DRUMS = 128  # the instrument of all drum tracks; 0..127 are programs
_POSITION_TICKS = TICKS_PER_QUARTER // POSITIONS_PER_QUARTER
_VELOCITY_STEP = 4
_DEFAULT_VELOCITY = 80 // _VELOCITY_STEP
_DEFAULT_TEMPO = nearest(TEMPOS, 120)
_NEAREST_DURATION = np.array([nearest(DURATIONS, n) for n in range(DURATIONS[-1] + 1)])
_LONGEST_DURATION = np.array(
    [max(0, bisect_right(DURATIONS, n) - 1) for n in range(DURATIONS[-1] + 1)]
)


@dataclass(frozen=True, slots=True)
class Ruling:
    """What rules where a piece goes on: indices of METRES, TEMPOS, instrument, velocity bin."""

    metre: int = 0
    tempo: int = _DEFAULT_TEMPO
    instrument: int = 0
    velocity: int = _DEFAULT_VELOCITY


@dataclass
class BarEventsWalk:
    """Knows the position in the bar and the metre in force before the next token."""

    vocabulary: Vocabulary
    position: int = 0  # 1 + position; 0 where the bar has none yet
    metre: int = 0  # 1 + index into METRES; 0 where none was said
    bars_begun: int = 0

    def __post_init__(self) -> None:
        self._bar = self.vocabulary.first("bar")
        self._metre = self.vocabulary.first("metre")
        self._tempo = self.vocabulary.first("tempo")
        self._position = self.vocabulary.first("position")
        self._instrument = self.vocabulary.first("instrument")

    def features(self) -> tuple[int, ...]:
        """Return (position, metre)."""
        return self.position, self.metre

    def push(self, token: int) -> None:
        """Take the next token in."""
        if self._position <= token < self._instrument:
            self.position = token - self._position + 1
        elif token == self._bar:
            self.position = 0
            self.bars_begun += 1
        elif self._metre <= token < self._tempo:
            self.metre = token - self._metre + 1


class BarEvents:
    """Scores of any instruments as bar events.

    ``track_names`` names the tracks of a decoded score by instrument (``DRUMS`` is 128); others
    are called by their General MIDI name, program 0 ``"Piano"`` and drums ``"Drums"``.
    """

    feature_sizes: tuple[int, ...] = (POSITIONS + 1, len(METRES) + 1)
    tokens_per_step: int = 1
    pitch_span: slice | None = None
    hidden_features: int = 0

    def __init__(self, track_names: Mapping[int, str] | None = None) -> None:
        self.track_names = dict(track_names or {})
        self.vocabulary = Vocabulary(
            {
                "start": 1,
                "end": 1,
                "bar": 1,
                "metre": len(METRES),
                "tempo": len(TEMPOS),
                "position": POSITIONS,
                "instrument": DRUMS + 1,
                "pitch": 128,
                "duration": len(DURATIONS),
                "velocity": 128 // _VELOCITY_STEP,
            }
        )
        self.start_token = self.vocabulary.first("start")
        self.end_token: int | None = self.vocabulary.first("end")
        self._first = {name: self.vocabulary.first(name) for name in self.vocabulary.ranges}
        self._kinds = tuple(self.vocabulary.name_of(t) for t in range(self.vocabulary.size))

    def spec(self) -> dict[str, Any]:
        """Return what makes this representation again."""
        names = {str(instrument): name for instrument, name in sorted(self.track_names.items())}
        return {"name": "bar_events", "track_names": names}

    def track_name(self, instrument: int) -> str:
        """Return the name of the track of an instrument, 0..128."""
        default = {0: "Piano", DRUMS: "Drums"}.get(instrument) or PROGRAMS[instrument]
        return self.track_names.get(instrument, default)

    def text(self, tokens: Iterable[int]) -> str:
        """Return tokens as words: ``BAR METRE_4/4 TEMPO_122 POSITION_0 INSTRUMENT_0 ...``."""
        words = []
        for token in tokens:
            kind, index = self._kinds[int(token)]
            if kind == "metre":
                words.append("METRE_{}/{}".format(*METRES[index]))
            elif kind in ("start", "end", "bar"):
                words.append(kind.upper())
            else:
                value = {
                    "tempo": TEMPOS,
                    "duration": DURATIONS,
                    "velocity": range(0, 128, _VELOCITY_STEP),
                }.get(kind, range(DRUMS + 1))[index]
                words.append(f"{kind.upper()}_{value}")
        return " ".join(words)

    def encode(self, score: Score) -> Tokens:
        """Return the tokens of a score, the end token last."""
        bars = layout(score)
        notes = self._notes(score, bars)
        header, header_counts = self._headers(bars)
        body, first_of_bar = self._bodies(notes, len(bars))
        places = np.repeat(first_of_bar, header_counts)
        tokens = np.insert(body, places, header)
        return np.append(tokens, self._first["end"]).astype(np.int64)

    def _headers(self, bars: Sequence[GridBar]) -> tuple[Tokens, Tokens]:
        """Return BAR, METRE and TEMPO tokens of all bars, and how many each bar has."""
        header: list[int] = []
        counts: list[int] = []
        metre = tempo = -1
        for bar in bars:
            before = len(header)
            header.append(self._first["bar"])
            if bar.metre != metre:
                metre = bar.metre
                header.append(self._first["metre"] + metre)
            if bar.tempo != tempo:
                tempo = bar.tempo
                header.append(self._first["tempo"] + tempo)
            counts.append(len(header) - before)
        return np.array(header, dtype=np.int64), np.array(counts, dtype=np.int64)

    def _bodies(self, notes: npt.NDArray[np.int64], bars: int) -> tuple[Tokens, Tokens]:
        """Return the tokens of all notes, and where those of each bar start.

        ``notes`` is (n, 6) in order: bar, position, instrument, pitch, duration, velocity.
        """
        changed = np.ones((len(notes) + 1, 6), dtype=bool)[: len(notes)]
        changed[1:] = notes[1:] != notes[:-1]
        bar, position, instrument, pitch, duration, velocity = notes.T
        first = self._first
        words = np.stack(
            [
                first["position"] + position,
                first["instrument"] + instrument,
                first["velocity"] + velocity,
                first["pitch"] + pitch,
                first["duration"] + duration,
            ],
            axis=1,
        )
        said = np.ones(words.shape, dtype=bool)
        said[:, 0] = changed[:, 0] | changed[:, 1]
        said[:, 1] = changed[:, 2]
        said[:, 2] = changed[:, 5]
        ends = np.concatenate([[0], np.cumsum(said.sum(axis=1))])
        return words[said], ends[np.searchsorted(bar, np.arange(bars), side="left")]

    def _notes(self, score: Score, bars: Sequence[GridBar]) -> npt.NDArray[np.int64]:
        """Return (n, 6), sorted: bar, position, instrument, pitch, duration, velocity."""
        rows: list[tuple[int, int, int, int, int]] = []
        for track in score.tracks:
            player = DRUMS if track.is_drum else track.program
            rows += [
                (n.onset_ticks, player, n.pitch, n.duration_ticks, n.velocity) for n in track.notes
            ]
        table = np.array(rows, dtype=np.int64).reshape(-1, 5)
        onset, instrument, pitch, length, velocity = table.T
        starts = np.array([each.onset_ticks for each in bars])
        sizes = np.array([each.positions for each in bars])
        leads = np.array([each.lead for each in bars])
        per_quarter = score.ticks_per_quarter
        bar = np.searchsorted(starts, onset, side="right") - 1
        doubled = 2 * (onset - starts[bar]) * POSITIONS_PER_QUARTER
        position = (doubled + per_quarter) // (2 * per_quarter) + leads[bar]
        past = position >= sizes[bar]
        moves = past & (bar + 1 < len(bars))
        position = np.where(moves, 0, np.where(past, sizes[bar] - 1, position))
        bar = bar + moves
        room = sizes.sum() - (np.cumsum(sizes) - sizes)[bar] - position
        longest = len(_NEAREST_DURATION) - 1
        held = (2 * length * POSITIONS_PER_QUARTER + per_quarter) // (2 * per_quarter)
        duration = np.minimum(
            _NEAREST_DURATION[np.clip(held, 1, longest)],
            _LONGEST_DURATION[np.clip(room, 1, longest)],
        )
        loud = velocity // _VELOCITY_STEP
        order = np.lexsort((-loud, -duration, pitch, instrument, position, bar))
        table = np.stack([bar, position, instrument, pitch, duration, loud], axis=1)[order]
        first = np.ones(len(table), dtype=bool)
        first[1:] = (table[1:, :4] != table[:-1, :4]).any(axis=1)
        return table[first]

    def quantize(self, score: Score) -> Score:
        """Return the score as bar events can hold it: the plain form of encoding, note by note."""
        bars = layout(score)
        starts = [bar.onset_ticks for bar in bars]
        borders = [0]
        for bar in bars:
            borders.append(borders[-1] + bar.positions)
        notes: dict[tuple[int, int, int], tuple[int, int]] = {}
        for track in score.tracks:
            instrument = DRUMS if track.is_drum else track.program
            for note in track.notes:
                index = bisect_right(starts, note.onset_ticks) - 1
                inside = rounded(note.onset_ticks - starts[index], score.ticks_per_quarter)
                onset = min(borders[index] + bars[index].lead + inside, borders[index + 1])
                onset = min(onset, borders[-1] - 1)
                held = max(1, rounded(note.duration_ticks, score.ticks_per_quarter))
                duration = DURATIONS[nearest(DURATIONS, held)]
                if onset + duration > borders[-1]:
                    duration = max(d for d in DURATIONS if onset + d <= borders[-1])
                sound = (duration, note.velocity // _VELOCITY_STEP)
                key = (instrument, onset, note.pitch)
                notes[key] = max(notes.get(key, sound), sound)
        metres = [bar.metre for bar in bars]
        return self._score(metres, [bar.tempo for bar in bars], notes, score.recipe)

    def _score(
        self,
        metres: Sequence[int],
        tempos: Sequence[int],
        notes: Mapping[tuple[int, int, int], tuple[int, int]],
        recipe: str = "",
    ) -> Score:
        """Return the score of bars and notes.

        ``notes`` maps (instrument, position in the piece, pitch) to (positions, velocity bin).
        """
        tracks: dict[int, list[Note]] = {}
        for (instrument, onset, pitch), (duration, velocity) in notes.items():
            loud = velocity * _VELOCITY_STEP + _VELOCITY_STEP // 2
            note = Note(onset * _POSITION_TICKS, pitch, duration * _POSITION_TICKS, loud)
            tracks.setdefault(instrument, []).append(note)
        time_signatures, tempo_map = [], []
        at = 0
        bars = list(zip(metres, tempos, strict=True))
        for i, (metre, tempo) in enumerate(bars or [(0, _DEFAULT_TEMPO)]):
            if i == 0 or metre != metres[i - 1]:
                time_signatures.append(TimeSignature(at, *METRES[metre]))
            if i == 0 or tempo != tempos[i - 1]:
                tempo_map.append(Tempo(at, float(TEMPOS[tempo])))
            at += METRE_POSITIONS[metre] * _POSITION_TICKS if metres else 0
        return Score(
            tuple(
                Track(
                    self.track_name(instrument),
                    tuple(sorted(tracks[instrument])),
                    program=0 if instrument == DRUMS else instrument,
                    is_drum=instrument == DRUMS,
                )
                for instrument in sorted(tracks)
            ),
            tempos=tuple(tempo_map),
            time_signatures=tuple(time_signatures),
            recipe=recipe,
            written_length_ticks=at,
        )

    def decode(self, tokens: Tokens | Sequence[int]) -> Score:
        """Return the score of any tokens, up to the first END; the tempo and metre are explicit.

        A token that makes no sense where it stands is ignored: anything but INSTRUMENT and
        VELOCITY before the first bar, METRE and TEMPO after a POSITION, a POSITION past the bar,
        a PITCH before any POSITION or without its DURATION. Bars without METRE are in 4/4, notes
        without INSTRUMENT on the piano. A note may ring past the last bar
        (``written_length_ticks`` is where that ends).
        """
        return self.decode_after(Ruling(), tokens)[0]

    def decode_after(self, ruling: Ruling, tokens: Tokens | Sequence[int]) -> tuple[Score, Ruling]:
        """Return the score of some bars, and what rules after them; streams decode bar by bar.

        ``tokens`` start with a BAR; the score starts at tick 0 and states its tempo and metre.
        """
        metres: list[int] = []
        tempos: list[int] = []
        notes: dict[tuple[int, int, int], tuple[int, int]] = {}
        metre, tempo = ruling.metre, ruling.tempo
        instrument, velocity = ruling.instrument, ruling.velocity
        bar_at = 0  # where the bar starts, in positions
        position = pitch = -1
        for token in np.asarray(tokens, dtype=np.int64).tolist():
            kind, index = self._kinds[token]
            sounding, pitch = pitch, -1
            if kind == "pitch" and position >= 0:
                pitch = index
            elif kind == "duration" and sounding >= 0:
                key = (instrument, bar_at + position, sounding)
                sound = (DURATIONS[index], velocity)
                notes[key] = max(notes.get(key, sound), sound)
            elif kind == "position" and metres and index < METRE_POSITIONS[metre]:
                position = index
            elif kind == "velocity":
                velocity = index
            elif kind == "instrument":
                instrument = index
            elif kind == "bar":
                bar_at += METRE_POSITIONS[metre] if metres else 0
                metres.append(metre)
                tempos.append(tempo)
                position = -1
            elif kind == "metre" and metres and position < 0:
                metre = metres[-1] = index
            elif kind == "tempo" and metres and position < 0:
                tempo = tempos[-1] = index
            elif kind == "end":
                break
        ruling = Ruling(metre, tempo, instrument, velocity)
        return self._score(metres, tempos, notes), ruling

    def features(self, tokens: Tokens) -> npt.NDArray[np.int64]:
        """Return (n, 2): 1 + position in the bar (0: none yet), 1 + metre (0: none yet)."""
        tokens = np.asarray(tokens, dtype=np.int64)
        at = np.arange(len(tokens))
        in_position = self._in("position", tokens)
        resets = in_position | (tokens == self._first["bar"])
        position = np.where(in_position, tokens - self._first["position"] + 1, 0)
        in_metre = self._in("metre", tokens)
        metre = np.where(in_metre, tokens - self._first["metre"] + 1, 0)
        out = np.zeros((len(tokens), 2), dtype=np.int64)
        for column, (mask, values) in enumerate(((resets, position), (in_metre, metre))):
            last = np.maximum.accumulate(np.where(mask, at, -1))
            known = np.where(last >= 0, values[last], 0)
            out[1:, column] = known[:-1]
        return out

    def _in(self, name: str, tokens: Tokens) -> npt.NDArray[np.bool_]:
        """Return which tokens lie in a range."""
        span = self.vocabulary.span(name)
        inside: npt.NDArray[np.bool_] = (tokens >= span.start) & (tokens < span.stop)
        return inside

    def bars_begun(self, tokens: Tokens) -> npt.NDArray[np.int64]:
        """Return (n,): how many bars have begun before each token."""
        is_bar = np.asarray(tokens) == self._first["bar"]
        begun: npt.NDArray[np.int64] = np.cumsum(is_bar) - is_bar
        return begun

    def bar_count(self, tokens: Tokens) -> int:
        """Return how many bars a piece has."""
        return int((np.asarray(tokens) == self._first["bar"]).sum())

    def walk(self) -> BarEventsWalk:
        """Return a walk at the start of a piece."""
        return BarEventsWalk(self.vocabulary)

    def transposed(self, tokens: Tokens, semitones: int) -> Tokens | None:
        """Return the tokens transposed, drums as they are, or None where a pitch leaves 0..127."""
        tokens = np.asarray(tokens, dtype=np.int64)
        if len(tokens) == 0:
            return tokens.copy()
        changes = self._in("instrument", tokens)
        last = np.maximum.accumulate(np.where(changes, np.arange(len(tokens)), -1))
        is_drum = (last >= 0) & (tokens[last] == self._first["instrument"] + DRUMS)
        moving = self._in("pitch", tokens) & ~is_drum
        moved = np.where(moving, tokens + semitones, tokens)
        if not self._in("pitch", moved)[moving].all():
            return None
        return moved
