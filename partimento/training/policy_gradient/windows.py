"""Real sequences of one length, and how generated sequences compare with them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from partimento.errors import TrainingError
from partimento.metrics.bleu import bleu, distinct, novelty, self_bleu
from partimento.training.tokens.data import TokenSet

__all__ = ["COLLAPSED", "SequenceWindows"]

COLLAPSED = 0.5  # of the data's diversity; below it a generator repeats itself
_LEAST = 8  # sequences side by side that a discriminator needs
_COMPARED = 2048  # training sequences in which what is made may be found


class SequenceWindows:
    """Sequences of ``length`` tokens from anywhere in the pieces of ``train`` and ``valid``.

    Figures are of ``validated`` generated sequences, against as many real ones.

    Raises:
        TrainingError: if no training piece is long enough, or there is too little for a
        discriminator.
    """

    def __init__(self, sets: Mapping[str, TokenSet], length: int, validated: int) -> None:
        self.length = length
        self.sets = {split: _long_enough(sets[split], length) for split in ("train", "valid")}
        count = sum(len(piece.tokens) // length for piece in self.sets["train"].pieces)
        if not count:
            longest = max(len(piece.tokens) for piece in sets["train"].pieces)
            raise TrainingError(
                f"no piece has the {length} steps of a sequence (the longest has {longest}); "
                "set training.length lower, or add longer pieces"
            )
        if count < _LEAST:
            raise TrainingError(
                f"a discriminator needs {_LEAST} sequences of {length} steps to learn from; there "
                f"are {count}; add music, or set training.length lower"
            )
        if not self.sets["valid"].pieces:
            self.sets["valid"] = self.sets["train"]
        draw = np.random.default_rng(0)
        self.train = self.real(draw, max(validated, _COMPARED)).numpy()
        self.valid = self.real(draw, validated, "valid").numpy()
        like = self.train[:validated]
        self._self_bleu, self._distinct = float(self_bleu(like).mean()), distinct(like)

    def real(self, draw: np.random.Generator, size: int, split: str = "train") -> Tensor:
        """Return real sequences (size, length), transposed in training; pieces by their length."""
        batch = self.sets[split].batch(draw, size, self.length, 1, 1)
        return batch["targets"]

    def uniforms(self) -> Tensor:
        """Return (validated, length) of 0..1: those by which each validation draws."""
        draw = np.random.default_rng(1)
        return torch.from_numpy(draw.random(self.valid.shape, dtype=np.float32))

    def figures(self, made: npt.NDArray[np.int64]) -> dict[str, float]:
        """Return the figures of made sequences (validated, length).

        - ``loss``: 1 - BLEU-4, and what self-BLEU-4 exceeds the data's own by, so that quality
          which is bought by repeating itself does not count; 1 more if it has collapsed;
        - ``bleu``: against validation sequences; ``self_bleu``: against each other;
        - ``diversity``: distinct 4-grams over the training sequences' own; under ``COLLAPSED`` it
          has collapsed;
        - ``novelty``: the share of 4-grams that are in none of the training sequences sampled.
        """
        quality, own = float(bleu(made, self.valid).mean()), float(self_bleu(made).mean())
        diversity = distinct(made) / self._distinct
        loss = 1 - quality + max(0.0, own - self._self_bleu) + (diversity < COLLAPSED)
        return {
            "loss": loss,
            "bleu": quality,
            "self_bleu": own,
            "diversity": diversity,
            "novelty": novelty(made, self.train),
        }


def _long_enough(tokens: TokenSet, length: int) -> TokenSet:
    pieces = [piece for piece in tokens.pieces if len(piece.tokens) >= length]
    return TokenSet(tokens.representation, pieces)
