"""Were the promises kept? An independent look at a finished score.

Nothing here knows how music is made or masked: each promise is read once more in its plain
meaning (``music.promises.Promises``) and held against the notes.

- bars: the score covers exactly so many bars, each whole and in the metre asked, and no note
  sounds after the last.
- key: every pitched note is of the scale. Drums have no pitch here.
- ranges: every pitched note lies in the range of its track, or of ``"*"``.
- polyphony: at no time do more notes sound, over all tracks, drums too. A note that ends where
  another starts does not meet it.
- chords: every pitched note that sounds at a strong beat is a tone of the chord of that bar.
- ending: the last chord is reached by the cadence that was asked, in the key asked or else in the
  key that the score states (``analysis.cadences``).
- silence: no stretch without any sounding note is longer, from the start to the written end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from partimento.analysis.cadences import closing_of
from partimento.analysis.keys import estimate_key
from partimento.music import Note, Promises, Score, Timeline
from partimento.music.cadences import CADENCES
from partimento.music.keys import pitch_name
from partimento.music.timeline import strong_beats

__all__ = ["Adherence", "Verdict", "Violation", "adherence"]


@dataclass(frozen=True)
class Violation:
    """Where a promise was first broken.

    ``bar`` counts from 0; ``beat`` is in quarters from the start of the bar; ``track`` and
    ``note`` are None where the fault is of no single note. ``text`` is one line for people, who
    count bars and beats from 1.
    """

    bar: int
    beat: float
    track: str | None
    note: Note | None
    text: str


@dataclass(frozen=True)
class Verdict:
    """One promise that was asked, and where it was first broken; None if it was kept.

    ``promise`` is the name of the field of ``Promises``.
    """

    promise: str
    violation: Violation | None

    @property
    def kept(self) -> bool:
        """Whether it was kept."""
        return self.violation is None


@dataclass(frozen=True)
class Adherence:
    """A verdict for each promise that was asked; those not asked are not listed."""

    verdicts: tuple[Verdict, ...]

    @property
    def kept(self) -> bool:
        """Whether all were kept; true where none was asked."""
        return all(verdict.kept for verdict in self.verdicts)

    @property
    def violations(self) -> tuple[Violation, ...]:
        """The first violation of each broken promise."""
        return tuple(v.violation for v in self.verdicts if v.violation is not None)


@dataclass(frozen=True, eq=False)
class _Look:
    """A score with what all checks need."""

    score: Score
    promises: Promises
    timeline: Timeline

    def violation(
        self, tick: int, text: str, track: str | None = None, note: Note | None = None
    ) -> Violation:
        bar = self.timeline.bar_at(tick)
        beat = (tick - bar.onset_ticks) / self.score.ticks_per_quarter
        where = f"bar {bar.index + 1}, beat {beat + 1:g}"
        if track is not None:
            where += f", {track}"
        return Violation(bar.index, beat, track, note, f"{where}: {text}")

    def pitched(self) -> list[tuple[Note, str]]:
        """Return (note, track name) of all pitched notes, in order of time."""
        rows = [(n, t.name) for t in self.score.tracks if not t.is_drum for n in t.notes]
        return sorted(rows)


def _bars(look: _Look) -> Violation | None:
    asked, bars = look.promises.bars, look.timeline.bars
    if asked is None:
        return None
    if len(bars) != asked:
        tick = bars[min(asked, len(bars)) - 1].end_ticks
        late = [row for row in look.pitched() if row[0].end_ticks > tick]
        note, track = late[0] if late else (None, None)
        return look.violation(tick, f"{len(bars)} bars, not {asked}", track, note)
    for bar in bars:
        whole = bar.time_signature.quarters_per_bar * look.score.ticks_per_quarter
        if bar.length_ticks != whole:
            return look.violation(bar.onset_ticks, "the bar is cut short by a change of metre")
    return None


def _time_signature(look: _Look) -> Violation | None:
    asked = look.promises.time_signature
    if asked is None:
        return None
    for bar in look.timeline.bars:
        here = bar.time_signature
        if (here.numerator, here.denominator) != (asked.numerator, asked.denominator):
            return look.violation(bar.onset_ticks, f"the metre is {here}, not {asked}")
    return None


def _key(look: _Look) -> Violation | None:
    key = look.promises.key
    if key is None:
        return None
    for note, track in look.pitched():
        if note.pitch % 12 not in key.pitch_classes:
            text = f"{pitch_name(note.pitch)} is not in {key}"
            return look.violation(note.onset_ticks, text, track, note)
    return None


def _ranges(look: _Look) -> Violation | None:
    for note, track in look.pitched():
        asked = look.promises.ranges.get(track, look.promises.ranges.get("*"))
        if asked is not None and not asked.low <= note.pitch <= asked.high:
            text = f"{pitch_name(note.pitch)} lies outside {asked}"
            return look.violation(note.onset_ticks, text, track, note)
    return None


def _max_polyphony(look: _Look) -> Violation | None:
    most = look.promises.max_polyphony
    if most is None:
        return None
    # Ends sort before onsets at one tick, so notes that only touch do not meet.
    events = [
        event
        for track in look.score.tracks
        for note in track.notes
        for event in ((note.onset_ticks, 1, track.name, note), (note.end_ticks, -1, "", note))
    ]
    sounding = 0
    for tick, change, track, note in sorted(events, key=lambda event: event[:2]):
        sounding += change
        if sounding > most:
            text = f"{sounding} notes sound at once, not at most {most}"
            return look.violation(tick, text, track, note)
    return None


def _strong_ticks(look: _Look) -> Iterator[tuple[int, int]]:
    """Yield (tick, bar index) of each strong beat, in order."""
    for bar in look.timeline.bars:
        for beat in strong_beats(bar.time_signature, look.score.ticks_per_quarter):
            if beat < bar.length_ticks:
                yield bar.onset_ticks + beat, bar.index


def _chords(look: _Look) -> Violation | None:
    if not look.promises.chords:
        return None
    waiting = look.pitched()[::-1]
    sounding: list[tuple[Note, str]] = []
    for tick, bar in _strong_ticks(look):
        while waiting and waiting[-1][0].onset_ticks <= tick:
            sounding.append(waiting.pop())
        sounding = [row for row in sounding if row[0].end_ticks > tick]
        chord = look.promises.chord_of_bar(bar)
        for note, track in sounding:
            if chord is not None and note.pitch % 12 not in chord.pitch_classes:
                text = f"{pitch_name(note.pitch)} is no tone of {chord}"
                return look.violation(tick, text, track, note)
    return None


def _max_silence(look: _Look) -> Violation | None:
    asked = look.promises.max_silence_quarters
    if asked is None:
        return None
    end = look.score.length_ticks
    if look.promises.bars is not None:
        end = max(end, look.timeline.bars[-1].end_ticks)
    heard = 0
    spans = [(note.onset_ticks, note.end_ticks) for note in look.score.notes]
    for onset, off in [*spans, (end, end)]:
        silence = (onset - heard) / look.score.ticks_per_quarter
        if silence > asked:
            text = f"silence of {silence:g} quarters, not at most {asked:g}"
            return look.violation(heard, text)
        heard = max(heard, off)
    return None


def _ending(look: _Look) -> Violation | None:
    asked = look.promises.ending
    stated = look.score.key_signatures
    key = look.promises.key or (stated[-1].key if stated else estimate_key(look.score))
    if asked not in CADENCES or key is None:
        return None
    found = closing_of(look.score, key)
    if found.kind == asked:
        return None
    last = look.timeline.bars[-1].onset_ticks
    return look.violation(
        last, f"it closes with {found.kind or 'no'} cadence in {key}, not {asked}"
    )


def adherence(score: Score, promises: Promises) -> Adherence:
    """Return, for each promise that was asked, whether ``score`` keeps it and where it does not."""
    look = _Look(score, promises, Timeline(score))
    return Adherence(
        tuple(
            Verdict(name, check(look))
            for name, check in _CHECKS.items()
            if getattr(promises, name) not in (None, {}, ())
        )
    )


# By the field of ``Promises``; each is called where that field was asked for.
_CHECKS: dict[str, Callable[[_Look], Violation | None]] = {
    "bars": _bars,
    "time_signature": _time_signature,
    "key": _key,
    "ranges": _ranges,
    "max_polyphony": _max_polyphony,
    "chords": _chords,
    "max_silence_quarters": _max_silence,
    "ending": _ending,
}
