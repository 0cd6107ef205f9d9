"""Losses of a game between a generator and a discriminator with one or several heads.

Heads are logits (B, n), one tensor a head; every head counts alike, however many places it judges.

::

    hinge loss (Lim and Ye 2017, arXiv 1705.02894)     -> discriminator_hinge, generator_hinge
    R1, |grad D(x)|^2 on what is real
        (Mescheder et al. 2018, arXiv 1801.04406)      -> gradient_penalty
    its weight, up while the discriminator is certain
        (Pasini and Schlueter 2022, official code)     -> certainty, adapted_weight
        or by shares, ours                             -> adapted_share
    feature matching (Salimans et al. 2016)            -> feature_distance
    moments over time, ours                            -> Moments
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = [
    "Moments",
    "adapted_share",
    "adapted_weight",
    "certainty",
    "discriminator_hinge",
    "feature_distance",
    "generator_hinge",
    "gradient_penalty",
]

Heads = Sequence[Tensor]
_BALANCE = 0.5
_WEIGHTS = 1e-2, 1e5
_STABLE = 0.9  # the certainty above which the published penalty grows


def discriminator_hinge(real: Heads, made: Heads) -> Tensor:
    """Return (max(0, 1 - D(x)) + max(0, 1 + D(G(z)))) / 2."""
    terms = [
        (F.relu(1 - x).mean() + F.relu(1 + y).mean()) / 2 for x, y in zip(real, made, strict=True)
    ]
    return torch.stack(terms).mean()


def generator_hinge(made: Heads) -> Tensor:
    """Return -D(G(z))."""
    return -torch.stack([each.mean() for each in made]).mean()


def gradient_penalty(real: Heads, latents: Tensor) -> Tensor:
    """Return the mean over examples of |grad D(x)|^2, x being ``latents`` (B, ...).

    ``latents`` must ask for gradients and ``real`` be computed from it, out of autocast: half
    precision has no room for the squares.
    """
    verdict = torch.stack([each.float().mean(dim=1) for each in real]).mean(dim=0)
    # Each verdict depends on its own example alone, so the gradient of the sum holds all of theirs.
    (slope,) = torch.autograd.grad(verdict.sum(), latents, create_graph=True)
    return slope.float().square().flatten(1).sum(dim=1).mean()


def certainty(real: Heads, made: Heads) -> Tensor:
    """Return 0 (the discriminator cannot separate them) to 1 (both sides are beyond the hinge)."""
    apart = torch.stack([x.mean() - y.mean() for x, y in zip(real, made, strict=True)]).mean()
    return apart.detach().float().clamp(0, 2) / 2


def adapted_weight(weight: Tensor, certain: Tensor, step: float, largest: float) -> Tensor:
    """Return the penalty's weight after a step: up if the discriminator is certain, down if not."""
    moved = torch.where(certain > _STABLE, weight + step, weight - step)
    return moved.clamp(0.0, largest)


def adapted_share(weight: Tensor, certain: Tensor, share: float) -> Tensor:
    """Return the weight a share up or down: the right size is found from afar, and held.

    The goal is a discriminator half certain: its gradients are then informative, while
    those of one that is beyond the hinge on both sides vanish.
    """
    moved = torch.where(certain > _BALANCE, weight * (1 + share), weight / (1 + share))
    return moved.clamp(*_WEIGHTS)


def feature_distance(real: Sequence[Tensor], made: Sequence[Tensor]) -> Tensor:
    """Return how far the means of features (B, W, n) over the batch and time lie apart."""
    terms = []
    for x, y in zip(real, made, strict=True):
        x, y = x.detach().float(), y.float()
        # (W,): distances count in units of each feature's deviation in the real ones
        scale = x.std(dim=(0, 2)).clamp_min(1e-3)
        terms.append(((x.mean(dim=(0, 2)) - y.mean(dim=(0, 2))) / scale).square().mean())
    return torch.stack(terms).mean()


class Moments(nn.Module):
    """Holds what a generator makes to the moments of what is real.

    Of windows (B, T, W), latents and conditions side by side and standardised: means (W,),
    products at lags (lags, W, W), and products of windows' means (W, W).

    ``forward`` gives, on average, the squared distance a latent channel: the product of what the
    batch misses and what the batches before it missed. The square of what one batch misses would
    add the variance of its estimate, and a generator would learn to vary less; and it is noisy.
    """

    def __init__(self, width: int, lags: tuple[int, ...], memory: float = 0.9) -> None:
        super().__init__()
        self.lags, self.memory = lags, memory
        shapes = {"mean": (1, width), "products": (len(lags), width, width)}
        shapes["between"] = (1, width, width)
        for name, shape in shapes.items():
            self.register_buffer(f"real_{name}", torch.zeros(shape))
            self.register_buffer(f"made_{name}", torch.zeros(shape))
        self.batches: Tensor
        self.register_buffer("batches", torch.tensor(0.0))

    def settle(self, real: Tensor) -> None:
        """Take windows (n, T, W) of what is real as the goal."""
        with torch.no_grad():
            for name, value in self.moments(real).items():
                getattr(self, f"real_{name}").copy_(value)

    def moments(self, values: Tensor) -> dict[str, Tensor]:
        """Return the moments of windows (B, T, W), in fp32."""
        x = values.float()
        batch, length, width = x.shape
        products = []
        for lag in self.lags:
            # E[x_t x_t-lag^T], (W, W)
            now, then = x[:, lag:], x[:, : length - lag]
            count = batch * (length - lag)
            products.append(now.reshape(-1, width).T @ then.reshape(-1, width) / count)
        means = x.mean(dim=1)
        return {
            "mean": means.mean(dim=0)[None],
            "products": torch.stack(products),
            "between": (means.T @ means / batch)[None],
        }

    def forward(self, made: Tensor, latents: int) -> Tensor:
        """Return the distance of made windows, in what involves the first ``latents`` numbers."""
        total = made.new_zeros(())
        memory = torch.clamp((self.batches + 1) / (self.batches + 10), max=self.memory)
        for name, value in self.moments(made).items():
            real, before = getattr(self, f"real_{name}"), getattr(self, f"made_{name}")
            earlier = torch.where(self.batches > 0, before, value.detach())
            # Two independent estimates: the expectation is the squared distance, without variance.
            missed = (earlier - real) * (value - real)
            total = total + missed[:, :latents].sum() / (len(value) * latents)
            with torch.no_grad():
                before.copy_(torch.lerp(value.detach(), earlier, memory))
        with torch.no_grad():
            self.batches.add_(1)
        return total
