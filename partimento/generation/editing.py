"""Edits of a piece: from names and bars to regions, and from new notes back into the piece.

A musician names bars and tracks; a model gets regions of the whole piece. What was not asked for
stays as it is: ``partimento.music.replace_regions`` inserts the new notes.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median_low
from typing import Any

from partimento.analysis.chords import recognise_bars
from partimento.errors import MusicError, NotSupported
from partimento.generation.options import MusicalOptions
from partimento.messages import listed, shown
from partimento.music import Chord, Note, Promises, Score, Timeline, Track
from partimento.music.instruments import PROGRAMS
from partimento.music.regions import (
    Region,
    parse_bars,
    parse_lock,
    require_open,
    track_indices,
)
from partimento.music.replace_regions import graft, join_parts
from partimento.music.track_roles import centre_pitch_of
from partimento.recipe import Recipe, RewriteRecord, promises_from_record
from partimento.runtime.contract import Request, Task

__all__ = [
    "RECOGNISE",
    "asked_record",
    "bar_counter",
    "kept_parts",
    "rewrite_again",
    "rewrite_request",
    "rewritten",
]

RECOGNISE = "recognise"  # as chords: those that are found in the parts that are kept
_SERVED = ("key", "chords", "range", "polyphony")  # options that apply to edits


@dataclass(frozen=True)
class _Places:
    """A prompt with tracks for the new notes, and the regions where they go."""

    prompt: Score
    regions: tuple[Region, ...]
    locks: tuple[Region, ...]
    locked_notes: tuple[tuple[int, Note], ...]


def asked_record(
    bars: str | None, tracks: str | Sequence[str] | None, lock: str | Sequence[str]
) -> RewriteRecord:
    """Return what a caller asks for; ``tracks`` in one text are separated by commas.

    Raises:
        MusicError: for bars, tracks or locks that are no texts.
    """
    if isinstance(tracks, str):
        tracks = [name for name in tracks.split(",") if name.strip()]
    if bars is not None and not isinstance(bars, str):
        raise MusicError(f"bars must be a text such as '9:12', not {shown(bars)}")
    names = None if tracks is None else _texts("tracks", tracks)
    locks = (lock,) if isinstance(lock, str) else _texts("lock", lock)
    return RewriteRecord(bars=bars, tracks=names, locks=locks)


def _texts(what: str, given: object) -> tuple[str, ...]:
    """Return the texts of a sequence, without spaces around them."""
    if not isinstance(given, list | tuple) or not all(isinstance(text, str) for text in given):
        raise MusicError(f"{what} must be a text or a list of texts, not {shown(given)}")
    return tuple(text.strip() for text in given)


def rewrite_request(
    task: Task,
    prompt: Score,
    asked: RewriteRecord,
    wishes: MusicalOptions,
    config: Mapping[str, Any],
) -> Request:
    """Return the request to regenerate some bars or tracks of a piece.

    Args:
        task: INFILL or ACCOMPANY.
        prompt: the whole piece.
        asked: which bars, which tracks, and what is locked.
        wishes: what holds for the new notes; only key, chords, range and polyphony.
        config: the model's; ``config["tracks"]`` lists the parts that it writes.

    Raises:
        MusicError: for bars, tracks or locks that do not exist, or options that are invalid.
        CannotBeMet: if the locks leave nothing to write, or options exclude each other.
        NotSupported: for an option that does not apply to edits.
    """
    for name, value in wishes:
        if value is not None and name not in (*_SERVED, "conditions"):
            raise NotSupported(
                f"{task} keeps the piece's own {name}; it takes {', '.join(_SERVED)}"
            )
    places = _places(task, prompt, asked, config)
    chords = wishes.chords
    promises = wishes.model_copy(update={"chords": None}).promises(
        len(Timeline(prompt).bars), 120.0
    )
    _check_ranges(promises, places.prompt)
    if chords is not None and chords != ():
        promises = replace(promises, chords=_chord_line(chords, promises, places))
    return _request(task, promises, places)


def rewrite_again(recipe: Recipe, prompt: Score, config: Mapping[str, Any]) -> Request:
    """Return the request that a recipe records."""
    places = _places(recipe.task, prompt, recipe.rewrite or RewriteRecord(), config)
    return _request(recipe.task, promises_from_record(recipe.promises), places)


def rewritten(pieces: Iterable[Score], request: Request) -> Score:
    """Return the prompt of a request with the notes of a performer's pieces in its regions."""
    assert request.score is not None
    made = join_parts(pieces, request.score)
    whole = graft(request.score, made, request.regions, request.locks, request.locked_notes)
    # Where new notes end earlier than the last old ones, the piece is as long as before.
    length = request.score.length_ticks
    return whole if whole.length_ticks >= length else replace(whole, written_length_ticks=length)


