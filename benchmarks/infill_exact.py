"""500 random regions of real files written anew: does all else come back as it was?

A hundred regions each in five corpora: JSB chorales, OpenScore quartets, OpenScore Lieder (voice
and piano), Nottingham (tunes and chords), OpenEWLD (lead sheets). 25 pieces of each, up to 48 bars
of them, are written to files, every second one as MusicXML and the others as MIDI. Four times, one
to four bars of one to four random tracks are written anew from that file, in ``--steps`` (4)
steps, few since what is measured is what is kept; and the saved answer is read again and held
against the input as read.

``kept`` counts the trials in which every note that starts outside the region (onset, pitch,
duration, velocity), every syllable and pedal there, tempo map, metre, keys, chord symbols, and the
tracks' names, programs, levels and places are the same, the input file too byte for byte, and the
region has notes. ``differences`` says in how many trials which of these was not.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.getmusic_table import MODEL
from benchmarks.harness import Options, say, start
from partimento import api, seeds
from partimento.errors import PartimentoError
from partimento.files import open_corpus
from partimento.music import Score, Timeline
from partimento.music.transform import crop

CORPORA = (
    "jsb_chorales",
    "openscore_quartets",
    "openscore_lieder",
    "nottingham",
    "openewld_pd",
)
PIECES = 25  # of each corpus
REGIONS = 4  # of each piece
LONGEST_BARS = 48
MOST_BARS = 4
MOST_TRACKS = 4
STEPS = 4


def pieces(corpus: str, count: int, rng: np.random.Generator) -> Iterator[Score]:
    """Yield pieces in random order, some again where there are fewer than ``count``."""
    items = open_corpus(corpus).items
    found = 0
    while found < count:
        for place in rng.permutation(len(items)).tolist():
            try:
                piece = items[place].load()
            except PartimentoError:
                continue
            pitched = isinstance(piece, Score) and any(
                t.notes for t in piece.tracks if not t.is_drum
            )
            if isinstance(piece, Score) and pitched:
                found += 1
                yield piece
            if found == count:
                return


def region(score: Score, rng: np.random.Generator) -> tuple[int, int, list[int]]:
    """Return a random (first bar, end, tracks) from 0."""
    bars = len(Timeline(score).bars)
    length = int(rng.integers(1, min(MOST_BARS, bars) + 1))
    first = int(rng.integers(0, bars - length + 1))
    able = [i for i, track in enumerate(score.tracks) if track.notes and not track.is_drum]
    count = int(rng.integers(1, min(MOST_TRACKS, len(able)) + 1))
    return first, first + length, sorted(rng.choice(able, count, replace=False).tolist())


def outside(score: Score, kind: str, span: tuple[int, int], tracks: list[int]) -> list[Any]:
    """Return the notes, lyrics or pedals of each track that start outside the region."""
    return [
        [
            event
            for event in getattr(track, kind)
            if i not in tracks or not span[0] <= event.onset_ticks < span[1]
        ]
        for i, track in enumerate(score.tracks)
    ]


def differences(before: Score, after: Score, first: int, end: int, tracks: list[int]) -> list[str]:
    """Return what was changed outside the region, and ``"empty"`` if nothing is inside."""
    bars = Timeline(before).bars
    span = bars[first].onset_ticks, bars[end - 1].end_ticks
    found = [
        name
        for name in ("ticks_per_quarter", "tempos", "time_signatures", "key_signatures", "chords")
        if getattr(before, name) != getattr(after, name)
    ]
    if len(before.tracks) != len(after.tracks):
        return [*found, "tracks"]
    pairs = list(zip(before.tracks, after.tracks, strict=True))
    for name in ("name", "program", "is_drum", "volume", "pan"):
        if any(getattr(a, name) != getattr(b, name) for a, b in pairs):
            found.append(name)
    for kind in ("notes", "lyrics", "pedals"):
        if outside(before, kind, span, tracks) != outside(after, kind, span, tracks):
            found.append(kind)
    if sum(len(t.notes) for t in after.tracks) == sum(
        map(len, outside(after, "notes", span, tracks))
    ):
        found.append("empty")
    return found


def excerpt(piece: Score, rng: np.random.Generator) -> Score:
    """Return at most 48 bars of a piece, some of which have notes."""
    bars = Timeline(piece).bars
    if len(bars) <= LONGEST_BARS:
        return piece
    first = int(rng.integers(0, len(bars) - LONGEST_BARS))
    cut = crop(piece, bars[first].onset_ticks, bars[first + LONGEST_BARS - 1].end_ticks)
    return cut if any(t.notes for t in cut.tracks if not t.is_drum) else excerpt(piece, rng)


@dataclass
class Tally:
    """What came of the trials so far."""

    kept: int = 0
    tried: int = 0
    faults: Counter[str] = field(default_factory=Counter)


def try_piece(
    instrument: Any, piece: Score, given: Path, tally: Tally, controls: dict[str, Any]
) -> None:
    """Write a piece's regions anew, one after another, each from its file as it is."""
    answer = given.with_stem("answer")
    api.write(piece, given)
    content, before = given.read_bytes(), api.read_score(given)
    for _ in range(REGIONS):
        first, end, tracks = region(before, seeds.generator(tally.tried))
        asked = {"bars": f"{first + 1}:{end}", "tracks": [str(i + 1) for i in tracks]}
        try:
            made = instrument.infill(given, seed=tally.tried, **asked, **controls)
            made.save(answer)
            found = differences(before, api.read_score(answer), first, end, tracks)
        except PartimentoError as error:
            found = [f"refused ({error})"]
        if given.read_bytes() != content:
            found.append("input file")
        if found:
            say(f"trial {tally.tried}: {piece.title!r}, {given.suffix}, {asked}: {found}")
        tally.tried += 1
        tally.kept += not found
        tally.faults.update(text.partition(" (")[0] for text in found)


def run(options: Options) -> dict[str, Any]:
    """Try every corpus."""
    instrument = api.load(options.more.get("model") or MODEL)
    controls = {"steps": int(options.more.get("steps") or STEPS)}
    tally = Tally()
    kept_by_corpus: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        for corpus in CORPORA:
            rng, kept = seeds.generator(len(kept_by_corpus)), tally.kept
            for number, piece in enumerate(pieces(corpus, 2 if options.quick else PIECES, rng)):
                given = Path(folder) / f"given{'.musicxml' if number % 2 else '.mid'}"
                try_piece(instrument, excerpt(piece, rng), given, tally, controls)
            kept_by_corpus[corpus] = tally.kept - kept
            say(f"{corpus}: {kept_by_corpus[corpus]} kept")
    return {
        "kept": tally.kept,
        "tried": tally.tried,
        **kept_by_corpus,
        "differences": dict(tally.faults),
    }


if __name__ == "__main__":
    start(
        __doc__,
        run,
        {"kept": lambda kept: kept == len(CORPORA) * PIECES * REGIONS},
        {"model": "the model that plays: a name or a folder", "steps": "steps of the sampler"},
    )
