"""Alternatives ranked, the best first, with the reasons in words.

Each is measured. On every measure the alternatives are ranked (ties share their mean rank), and the
mean of its ranks decides, so that measures of different units need no weights.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from partimento.analysis.keys import estimate_key
from partimento.analysis.voice_leading import CHORAL_RANGES, faults, total_faults
from partimento.errors import MusicError
from partimento.generation.editing import kept_parts
from partimento.generation.result import Result
from partimento.music import Key, Note, Score, Timeline
from partimento.music.regions import open_cells
from partimento.music.timeline import strong_beats
from partimento.music.transform import crop
from partimento.runtime.contract import Request

__all__ = ["Ranked", "rank"]

_SEMITONES = (1, 11)  # seconds a semitone wide, major sevenths, minor ninths


@dataclass(frozen=True, eq=False)
class Ranked:
    """One of several alternatives.

    ``place`` is 1 for the best. ``measures`` are:

    - ``log_likelihood``, where the model provides it: nats per cell or token, higher is better;
    - ``faults``: faults of voice leading per 100 beats of the edited bars and their neighbours;
    - ``outside_key``: share of the new notes that are not of the key, in percent;
    - ``clashes``: share of the strong beats of those bars with a semitone, a major seventh or a
      minor ninth between two notes, in percent.
    """

    place: int
    result: Result
    measures: Mapping[str, float]
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class _Words:
    """The words for a measure: for the best, for the worst, and the format of the figure."""

    best: str
    worst: str
    figure: str
    is_higher_better: bool = False


def rank(
    results: Sequence[Result], request: Request, likelihoods: Sequence[float] | None = None
) -> list[Ranked]:
    """Return results of one request, the best first.

    Args:
        results: at least one, all of ``request``.
        request: of INFILL or ACCOMPANY.
        likelihoods: the mean log-likelihood of each in nats, where the model provides it.

    Raises:
        MusicError: if there are no results, or not one likelihood for each.
    """
    if not results or (likelihoods is not None and len(likelihoods) != len(results)):
        raise MusicError("ranking takes at least one result, and a likelihood for each or for none")
    key = _key_of(request)
    words = _words(key)
    table = [_measure(result.score, request, key) for result in results]
    if likelihoods is not None:
        for row, likelihood in zip(table, likelihoods, strict=True):
            row["log_likelihood"] = float(likelihood)
    names = [name for name in words if name in table[0]]
    places = np.zeros(len(results))
    for name in names:
        places += _places([row[name] for row in table], words[name].is_higher_better)
    # Among equals the likelier comes first, then the one that was made first.
    best = sorted(
        range(len(results)),
        key=lambda i: (round(float(places[i]), 6), -table[i].get("log_likelihood", 0.0), i),
    )
    return [
        Ranked(at, results[i], table[i], _reasons(table[i], table, names, words))
        for at, i in enumerate(best, 1)
    ]


def _words(key: Key | None) -> dict[str, _Words]:
    scale = f"outside {key}" if key is not None else "outside the key"
    return {
        "log_likelihood": _Words(
            "likeliest to the model",
            "least likely to the model",
            "{:.2f} nats",
            is_higher_better=True,
        ),
        "faults": _Words(
            "fewest voice-leading faults", "most voice-leading faults", "{:.1f} per 100 beats"
        ),
        "outside_key": _Words(f"fewest notes {scale}", f"most notes {scale}", "{:.0f} %"),
        "clashes": _Words(
            "fewest clashes on strong beats", "most clashes on strong beats", "{:.0f} %"
        ),
    }


def _reasons(
    row: Mapping[str, float],
    table: Sequence[Mapping[str, float]],
    names: Sequence[str],
    words: Mapping[str, _Words],
) -> tuple[str, ...]:
    """Return in words on which measures one alternative is best, then on which it is worst."""
    best: list[str] = []
    worst: list[str] = []
    for name in names:
        values = [other[name] for other in table]
        if min(values) == max(values):
            continue
        said = words[name]
        top, bottom = (max, min) if said.is_higher_better else (min, max)
        figure = said.figure.format(row[name])
        if row[name] == top(values):
            best.append(f"{said.best} ({figure})")
        elif row[name] == bottom(values):
            worst.append(f"{said.worst} ({figure})")
    found = tuple(best + worst)
    if found or len(table) == 1:
        return found
    return ("equal to the others" if _all_alike(table) else "neither best nor worst",)


def _all_alike(table: Sequence[Mapping[str, float]]) -> bool:
    return all(dict(row) == dict(table[0]) for row in table)


def _places(values: Sequence[float], is_higher_better: bool) -> npt.NDArray[np.float64]:
    """Return the rank (n,) of each value from 1; ties share their mean rank."""
    given = np.array(values, dtype=np.float64) * (-1.0 if is_higher_better else 1.0)
    before = (given[None, :] < given[:, None]).sum(axis=1)
    same = (given[None, :] == given[:, None]).sum(axis=1)
    out: npt.NDArray[np.float64] = 1.0 + before + (same - 1) / 2.0
    return out


def _key_of(request: Request) -> Key | None:
    """Return the key that was asked, or that of the kept notes, or of the prompt."""
    if request.promises.key is not None:
        return request.promises.key
    assert request.score is not None
    return estimate_key(kept_parts(request)) or estimate_key(request.score)


def _measure(score: Score, request: Request, key: Key | None) -> dict[str, float]:
    assert request.score is not None
    timeline = Timeline(request.score)
    cells = open_cells(
        len(timeline.bars), len(request.score.tracks), request.regions, request.locks
    )
    is_written: npt.NDArray[np.bool_] = np.any(cells, axis=1)
    beside = is_written.copy()
    beside[1:] |= is_written[:-1]
    beside[:-1] |= is_written[1:]
    spans = _runs(beside)
    # Voices are counted from high to low, whatever the order of the tracks.
    voices = score.with_tracks(sorted(score.tracks, key=lambda t: t.mean_pitch, reverse=True))
    parts = [
        crop(voices, timeline.bars[first].onset_ticks, timeline.bars[end - 1].end_ticks)
        for first, end in spans
    ]
    found = total_faults(faults(part, CHORAL_RANGES) for part in parts)
    measures = {"faults": found.per_100_beats["total"]}
    new = _new_notes(score, request)
    if key is not None and new:
        outside = sum(note.pitch % 12 not in key.pitch_classes for note in new)
        measures["outside_key"] = 100.0 * outside / len(new)
    else:
        measures["outside_key"] = 0.0
    beats = [
        bar.onset_ticks + beat
        for bar in timeline.bars
        if is_written[bar.index]
        for beat in strong_beats(bar.time_signature, score.ticks_per_quarter)
        if beat < bar.length_ticks
    ]
    clashes = sum(_clashes(sounding) for sounding in _sounding(score, beats))
    measures["clashes"] = 100.0 * clashes / len(beats) if beats else 0.0
    return measures


def _runs(marks: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return the (first, end) of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], marks.astype(np.int64), [0]])))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def _new_notes(score: Score, request: Request) -> list[Note]:
    new: list[Note] = []
    for track, kept in zip(score.tracks, kept_parts(request).tracks, strict=True):
        if not track.is_drum:
            new += (Counter(track.notes) - Counter(kept.notes)).elements()
    return new


def _sounding(score: Score, ticks: Sequence[int]) -> list[set[int]]:
    """Return the pitches that sound at each of the ascending ticks, drums left out."""
    out: list[set[int]] = [set() for _ in ticks]
    at = np.array(ticks, dtype=np.int64)
    for track in score.tracks:
        for note in () if track.is_drum else track.notes:
            first, end = np.searchsorted(at, (note.onset_ticks, note.end_ticks))
            for index in range(first, end):
                out[index].add(note.pitch)
    return out


def _clashes(pitches: set[int]) -> bool:
    return any(abs(a - b) % 12 in _SEMITONES for a in pitches for b in pitches)
