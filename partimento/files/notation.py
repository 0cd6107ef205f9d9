"""From ticks to notation: written values, the spelling of pitches, and voices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from partimento.music import Note

__all__ = ["Piece", "Value", "cut_at_bar_lines", "spelt", "values_of", "voices_of"]

_TYPES = ("breve", "whole", "half", "quarter", "eighth", "16th", "32nd", "64th", "128th")
_TUPLETS = ((3, 2), (5, 4), (7, 4))  # (actual, normal)
_LETTERS = "FCGDAEB"
_MOST_TIES = 16  # as MusicXML numbers them


@dataclass(frozen=True, slots=True)
class Value:
    """One written length: its ticks, its type (None where no sign fits), dots, and tuplet."""

    ticks: int
    type: str | None = None
    dots: int = 0
    tuplet: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """The part of a note that lies in one bar, in ticks from the bar's start.

    ``tie`` numbers the ties that join it, among notes of its pitch that overlap: 1 to 16.
    """

    start: int
    end: int
    pitch: int
    velocity: int
    from_before: bool
    goes_on: bool
    lyrics: tuple[tuple[int, str], ...] = ()  # (verse, syllable)
    tie: int = 1


def _signs(ticks_per_quarter: int) -> dict[int, Value]:
    """Return what each length of one sign is written as, plain signs before tuplets."""
    signs: dict[int, Value] = {}
    for actual, normal in ((1, 1), *_TUPLETS):
        for power, name in enumerate(_TYPES):
            for dots in (0, 1, 2) if actual == 1 else (0,):
                # A breve is 8 quarters; each dot adds half of what was added before.
                top = 8 * ticks_per_quarter * (2 ** (dots + 1) - 1) * normal
                bottom = 2 ** (power + dots) * actual
                if top % bottom == 0:
                    tuplet = None if actual == 1 else (actual, normal)
                    signs.setdefault(top // bottom, Value(top // bottom, name, dots, tuplet))
    return signs


def values_of(ticks: int, ticks_per_quarter: int) -> list[Value]:
    """Return the values whose sum is ``ticks``: one sign where one fits, else tied signs.

    A rest that no sign fits (a human's timing) stands as a value without type.
    """
    signs = _signs(ticks_per_quarter)
    if ticks in signs:
        return [signs[ticks]]
    plain = sorted((v for v in signs.values() if v.dots < 2 and not v.tuplet), key=_ticks)
    out: list[Value] = []
    left = ticks
    while left and left not in signs:
        fitting = [value for value in plain if value.ticks < left]
        if not fitting:
            break
        out.append(fitting[-1])
        left -= fitting[-1].ticks
    if left:
        out.append(signs.get(left, Value(left)))
    if out[-1].type is None:
        return [Value(ticks)]
    return out


def _ticks(value: Value) -> int:
    return value.ticks


def spelt(pitch_class: int, fifths: int) -> tuple[str, int]:
    """Return (letter, alteration) of a pitch class in a key of ``fifths`` sharps.

    The key's own notes as its signature has them; the others as raised or lowered degrees that
    lie nearest on the line of fifths (C major: C#, Eb, F#, G#, Bb).
    """
    low = fifths - 3
    place = low + (7 * pitch_class - low) % 12
    return _LETTERS[(place + 1) % 7], (place + 1) // 7


def voices_of(pieces: Iterable[Piece]) -> list[list[list[Piece]]]:
    """Return voices of chords: what starts and ends together is a chord, what overlaps is not."""
    groups: dict[tuple[int, int], list[Piece]] = {}
    for piece in sorted(pieces, key=lambda p: (p.start, -p.pitch)):
        groups.setdefault((piece.start, piece.end), []).append(piece)
    voices: list[list[list[Piece]]] = []
    for (start, _), chord in groups.items():
        for voice in voices:
            if voice[-1][0].end <= start:
                voice.append(chord)
                break
        else:
            voices.append([chord])
    return voices


def cut_at_bar_lines(
    notes: Sequence[Note],
    bars: Sequence[tuple[int, int]],
    lyrics: Mapping[Note, Sequence[tuple[int, str]]],
) -> list[list[Piece]]:
    """Return the pieces of notes in each bar.

    Args:
        notes: sorted.
        bars: (onset, length) in ticks, without gaps, as far as the notes sound.
        lyrics: (verse, syllable) of notes; of two equal notes the first has them.
    """
    left = dict(lyrics)
    out: list[list[Piece]] = [[] for _ in bars]
    first = 0
    for note, tie in zip(notes, _tie_numbers(notes), strict=True):
        while sum(bars[first]) <= note.onset_ticks:
            first += 1
        index = first
        while index < len(bars) and bars[index][0] < note.end_ticks:
            onset, length = bars[index]
            start = max(note.onset_ticks, onset)
            is_first = start == note.onset_ticks
            out[index].append(
                Piece(
                    start - onset,
                    min(note.end_ticks, onset + length) - onset,
                    note.pitch,
                    note.velocity,
                    not is_first,
                    note.end_ticks > onset + length,
                    tuple(left.pop(note, ())) if is_first else (),
                    tie,
                )
            )
            index += 1
    return out


def _tie_numbers(notes: Sequence[Note]) -> list[int]:
    """Return for each note a number, 1 to 16, that no note of its pitch has while it sounds."""
    sounding: dict[int, dict[int, int]] = {}  # by pitch: numbers, and when their notes end
    numbers = []
    for note in notes:
        taken = sounding.setdefault(note.pitch, {})
        free = (n for n in range(1, _MOST_TIES) if taken.get(n, -1) < note.onset_ticks)
        number = next(free, _MOST_TIES)
        taken[number] = note.end_ticks
        numbers.append(number)
    return numbers
