"""The musical options of a user, as text and numbers, and the promises that they amount to.

Python keywords, the options of the shell and a config file take the same table of options; all
three end in ``MusicalOptions.promises``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from pydantic import Field, StrictBool, StrictFloat, StrictInt

from partimento.config import Config
from partimento.errors import MusicError
from partimento.music import (
    Chord,
    Key,
    PitchRange,
    Promises,
    TimeSignature,
    parse_chords,
    parse_key,
)
from partimento.music.cadences import parse_ending
from partimento.music.promises import MAX_BARS, parse_range, parse_time_signature
from partimento.runtime.conditions import Condition

__all__ = ["MusicalOptions", "Ranges", "bars_that_cover", "parsed_chords"]

Ranges = str | PitchRange | Sequence[str] | Mapping[str, PitchRange | str]

_COMMON_TIME = TimeSignature(0, 4, 4)
_LEAST_TEMPO = 4.0  # MIDI holds at most 2^24 - 1 microseconds a quarter: 3.58 quarters a minute


class MusicalOptions(Config):
    """What may be asked of generated music; None means free.

    - ``bars``: their exact number; ``seconds``: the whole bars that cover it; one of the two.
    - ``tempo``: quarter notes per minute, 4..1000.
    - ``key``: ``"A minor"``; ``time_signature``: ``"3/4"``; ``chords``: ``"Am F C G"``.
    - ``range``: ``"C3-C5"`` for every pitched track, ``"Soprano=C4-A5"`` for one, or several.
    - ``polyphony``: the maximum number of notes that sound at once.
    - ``max_silence``: the longest rest of all tracks together, in quarter notes.
    - ``ending``: ``authentic`` (the default), ``plagal``, ``half``, ``open`` or ``fade``.
    - ``humanize``: how much dynamics and timing the notes get, 0 (as written) to 1; of new pieces
      alone, and not of streams.
    - ``loop``: sound whose end leads into its beginning.
    - ``conditions``: inputs of the network (``partimento.runtime.conditions``), of the types that
      the model's system takes.

    For a model that makes sound, ``seconds`` is the exact length, ``tempo`` and ``chords`` its
    controls of these names where it has them; of the others only ``loop`` may be asked.
    """

    bars: StrictInt | None = None
    seconds: StrictFloat | None = Field(default=None, gt=0, le=86400)
    tempo: StrictFloat | None = Field(default=None, ge=_LEAST_TEMPO, le=1000)
    key: str | Key | None = None
    time_signature: str | TimeSignature | None = None
    chords: str | tuple[str | Chord, ...] | None = None
    range: str | PitchRange | tuple[str, ...] | dict[str, PitchRange | str] | None = None
    polyphony: StrictInt | None = None
    max_silence: StrictFloat | None = Field(default=None, ge=0, le=16384)
    ending: str | None = None
    humanize: StrictFloat | None = Field(default=None, ge=0, le=1)
    loop: StrictBool | None = None
    conditions: tuple[Condition, ...] | None = None

    @property
    def is_endless(self) -> bool:
        """Whether a stream of these options is endless; a loop repeats."""
        return self.bars is None and (self.seconds is None or bool(self.loop))

    def promises(
        self, default_bars: int | None, tempo: float, metre: TimeSignature = _COMMON_TIME
    ) -> Promises:
        """Return the promises that these options amount to.

        Args:
            default_bars: the bars where neither bars nor seconds are asked; None for endless.
            tempo: quarters per minute, for turning seconds into bars.
            metre: the metre where none is asked, for turning seconds into bars.

        Raises:
            MusicError: for a key, metre, chord, range or number that is invalid.
            CannotBeMet: for options that exclude each other.
        """
        asked = self.metre()
        bars = self.bars if self.bars is not None else default_bars
        if self.seconds is not None:
            if self.bars is not None:
                raise MusicError("give bars or seconds, not both")
            asked = asked or metre
            bars = bars_that_cover(self.seconds, tempo, asked)
        return Promises(
            bars=bars,
            time_signature=asked,
            key=parse_key(self.key) if isinstance(self.key, str) else self.key,
            ranges=_ranges(self.range),
            max_polyphony=self.polyphony,
            chords=parsed_chords(self.chords),
            max_silence_quarters=self.max_silence,
            ending=None if self.ending is None else parse_ending(self.ending),
        )

    def metre(self) -> TimeSignature | None:
        """Return the metre that was asked.

        Raises:
            MusicError: if it does not parse.
        """
        asked = self.time_signature
        return parse_time_signature(asked) if isinstance(asked, str) else asked


def bars_that_cover(seconds: float, tempo: float, metre: TimeSignature) -> int:
    """Return the least number of whole bars that lasts at least ``seconds``."""
    quarters = seconds * tempo / 60
    bars = max(1, math.ceil(quarters / float(metre.quarters_per_bar) - 1e-9))
    if bars > MAX_BARS:
        raise MusicError(
            f"{seconds:g} seconds are {bars} bars, more than {MAX_BARS}; ask for less, or stream"
        )
    return bars


def parsed_chords(asked: str | tuple[str | Chord, ...] | None) -> tuple[Chord, ...]:
    """Return the chords of a line or of a tuple; none for None.

    Raises:
        MusicError: for a chord that does not parse.
    """
    if asked is None:
        return ()
    if isinstance(asked, str):
        return parse_chords(asked)
    chords: list[Chord] = []
    for chord in asked:
        chords.extend(parse_chords(chord) if isinstance(chord, str) else (chord,))
    return tuple(chords)


def _ranges(
    asked: str | PitchRange | tuple[str, ...] | dict[str, PitchRange | str] | None,
) -> dict[str, PitchRange]:
    if asked is None:
        return {}
    if isinstance(asked, PitchRange):
        return {"*": asked}
    if isinstance(asked, str):
        asked = tuple(part for part in asked.split(",") if part.strip())
    if isinstance(asked, dict):
        return {
            name: parse_range(span)[1] if isinstance(span, str) else span
            for name, span in asked.items()
        }
    return dict(parse_range(part) for part in asked)
