"""Scores to scores: transpose, cut, join, rescale."""

from __future__ import annotations

from dataclasses import replace

from partimento.errors import MusicError
from partimento.music.score import Note, Pedal, Score, Track

__all__ = ["concatenate", "crop", "rescale", "shift", "stretch", "transpose"]


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
    )


def stretch(score: Score, factor: float) -> Score:
    """Return the score played ``factor`` times slower: only tempos change.

    Raises:
        MusicError: if a tempo would leave its range.
    """
    from_tempos = score.tempos
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
    )


def crop(score: Score, start_ticks: int, end_ticks: int) -> Score:
    """Return what lies in [start, end), moved to tick 0; notes are cut at both borders.

    The tempo, metre, key and chord that rule at ``start_ticks`` rule at tick 0.

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
    )


def concatenate(first: Score, second: Score, at_ticks: int) -> Score:
    """Return ``first`` with ``second`` laid in from ``at_ticks`` on, tracks joined by name.

    ``second`` is put on the tick grid of ``first``. Maps of ``second`` are kept where they change
    something; every note of ``first`` is kept as it is.
    """
    later = shift(rescale(second, first.ticks_per_quarter), at_ticks)
    tracks = {t.name: t for t in first.tracks}
    for t in later.tracks:
        mine = tracks.get(t.name)
        if mine is None:
            tracks[t.name] = t
        else:
            tracks[t.name] = replace(
                mine,
                notes=mine.notes + t.notes,
                pedals=mine.pedals + t.pedals,
                lyrics=mine.lyrics + t.lyrics,
            )
    return replace(
        first,
        tracks=tuple(tracks.values()),
        chords=first.chords + later.chords,
        written_length_ticks=at_ticks
        + (second.length_ticks * first.ticks_per_quarter) // second.ticks_per_quarter,
    )
