"""What a grid model promises is kept for any logits, or refused, over dice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from partimento.errors import CannotBeMet, ModelError, NotSupported
from partimento.metrics.adherence import adherence
from partimento.music import (
    Note,
    PitchRange,
    Promises,
    TimeSignature,
    parse_chords,
    parse_key,
)
from partimento.music.regions import Region
from partimento.music.transform import join
from partimento.runtime.contract import Controls, Request, Task
from partimento.runtime.grids.performer import GridControls, GridPerformer

from support.grid_doubles import (
    CHOIR,
    QUICK,
    Dice,
    infill,
    performer,
    piece,
    played,
    rewritten,
    rng,
)

CHORDS = parse_chords("G C D7 Em")
PROMISES = [
    Promises(key=parse_key("G major")),
    Promises(ranges={"Soprano": PitchRange(60, 64), "*": PitchRange(40, 70)}),
    Promises(chords=CHORDS),
    Promises(max_polyphony=1),
    Promises(max_polyphony=2, chords=CHORDS),
    Promises(max_silence_quarters=0.0),
    Promises(max_silence_quarters=1.5, max_polyphony=2, key=parse_key("E minor")),
    Promises(
        key=parse_key("G major"),
        chords=CHORDS,
        ranges={"*": PitchRange(55, 67)},
        max_polyphony=3,
        max_silence_quarters=0.5,
    ),
]


METRES = ("4/4", "3/4", "5/8", "12/8", "17/16", "4/16", "12/64")


@pytest.mark.parametrize("which", range(len(PROMISES)))
def test_promises_are_kept_for_any_logits(which: int) -> None:
    promises = PROMISES[which]
    for seed, rest in enumerate((-3.0, 3.0, 40.0)):
        metre = METRES[(which + 3 * seed) % len(METRES)]
        signature = TimeSignature(0, *map(int, metre.split("/")))
        asked = replace(promises, bars=7, time_signature=signature)
        player, _ = performer(window=96, rest=rest)
        score = played(player, asked, seed, refinements=seed % 2)
        found = adherence(score, asked)
        assert found.kept, found.violations
        assert score.notes
        if asked.max_polyphony is None:
            assert all(track.notes for track in score.tracks)


def test_outer_voices_stay_under_a_limit_and_none_is_empty() -> None:
    for most in (1, 2, 3):
        player, _ = performer(rest=-1.0)
        score = played(player, Promises(bars=8, max_polyphony=most), most)
        counts = [len(track.notes) for track in score.tracks]
        assert min(counts) > 0, counts
        inner = counts[1] + counts[2]
        assert counts[0] > inner if most < 3 else counts[0] + counts[3] > inner


@pytest.mark.parametrize("order", ["confidence", "ancestral"])
def test_promises_are_kept_after_a_prompt(order: str) -> None:
    asked = replace(PROMISES[-1], bars=5)
    for seed, rest in enumerate((-3.0, 40.0)):
        player, _ = performer(window=96, rest=rest)
        request = Request(Task.CONTINUE, asked, (piece(9),))
        settings = GridControls(steps=3, order=order)  # type: ignore[arg-type]
        score = join(player.stream(request, settings, rng(seed)))  # type: ignore[arg-type]
        found = adherence(score, asked)
        assert found.kept, found.violations


@pytest.mark.parametrize("promises", PROMISES[:5], ids=lambda p: str(PROMISES.index(p)))
def test_new_notes_in_a_piece_keep_the_promises(promises: Promises) -> None:
    """Kept notes sound off the grid; what is judged is what is new, and all that sounds at once."""
    kept = tuple(Note(170 * i, 60 + i % 3, 150, 70) for i in range(60))
    region = Region(1, 5, frozenset({0, 1, 2}))
    for seed, rest in enumerate((-3.0, 40.0)):
        prompt = piece(6).with_tracks(
            (*piece(6).tracks[:3], replace(piece(6).tracks[3], notes=kept))
        )
        most = promises.max_polyphony
        asked = replace(promises, max_polyphony=None if most is None else most + 1)
        player, _ = performer(window=96, rest=rest)
        result = rewritten(player, infill(prompt, region, promises=asked), seed)
        new = result.with_tracks(
            replace(t, notes=tuple(n for n in t.notes if 1920 <= n.onset_ticks < 9600))
            if i < 3
            else replace(t, notes=())
            for i, t in enumerate(result.tracks)
        )
        assert adherence(new, replace(asked, max_polyphony=None)).kept
        if most is not None:
            inside = result.with_tracks(
                replace(t, notes=tuple(n for n in t.notes if 1920 <= n.onset_ticks < 9600))
                for t in result.tracks
            )
            assert adherence(inside, Promises(max_polyphony=most + 1)).kept


def test_kept_notes_that_leave_no_room_are_refused() -> None:
    player, _ = performer()
    request = infill(piece(4), Region(0, 2, frozenset({0})), promises=Promises(max_polyphony=2))
    with pytest.raises(CannotBeMet, match="kept 3 sound at once in bar 1"):
        player.stream(request, QUICK, rng())
    request = infill(piece(4), Region(0, 2, frozenset({0})), promises=Promises(max_polyphony=3))
    with pytest.raises(CannotBeMet, match="no room"):
        player.stream(request, QUICK, rng())


# --- refusals ---


@pytest.mark.parametrize(
    ("request_", "controls", "says"),
    [
        (Request(Task.GENERATE), GridControls(), "no notion of an end"),
        (Request(Task.INTERPOLATE, Promises(bars=1)), GridControls(), "accompany, continue"),
        (Request(Task.GENERATE, Promises(bars=1)), Controls(), "steps"),
        (
            Request(Task.GENERATE, Promises(bars=1, ranges={"Tuba": PitchRange(1, 9)})),
            GridControls(),
            "Tuba",
        ),
        (
            Request(Task.GENERATE, Promises(bars=1, time_signature=TimeSignature(0, 64, 1))),
            GridControls(),
            "64/1 takes 1024 columns",
        ),
        (Request(Task.INFILL, Promises()), GridControls(), "needs a prompt"),
    ],
)
def test_what_cannot_be_served_is_refused(request_: Request, controls: Controls, says: str) -> None:
    player, _ = performer()
    with pytest.raises(NotSupported, match=says):
        player.stream(request_, controls, rng())


def test_an_ensemble_that_was_not_learnt_is_refused() -> None:
    network = {"kind": "grid", "window": 160, "ensembles": ["band"]}
    player, _ = performer(network=network)
    with pytest.raises(NotSupported, match="it knows: band"):
        played(player, Promises(bars=1), ensemble="strings")
    assert played(player, Promises(bars=1)).notes


def test_controls_have_bounds() -> None:
    for wrong in ({"steps": 0}, {"steps": 101}, {"order": "any"}, {"ensemble": "band"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            GridControls.model_validate(wrong)


def test_a_graph_that_breaks_is_told_in_one_line() -> None:
    class Broken(Dice):
        def run(self, names: Any, feed: Any) -> Any:
            raise RuntimeError("Invalid rank\nfor input: cells")

    player = GridPerformer(Broken(CHOIR), CHOIR, performer()[0].config)
    with pytest.raises(ModelError, match="Invalid rank\\); install"):
        played(player, Promises(bars=1))
