"""Promises on melody steps, whatever the logits are; and how a request becomes a melody."""

from __future__ import annotations

import numpy as np
import pytest

from partimento.errors import CannotBeMet, NotSupported
from partimento.metrics.adherence import adherence
from partimento.music import Note, Promises, Score, TimeSignature, Track, parse_chords, parse_key
from partimento.music.promises import PitchRange
from partimento.music.transform import join
from partimento.representations import MelodySteps, realiser_for
from partimento.representations.melody_steps import MelodyConstraint
from partimento.runtime.contract import Request

STEPS = MelodySteps()
WISHES = {
    "bars": Promises(bars=3),
    "metre": Promises(bars=3, time_signature=TimeSignature(0, 6, 8)),
    "key": Promises(bars=2, key=parse_key("F major")),
    "range": Promises(bars=2, ranges={"Melody": PitchRange(60, 72)}),
    "chords": Promises(bars=4, chords=parse_chords("Am F")),
    "silence": Promises(bars=4, max_silence_quarters=0.5),
    "one voice": Promises(bars=1, max_polyphony=1),
}


def melody(request: Request, seed: int) -> Score:
    """Return what tokens without any model give, rests being frequent."""
    draw = np.random.default_rng(seed)
    realiser = realiser_for(STEPS, request, {"defaults": {"tempo": 75.0}})
    constraint = realiser.constraint
    state = constraint.begin()
    for token in realiser.prompt().tolist():
        state = constraint.advance(state, token)
    state = constraint.after_prompt(state)
    tokens = []
    while not constraint.is_done(state):
        allowed = np.flatnonzero(constraint.allowed(state))
        rest = STEPS.rest_token in allowed and draw.random() < 0.5
        tokens.append(int(STEPS.rest_token if rest else draw.choice(allowed)))
        assert constraint.written(state, tokens[-1]) == tokens[-1]
        state = constraint.advance(state, tokens[-1])
    return join(list(realiser.pieces(iter(tokens))))


@pytest.mark.parametrize("wish", list(WISHES))
def test_promises_are_kept(wish: str) -> None:
    for seed in range(20):
        whole = melody(Request(promises=WISHES[wish]), seed)
        kept = adherence(whole, WISHES[wish])
        assert kept.kept, kept.violations
    assert whole.tempos[0].quarters_per_minute == 75


def test_a_prompt_is_filled_up_to_its_bar() -> None:
    prompt = Score((Track("Melody", (Note(0, 60, 480, 80),)),))
    realiser = realiser_for(STEPS, Request(promises=Promises(bars=1), prompts=(prompt,)), {})
    assert realiser.prompt().tolist() == [39, 39] + [STEPS.rest_token] * 6
    assert melody(Request(promises=Promises(bars=2), prompts=(prompt,)), 0).length_ticks == 2 * 1920


def test_what_cannot_be() -> None:
    with pytest.raises(CannotBeMet, match="Melody has no promised pitch"):
        MelodyConstraint(STEPS, Promises(ranges={"*": PitchRange(0, 20)}))
    with pytest.raises(NotSupported, match="no track is called 'Bass'"):
        MelodyConstraint(STEPS, Promises(ranges={"Bass": PitchRange(40, 60)}))
    with pytest.raises(NotSupported, match="bars of 4/4, not 3/4"):
        MelodyConstraint(STEPS, Promises(time_signature=TimeSignature(0, 3, 4)))
    with pytest.raises(NotSupported, match="no whole number of steps"):
        STEPS.with_metre(TimeSignature(0, 5, 16))


def test_steps_as_words_and_the_walk() -> None:
    assert STEPS.text([51, 88, 0]) == "PITCH_72 REST PITCH_21"
    walk = STEPS.walk()
    walk.push(3)
    assert walk.features() == ()
