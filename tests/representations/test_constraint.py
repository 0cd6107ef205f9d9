"""Every promise is kept for any logits whatever, and no constraint runs into a dead end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from partimento.errors import CannotBeMet, NotSupported, PartimentoError
from partimento.music import (
    Chord,
    Key,
    PitchRange,
    Promises,
    Score,
    TimeSignature,
    parse_chords,
    parse_key,
)
from partimento.music.timeline import strong_beats
from partimento.representations import Constraint
from partimento.representations.bar_events import (
    DRUMS,
    METRES,
    TEMPOS,
    BarEventConstraint,
    BarEvents,
)
from partimento.representations.four_voice_grid import VOICES, FourVoiceGrid, GridConstraint
from partimento.representations.performance_events import PerformanceConstraint, PerformanceEvents
from partimento.samplers import Pick

BAR_EVENTS = BarEvents()
PERFORMANCE = PerformanceEvents()
GRID_METRES = ((4, 4), (3, 4), (6, 8), (2, 2), (5, 8), (2, 4), (1, 16))
MOODS = ("random", "stubborn", "forbidden", "inf", "flat")


# --- an independent checker ---


def broken(
    score: Score,
    promises: Promises,
    metre: TimeSignature | None = None,
    quarter_ticks: float | None = None,
    is_whole: bool = True,
) -> list[str]:
    """Return the names of the promises that a score breaks."""
    quarter = score.ticks_per_quarter if quarter_ticks is None else quarter_ticks
    metre = promises.time_signature or metre or score.time_signatures[0]
    bar_ticks = float(metre.quarters_per_bar) * quarter
    pitched = [(t.name, n) for t in score.tracks if not t.is_drum for n in t.notes]
    spans = [(n.onset_ticks, n.end_ticks) for t in score.tracks for n in t.notes]
    out = []
    if promises.bars is not None:
        if abs(score.length_ticks - promises.bars * bar_ticks) >= (
            0.5 if not quarter_ticks else 10
        ):
            out.append("bars")
        if any(end > score.written_length_ticks for _, end in spans):
            out.append("end")
    metres = {str(change) for change in score.time_signatures}
    if promises.time_signature and not quarter_ticks and metres != {str(metre)}:
        out.append("metre")
    if promises.key and any(n.pitch % 12 not in promises.key.pitch_classes for _, n in pitched):
        out.append("key")
    if any(n.pitch not in promises.range_of(name) for name, n in pitched):
        out.append("range")
    if promises.max_polyphony is not None:
        changes = sorted([(end, -1) for _, end in spans] + [(start, 1) for start, _ in spans])
        heights = np.cumsum([change for _, change in changes] or [0])
        if heights.max() > promises.max_polyphony:
            out.append("polyphony")
    if promises.chords:
        for bar in range(int(score.length_ticks // bar_ticks) + 1):
            tones = promises.chord_of_bar(bar).pitch_classes
            for beat in strong_beats(metre, score.ticks_per_quarter):
                at = bar * bar_ticks + beat
                sounding = {n.pitch % 12 for _, n in pitched if n.onset_ticks <= at < n.end_ticks}
                if sounding - tones:
                    out.append("chords")
    if promises.max_silence_quarters is not None and is_whole:
        covered, longest = 0, 0
        for start, end in sorted([*spans, (score.length_ticks, score.length_ticks)]):
            longest = max(longest, start - covered)
            covered = max(covered, end)
        if longest > promises.max_silence_quarters * quarter + 1e-6:
            out.append("silence")
    return out


# --- random promises, adversarial logits ---


def some_promises(
    rng: np.random.Generator, metres: tuple[tuple[int, int], ...], names: tuple[str, ...] = ()
) -> Promises:
    """Return promises of every kind in a random mixture that is not refused."""
    while True:
        key = Key(int(rng.integers(-6, 7)), bool(rng.integers(2))) if rng.random() < 0.5 else None
        qualities = ("", "m", "7", "dim", "sus4", "5", "m7")
        chords = [Chord(int(rng.integers(12)), str(rng.choice(qualities))) for _ in range(40)]
        if key is not None:
            chords = [c for c in chords if c.pitch_classes <= key.pitch_classes]
        ranges = {}
        for name in ("*", *names):
            if rng.random() < 0.35:
                low = int(rng.integers(40, 66))
                ranges[name] = PitchRange(low, low + int(rng.integers(2, 30)))
        try:
            return Promises(
                bars=int(rng.integers(1, 4)) if rng.random() < 0.8 else None,
                time_signature=TimeSignature(0, *metres[rng.integers(len(metres))])
                if rng.random() < 0.6
                else None,
                key=key,
                ranges=ranges,
                max_polyphony=int(rng.integers(1, 6)) if rng.random() < 0.5 else None,
                chords=tuple(chords[: rng.integers(1, 5)]) if rng.random() < 0.5 else (),
                max_silence_quarters=float(rng.choice([0, 0.25, 0.5, 1, 3]))
                if rng.random() < 0.6
                else None,
            )
        except CannotBeMet:
            continue


def logits_of(
    mood: str, mask: np.ndarray, fixed: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return logits of a model that is random, of one mind, or bent on breaking promises."""
    if mood == "stubborn":
        return fixed
    if mood == "forbidden":
        return np.where(mask, rng.normal(size=len(mask)), 1e30).astype(np.float32)
    if mood == "inf":
        return np.where(mask, -np.inf, np.inf).astype(np.float32)
    if mood == "flat":
        return np.zeros(len(mask), dtype=np.float32)
    return rng.normal(scale=3.0, size=len(mask)).astype(np.float32)


