"""Plays planned notes: the bank's blocks, released, placed, and put into the room.

All state is an argument (`PlayState`); the player holds sounds and settings only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from partimento.music import Score
from partimento.sound.bank import DRUM_KIT, Bank
from partimento.sound.plan import Bus, Held, plan_piece
from partimento.sound.room import Room
from partimento.sound.voice import BLOCK

__all__ = ["PlayState", "ScorePlayer"]

_WINDOW = 81_920  # with the room's length this fills a transform of 2^17 at 44.1 kHz
_LEAST_SECONDS = 0.05  # shorter notes are held so long, or they would not speak at all
_CHOKE_SECONDS = 0.09
_DRUM_ROOM = 0.45
_SEND = 0.5

F32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class PlayState:
    """Where a stream stands: what still sounds, and at what time and tempo it goes on."""

    position: int
    seconds: float
    quarters_per_minute: float
    held: tuple[Held, ...]
    pedals: tuple[tuple[str, float], ...]
    tail: F32


class ScorePlayer:
    """Turns scores into samples (2, frames), unlimited and not normalised."""

    def __init__(self, bank: Bank) -> None:
        self._bank = bank
        self._rate = bank.sample_rate_hz
        self._room = Room(self._rate)

    def start(self, quarters_per_minute: float) -> PlayState:
        """Return the state before the first piece."""
        return PlayState(0, 0.0, quarters_per_minute, (), (), self._room.silence())

    def advance(self, state: PlayState, piece: Score) -> tuple[list[F32], PlayState]:
        """Return the samples up to the end of ``piece``, in parts, and the state after it."""
        plan = plan_piece(
            piece, state.held, state.pedals, state.seconds, state.quarters_per_minute, self._rate
        )
        parts, tail = self._play(plan.notes, state.position, plan.end, state.tail)
        held = tuple(note for note in plan.notes if self._end_of(note) > plan.end)
        after = PlayState(
            plan.end, plan.end_seconds, plan.quarters_per_minute, held, plan.pedals, tail
        )
        return parts, after

    def finish(self, state: PlayState) -> list[F32]:
        """Return what sounds after the last piece: held notes, releases, the room."""
        left = max([note.quarters for note in state.held if note.off is None], default=0.0)
        left = max([left, *(quarters for _, quarters in state.pedals)])
        silence = Score(written_length_ticks=int(left * 480) + 2)
        plan = plan_piece(
            silence, state.held, state.pedals, state.seconds, state.quarters_per_minute, self._rate
        )
        if not plan.notes and not np.any(state.tail):
            return []
        end = max([state.position, *(self._end_of(note) for note in plan.notes)])
        return self._play(plan.notes, state.position, end + self._room.length - 1, state.tail)[0]

    def _play(
        self, notes: tuple[Held, ...], start: int, end: int, tail: F32
    ) -> tuple[list[F32], F32]:
        parts = []
        for first, last, active in self._windows(notes, start, end):
            dry, send = self._mix(active, first, last)
            wet, tail = self._room.process(send, tail)
            dry += wet
            parts.append(dry)
        return parts, tail

    def _windows(
        self, notes: tuple[Held, ...], start: int, end: int
    ) -> Iterator[tuple[int, int, list[Held]]]:
        """Yield (first, last sample, notes that sound there), notes being sorted by onset."""
        active: list[Held] = []
        upcoming = 0
        for first in range(start, end, _WINDOW):
            last = min(first + _WINDOW, end)
            while upcoming < len(notes) and notes[upcoming].onset < last:
                active.append(notes[upcoming])
                upcoming += 1
            active = [note for note in active if self._end_of(note) > first]
            yield first, last, active

    def _mix(self, notes: list[Held], first: int, last: int) -> tuple[F32, F32]:
        """Return the dry sound (2, n) and what goes to the room (n,) of one window."""
        dry = np.zeros((2, last - first), dtype=np.float32)
        send = np.zeros(last - first, dtype=np.float32)
        by_bus: dict[Bus, list[Held]] = {}
        for note in notes:
            by_bus.setdefault(note.bus, []).append(note)
        for bus in sorted(by_bus):
            sound = np.zeros_like(dry)
            for note in by_bus[bus]:
                self._add(sound, note, first)
            drums = bus.program == DRUM_KIT
            room = _DRUM_ROOM if drums else self._bank.tone(bus.program).room
            placed = _placed(sound, bus)
            dry += placed
            send += np.float32(room * _SEND) * (placed[0] + placed[1])
        return dry, send

    def _release(self, note: Held) -> int:
        """Return in how many samples a note dies after its end."""
        if note.bus.program == DRUM_KIT:
            return int(_CHOKE_SECONDS * self._rate)
        envelope = self._bank.tone(note.bus.program).envelope
        seconds = envelope.release_seconds
        if note.pitch >= envelope.undamped_from:
            seconds = envelope.ring_seconds
        elif envelope.ring_seconds:
            seconds *= 2 ** ((60 - note.pitch) / 36)  # heavy strings are slower to stop
        return max(int(seconds * self._rate), 64)

    def _off(self, note: Held) -> int | None:
        if note.off is None:
            return None
        return max(note.off, note.onset + int(_LEAST_SECONDS * self._rate))

    def _end_of(self, note: Held) -> int:
        """Return the sample after a note's last one, far away while its end is not known."""
        length = self._bank.length(note.bus.program, note.pitch, note.layer)
        by_itself = 1 << 62 if length is None else note.onset + length
        off = self._off(note)
        return by_itself if off is None else min(by_itself, off + self._release(note))

    def _add(self, sound: F32, note: Held, first: int) -> None:
        """Add the part of a note that falls into a window that starts at ``first``."""
        start = max(note.onset, first)
        end = min(self._end_of(note), first + sound.shape[1])
        off = self._off(note)
        if off is None or off >= end:
            self._add_part(sound, note, start, end, first, None)
            return
        self._add_part(sound, note, start, min(end, off), first, None)
        late = max(start, off)
        shape = _release_shape(self._release(note))[late - off : max(end, off) - off]
        self._add_part(sound, note, late, end, first, shape)

    def _add_part(
        self, sound: F32, note: Held, start: int, end: int, first: int, shape: F32 | None
    ) -> None:
        at = start
        gain = np.float32(note.gain)
        while at < end:
            index, inside = divmod(at - note.onset, BLOCK)
            count = min(BLOCK - inside, end - at)
            block = self._bank.block(note.bus.program, note.pitch, note.layer, index)
            part = block[:, inside : inside + count] * gain
            if shape is not None:
                part *= shape[at - start : at - start + count]
            sound[:, at - first : at - first + count] += part
            at += count


@lru_cache(maxsize=64)
def _release_shape(count: int) -> F32:
    """Return a release of ``count`` samples from 1 to 0: exponential, and 0 at its end."""
    x = np.arange(count) / count
    return (np.exp(-6.9 * x) * (1 - x)).astype(np.float32)


def _placed(sound: F32, bus: Bus) -> F32:
    """Return the bus at its volume and place; a part panned aside grows narrower there."""
    volume = (bus.volume / 100) ** 2
    place = (max(bus.pan, 1) - 64) / 63
    if place == 0.0:
        return sound * np.float32(volume)
    angle = np.pi / 4 * (1 + place)
    left, right = np.sqrt(2) * volume * np.cos(angle), np.sqrt(2) * volume * np.sin(angle)
    own, other = (2 - abs(place)) / 2, abs(place) / 2
    matrix = np.array([[left * own, left * other], [right * other, right * own]], dtype=np.float32)
    placed: F32 = matrix @ sound
    return placed