def kept_parts(request: Request) -> Score:
    """Return the prompt of a request without the notes that are to be regenerated."""
    return rewritten((), request)


def bar_counter(request: Request) -> Callable[[Score], int]:
    """Return a function that says how many bars of the prompt each piece of a stream covers."""
    assert request.score is not None
    length = request.score.length_ticks
    ends = [min(bar.end_ticks, length) for bar in Timeline(request.score).bars]
    at = 0

    def count(piece: Score) -> int:
        nonlocal at
        before, at = at, at + (piece.written_length_ticks or piece.end_ticks)
        return bisect_right(ends, at) - bisect_right(ends, before)

    return count


def _request(task: Task, promises: Promises, places: _Places) -> Request:
    return Request(
        task,
        promises,
        (places.prompt,),
        regions=places.regions,
        locks=places.locks,
        locked_notes=places.locked_notes,
    )


def _places(task: Task, prompt: Score, asked: RewriteRecord, config: Mapping[str, Any]) -> _Places:
    if not prompt.notes:
        raise MusicError("the prompt has no notes; use generate instead")
    count = len(Timeline(prompt).bars)
    if task is Task.ACCOMPANY:
        prompt, tracks = _with_parts(prompt, asked.tracks, config)
    elif asked.bars is None and asked.tracks is None:
        raise MusicError("name the bars or the tracks to regenerate")
    else:
        tracks = _tracks_of(prompt, asked.tracks)
    spans = ((0, count),) if asked.bars is None else parse_bars(asked.bars, count)
    regions = tuple(Region(first, end, tracks) for first, end in spans)
    held = [parse_lock(text, prompt) for text in asked.locks]
    locks = tuple(lock for lock in held if isinstance(lock, Region))
    notes = tuple(lock for lock in held if not isinstance(lock, Region))
    require_open(prompt, regions, locks)
    return _Places(prompt, regions, locks, notes)


def _tracks_of(prompt: Score, names: tuple[str, ...] | None) -> frozenset[int]:
    """Return the tracks of these names; all that are not drums where none are named."""
    if names is not None:
        if not names:
            raise MusicError("the list of tracks is empty; name some, or leave it out for all")
        return frozenset(track_indices(prompt, names))
    pitched = frozenset(i for i, track in enumerate(prompt.tracks) if not track.is_drum)
    if not pitched:
        raise MusicError("this piece has only drums; name the tracks to regenerate")
    return pitched


def _with_parts(
    prompt: Score, names: tuple[str, ...] | None, config: Mapping[str, Any]
) -> tuple[Score, frozenset[int]]:
    """Return the prompt with tracks for the wanted parts, and their places in it.

    A part that exists is regenerated; others are added as tracks without notes, before those that
    follow them in the model's order.
    """
    parts = {str(part["name"]): int(part.get("program", 0)) for part in config.get("tracks", ())}
    names = _lacking(prompt, tuple(parts)) if names is None else names
    if not names:
        there = listed((track.name for track in prompt.tracks), 6)
        raise MusicError(f"no part is missing: this piece has {there}; name those to regenerate")
    order = list(parts)
    levels = [track.volume for track in prompt.tracks if track.notes]
    rows: list[tuple[int | None, Track]] = list(enumerate(prompt.tracks))
    wanted: set[int | None] = {None}  # None is the place of an added track
    for name in names:
        known = next((part for part in order if part.lower() == name.strip().lower()), None)
        try:
            wanted.update(track_indices(prompt, (name,)))
        except MusicError:
            if known is None and order and _instrument(name) is None:
                has = listed((track.name for track in prompt.tracks), 5)
                raise MusicError(
                    f"no track is called {shown(name)}; this score has: {has}; the model can add: "
                    f"{listed(order, 5)}, and instruments such as Viola"
                ) from None
            title = known or name.strip()
            program = parts.get(title, _instrument(title) or 0)
            if all(place is not None or track.name != title for place, track in rows):
                added = Track(title, program=program, volume=median_low(levels or [100]))
                rows.insert(_place_of(title, [track for _, track in rows], order), (None, added))
    places = frozenset(i for i, (place, _) in enumerate(rows) if place in wanted)
    return prompt.with_tracks(track for _, track in rows), places