def walk(
    constraint: Constraint[Any],
    rng: np.random.Generator,
    mood: str,
    state: Any = None,
    limit: int = 1200,
    prefer: slice | None = None,
) -> tuple[list[int], bool]:
    """Return the tokens of one stream and whether it came to its end."""
    state = constraint.begin() if state is None else state
    pick = Pick(temperature=1.0, top_p=float(rng.choice([1.0, 0.9])))
    fixed = rng.normal(scale=40.0, size=len(constraint.allowed(state))).astype(np.float32)
    tokens: list[int] = []
    while not constraint.is_done(state) and len(tokens) < limit:
        mask = constraint.allowed(state)
        assert mask.any(), (tokens, state)
        logits = logits_of(mood, mask, fixed, rng)
        if prefer is not None:
            logits = logits.copy()
            logits[prefer] += 3.0
        token = pick(logits, mask, rng)
        assert mask[token]
        token = constraint.written(state, token)
        tokens.append(token)
        state = constraint.advance(state, token)
    return tokens, constraint.is_done(state)


# --- the grid ---


@pytest.mark.parametrize("seed", range(60))
def test_grid_keeps_every_promise(seed: int) -> None:
    rng = np.random.default_rng([1, seed])
    while True:
        promises = some_promises(rng, GRID_METRES, VOICES)
        grid = FourVoiceGrid()
        if promises.time_signature is not None:
            grid = grid.with_metre(promises.time_signature)
        try:
            constraint = GridConstraint(grid, promises)
            break
        except CannotBeMet:
            continue
    rest = slice(grid.rest_token, grid.rest_token + 1) if seed % 2 else None
    tokens, is_done = walk(constraint, rng, MOODS[seed % 5], limit=512, prefer=rest)
    assert is_done == (promises.bars is not None)
    if promises.bars is not None:
        assert len(tokens) == promises.bars * grid.steps_per_bar * 4
    assert grid.start_token not in tokens
    assert broken(grid.decode(tokens), promises) == []


def test_grid_goes_on_after_a_prompt() -> None:
    rng = np.random.default_rng(2)
    promises = Promises(bars=2, key=parse_key("G"), chords=parse_chords("G D"), max_polyphony=2)
    grid = FourVoiceGrid()
    constraint = GridConstraint(grid, promises)
    state = constraint.begin()
    prompt = rng.integers(0, grid.vocabulary.size, size=150).tolist()  # 2 bars and a bit
    for token in prompt:
        state = constraint.advance(state, token)
    tokens, is_done = walk(constraint, rng, "random", constraint.after_prompt(state))
    assert is_done
    assert len(prompt) + len(tokens) == 5 * 64
    assert set(tokens[: 3 * 64 - 150]) == {grid.rest_token}
    assert broken(grid.decode(tokens[3 * 64 - 150 :]), promises) == []


# --- bar events ---


