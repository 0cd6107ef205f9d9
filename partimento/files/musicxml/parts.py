"""A partwise MusicXML score, part by part and measure by measure, to a score."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import lcm
from xml.etree.ElementTree import Element

from partimento.errors import MusicError
from partimento.files.barlines import WrittenBar, time_signatures
from partimento.files.musicxml.measures import Heard, PartReading, lift_pedal, read_measure
from partimento.files.musicxml.numbers import MAX_QUARTERS, divisions, quarters
from partimento.files.musicxml.repeat_signs import repeat_marks
from partimento.files.musicxml.sounds import Sound, sounds_of
from partimento.files.names import told_apart
from partimento.music import KeySignature, Note, Score, Track
from partimento.music.score import TICKS_PER_QUARTER

__all__ = ["PartSource", "Reading", "read_tree"]

_DEFAULT_VELOCITY = 80
_MAX_TICKS = 32767
_MAX_PARTS = 1000
_MAX_OPEN_TIES = 64  # of one pitch; what waits longest is given up


@dataclass(frozen=True, slots=True)
class PartSource:
    """Where a track comes from: its part, and each of its notes as it was heard."""

    part: int
    is_drum: bool
    heard: tuple[tuple[Note, Heard], ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """A score with what it was read from; ``sources`` has one entry for each track."""

    score: Score
    parts: list[PartReading]
    sources: list[PartSource]
    bars: list[WrittenBar]


def read_tree(root: Element) -> Reading:
    """Return the reading of a ``score-partwise`` element.

    Raises:
        MusicError: if a value lies outside its range.
        ValueError: if a number does not parse.
    """
    ours = _own_fields(root)
    elements = root.findall("part")
    if len(elements) > _MAX_PARTS:
        raise MusicError(f"more than {_MAX_PARTS} parts")
    ticks = _ticks_per_quarter(elements, ours)
    sounds = sounds_of(root)
    parts = [PartReading(sounds.get(e.get("id", ""), Sound("Part")), ticks, e) for e in elements]
    bars = _read_bars(parts, ticks)
    end = bars[-1][0] + bars[-1][1] if bars else 0
    pairs = [] if ours.get("tracks") == "0" else _tracks(parts, end, ticks)
    title = root.findtext("work/work-title") or root.findtext("movement-title") or ""
    tempos = {tempo.onset_ticks: tempo for part in parts for tempo in part.tempos}
    chords = {chord.onset_ticks: chord for part in parts for chord in part.chords}
    length = ours.get("length", "")
    stated = int(length) if length.isdecimal() and len(length) < 16 else 0
    is_ours = bool(bars) and bars[-1][0] < stated < end  # a length of ours lies in the last bar
    score = Score(
        tuple(told_apart(track for track, _ in pairs)),
        ticks,
        tuple(tempos[tick] for tick in sorted(tempos)),
        time_signatures(bars, ticks),
        _keys(parts),
        tuple(chords[tick] for tick in sorted(chords)),
        " ".join(title.split()),
        ours.get("recipe", ""),
        stated if is_ours else end,
        repeat_marks([part.signs for part in parts], [bar[:2] for bar in bars]),
    )
    return Reading(score, parts, [source for _, source in pairs], bars)


def _own_fields(root: Element) -> dict[str, str]:
    """Return what we wrote about the score itself: ticks, length, recipe."""
    found = {}
    for element in root.findall("identification/miscellaneous/miscellaneous-field"):
        name = element.get("name", "")
        if name.startswith("partimento-"):
            found[name.removeprefix("partimento-")] = element.text or ""
    return found


def _ticks_per_quarter(parts: Iterable[Element], ours: dict[str, str]) -> int:
    """Return ticks in which every duration is whole; 480 where that will do."""
    own = ours.get("ticks", "")
    if own.isdecimal() and len(own) < 6 and 1 <= int(own) <= _MAX_TICKS:
        return int(own)
    needed = 1
    for part in parts:
        count, seen = 1, set()
        for element in part.iter():
            if element.tag == "divisions":
                count = divisions(element.text)
            elif element.tag == "duration":
                seen.add((element.text, count))
        for text, per_quarter in seen:
            needed = lcm(needed, quarters(text, per_quarter).denominator)
            if needed > _MAX_TICKS:
                return 10080  # whole for 2**5, 9, 5 and 7; what is finer is rounded
    if TICKS_PER_QUARTER % needed == 0:
        return TICKS_PER_QUARTER
    both = lcm(needed, TICKS_PER_QUARTER)
    return both if both <= _MAX_TICKS else needed


def _read_bars(parts: Sequence[PartReading], ticks: int) -> list[WrittenBar]:
    """Read all measures into their parts; return the bars."""
    rows: list[list[tuple[PartReading, Element]]] = []
    for part in parts:
        for index, measure in enumerate(part.element.iterfind("measure")):
            if index == len(rows):
                rows.append([])
            rows[index].append((part, measure))
    bars: list[WrittenBar] = []
    onset = 0
    metre: tuple[int, int] | None = (4, 4)
    for index, row in enumerate(rows):
        reached = max(read_measure(part, measure, index, onset) for part, measure in row)
        metre = next((p.metres[index] for p, _ in row if index in p.metres), metre)
        length = _bar_length(reached - onset, metre, ticks)
        bars.append((onset, length, metre))
        onset += length
        if onset > MAX_QUARTERS * ticks:
            raise MusicError(f"a score lasts at most {MAX_QUARTERS:,} quarters")
    return bars


def _bar_length(reached: int, metre: tuple[int, int] | None, ticks: int) -> int:
    """Return how long a bar is: as written, or its metre's where nothing or nearly that is."""
    if metre is None:
        return max(1, reached)
    full = max(1, 4 * metre[0] * ticks // metre[1])
    return full if reached == 0 or abs(reached - full) <= ticks // 32 else reached


def _keys(parts: Sequence[PartReading]) -> tuple[KeySignature, ...]:
    """Return the keys of the whole: those that most parts have, as they sound.

    Asked are parts of pitched notes that are not transposed, then transposed ones with a signature
    (a horn's part has none whatever the key), then all.
    """
    keyed = [part for part in parts if part.keys]
    pitched = [part for part in keyed if not all(note.is_drum for note in part.notes)]
    plain = [part for part in pitched if not part.is_transposed]
    signed = [part for part in pitched if any(fifths for _, fifths in part.setting.fifths)]
    voters = plain or signed or pitched or keyed
    counts: Counter[tuple[KeySignature, ...]] = Counter(_at_each_tick(p.keys) for p in voters)
    return counts.most_common(1)[0][0] if counts else ()


def _at_each_tick(keys: Iterable[KeySignature]) -> tuple[KeySignature, ...]:
    last = {key.onset_ticks: key for key in keys}
    return tuple(last[tick] for tick in sorted(last))


def _tracks(parts: Sequence[PartReading], end: int, ticks: int) -> list[tuple[Track, PartSource]]:
    """Return the tracks: one a part, two where pitched notes and a drum kit share it."""
    pairs = []
    for index, part in enumerate(parts):
        lift_pedal(part, end)
        notes = _with_velocities(part, ticks)
        main = part.sound.main(part.instruments)
        on_drums = part.sound.is_drum(main)
        kinds = sorted({on_drums or heard.is_drum for _, heard in notes}) or [on_drums]
        for kind in kinds:
            own = [pair for pair in notes if (on_drums or pair[1].is_drum) == kind]
            is_second = kind is not kinds[0]
            track = Track(
                f"{part.sound.name} (percussion)" if is_second else part.sound.name,
                tuple(note for note, _ in own),
                main.program,
                kind,
                () if is_second else tuple(part.pedals),
                () if is_second else tuple(sorted(part.lyrics, key=lambda x: x.onset_ticks)),
                main.volume,
                main.pan,
            )
            pairs.append((track, PartSource(index, kind, tuple(own))))
    return pairs


def _with_velocities(part: PartReading, slack: int) -> list[tuple[Note, Heard]]:
    part.dynamics.sort(key=lambda change: change[0])
    ticks = [tick for tick, _ in part.dynamics]
    notes = []
    for heard in _tied(part.notes, slack):
        velocity = heard.velocity
        if velocity is None:
            index = bisect_right(ticks, heard.onset) - 1
            velocity = part.dynamics[index][1] if index >= 0 else _DEFAULT_VELOCITY
        notes.append((Note(heard.onset, heard.pitch, heard.end - heard.onset, velocity), heard))
    return notes


def _tied(notes: list[Heard], slack: int) -> list[Heard]:
    """Return the notes with tied ones joined; voices may stand in any order in the file.

    A tie may miss its note by ``slack`` ticks: some programs round the lengths of tuplets, and
    written-out arpeggios tie short notes to a long one a little later. Of several, that of the same
    number is meant, then the nearest, then the one that began first.
    """
    out: list[Heard] = []
    open_ties: dict[int, list[Heard]] = {}
    for note in sorted(notes, key=lambda n: n.onset):
        waiting = open_ties.get(note.pitch, [])
        near = [held for held in waiting if abs(held.end - note.onset) <= slack]
        if note.tie_stop and near:
            apart = [
                (held.tie_number != note.tie_number, abs(held.end - note.onset), held.number)
                for held in near
            ]
            held = near[apart.index(min(apart))]
            waiting.remove(held)
            held.end = max(held.end, note.end)
            held.elements.extend(note.elements)
        else:
            held = note
            held.number = len(out)
            out.append(note)
        if note.tie_start:
            waiting = open_ties.setdefault(note.pitch, [])
            waiting.append(held)
            del waiting[:-_MAX_OPEN_TIES]
    return out
