"""Is what a generator makes still like its music, and still manifold? Cheap: for each validation.

It compares features of short sequences (Yang and Lerch's overlapped areas) and asks no judge and no
discriminator: the figures of a benchmark's judge stay independent of how the best weights were
chosen.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from partimento.metrics.copying import CopyIndex, copy_rate
from partimento.metrics.distributions import compare_values
from partimento.metrics.features import features
from partimento.music import Score
from partimento.training.contract import Batch
from partimento.training.objectives.likelihood import next_token_loss
from partimento.training.policy_gradient.discriminator_gradients import Pair
from partimento.training.policy_gradient.game import Game, distinct_share
from partimento.training.policy_gradient.rollouts import without_dropout

__all__ = ["COLLAPSED", "MadeFigures"]

COLLAPSED = 0.5  # of the data's diversity; below it a generator repeats itself
_BATCH = 32
_SEED = 0


class MadeFigures:
    """Figures of a generator's sequences beside real ones; the same choice of them every time."""

    def __init__(self, game: Game, count: int, index: CopyIndex | None = None) -> None:
        self.game, self.index = game, index
        draw = np.random.default_rng(_SEED)
        sizes = [min(_BATCH, count - done) for done in range(0, count, _BATCH)]
        self.batches = [game.real(draw, size, "valid") for size in sizes]
        self.uniforms = [
            torch.from_numpy(draw.random(batch["targets"].shape, dtype=np.float32))
            for batch in self.batches
        ]
        self.real = [self._scores(batch["targets"]) for batch in self.batches]
        self.made: list[Tensor] = []  # what was made at the last call, to match the batches
        self.real_diversity = self._diversity([batch["targets"] for batch in self.batches])

    def __call__(self) -> dict[str, float]:
        """Return the figures of the generator as it is.

        - ``loss``: what decides which weights are best: the share of features' distributions that
          does not overlap;
        - ``overlap``: 0..1, 1 is best; ``nll``: of the real sequences, nats a token;
        - ``diversity``: the distinct runs of tokens over the real sequences' own; under
          ``COLLAPSED`` it has collapsed;
        - ``novelty``: the share of runs of notes that are nowhere in the training music; left out
          where there are none.
        """
        device = next(self.game.model.network.parameters()).device
        made, nll = [], []
        for batch, uniforms in zip(self.batches, self.uniforms, strict=True):
            here = {key: value.to(device) for key, value in batch.items()}
            made.append(self.game.make(here, uniforms.to(device)).cpu())
            nll.append(self._nll(here))
        self.made = made
        scores = [self._scores(tokens) for tokens in made]
        overlap = _overlap(
            [score for part in scores for score in part], [s for part in self.real for s in part]
        )
        diversity = self._diversity(made) / max(self.real_diversity, 1e-9)
        figures = {
            "loss": 1 - overlap,
            "overlap": overlap,
            "nll": float(np.mean(nll)),
            "diversity": diversity,
        }
        if self.index is not None:
            flat = [score for part in scores for score in part if score.notes]
            named = {str(at): score for at, score in enumerate(flat)}
            share = copy_rate(self.index, named).share if named else math.nan
            if math.isfinite(share):  # where nothing is made that is long enough, none is copied
                figures["novelty"] = 1 - share
        return figures

    def pairs(self) -> Iterator[Pair]:
        """Yield the real sequences and those that the last call made to match them."""
        device = next(self.game.model.network.parameters()).device
        for batch, made in zip(self.batches, self.made, strict=True):
            here = {key: value.to(device) for key, value in batch.items()}
            yield (
                self.game.of(here),
                self.game.sequences(made.to(device), here["features"], here["prompt"]),
            )

    def _diversity(self, parts: Sequence[Tensor]) -> float:
        """Return the share of distinct runs of tokens past the prompts, 0..1."""
        made = zip(parts, self.batches, strict=True)
        new = [part[:, int(batch["prompt"][0]) :] for part, batch in made]
        shares = [distinct_share(part.numpy()) for part in new]
        return float(np.mean(shares))

    @torch.no_grad()
    def _nll(self, batch: Batch) -> float:
        real = self.game.of(batch)
        with without_dropout(self.game.model.network):
            logits = self.game.model.network(real.columns)
        return float(next_token_loss(logits, real.tokens, real.scored).total)

    def _scores(self, tokens: Tensor) -> list[Score]:
        decode = self.game.model.representation.decode
        return [decode(row) for row in tokens.numpy()]


def _overlap(made: Sequence[Score], real: Sequence[Score]) -> float:
    """Return the mean overlapped area, of distances and of values, over all features; 0..1."""
    tables = [[features(score).as_dict() for score in part] for part in (made, real)]
    areas: list[float] = []
    for name in tables[0][0]:
        first, second = (np.array([table[name] for table in part]) for part in tables)
        found = compare_values(first, second)
        areas += [x for x in (found.overlap, found.value_overlap) if x is not None]
    return float(np.mean(areas)) if areas else 0.0