@pytest.mark.parametrize("seed", range(120))
def test_bar_events_keep_every_promise(seed: int) -> None:
    rng = np.random.default_rng([3, seed])
    instruments = [(0,), (0, 40, DRUMS), None, (40, 41), (DRUMS,)][rng.integers(5)]
    names = tuple(BAR_EVENTS.track_name(i) for i in instruments or () if i != DRUMS)
    promises = some_promises(rng, METRES, names)
    tempo = int(rng.integers(32)) if seed % 2 else None
    constraint = BarEventConstraint(BAR_EVENTS, promises, tempo_bin=tempo, instruments=instruments)
    vocabulary = BAR_EVENTS.vocabulary
    prefer = [None, vocabulary.span("bar"), vocabulary.span("pitch"), vocabulary.span("position")]
    tokens, is_done = walk(constraint, rng, MOODS[seed % 5], prefer=prefer[rng.integers(4)])
    assert is_done or promises.bars is None or len(tokens) == 1200
    score = BAR_EVENTS.decode(tokens)
    if is_done:
        assert tokens[-1] == BAR_EVENTS.end_token
        assert broken(score, promises) == []
        # What the grammar lets through is what encoding would write (which takes a short first bar
        # for a pickup, so a free metre may be read otherwise).
        if len(score.time_signatures) == 1:
            assert tokens == BAR_EVENTS.encode(score).tolist()
    else:
        free = replace(promises, bars=None)
        assert broken(score, free, is_whole=False) == []
    if tempo is not None:
        assert [change.quarters_per_minute for change in score.tempos] == [TEMPOS[tempo]]
    played = {DRUMS if track.is_drum else track.program for track in score.tracks}
    assert instruments is None or played <= set(instruments)


@pytest.mark.parametrize("seed", range(30))
def test_bar_events_go_on_after_any_prompt(seed: int) -> None:
    rng = np.random.default_rng([4, seed])
    promises = replace(some_promises(rng, METRES[:8]), bars=int(rng.integers(1, 3)))
    if seed % 2:
        free = BarEventConstraint(BAR_EVENTS, Promises(bars=2, time_signature=None))
        prompt = walk(free, rng, "random")[0][:-1]
    else:
        prompt = rng.integers(2, BAR_EVENTS.vocabulary.size, size=300).tolist()
    constraint = BarEventConstraint(BAR_EVENTS, promises, tempo_bin=16, instruments=(0, 73))
    state = constraint.begin()
    for token in prompt:
        state = constraint.advance(state, token)
    tokens, is_done = walk(constraint, rng, MOODS[seed % 5], constraint.after_prompt(state))
    assert is_done
    assert tokens[0] == BAR_EVENTS.vocabulary.first("bar")
    before, whole = BAR_EVENTS.decode(prompt), BAR_EVENTS.decode([*prompt, *tokens])
    border = before.written_length_ticks
    added = replace(
        whole,
        tracks=tuple(
            replace(
                track,
                notes=tuple(
                    replace(note, onset_ticks=note.onset_ticks - border)
                    for note in track.notes
                    if note.onset_ticks >= border
                ),
            )
            for track in whole.tracks
        ),
        time_signatures=(replace(whole.time_signatures[-1], onset_ticks=0),),
        written_length_ticks=whole.written_length_ticks - border,
    )
    assert broken(added, promises) == []
    if promises.time_signature is None and before.time_signatures:
        assert str(whole.time_signatures[-1]) == str(before.time_signatures[-1])


def test_bar_events_close_the_last_bar_by_bar_or_end() -> None:
    constraint = BarEventConstraint(BAR_EVENTS, Promises(bars=1), tempo_bin=3)
    first = BAR_EVENTS.vocabulary.first
    state = constraint.begin()
    for token in (first("bar"), first("metre"), first("tempo") + 3):
        assert constraint.allowed(state)[token]
        state = constraint.advance(state, token)
    assert constraint.allowed(state)[[first("bar"), first("end")]].all()
    assert constraint.written(state, first("bar")) == first("end")
    assert constraint.is_done(constraint.advance(state, first("bar")))
    assert constraint.is_done(constraint.advance(state, first("end")))


def test_endless_bar_events_never_end_and_free_ones_may() -> None:
    rng = np.random.default_rng(5)
    endless = BarEventConstraint(BAR_EVENTS, Promises(), endless=True)
    tokens, is_done = walk(endless, rng, "random", prefer=slice(1, 2), limit=400)
    assert not is_done
    assert BAR_EVENTS.end_token not in tokens
    promises = Promises(max_silence_quarters=1)
    free = BarEventConstraint(BAR_EVENTS, promises, instruments=(0,))
    state, tokens = free.begin(), []
    while not free.is_done(state):
        mask = free.allowed(state)
        choices = np.flatnonzero(mask)
        ends = mask[BAR_EVENTS.end_token]
        tokens.append(BAR_EVENTS.end_token if ends else int(rng.choice(choices)))
        state = free.advance(state, tokens[-1])
    assert len(tokens) > 4
    assert broken(BAR_EVENTS.decode(tokens), promises) == []


# --- performance events ---


