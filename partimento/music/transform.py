"""Scores to scores: transpose, cut, join, rescale."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from partimento.errors import MusicError
from partimento.music.score import Note, Pedal, Score, Tempo, Track
from partimento.music.timeline import DEFAULT_QUARTERS_PER_MINUTE

__all__ = ["concatenate", "crop", "join", "rescale", "shift", "stretch", "transpose"]

_MAPS = ("tempos", "time_signatures", "key_signatures", "chords")


def transpose(score: Score, semitones: int) -> Score:
    """Return the score ``semitones`` higher, keys and chord symbols too; drums stay.

    Raises:
        MusicError: if a note would leave 0..127.
    """
    if semitones == 0:
        return score

    def moved(track: Track) -> Track:
        if track.is_drum:
            return track
        notes = tuple(replace(note, pitch=note.pitch + semitones) for note in track.notes)
        return replace(track, notes=notes)

    return replace(
        score,
        tracks=tuple(moved(track) for track in score.tracks),
        key_signatures=tuple(
            replace(k, key=k.key.transposed(semitones)) for k in score.key_signatures
        ),
        chords=tuple(replace(c, chord=c.chord.transposed(semitones)) for c in score.chords),
    )


def rescale(score: Score, ticks_per_quarter: int) -> Score:
    """Return the score on another tick grid; ticks are rounded, notes stay at least one long."""
    if ticks_per_quarter == score.ticks_per_quarter:
        return score
    old = score.ticks_per_quarter

    def to(tick: int) -> int:
        return (2 * tick * ticks_per_quarter + old) // (2 * old)

    def note(n: Note) -> Note:
        start = to(n.onset_ticks)
        return replace(n, onset_ticks=start, duration_ticks=max(1, to(n.end_ticks) - start))

    def track(t: Track) -> Track:
        return replace(
            t,
            notes=tuple(note(n) for n in t.notes),
            pedals=tuple(
                Pedal(
                    to(p.onset_ticks),
                    max(1, to(p.onset_ticks + p.duration_ticks) - to(p.onset_ticks)),
                )
                for p in t.pedals
            ),
            lyrics=tuple(replace(x, onset_ticks=to(x.onset_ticks)) for x in t.lyrics),
        )

    return replace(
        score,
        ticks_per_quarter=ticks_per_quarter,
        tracks=tuple(track(t) for t in score.tracks),
        tempos=tuple(replace(x, onset_ticks=to(x.onset_ticks)) for x in score.tempos),
        time_signatures=tuple(
            replace(x, onset_ticks=to(x.onset_ticks)) for x in score.time_signatures
        ),
        key_signatures=tuple(
            replace(x, onset_ticks=to(x.onset_ticks)) for x in score.key_signatures
        ),
        chords=tuple(replace(x, onset_ticks=to(x.onset_ticks)) for x in score.chords),
        written_length_ticks=to(score.written_length_ticks),
        repeats=tuple(
            replace(x, onset_ticks=to(x.onset_ticks), end_ticks=to(x.end_ticks))
            for x in score.repeats
        ),
    )


def stretch(score: Score, factor: float) -> Score:
    """Return the score played ``factor`` times slower: only tempos change.

    Raises:
        MusicError: if a tempo would leave its range.
    """
    from_tempos = score.tempos
    if not from_tempos or from_tempos[0].onset_ticks > 0:
        from_tempos = (Tempo(0, DEFAULT_QUARTERS_PER_MINUTE), *from_tempos)
    slower = tuple(
        replace(t, quarters_per_minute=t.quarters_per_minute / factor) for t in from_tempos
    )
    return replace(score, tempos=slower)


def shift(score: Score, ticks: int) -> Score:
    """Return the score ``ticks`` later; maps that ruled at tick 0 still start there."""

    def track(t: Track) -> Track:
        return replace(
            t,
            notes=tuple(replace(n, onset_ticks=n.onset_ticks + ticks) for n in t.notes),
            pedals=tuple(replace(p, onset_ticks=p.onset_ticks + ticks) for p in t.pedals),
            lyrics=tuple(replace(x, onset_ticks=x.onset_ticks + ticks) for x in t.lyrics),
        )

    def at(tick: int) -> int:
        return tick + ticks if tick else 0

    return replace(
        score,
        tracks=tuple(track(t) for t in score.tracks),
        tempos=tuple(replace(x, onset_ticks=at(x.onset_ticks)) for x in score.tempos),
        time_signatures=tuple(
            replace(x, onset_ticks=at(x.onset_ticks)) for x in score.time_signatures
        ),
        key_signatures=tuple(
            replace(x, onset_ticks=at(x.onset_ticks)) for x in score.key_signatures
        ),
        chords=tuple(replace(x, onset_ticks=x.onset_ticks + ticks) for x in score.chords),
        written_length_ticks=score.written_length_ticks + ticks
        if score.written_length_ticks
        else 0,
        repeats=tuple(
            replace(
                x,
                onset_ticks=x.onset_ticks + ticks,
                end_ticks=x.end_ticks + ticks if x.end_ticks else 0,
            )
            for x in score.repeats
        ),
    )


def crop(score: Score, start_ticks: int, end_ticks: int) -> Score:
    """Return what lies in [start, end), moved to tick 0; notes are cut at both borders.

    The tempo, metre, key and chord that rule at ``start_ticks`` rule at tick 0. Repeat marks go, as
    half of a pair means nothing.

    Raises:
        MusicError: if the span is empty.
    """
    if not 0 <= start_ticks < end_ticks:
        raise MusicError(f"a span runs forwards from tick 0, not {start_ticks}..{end_ticks}")

    def track(t: Track) -> Track:
        notes = []
        for n in t.notes:
            first, last = max(n.onset_ticks, start_ticks), min(n.end_ticks, end_ticks)
            if first < last:
                notes.append(
                    replace(n, onset_ticks=first - start_ticks, duration_ticks=last - first)
                )
        pedals = []
        for p in t.pedals:
            first = max(p.onset_ticks, start_ticks)
            last = min(p.onset_ticks + p.duration_ticks, end_ticks)
            if first < last:
                pedals.append(Pedal(first - start_ticks, last - first))
        lyrics = tuple(
            replace(x, onset_ticks=x.onset_ticks - start_ticks)
            for x in t.lyrics
            if start_ticks <= x.onset_ticks < end_ticks
        )
        return replace(t, notes=tuple(notes), pedals=tuple(pedals), lyrics=lyrics)

    def ruling(events: tuple) -> tuple:  # type: ignore[type-arg]
        before = [e for e in events if e.onset_ticks <= start_ticks][-1:]
        inside = [e for e in events if start_ticks < e.onset_ticks < end_ticks]
        return tuple(
            replace(e, onset_ticks=max(0, e.onset_ticks - start_ticks)) for e in before + inside
        )

    return replace(
        score,
        tracks=tuple(track(t) for t in score.tracks),
        tempos=ruling(score.tempos),
        time_signatures=ruling(score.time_signatures),
        key_signatures=ruling(score.key_signatures),
        chords=ruling(score.chords),
        written_length_ticks=end_ticks - start_ticks,
        repeats=(),
    )


def concatenate(
    first: Score, second: Score, at_ticks: int, onto: Sequence[int | None] | None = None
) -> Score:
    """Return ``first`` with ``second`` laid in from ``at_ticks`` on.

    ``second`` is put on the tick grid of ``first``. Its tracks join those of the same name, or,
    where ``onto`` is given, those at these places in ``first`` (None makes a new track). Maps of
    ``second`` are kept where they change something; every note of ``first`` is kept as it is.
    """
    later = rescale(second, first.ticks_per_quarter)
    places = _same_names(first, later) if onto is None else list(onto)
    tracks = list(first.tracks)
    for t, place in zip(_tracks_later(later, at_ticks), places, strict=True):
        if place is None:
            tracks.append(t)
        else:
            mine = tracks[place]
            tracks[place] = replace(
                mine,
                notes=mine.notes + t.notes,
                pedals=mine.pedals + t.pedals,
                lyrics=mine.lyrics + t.lyrics,
            )
    return replace(
        first,
        tracks=tuple(tracks),
        tempos=_changes(first.tempos, later.tempos, at_ticks),
        time_signatures=_changes(first.time_signatures, later.time_signatures, at_ticks),
        key_signatures=_changes(first.key_signatures, later.key_signatures, at_ticks),
        chords=_changes(first.chords, later.chords, at_ticks),
        written_length_ticks=at_ticks + later.length_ticks,
    )


def join(pieces: Iterable[Score]) -> Score:
    """Return the pieces of a stream as one score, each after the ``length`` of those before it.

    Tracks join by name; a note may outlast its piece. The advance of a piece is its written
    length, or its notes' end where it has none. Takes time in proportion to the notes.
    """
    tracks: dict[str, list[Track]] = {}
    maps: dict[str, Any] = dict.fromkeys(_MAPS, ())
    at, first = 0, None
    for given in pieces:
        first = first or given
        piece = rescale(given, first.ticks_per_quarter)
        for t in _tracks_later(piece, at):
            tracks.setdefault(t.name, []).append(t)
        for name in _MAPS:
            maps[name] = _changes(maps[name], getattr(piece, name), at)
        at += piece.written_length_ticks or piece.end_ticks
    if first is None:
        return Score()
    joined = tuple(
        replace(
            parts[0],
            notes=tuple(note for part in parts for note in part.notes),
            pedals=tuple(pedal for part in parts for pedal in part.pedals),
            lyrics=tuple(lyric for part in parts for lyric in part.lyrics),
        )
        for parts in tracks.values()
    )
    return replace(first, tracks=joined, written_length_ticks=at, repeats=(), **maps)


def _same_names(first: Score, second: Score) -> list[int | None]:
    """Return for each track of ``second`` the first track of that name not yet taken."""
    free = list(range(len(first.tracks)))
    places: list[int | None] = []
    for t in second.tracks:
        place = next((i for i in free if first.tracks[i].name == t.name), None)
        if place is not None:
            free.remove(place)
        places.append(place)
    return places


def _tracks_later(score: Score, ticks: int) -> tuple[Track, ...]:
    return shift(score, ticks).tracks


def _changes(before: tuple, later: tuple, at_ticks: int) -> tuple:  # type: ignore[type-arg]
    """Return ``before`` and those of ``later``, moved by ``at_ticks``, that change the ruling."""
    out = list(before)
    for event in later:
        moved = replace(event, onset_ticks=event.onset_ticks + at_ticks)
        ruling = next((e for e in reversed(out) if e.onset_ticks <= moved.onset_ticks), None)
        if ruling is None or replace(ruling, onset_ticks=moved.onset_ticks) != moved:
            out = [e for e in out if e.onset_ticks != moved.onset_ticks] + [moved]
    return tuple(sorted(out, key=lambda event: event.onset_ticks))
