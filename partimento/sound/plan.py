"""From a score's ticks to notes in samples: tempo, pedal, repeated notes, choked cymbals.

A piece of a stream is planned with what is already sounding (`Held`), and hands on what will
still sound at its end, so that a whole score is merely a stream of one piece.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace

import numpy as np

from partimento.errors import MusicError
from partimento.music import Score, Tempo, Timeline, Track
from partimento.sound.bank import DRUM_KIT
from partimento.sound.drum_kit import CHOKED_BY
from partimento.sound.voice import LAYERS

__all__ = ["Bus", "Held", "SoundPlan", "plan_piece"]

_LOUDNESS_POWER = 1.7  # velocity 64 sounds 10 dB under 127
Spans = list[tuple[float, float]]
_TIE = 1e-3  # samples; decides halves the same way however a time was summed up


@dataclass(frozen=True, slots=True, order=True)
class Bus:
    """Notes that are mixed together: one track, as long as its settings stay."""

    name: str
    program: int
    volume: int
    pan: int


@dataclass(frozen=True, slots=True)
class Held:
    """A note that has been started.

    Its end is known as ``off`` (samples from the stream's start) or still lies ``quarters``
    beyond the piece's end. ``key_up`` is set once the key is up and only the pedal holds it. A
    drum has no end of its own: its ``off`` is where it is choked.
    """

    bus: Bus
    pitch: int
    layer: int
    gain: float
    onset: int
    off: int | None = None
    quarters: float = 0.0
    key_up: int | None = None


@dataclass(frozen=True, slots=True)
class SoundPlan:
    """What a piece comes to: its notes, its end, and what holds beyond it.

    ``pedals`` are (bus, quarters beyond the end) of pedals still down.
    """

    notes: tuple[Held, ...]
    end: int
    end_seconds: float
    quarters_per_minute: float
    pedals: tuple[tuple[str, float], ...]


class _Clock:
    """Ticks of one piece to samples of the stream."""

    def __init__(self, piece: Score, start_seconds: float, tempo: float, rate: int) -> None:
        if not piece.tempos or piece.tempos[0].onset_ticks > 0:
            piece = replace(piece, tempos=(Tempo(0, tempo), *piece.tempos))
        self._timeline = Timeline(piece)
        self._start, self._rate = start_seconds, rate
        self._known: dict[float, int] = {}
        self.length_ticks = piece.written_length_ticks or piece.length_ticks
        ruling = [t for t in piece.tempos if t.onset_ticks <= self.length_ticks]
        self.quarters_per_minute = ruling[-1].quarters_per_minute
        self.ticks_per_quarter = piece.ticks_per_quarter

    def seconds(self, ticks: float) -> float:
        return self._start + float(self._timeline.seconds(ticks))

    def learn(self, ticks: list[int]) -> None:
        """Work out many ticks at once; asking one by one would take ten times as long."""
        unique = np.unique(np.array(ticks, dtype=np.int64))
        seconds = self._start + self._timeline.seconds(unique)
        samples = np.floor(seconds * self._rate + 0.5 + _TIE).astype(np.int64)
        self._known.update(zip(unique.tolist(), samples.tolist(), strict=True))

    def sample(self, ticks: float) -> int:
        known = self._known.get(ticks)
        if known is None:
            return int(np.floor(self.seconds(ticks) * self._rate + 0.5 + _TIE))
        return known


def plan_piece(
    piece: Score,
    held: tuple[Held, ...],
    pedals: tuple[tuple[str, float], ...],
    start_seconds: float,
    quarters_per_minute: float,
    rate: int,
) -> SoundPlan:
    """Return the notes of a piece that starts at ``start_seconds``, those held before it first.

    Raises:
        MusicError: if a note starts at or after the end of its piece.
    """
    clock = _Clock(piece, start_seconds, quarters_per_minute, rate)
    spans, still_down = _pedal_spans(piece, pedals, clock)
    notes = [
        note if note.off is not None else _end(note, note.quarters * clock.ticks_per_quarter,
                                               spans, clock)
        for note in held
    ]  # fmt: skip
    for track in piece.tracks:
        bus = Bus(track.name, DRUM_KIT if track.is_drum else track.program, track.volume, track.pan)
        notes.extend(_started(track, bus, spans, clock))
    notes.sort(key=lambda note: note.onset)
    notes = _cut_repeats(notes)
    end = clock.sample(clock.length_ticks)
    seconds = clock.seconds(clock.length_ticks)
    return SoundPlan(tuple(notes), end, seconds, clock.quarters_per_minute, still_down)


def _started(track: Track, bus: Bus, spans: dict[str, Spans], clock: _Clock) -> list[Held]:
    notes = []
    clock.learn([note.onset_ticks for note in track.notes])
    clock.learn([note.end_ticks for note in track.notes])
    for note in track.notes:
        if note.onset_ticks >= clock.length_ticks:
            raise MusicError(
                f"a note of {track.name!r} starts at tick {note.onset_ticks}, but its piece ends "
                f"at {clock.length_ticks}; write a longer piece or move the note to the next"
            )
        new = Held(
            bus,
            note.pitch,
            note.velocity * LAYERS // 128,
            (note.velocity / 127) ** _LOUDNESS_POWER,
            clock.sample(note.onset_ticks),
        )
        notes.append(_end(new, note.end_ticks, spans, clock))
    return notes


def _pedal_spans(
    piece: Score, pedals: tuple[tuple[str, float], ...], clock: _Clock
) -> tuple[dict[str, Spans], tuple[tuple[str, float], ...]]:
    """Return (first, last tick) of each track's pedals, and those that outlast the piece."""
    found: dict[str, Spans] = {}
    for name, quarters in pedals:
        found.setdefault(name, []).append((0.0, quarters * clock.ticks_per_quarter))
    for track in piece.tracks:
        for pedal in () if track.is_drum else track.pedals:
            last = float(pedal.onset_ticks + pedal.duration_ticks)
            found.setdefault(track.name, []).append((float(pedal.onset_ticks), last))
    spans: dict[str, Spans] = {}
    for name, of_track in sorted(found.items()):
        joined: Spans = []
        for first, last in sorted(of_track):
            if joined and first < joined[-1][1]:
                joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
            else:
                joined.append((first, last))
        spans[name] = joined
    still = tuple(
        (name, (of_track[-1][1] - clock.length_ticks) / clock.ticks_per_quarter)
        for name, of_track in spans.items()
        if of_track[-1][1] > clock.length_ticks
    )
    return spans, still


def _end(note: Held, tick: float, spans: dict[str, Spans], clock: _Clock) -> Held:
    """Return the note with its end, if that lies in this piece, or what is left of it."""
    if note.bus.program == DRUM_KIT:
        return note
    key_up = note.key_up
    if key_up is None and tick < clock.length_ticks:
        of_track = spans.get(note.bus.name, [])
        span = of_track[max(0, bisect_right(of_track, (tick, np.inf)) - 1)] if of_track else (0, 0)
        if span[0] <= tick < span[1]:
            key_up, tick = clock.sample(tick), span[1]
    if tick < clock.length_ticks:
        return replace(note, off=clock.sample(tick), key_up=key_up)
    quarters = (tick - clock.length_ticks) / clock.ticks_per_quarter
    return replace(note, quarters=quarters, key_up=key_up)


def _cut_repeats(notes: list[Held]) -> list[Held]:
    """End notes that are struck again under the pedal, and cymbals that are choked."""
    out = list(notes)
    sounding: dict[tuple[Bus, int], int] = {}
    for index, note in enumerate(notes):
        if note.bus.program == DRUM_KIT:
            for pitch, chokers in CHOKED_BY.items():
                before = sounding.get((note.bus, pitch))
                if before is not None and note.pitch in chokers:
                    out[before] = _until(out[before], note.onset)
        else:
            before = sounding.get((note.bus, note.pitch))
            key_up = None if before is None else out[before].key_up
            if before is not None and key_up is not None and key_up <= note.onset:
                out[before] = _until(out[before], note.onset)
        sounding[note.bus, note.pitch] = index
    return out


def _until(note: Held, sample: int) -> Held:
    if note.onset >= sample or (note.off is not None and note.off <= sample):
        return note
    return replace(note, off=sample)
