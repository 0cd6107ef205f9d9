"""Absorbing discrete diffusion: cells turn to MASK one by one, and a network learns the way back.

A cell has one of V values; MASK (-1 in cells, the last of V + 1 states in probabilities) is the
state that none leaves. At time t = 0 the cells are the music, at time T about all are MASK::

    q(x_t | x_t-1)   keeps a value (alpha_t), draws any value (V beta_t) or masks it (gamma_t);
                     with the bars of the papers, the same from x_0     -> Schedule, q_sample
    q(x_t-1 | x_t, x_0)                                                 -> posterior
    p(x_t-1 | x_t) = sum over x~ of q(x_t-1 | x_t, x~) p(x~ | x_t)      -> reverse
    KL(q || p) + auxiliary KL(x_0 || x^_0)                              -> variational_terms
    the same where nothing but masking happens: a weighted
    cross-entropy of the masked cells                                   -> masked_terms

Austin et al. 2021 (D3PM, arXiv 2107.03006, eq. 3-5 and section 3.1), Gu et al. 2022 (VQ-Diffusion,
arXiv 2111.14822, eq. 8-11), Lv et al. 2023 (GETMusic, arXiv 2305.10841, section 3), Nichol and
Dhariwal 2021 (arXiv 2102.09672, eq. 18 -> ``Times``).

Shapes: cells (B, S, T) long, logits (B, S, T, V), times (B,) long in 1..schedule.steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from partimento.representations.track_grid import MASK
from partimento.samplers.unmasking import TIMES, masked_shares
from partimento.training.contract import Loss

__all__ = [
    "AUXILIARY",
    "PUBLISHED_UNIFORM",
    "Schedule",
    "Times",
    "cell_weights",
    "cosine_schedule",
    "importance_loss",
    "linear_schedule",
    "masked_terms",
    "masked_terms_of",
    "posterior",
    "q_sample",
    "reverse",
    "variational_terms",
]

AUXILIARY = 0.001  # of the auxiliary loss, times 2 - t/T
PUBLISHED_UNIFORM = 1e-6  # the share of cells that GETMusic's chain replaces by any value


@dataclass(frozen=True)
class Schedule:
    """What has become of a cell at each time 0..T; float64, (T + 1,).

    ``keep`` (alpha-bar) is the share that is as it was, ``uniform`` (V beta-bar) the share drawn
    again from all values, and the rest (gamma-bar) is MASK. ``keep`` falls and stays above 0
    before T.
    """

    keep: Tensor
    uniform: Tensor

    @property
    def steps(self) -> int:
        """The number of times, T."""
        return len(self.keep) - 1

    @property
    def mask(self) -> Tensor:
        """(T + 1,): the share that is MASK, gamma-bar."""
        return 1.0 - self.keep - self.uniform

    @property
    def masks_only(self) -> bool:
        """Whether no cell is ever redrawn, so that the closed form holds."""
        return not bool(self.uniform.any())

    def at(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return keep, uniform and mask from time 0 to t; each shaped as t."""
        keep, uniform = self.keep.to(t.device)[t], self.uniform.to(t.device)[t]
        return keep, uniform, 1.0 - keep - uniform

    def step(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return keep, uniform and mask of the one step from t - 1 to t; each shaped as t."""
        before, drawn, _ = self.at(t - 1)
        after, now, _ = self.at(t)
        # alpha_t = alpha-bar_t / alpha-bar_t-1 and 1 - gamma_t = (1 - gamma-bar_t) /
        # (1 - gamma-bar_t-1), since a chain's shares multiply; V beta_t is their difference.
        kept = after / before
        # (1 - gamma) - alpha, with nothing subtracted from what is nearly the same
        uniform = (now * before - drawn * after) / (before * (before + drawn))
        return kept, uniform, 1.0 - (after + now) / (before + drawn)

    def revealed(self, t: Tensor) -> Tensor:
        """Return the chance that a cell masked at t is not masked at t - 1; shaped as t."""
        _, _, before = self.at(t - 1)
        _, _, after = self.at(t)
        return 1.0 - before / after


def linear_schedule(steps: int = TIMES, uniform: float = 0.0) -> Schedule:
    """Return alpha-bar linear from .99999 at time 1 to 9e-6 at the last, as published.

    The published chain also draws 1e-6 of the cells again (``uniform=PUBLISHED_UNIFORM``), which
    changes nothing to speak of and costs the closed form; it is left out by default.
    """
    keep = 1.0 - torch.from_numpy(masked_shares("linear", steps))
    drawn = torch.full_like(keep, uniform)
    drawn[0] = 0.0
    return Schedule(keep, drawn)


def cosine_schedule(steps: int = TIMES) -> Schedule:
    """Return gamma-bar = sin(pi t / 2T): MaskGIT's cosine (arXiv 2202.04200), masks only."""
    keep = 1.0 - torch.from_numpy(masked_shares("cosine", steps))
    return Schedule(keep, torch.zeros_like(keep))


def q_sample(
    x0: Tensor,
    t: Tensor,
    schedule: Schedule,
    values: int,
    where: Tensor | None = None,
    noise: Tensor | None = None,
) -> Tensor:
    """Draw x_t (B, S, T) from q(x_t | x_0); MASK in x_0 stays.

    ``values`` is V. Only cells of ``where`` (B, S, T) are touched. ``noise`` (B, S, T) is uniform
    in [0, 1) and says what becomes of each cell; the two components of a pair are masked together
    if they are given the same.
    """
    keep, uniform, _ = (part[:, None, None].to(torch.float32) for part in schedule.at(t))
    if noise is None:
        noise = torch.rand(x0.shape, device=x0.device)
    hidden = noise >= keep + uniform
    if where is not None:
        hidden = hidden & where
    out = x0.masked_fill(hidden, MASK)
    if schedule.masks_only:
        return out
    redrawn = (noise >= keep) & ~hidden & (x0 != MASK)
    if where is not None:
        redrawn = redrawn & where
    return torch.where(redrawn, torch.randint_like(x0, values), out)


# D3PM eq. 4 in the form of VQ-Diffusion eq. 11
def reverse(logits: Tensor, x_t: Tensor, t: Tensor, schedule: Schedule) -> Tensor:
    """Return p(x_t-1 | x_t), (B, S, T, V + 1), of the network's p(x~ | x_t).

    Values that x_t cannot have come from (in a chain that only masks: all but x_t itself where a
    cell is not masked) are not counted, whatever the network says.
    """
    return _backwards(_compatible(logits, x_t, schedule).exp(), x_t, t, schedule)


# VQ-Diffusion eq. 9
def posterior(x0: Tensor, x_t: Tensor, t: Tensor, schedule: Schedule, values: int) -> Tensor:
    """Return q(x_t-1 | x_t, x_0), (B, S, T, V + 1); x_t must be reachable from x_0."""
    return _backwards(F.one_hot(x0.clamp(min=0), values).float(), x_t, t, schedule)


def _compatible(logits: Tensor, x_t: Tensor, schedule: Schedule) -> Tensor:
    """Return log p(x~ | x_t) over the x~ that x_t can have come from; (B, S, T, V), float32."""
    logits = logits.float()
    if schedule.masks_only:
        own = F.one_hot(x_t.clamp(min=0), logits.shape[-1]).bool()
        logits = logits.masked_fill(~own & (x_t != MASK)[..., None], -torch.inf)
    return logits.log_softmax(dim=-1)


def _backwards(p: Tensor, x_t: Tensor, t: Tensor, schedule: Schedule) -> Tensor:
    """Return the sum over x~ of q(x_t-1 | x_t, x~) p(x~); p is (B, S, T, V).

    By Bayes q(x_t-1 = k | x_t, x~) is q(x_t | k) q(k | x~) / q(x_t | x~), and q(k | x~) is the
    same for all x~ but k: the sum costs V and not V squared.
    """
    values = p.shape[-1]
    shape = (-1, 1, 1, 1)
    keep, uniform, mask = (part.view(shape).to(p) for part in schedule.at(t))
    before, drawn, masked = (part.view(shape).to(p) for part in schedule.at(t - 1))
    kept, redrawn, falls = (part.view(shape).to(p) for part in schedule.step(t))
    hidden = (x_t == MASK)[..., None]  # (B, S, T, 1)
    own = F.one_hot(x_t.clamp(min=0), values).to(p)  # (B, S, T, V)
    arrives = torch.where(hidden, mask, keep * own + uniform / values)  # q(x_t | x~)
    # p(x~) / q(x_t | x~); 0 where x_t cannot come from x~
    share = torch.where(arrives > 0, p / arrives.clamp(min=torch.finfo(p.dtype).tiny), 0.0)
    total = share.sum(dim=-1, keepdim=True)
    follows = torch.where(hidden, falls, kept * own + redrawn / values)  # q(x_t | x_t-1)
    # k a value: q(k | x~) = alpha-bar_t-1 [k = x~] + beta-bar_t-1. k = MASK: none leaves it, so
    # q(x_t | MASK) is 1 for a masked x_t and 0 for any other.
    seen = follows * (before * share + drawn / values * total)
    unseen = torch.where(hidden, masked * total, 0.0)
    return torch.cat([seen, unseen], dim=-1)


def variational_terms(
    logits: Tensor,
    x0: Tensor,
    x_t: Tensor,
    t: Tensor,
    weight: Tensor,
    schedule: Schedule,
    auxiliary: float = AUXILIARY,
) -> Tensor:
    """Return (B,): one term of the bound for each example, in nats a cell, auxiliary loss added.

    The term is KL(q(x_t-1 | x_t, x_0) || p(x_t-1 | x_t)), at t = 1 the same as -log p(x_0 | x_1),
    plus ``auxiliary`` (2 - t/T) times -log p(x_0 | x_t); a mean over cells by ``weight``
    (B, S, T). Cells whose x_0 is MASK count nothing. This is the plain form, for any schedule.
    """
    log_p = _compatible(logits, x_t, schedule)
    true = posterior(x0, x_t, t, schedule, logits.shape[-1])
    model = _backwards(log_p.exp(), x_t, t, schedule)
    tiny = torch.finfo(model.dtype).tiny
    divergence = (torch.xlogy(true, true) - true * model.clamp(min=tiny).log()).sum(dim=-1)
    nll = -log_p.gather(-1, x0.clamp(min=0)[..., None])[..., 0]
    terms = divergence + _auxiliary(auxiliary, t, schedule)[:, None, None] * nll
    weight = weight.to(terms) * (x0 != MASK)
    counted = torch.where(weight > 0, terms, 0.0)
    return (counted * weight).sum(dim=(1, 2)) / _mass(weight)


def masked_terms(
    logits: Tensor,
    x0: Tensor,
    x_t: Tensor,
    t: Tensor,
    weight: Tensor,
    schedule: Schedule,
    auxiliary: float = AUXILIARY,
) -> Tensor:
    """Return the same as ``variational_terms`` for a chain that only masks, in closed form.

    Raises:
        ValueError: for a schedule that also draws cells again.
    """

    def rows(cells: Tensor) -> Tensor:
        return logits.flatten(0, 2).index_select(0, cells)

    return masked_terms_of(rows, x0, x_t, t, weight, schedule, auxiliary)


def masked_terms_of(
    logits_of: Callable[[Tensor], Tensor],
    x0: Tensor,
    x_t: Tensor,
    t: Tensor,
    weight: Tensor,
    schedule: Schedule,
    auxiliary: float = AUXILIARY,
) -> Tensor:
    """Return ``masked_terms`` where logits are made only for the cells that need them.

    A cell that is not masked says nothing, and a masked one is revealed at this step with a known
    chance: the divergence is that chance times the cross-entropy, which is evaluated at masked
    cells of some weight alone. ``logits_of`` takes their numbers (n,), counted through (B, S, T),
    and returns (n, V).

    Raises:
        ValueError: for a schedule that also draws cells again.
    """
    if not schedule.masks_only:
        raise ValueError("the closed form is of chains that only mask; use variational_terms")
    weight = weight * (x0 != MASK)
    needed = ((x_t == MASK) & (weight > 0)).flatten().nonzero()[:, 0]
    nll = F.cross_entropy(logits_of(needed).float(), x0.flatten()[needed], reduction="none")
    of = needed.div(x0[0].numel(), rounding_mode="floor")  # the example of each row
    counted = nll * weight.flatten()[needed].to(nll)
    sums = nll.new_zeros(len(x0)).index_add(0, of, counted)
    # (1 - gamma-bar_t-1 / gamma-bar_t) is the chance that the step back reveals a masked cell
    factor = schedule.revealed(t).to(nll) + _auxiliary(auxiliary, t, schedule)
    return factor * sums / _mass(weight.to(nll))


def _auxiliary(weight: float, t: Tensor, schedule: Schedule) -> Tensor:
    return weight * (2.0 - t.float() / schedule.steps)


def _mass(weight: Tensor) -> Tensor:
    """Return (B,): the weight of each example, 1 where it has none."""
    mass = weight.sum(dim=(1, 2))
    return torch.where(mass > 0, mass, 1.0)


def cell_weights(target: Tensor, condition: Tensor) -> Tensor:
    """Return the published weights of cells: 1 for targets, .5 for conditions, else 0."""
    return torch.where(target, 1.0, 0.5 * condition.float())


class Times(nn.Module):
    """Which time to train on: the oftener, the larger its loss.

    Nichol and Dhariwal 2021, eq. 18: p_t is proportional to the root of the mean of L_t squared,
    once each time has been met ``warm_up`` times, until then uniform. The mean is a running one,
    in buffers, so that a checkpoint keeps it. One draw in ten stays uniform:
    no loss is divided by next to nothing.
    """

    FLOOR = 0.1
    squares: Tensor  # (T,), of times 1..T
    counts: Tensor  # (T,)

    def __init__(self, steps: int = TIMES, decay: float = 0.9, warm_up: int = 10) -> None:
        super().__init__()
        self.decay, self.warm_up = decay, warm_up
        self.register_buffer("squares", torch.zeros(steps, dtype=torch.float64))
        self.register_buffer("counts", torch.zeros(steps, dtype=torch.int64))

    # Nichol and Dhariwal eq. 18
    def probabilities(self) -> Tensor:
        """Return (T,) the probability of each time 1..T, float64."""
        even = torch.full_like(self.squares, 1 / len(self.squares))
        root = self.squares.sqrt()
        if bool((self.counts < self.warm_up).any()) or not float(root.sum()) > 0:
            return even
        return (1 - self.FLOOR) * root / root.sum() + self.FLOOR * even

    def draw(self, batch: int) -> tuple[Tensor, Tensor]:
        """Return times (B,) and the probability of each (B,), float32.

        The draws of a batch are spread evenly over the distribution; each alone follows it.
        """
        p = self.probabilities()
        # Stratified: one draw from each of B equal parts of the distribution, then shuffled.
        at = (torch.arange(batch, device=p.device) + torch.rand((), device=p.device)) / batch
        index = torch.searchsorted(p.cumsum(0), at.double(), right=True).clamp(max=len(p) - 1)
        index = index[torch.randperm(batch, device=p.device)]
        return index + 1, p[index].float()

    @torch.no_grad()
    def record(self, t: Tensor, terms: Tensor) -> None:
        """Take in the losses (B,) of times (B,), before any division by probabilities."""
        seen = torch.bincount(t - 1, minlength=len(self.counts))
        sums = torch.zeros_like(self.squares).index_add(0, t - 1, terms.detach().double() ** 2)
        mean = sums / seen.clamp(min=1)
        # n draws of a time in one batch count as n updates of the running mean.
        old = torch.where(self.counts > 0, self.decay ** seen.double(), 0.0)
        updated = old * self.squares + (1 - old) * mean
        self.squares.copy_(torch.where(seen > 0, updated, self.squares))
        self.counts.add_(seen)


def importance_loss(terms: Tensor, probability: Tensor) -> Loss:
    """Return the bound's unbiased estimate from terms (B,) of times drawn with ``probability``.

    Its unit is nats a cell: the terms of all times, summed.
    """
    total = (terms / probability).mean()
    return Loss(total, {"bound": total.detach(), "term": terms.detach().mean()})
