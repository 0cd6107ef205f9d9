"""From requests to tokens and back to pieces, without any network."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from partimento.errors import NotSupported
from partimento.metrics.adherence import adherence
from partimento.music import Promises, Score, Tempo, Timeline, TimeSignature, parse_key
from partimento.music.promises import PitchRange
from partimento.music.transform import join
from partimento.representations import (
    BarEvents,
    Countdown,
    FourVoiceGrid,
    PerformanceEvents,
    Realiser,
    realiser_for,
)
from partimento.representations.track_grid import GridTrack, TrackGrid
from partimento.runtime.contract import Request
from partimento.samplers import Pick
from partimento.samplers.autoregressive import sample

from support.tiny_models import chorale, song

WALTZ, COMMON = TimeSignature(0, 3, 4), TimeSignature(0, 4, 4)
GRID, BARS, PLAYED = FourVoiceGrid(60, 66), BarEvents(), PerformanceEvents()
FORMS = [GRID, BARS, PLAYED, Countdown(GRID, 4), Countdown(BARS, 4)]


class Anything:
    """A decoder that likes every token as well as any other, notes above all."""

    def __init__(self, size: int, seed: int) -> None:
        self.vocabulary_size = size
        self.draw = np.random.default_rng(seed)

    def begin(self, batch: int) -> None:
        return None

    def append(self, state: None, tokens: Any) -> tuple[Any, None]:
        return self.draw.normal(0, 2, size=(len(tokens), self.vocabulary_size)), None


def tokens_of(realiser: Realiser, seed: int) -> Iterator[int]:
    decoder = Anything(realiser.representation.vocabulary.size, seed)
    rng = np.random.default_rng(seed)
    prompt = realiser.prompt().tolist()
    return sample(decoder, Pick(), realiser.constraint, rng, prompt)


def pieces(form: Any, request: Request, seed: int = 0, **config: Any) -> list[Score]:
    realiser = realiser_for(form, request, config)
    return list(realiser.pieces(tokens_of(realiser, seed)))


@pytest.mark.parametrize("form", FORMS, ids=lambda form: type(form).__name__)
@pytest.mark.parametrize("tempo", [None, 97.3, 200.0])
def test_bars_are_counted_exactly(form: Any, tempo: float | None) -> None:
    for seed in range(3):
        for metre in (COMMON, WALTZ):
            promises = Promises(bars=3, time_signature=metre)
            request = Request(promises=promises, tempo_quarters_per_minute=tempo)
            made = pieces(form, request, seed)
            bar = int(metre.quarters_per_bar * made[0].ticks_per_quarter)
            assert [piece.written_length_ticks for piece in made] == [bar] * 3
            whole = join(made)
            assert adherence(whole, promises).kept
            assert len(Timeline(whole).bars) == 3
            if tempo is not None:
                assert whole.tempos == (Tempo(0, tempo),)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: type(form).__name__)
def test_promises_hold_whatever_the_network_likes(form: Any) -> None:
    promises = Promises(
        bars=4,
        key=parse_key("G major"),
        ranges={"*": PitchRange(60, 66)},
        max_polyphony=2,
        max_silence_quarters=2.0,
    )
    for seed in range(3):
        whole = join(pieces(form, Request(promises=promises), seed))
        kept = adherence(whole, promises)
        assert kept.kept, kept.violations
        assert whole.notes
        assert [str(each.key) for each in whole.key_signatures] == ["G major"]


@pytest.mark.parametrize("tempo", [60.0, 97.3, 120.0])
def test_played_bars_are_the_decoded_notes(tempo: float) -> None:
    """What is yielded bar by bar is, in seconds, what the representation decodes at once."""
    promises = Promises(bars=4)
    request = Request(promises=promises, tempo_quarters_per_minute=tempo)
    for seed in range(3):
        realiser = realiser_for(PLAYED, request, {})
        tokens = list(tokens_of(realiser, seed))
        whole = join(realiser.pieces(iter(tokens)))
        decoded = PLAYED.decode(np.array(tokens))
        quarter = Fraction(tempo) / 60
        wanted = [
            (
                float(quarter * n.onset_ticks / 1000),
                n.pitch,
                float(quarter * n.end_ticks / 1000),
                n.velocity,
            )
            for n in decoded.notes
        ]
        found = [(n.onset_ticks / 480, n.pitch, n.end_ticks / 480, n.velocity) for n in whole.notes]
        assert len(found) == len(wanted) > 0
        for mine, theirs in zip(sorted(found), sorted(wanted), strict=True):
            assert mine[1::2] == theirs[1::2]
            assert mine[::2] == pytest.approx(theirs[::2], abs=0.6 / 480)


def test_a_played_bar_waits_for_its_own_notes_only() -> None:
    """At 120 a bar of 4/4 lasts 200 steps; one note holds over the second bar line."""
    words = PLAYED.vocabulary.first
    on, off = words("note_on"), words("note_off")
    second = [words("time_shift") + 99]
    loud = words("velocity") + 10
    events = [loud, on + 60, *second, off + 60, on + 62, *second, *second, off + 62, on + 64,
              *second, off + 64]  # fmt: skip
    request = Request(promises=Promises(bars=2))
    realiser = realiser_for(PLAYED, request, {})
    given = 0
    heard: list[tuple[int, Score]] = []

    def told() -> Iterator[int]:
        nonlocal given
        for token in events:
            given += 1
            yield token

    for piece in realiser.pieces(told()):
        heard.append((given, piece))
    first, second_bar = (piece for _, piece in heard)
    assert [at for at, _ in heard] == [8, 11]  # at the off that ends the first bar's last note
    assert [(n.onset_ticks, n.pitch, n.duration_ticks) for n in first.notes] == [
        (0, 60, 960),
        (960, 62, 1920),
    ]
    assert [(n.onset_ticks, n.pitch, n.duration_ticks) for n in second_bar.notes] == [
        (960, 64, 960)
    ]
    assert {n.velocity for n in (*first.notes, *second_bar.notes)} == {42}


@pytest.mark.parametrize("form", FORMS, ids=lambda form: type(form).__name__)
def test_continuing_adds_bars_to_a_prompt(form: Any) -> None:
    is_grid = isinstance(getattr(form, "base", form), FourVoiceGrid)
    prompt = chorale(0, bars=2) if is_grid else song(0, bars=2)
    request = Request(promises=Promises(bars=2), prompts=(prompt,))
    realiser = realiser_for(form, request, {})
    tokens = realiser.prompt()
    assert len(tokens) > 0
    end = form.end_token
    assert end not in tokens.tolist()
    if isinstance(form, Countdown):
        representation = realiser.representation
        assert isinstance(representation, Countdown)
        assert representation.total == 4
    made = list(realiser.pieces(tokens_of(realiser, 1)))
    assert len(made) == 2
    assert {piece.written_length_ticks for piece in made} == {4 * made[0].ticks_per_quarter}


def test_the_prompt_rules_metre_and_tempo() -> None:
    prompt = Score(song(0).tracks, tempos=(Tempo(0, 60), Tempo(960, 66)), time_signatures=(WALTZ,))
    for form in (BARS, PLAYED):
        made = pieces(form, Request(promises=Promises(bars=1), prompts=(prompt,)))
        assert made[0].tempos == (Tempo(0, 66),)
        assert made[0].time_signatures[0] == WALTZ


def test_a_short_grid_prompt_is_filled_to_its_bar_line() -> None:
    short = GRID.decode(GRID.encode(chorale(0))[: 4 * 10])
    tokens = realiser_for(GRID, Request(promises=Promises(bars=1), prompts=(short,)), {}).prompt()
    assert len(tokens) == 64
    assert (tokens[40:] == GRID.rest_token).all()


def test_the_models_own_tempo_is_the_default() -> None:
    made = pieces(GRID, Request(promises=Promises(bars=1)), defaults={"tempo": 84})
    assert made[0].tempos == (Tempo(0, 84),)


def test_endless_streams_go_on() -> None:
    for form in FORMS:
        realiser = realiser_for(form, Request(endless=True), {})
        stream = realiser.pieces(tokens_of(realiser, 0))
        for _ in range(3):
            assert next(stream).written_length_ticks > 0


def test_what_no_representation_can_do() -> None:
    with pytest.raises(NotSupported, match=r"1\.\.16 sixteenths"):
        realiser_for(GRID, Request(promises=Promises(1, TimeSignature(0, 5, 4))), {})
    grid = TrackGrid([GridTrack("Piano")])
    with pytest.raises(NotSupported, match="track_grid is not played token by token"):
        realiser_for(grid, Request(), {})  # type: ignore[arg-type]
