"""Pieces close with the cadence that was asked, whatever the logits are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from partimento.analysis.cadences import closing_of
from partimento.analysis.keys import estimate_key, keys_of
from partimento.errors import CannotBeMet
from partimento.music import Key, Promises, Score, TimeSignature, parse_key
from partimento.music.cadences import CADENCES
from partimento.music.promises import parse_range
from partimento.representations.bar_events import BarClosing, BarEventConstraint, BarEvents
from partimento.representations.four_voice_grid import GridClosing, GridConstraint
from partimento.representations.four_voice_grid.tokens import FourVoiceGrid
from partimento.samplers import Pick
from partimento.samplers.closing import sample_closing

METRES = ((4, 4), (3, 4), (6, 8), (2, 4))


class Noise:
    """A decoder of random logits; its state counts the tokens of each stream."""

    def __init__(self, vocabulary_size: int) -> None:
        self.vocabulary_size = vocabulary_size

    def begin(self, batch: int) -> tuple[int, int]:
        return batch, 0

    def append(self, state: tuple[int, int], tokens: Any) -> tuple[Any, tuple[int, int]]:
        batch, count = state
        count += tokens.shape[1]
        rng = np.random.default_rng([count, batch])
        logits = rng.normal(size=(batch, self.vocabulary_size)).astype(np.float32)
        return logits, (batch, count)

    def fork(self, state: tuple[int, int], count: int) -> tuple[int, int]:
        return count, state[1]


def grid_piece(promises: Promises, seed: int, prompt: tuple[int, ...] = ()) -> Score:
    grid = FourVoiceGrid().with_metre(promises.time_signature)
    constraint = GridClosing(
        GridConstraint(grid, promises), grid, promises.bars, promises.ending, promises.key
    )
    rng = np.random.default_rng(seed)
    noise = Noise(grid.vocabulary.size)
    return grid.decode([*prompt, *sample_closing(noise, Pick(), constraint, rng, prompt)])


def bar_piece(promises: Promises, seed: int) -> Score:
    events = BarEvents()
    base = BarEventConstraint(events, promises, tempo_bin=10, instruments=(0,))
    constraint = BarClosing(base, events, promises.bars, promises.ending, promises.key)
    rng = np.random.default_rng(seed)
    tokens = sample_closing(Noise(events.vocabulary.size), Pick(), constraint, rng)
    return events.decode(np.array(list(tokens)))


@pytest.mark.parametrize("make", [grid_piece, bar_piece])
@pytest.mark.parametrize("kind", CADENCES)
@pytest.mark.parametrize("metre", METRES)
def test_a_piece_closes_as_asked(make, kind, metre):
    for seed, bars in enumerate((1, 2, 3, 5)):
        for key in (parse_key("Eb"), parse_key("F# minor")):
            promises = Promises(
                bars=bars, time_signature=TimeSignature(0, *metre), key=key, ending=kind
            )
            made = make(promises, seed)
            assert made.length_ticks == bars * int(4 * metre[0] / metre[1] * 480)
            found = closing_of(made, key)
            assert found.kind == kind, (seed, bars, key)
            assert found.bass == (key.tonic + (7 if kind == "half" else 0)) % 12


@pytest.mark.parametrize("make", [grid_piece, bar_piece])
def test_without_a_key_the_piece_closes_in_the_key_that_is_heard(make):
    for seed in range(4):
        promises = Promises(bars=4, time_signature=TimeSignature(0, 4, 4), ending="authentic")
        made = make(promises, seed)
        key = estimate_key(made)
        assert key is not None
        assert closing_of(made, key).kind == "authentic"


def test_the_key_of_a_prompt_counts():
    grid = FourVoiceGrid().with_metre(TimeSignature(0, 4, 4))
    scale = [62, 66, 69, 62, 67, 69, 62, 74]  # D major
    prompt = tuple(pitch - 36 for pitch in scale for _ in range(32))
    promises = Promises(bars=1, time_signature=TimeSignature(0, 4, 4), ending="authentic")
    made = grid_piece(promises, 0, prompt)
    assert grid.bar_count(grid.encode(made)) == 5
    assert closing_of(made, Key(2)).kind == "authentic"


def test_promises_come_before_the_cadence():
    span = {"*": parse_range("C3-C5")[1]}
    promises = Promises(
        bars=2,
        time_signature=TimeSignature(0, 4, 4),
        ranges=span,
        max_polyphony=2,
        ending="authentic",
    )
    made = grid_piece(promises, 1)
    assert all(48 <= note.pitch <= 72 for note in made.notes)
    ticks = range(0, made.length_ticks, 120)
    assert max(sum(n.onset_ticks <= tick < n.end_ticks for n in made.notes) for tick in ticks) <= 2


@pytest.mark.parametrize(
    ("make", "span", "most"),
    [(bar_piece, "36-50", None), (grid_piece, "48-62", None), (grid_piece, "C2-C6", 2),
     (grid_piece, "C2-C6", 3)],
)  # fmt: skip
@pytest.mark.parametrize("kind", CADENCES)
def test_narrow_requests_close_too(make, span, most, kind):
    for seed in range(6):
        promises = Promises(
            bars=2,
            time_signature=TimeSignature(0, 4, 4),
            ranges={"*": parse_range(span)[1]},
            max_polyphony=most,
            ending=kind,
        )
        made = make(promises, seed)
        kinds = [closing_of(made, key).kind for key in keys_of(made)]
        assert kind in kinds, seed


def test_a_piece_that_cannot_close_is_refused():
    with pytest.raises(CannotBeMet, match="no ending was found"):
        grid_piece(
            Promises(
                bars=2,
                time_signature=TimeSignature(0, 4, 4),
                ranges={"*": parse_range("60-62")[1]},
                ending="authentic",
            ),
            1,
        )
