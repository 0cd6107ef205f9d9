"""Filling the masked cells of a grid step by step: the reverse of absorbing diffusion, in numpy.

A grid is ``cells`` (S, T, 2): slots, columns, and a pair (what starts, how long it lasts), as in
``partimento.representations.track_grid``. ``predict(cells, t)`` says what each cell would be if
nothing were masked; a step writes some of the masked cells by it and leaves the others to a later
step, which sees the cells just written.

======================================  =========================================================
GETMusic, arXiv 2305.10841, section 3.4  ``unmask``, order ``confidence``
D3PM, arXiv 2107.03006, appendix A.2     ``unmask``, order ``ancestral`` (mask-only chain)
MaskGIT, arXiv 2202.04200, section 3.3   ``masked_shares("cosine")``, ``spacing="cosine"``
VQ-Diffusion, arXiv 2111.14822           ``masked_shares("linear")``
Ho and Salimans, arXiv 2207.12598, eq 6  ``guided``
======================================  =========================================================

A pair is always whole: the length is EMPTY where and only where what starts is EMPTY. What starts
is drawn first; unless it is EMPTY, the length is drawn among those that are not EMPTY.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from partimento.errors import CannotBeMet, ConfigError, ModelError
from partimento.representations.track_grid import EMPTY, MASK, Cells
from partimento.samplers.picks import GREEDY_BELOW, Pick

__all__ = [
    "ORDERS",
    "SCHEDULES",
    "TIMES",
    "OnStep",
    "Predict",
    "guided",
    "masked_shares",
    "sharpened",
    "unmask",
]

TIMES = 100  # the times of the chain: at 100 every cell is masked, at 0 none
SCHEDULES = ("cosine", "linear")
ORDERS = ("ancestral", "confidence")

_Floats = npt.NDArray[np.float32]
_Bools = npt.NDArray[np.bool_]
_Places = npt.NDArray[np.int64]  # numbers of cells, counted slot by slot
_Shares = npt.NDArray[np.float64]

# (cells (S, T, 2), time 1..100) -> logits of what starts (S, T, V1), of how long (S, T, V2)
Predict = Callable[[Cells, int], tuple[_Floats, _Floats]]
# (steps done, steps in all, cells as they stand)
OnStep = Callable[[int, int, Cells], None]

_PICK = Pick()
_INF = float("inf")
_FIRST_KEEP, _LAST_KEEP = 0.99999, 9e-6  # of the linear schedule, as published
_JUDGED = 0.7  # the share of the cells that a refinement hides to judge them
_REFINED = 0.25  # the share that the first refinement regenerates


def masked_shares(schedule: str = "linear", times: int = TIMES) -> _Shares:
    """Return (times + 1,): the share of cells masked at each time, from 0 at 0 to about 1.

    ``linear`` goes evenly from 1e-5 at time 1 to all but 9e-6 at the last, as published;
    ``cosine`` is sin(pi t / 2 times), so that unmasking goes slowly at first.

    Raises:
        ConfigError: for a schedule of another name, or no times.
    """
    if times < 1:
        raise ConfigError("times", f"is 1 or more, not {times}")
    if schedule == "linear":
        kept = np.linspace(_LAST_KEEP, _FIRST_KEEP, times)[::-1]  # one time alone masks all
        return np.concatenate([[0.0], 1.0 - kept])
    if schedule == "cosine":
        shares: _Shares = np.sin(np.linspace(0.0, np.pi / 2, times + 1))
        return shares
    raise ConfigError("schedule", f"is one of {', '.join(SCHEDULES)}, not {schedule!r}")


def guided(predict: Predict, unconditional: Predict, weight: float) -> Predict:
    """Return (1 + weight) times the logits of ``predict`` less weight times the unconditional's.

    0 is ``predict`` alone; more holds closer to the conditions. Values that either forbids stay
    forbidden. Each step costs two questions.

    Raises:
        ConfigError: if the weight is below 0.
    """
    if not 0.0 <= weight < _INF:
        raise ConfigError("weight", f"is 0 or more, not {weight}")
    if weight == 0.0:
        return predict

    def apart(ours: _Floats, theirs: _Floats) -> _Floats:
        possible = (ours > -_INF) & (theirs > -_INF)
        out = np.full(ours.shape, -_INF, dtype=np.float32)
        np.subtract(ours, theirs, out=out, where=possible)
        out *= np.float32(weight)
        np.add(out, ours, out=out, where=possible)
        return out

    def both(cells: Cells, t: int) -> tuple[_Floats, _Floats]:
        first, second = predict(cells, t)
        free_first, free_second = unconditional(cells, t)
        return apart(first, free_first), apart(second, free_second)

    return both


def sharpened(predict: Predict, temperature: float) -> Predict:
    """Return ``predict`` with a temperature on which note starts, not on whether one does.

    A low temperature over all values would make EMPTY, the likeliest of most cells, likelier still,
    and so take the short notes out of a rhythm.
    """
    if temperature == 1.0:
        return predict

    def ask(cells: Cells, t: int) -> tuple[_Floats, _Floats]:
        first, second = predict(cells, t)
        out = np.array(first, dtype=np.float32)
        notes = out[..., EMPTY + 1 :]
        # notes / temperature, shifted so that P(some note starts) stays as it was
        mass = _log_sum(notes)
        notes /= np.float32(temperature)
        notes += mass - _log_sum(notes)
        return out, second

    return ask


def _log_sum(logits: _Floats) -> _Floats:
    """Return the logarithm of the sum of exponentials over the last axis, which is kept."""
    peak = np.maximum(logits.max(axis=-1, keepdims=True), np.float32(-1e30))
    total = np.exp(logits - peak).sum(axis=-1, keepdims=True)
    out: _Floats = peak + np.log(np.maximum(total, np.float32(1e-30)))  # none is possible: as low
    return out


def unmask(
    predict: Predict,
    cells: Cells,
    targets: _Bools,
    rng: np.random.Generator,
    *,
    steps: int = 20,
    order: str = "confidence",
    spacing: str = "even",
    schedule: str = "linear",
    pick: Pick = _PICK,
    pick_second: Pick | None = None,
    noise: float = 1.0,
    allowed: _Bools | None = None,
    allowed_second: _Bools | None = None,
    refinements: int = 0,
    doubt: float = 0.05,
    on_step: OnStep | None = None,
) -> Cells:
    """Return cells (S, T, 2) with every component that ``targets`` (S, T, 2) holds true written.

    The others are conditions, given to ``predict`` at every step and never changed; a MASK among
    them is not known and not asked for, and stays. What stood in the targets is not looked at.

    Args:
        predict: the model; ``t`` is the time at which the share of the targets still masked is
            usual. -inf is a value that a cell cannot have.
        steps: 1..100 times of the chain; one that writes no cell asks nothing of the model.
        order: ``confidence`` writes an even share of every slot at each step, drawing the cells
            by the softmax of their highest probability; ``ancestral`` writes each cell with the
            chain's own chance.
        spacing: of the times: ``even``, or ``cosine`` (few cells in the first steps).
        schedule: the one the model was trained with.
        pick: how values are drawn; ``pick_second`` for the lengths, if otherwise.
        noise: of the draw of cells by confidence: 1 as published, 0 takes the most confident.
        allowed: (S, T, V1) what may start in each cell; ``allowed_second`` (S, T, V2) how long.
        refinements: rounds after the end, each asking twice: see ``_refine``.
        doubt: refinements touch only what lies in this tail of the model's probability.
        on_step: called after each step and refinement.

    Raises:
        ConfigError: if an option is out of range.
        CannotBeMet: if a cell has no allowed value.
        ModelError: if the model gives NaN.
        ValueError: if shapes do not agree.
    """
    _check(steps, order, noise, refinements, doubt)
    shares = masked_shares(schedule)
    plan = _plan(steps, spacing, shares)
    canvas = _Canvas(cells, targets, (pick, pick_second or pick), (allowed, allowed_second), rng)
    asked = canvas.begin()
    every = _write_all(predict, canvas, asked, plan, None if order == "ancestral" else noise)
    for done, _ in enumerate(every, start=1):
        if on_step is not None:
            on_step(done, steps + refinements, canvas.grid())
    for done in range(refinements):
        _refine(predict, canvas, asked, shares, 1.0 - done / refinements, doubt)
        if on_step is not None:
            on_step(steps + done + 1, steps + refinements, canvas.grid())
    return canvas.grid()


def _check(steps: int, order: str, noise: float, refinements: int, doubt: float) -> None:
    if not 1 <= steps <= TIMES:
        raise ConfigError("steps", f"is 1..{TIMES}, not {steps}")
    if order not in ORDERS:
        raise ConfigError("order", f"is one of {', '.join(ORDERS)}, not {order!r}")
    if not 0.0 <= noise < _INF:
        raise ConfigError("noise", f"is 0 or more, not {noise}")
    if refinements < 0:
        raise ConfigError("refinements", f"is 0 or more, not {refinements}")
    if not 0.0 <= doubt <= 1.0:
        raise ConfigError("doubt", f"is 0..1, not {doubt}")


def _plan(steps: int, spacing: str, shares: _Shares) -> tuple[list[int], _Shares]:
    """Return the time of each step, and (steps + 1,) the share masked before each, 0 last."""
    last = len(shares) - 1
    if spacing == "even":
        times = np.round(last * (1.0 - np.arange(steps) / steps)).astype(np.int64)
        return times.tolist(), np.append(shares[times], 0.0)
    if spacing != "cosine":
        raise ConfigError("spacing", f"is one of cosine, even, not {spacing!r}")
    left = np.cos(np.pi / 2 * np.arange(steps + 1) / steps)
    left[-1] = 0.0
    nearest = np.abs(shares[None, 1:] - left[:-1, None]).argmin(axis=1) + 1
    return nearest.tolist(), left


@dataclass(frozen=True, slots=True)
class _Odds:
    """Logits of some cells, with what cannot be there at -inf: (n, V1) and (n, V2)."""

    first: _Floats
    second: _Floats

    def rows(self, which: npt.NDArray[np.int64]) -> _Odds:
        """Return the odds of some of the cells."""
        return _Odds(self.first[which], self.second[which])


class _Canvas:
    """The cells as they stand, as rows (S * T, 2), and what may be written into them."""

    def __init__(
        self,
        cells: Cells,
        targets: _Bools,
        picks: tuple[Pick, Pick],
        allowed: tuple[_Bools | None, _Bools | None],
        rng: np.random.Generator,
    ) -> None:
        if cells.ndim != 3 or cells.shape[2] != 2 or targets.shape != cells.shape:
            raise ValueError(f"cells and targets are (S, T, 2), not {cells.shape}, {targets.shape}")
        self.slots, self.columns, _ = cells.shape
        self._rows = cells.reshape(-1, 2).astype(np.int64)  # a copy
        self._free = targets.reshape(-1, 2).astype(np.bool_)
        self._allowed: list[_Bools | None] = []
        for part in allowed:
            if part is not None and part.shape[:2] != cells.shape[:2]:
                raise ValueError(f"allowed is (S, T, V) for {cells.shape[:2]}, not {part.shape}")
            self._allowed.append(None if part is None else part.reshape(-1, part.shape[2]))
        self._empty = np.ones(len(self._rows), dtype=np.bool_)
        self._note = np.ones(len(self._rows), dtype=np.bool_)
        self._picks, self.rng = picks, rng

    def grid(self) -> Cells:
        """Return a copy of the cells (S, T, 2)."""
        return self._rows.reshape(self.slots, self.columns, 2).copy()

    def hidden(self, places: _Places) -> Cells:
        """Return a copy of the cells (S, T, 2) with the targets of some cells masked."""
        rows = self._rows.copy()
        rows[places] = np.where(self._free[places], MASK, rows[places])
        return rows.reshape(self.slots, self.columns, 2)

    def begin(self) -> _Places:
        """Mask the targets, write what can only be EMPTY, and return the cells that are left."""
        self._rows[self._free] = MASK
        self._settle()
        touched = self._free.any(axis=1)
        self._refuse(np.flatnonzero(touched & ~self._empty & ~self._note))
        silent = touched & ~self._note
        self._rows[silent] = np.where(self._free[silent], EMPTY, self._rows[silent])
        return np.flatnonzero(touched & self._note)

    def _settle(self) -> None:
        """Find out which cells can be EMPTY, and which a note, by conditions and promises."""
        for part, allowed in enumerate(self._allowed):
            given = ~self._free[:, part]
            value = self._rows[:, part]
            self._empty &= ~given | (value <= EMPTY)
            self._note &= ~given | (value != EMPTY)
            if allowed is not None:
                self._empty &= given | allowed[:, EMPTY]
                self._note &= given | allowed[:, EMPTY + 1 :].any(axis=1)

    def _refuse(self, stuck: _Places) -> None:
        """Raise for the first of the cells that can have no value."""
        if not len(stuck):
            return
        slot, column = divmod(int(stuck[0]), self.columns)
        raise CannotBeMet(
            f"no value is left for column {column + 1} of slot {slot + 1}; "
            "allow more there, or give both what starts and how long"
        )

    def odds(self, first: _Floats, second: _Floats, places: _Places) -> _Odds:
        """Return the logits of some cells, with what cannot be there at -inf."""
        free = self._free[places]
        parts: list[_Floats] = []
        for logits, allowed in zip((first, second), self._allowed, strict=True):
            rows = logits.reshape(-1, logits.shape[-1])[places].astype(np.float32, copy=False)
            if allowed is not None:
                rows[~allowed[places]] = -_INF
            parts.append(rows)
        what, length = parts
        unknown = ~free[:, 0] & (self._rows[places, 0] == MASK)
        length[~unknown, EMPTY] = -_INF  # a note has a length; a rest is drawn by what starts
        longest = length.max(axis=1)
        what[~self._note[places] | (free[:, 1] & (longest == -_INF)), EMPTY + 1 :] = -_INF
        what[~self._empty[places], EMPTY] = -_INF
        likeliest = what.max(axis=1)
        if not ((likeliest < _INF).all() and (longest < _INF).all()):  # false for NaN too
            raise ModelError("the model gave NaN or infinity for a cell; export its weights again")
        likeliest = np.where(free[:, 0], likeliest, longest)
        self._refuse(places[likeliest == -_INF])
        return _Odds(what, length)

    def confidence(self, places: _Places, odds: _Odds) -> npt.NDArray[np.float64]:
        """Return the probability of the likeliest pair of each cell."""
        free = self._free[places]
        what, length = _softmax(odds.first), _softmax(odds.second)
        longest = np.where(free[:, 1], length.max(axis=1), 1.0)
        # p(pitch) p(length): the model gives both at once, as independent.
        note = what[:, EMPTY + 1 :].max(axis=1) * longest
        return np.where(free[:, 0], np.maximum(what[:, EMPTY], note), longest)

    def tail(self, places: _Places, odds: _Odds) -> npt.NDArray[np.float64]:
        """Return the probability of all that is no likelier than what stands in each cell.

        Of what starts and of how long, the smaller.
        """
        values, free = self._rows[places], self._free[places]
        what = _tail(_softmax(odds.first), values[:, 0])
        length = _tail(_softmax(odds.second), values[:, 1])
        sounding = values[:, 0] != EMPTY
        return np.minimum(
            np.where(free[:, 0], what, 1.0), np.where(free[:, 1] & sounding, length, 1.0)
        )

    def write(self, places: _Places, odds: _Odds | None) -> None:
        """Draw the targets of some cells and write them."""
        if odds is None or not len(places):
            return
        free = self._free[places]
        rows = self._rows[places]
        if free[:, 0].any():
            rows[free[:, 0], 0] = _drawn(odds.first[free[:, 0]], self._picks[0], self.rng)
        rows[free[:, 1] & (rows[:, 0] == EMPTY), 1] = EMPTY
        long = free[:, 1] & (rows[:, 0] != EMPTY)
        if long.any():
            rows[long, 1] = _drawn(odds.second[long], self._picks[1], self.rng)
        self._rows[places] = rows


def _asked(predict: Predict, canvas: _Canvas, t: int, places: _Places) -> _Odds | None:
    """Return the odds of some cells as the grid stands; no cells ask nothing."""
    return canvas.odds(*predict(canvas.grid(), t), places) if len(places) else None


def _write_all(
    predict: Predict,
    canvas: _Canvas,
    masked: _Places,
    plan: tuple[list[int], _Shares],
    noise: float | None,
) -> Iterator[None]:
    """Write the masked cells, by confidence or (no noise) by the chain; yield after each step."""
    per_slot = np.bincount(masked // canvas.columns, minlength=canvas.slots)
    for t, before, after in zip(plan[0], plan[1], plan[1][1:], strict=False):
        if noise is None:
            # q reversed: a masked cell is revealed with chance 1 - gamma-bar_s / gamma-bar_t.
            chosen = masked[canvas.rng.random(len(masked)) < 1.0 - after / before]
            canvas.write(chosen, _asked(predict, canvas, t, chosen))
        else:
            # How many cells of each slot stay masked; 1e-9 guards whole numbers against rounding.
            keep = np.floor(per_slot * after + 1e-9).astype(np.int64)
            chosen = _by_confidence(predict, canvas, t, masked, keep, noise)
        masked = np.setdiff1d(masked, chosen, assume_unique=True)
        yield


def _by_confidence(
    predict: Predict, canvas: _Canvas, t: int, masked: _Places, keep: _Places, noise: float
) -> _Places:
    """Write all but ``keep`` (S,) of the masked cells of each slot; return those written.

    The paper draws cells by the softmax of their highest probability. Cells drawn so without
    replacement are those of the highest probability plus Gumbel noise.
    """
    slot = masked // canvas.columns
    quota = np.bincount(slot, minlength=canvas.slots) - keep
    odds = _asked(predict, canvas, t, masked) if (quota > 0).any() else None
    if odds is None:
        return masked[:0]
    score = canvas.confidence(masked, odds) + noise * canvas.rng.gumbel(size=len(masked))
    ranked = np.lexsort((-score, slot))  # slot by slot, the best first
    begins = np.cumsum(np.bincount(slot, minlength=canvas.slots)) - (quota + keep)
    rank = np.arange(len(masked)) - begins[slot]  # slots are in order, ranked or not
    won = np.sort(ranked[rank < quota[slot]])
    chosen: _Places = masked[won]
    canvas.write(chosen, odds.rows(won))
    return chosen


def _refine(
    predict: Predict,
    canvas: _Canvas,
    places: _Places,
    shares: _Shares,
    fraction: float,
    doubt: float,
) -> None:
    """Regenerate the cells that the model finds the least likely given the others.

    A model of the mask-only chain has learnt nothing about cells it can see, so most of the cells,
    drawn at random, are hidden while the model judges them. To write the least likely again and
    again would end in the likeliest music; what is not in the tail is let be.
    """
    if not len(places):
        return
    shuffled = canvas.rng.permutation(places)
    judged = shuffled[: math.ceil(_JUDGED * len(places))]
    odds = canvas.odds(*predict(canvas.hidden(judged), _nearest(shares, _JUDGED)), judged)
    tail = canvas.tail(judged, odds)
    share = _REFINED * fraction
    worst = np.argsort(tail, kind="stable")[: math.ceil(share * len(places))]
    redrawn = np.sort(judged[worst[tail[worst] < doubt]])
    if len(redrawn):
        time = _nearest(shares, len(redrawn) / len(places))
        canvas.write(redrawn, canvas.odds(*predict(canvas.hidden(redrawn), time), redrawn))


def _nearest(shares: _Shares, share: float) -> int:
    """Return the time, 1 or later, at which about this share is masked."""
    return int(np.abs(shares[1:] - share).argmin()) + 1


def _softmax(logits: _Floats) -> _Floats:
    """Return probabilities (n, V); zeros where nothing is possible."""
    top = logits.max(axis=1, keepdims=True)
    weights = np.exp(logits - np.where(top > -_INF, top, np.float32(0.0)))
    total = weights.sum(axis=1, keepdims=True)
    weights /= np.where(total > 0.0, total, np.float32(1.0))
    return weights


def _tail(p: _Floats, values: _Places) -> _Floats:
    """Return (n,): the sum of what in each row of p (n, V) is at most the value's."""
    own = p[np.arange(len(p)), values][:, None]
    out: _Floats = np.where(p <= own, p, np.float32(0.0)).sum(axis=1)
    return out


def _drawn(logits: _Floats, pick: Pick, rng: np.random.Generator) -> _Places:
    """Return (n,) values of logits (n, V)."""
    if pick.temperature < GREEDY_BELOW:
        best: _Places = logits.argmax(axis=1)
        return best
    return pick.batch(logits, [None] * len(logits), [rng] * len(logits))