def _instrument(name: str) -> int | None:
    """Return the General MIDI program of ``"Viola"``, ``"Violin II"``, ``"Flute 1"``."""
    bare = re.sub(r"\s+(?:[IV]+|\d+)$", "", name.strip()).lower()
    known = [program.lower() for program in PROGRAMS]
    exact = (i for i, program in enumerate(known) if program == bare)
    opening = (i for i, program in enumerate(known) if program.startswith(f"{bare} "))
    return next(exact, next(opening, None))


def _lacking(prompt: Score, parts: Sequence[str]) -> tuple[str, ...]:
    """Return the model's parts that a piece lacks.

    Tracks with notes that have no part's name count as the missing part of the nearest register.
    """
    if not parts:
        raise MusicError("name the tracks to add; this model has no parts of its own")
    has = {track.name.strip().lower() for track in prompt.tracks if track.notes}
    lacking = [part for part in parts if part.lower() not in has]
    known = {part.lower() for part in parts}
    others = [
        track
        for track in prompt.tracks
        if track.notes and not track.is_drum and track.name.strip().lower() not in known
    ]
    for track in others[: len(lacking)]:
        height = track.mean_pitch
        apart = [abs((centre_pitch_of(part) or height) - height) for part in lacking]
        del lacking[apart.index(min(apart))]
    return tuple(lacking)


def _place_of(name: str, tracks: Sequence[Track], order: Sequence[str]) -> int:
    """Return where a new part goes: before the first that follows it in the model's order."""
    if name not in order:
        return len(tracks)
    after = {part.lower() for part in order[order.index(name) + 1 :]}
    places = (i for i, track in enumerate(tracks) if track.name.strip().lower() in after)
    return next(places, len(tracks))


def _check_ranges(promises: Promises, prompt: Score) -> None:
    names = {track.name for track in prompt.tracks}
    for name in promises.ranges:
        if name != "*" and name not in names:
            raise MusicError(
                f"a range names {shown(name)}; this score has: {listed(sorted(names))}"
            )


def _chord_line(
    asked: str | tuple[str | Chord, ...], promises: Promises, places: _Places
) -> tuple[Chord | None, ...]:
    """Return the chord of every bar of the piece, None where nothing is written.

    A given line starts at the first region, and is repeated. Where chords are recognised, bars
    without kept notes, or with a chord outside the key asked, are free.
    """
    count = len(Timeline(places.prompt).bars)
    written = {bar for r in places.regions for bar in range(r.first_bar, min(r.end_bar, count))}
    if asked == RECOGNISE:
        kept = kept_parts(_request(Task.INFILL, promises, places))
        end = Timeline(places.prompt).bars[-1].end_ticks
        found = recognise_bars(replace(kept, written_length_ticks=end))
        scale = frozenset(range(12)) if promises.key is None else promises.key.pitch_classes
        return tuple(
            chord if bar in written and chord is not None and chord.pitch_classes <= scale else None
            for bar, chord in enumerate(found)
        )
    line = MusicalOptions(chords=asked).promises(1, 120.0).chords
    first = min(region.first_bar for region in places.regions)
    return tuple(
        line[(bar - first) % len(line)] if bar in written else None for bar in range(count)
    )