@pytest.mark.parametrize("seed", range(60))
def test_performance_keeps_every_promise(seed: int) -> None:
    rng = np.random.default_rng([6, seed])
    promises = replace(some_promises(rng, METRES, ("Piano",)), chords=())
    tempo = float(rng.choice([60.0, 97.0, 120.0, 131.0]))
    constraint = PerformanceConstraint(PERFORMANCE, promises, tempo)
    prefer = PERFORMANCE.vocabulary.span("time_shift") if seed % 2 else None
    mood = MOODS[seed % 5]
    tokens, is_done = walk(constraint, rng, mood, limit=1500, prefer=prefer)
    assert is_done or len(tokens) == 1500
    score = PERFORMANCE.decode(tokens)
    metre = promises.time_signature or TimeSignature(0, 4, 4)
    if is_done:
        assert broken(score, promises, metre, quarter_ticks=60_000 / tempo) == []
        assert promises.bars is None or score.length_ticks == 10 * constraint.end_steps
    else:
        free = replace(promises, bars=None)
        assert broken(score, free, metre, 60_000 / tempo, is_whole=False) == []
    trimmed = [t for t in tokens if t != PERFORMANCE.end_token]
    while trimmed and trimmed[-1] in range(*PERFORMANCE.vocabulary.span("time_shift").indices(999)):
        trimmed.pop()
    if is_done:  # what the grammar lets through is what encoding would write
        assert [*trimmed, PERFORMANCE.end_token] == PERFORMANCE.encode(score).tolist()


def test_performance_goes_on_after_a_prompt() -> None:
    rng = np.random.default_rng(7)
    promises = Promises(bars=1, max_polyphony=1, max_silence_quarters=0, key=parse_key("D minor"))
    constraint = PerformanceConstraint(PERFORMANCE, promises)
    state = constraint.begin()
    for token in rng.integers(0, 390, size=300).tolist():
        state = constraint.advance(state, token)
    tokens, is_done = walk(constraint, rng, "random", constraint.after_prompt(state))
    assert is_done
    score = PERFORMANCE.decode(tokens)
    assert broken(score, promises, quarter_ticks=500) == []


# --- what is refused ---

REFUSED = [
    (lambda: GridConstraint(FourVoiceGrid(), Promises(time_signature=TimeSignature(0, 3, 4))),
     NotSupported, "bars of 4/4, not 3/4"),
    (lambda: GridConstraint(FourVoiceGrid(), Promises(ranges={"Flute": PitchRange(60, 70)})),
     NotSupported, "no track is called 'Flute'; .*Soprano, Alto, Tenor, Bass"),
    (lambda: GridConstraint(FourVoiceGrid(), Promises(ranges={"Bass": PitchRange(20, 30)})),
     CannotBeMet, "Bass has no promised pitch"),
    (lambda: GridConstraint(
        FourVoiceGrid(48, 60), Promises(chords=parse_chords("C"), ranges={"*": PitchRange(56, 65)})
     ) and GridConstraint(
        FourVoiceGrid(48, 58), Promises(chords=parse_chords("C"), ranges={"*": PitchRange(56, 65)})
     ), CannotBeMet, "Soprano has no note of C"),
    (lambda: BarEventConstraint(BAR_EVENTS, Promises(time_signature=TimeSignature(0, 11, 4))),
     NotSupported, "no bars of 11/4; they have 4/4, 3/4"),
    (lambda: BarEventConstraint(
        BAR_EVENTS, Promises(ranges={"Violin": PitchRange(60, 70)}), instruments=(0,)
     ), NotSupported, "no track is called 'Violin'; .*Piano"),
    (lambda: BarEventConstraint(BAR_EVENTS, Promises(), instruments=()),
     CannotBeMet, "instruments are some of"),
    (lambda: BarEventConstraint(BAR_EVENTS, Promises(), tempo_bin=32), NotSupported, "tempo bins"),
    (lambda: BarEventConstraint(BAR_EVENTS, Promises(bars=2), endless=True),
     CannotBeMet, "endless"),
    (lambda: PerformanceConstraint(PERFORMANCE, Promises(chords=parse_chords("C"))),
     NotSupported, "bar events"),
    (lambda: PerformanceConstraint(PERFORMANCE, Promises(bars=2), endless=True),
     CannotBeMet, "endless"),
    (lambda: PerformanceConstraint(PERFORMANCE, Promises(ranges={"Bass": PitchRange(20, 30)})),
     NotSupported, "Piano"),
    (lambda: PerformanceConstraint(PERFORMANCE, Promises(), 0.0), CannotBeMet, "tempo"),
    (lambda: PerformanceConstraint(
        PERFORMANCE, Promises(bars=1, time_signature=TimeSignature(0, 1, 64)), 4000.0
     ), CannotBeMet, "10 ms"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "error", "words"), REFUSED)
def test_what_cannot_be_met_is_refused(make: Any, error: type[PartimentoError], words: str) -> None:
    with pytest.raises(error, match=words):
        make()
