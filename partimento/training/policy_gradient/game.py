"""A game over token sequences: what is real, what a generator makes to match, how the two compare.

Shapes: B sequences, L tokens, C columns, F features, V the vocabulary.

Real sequences are crops of the training pieces. A made one shares with a real one its features and,
in some of the batches, its first tokens: what the generator continues is then music, not its own
beginning, and the discriminator can separate the two only by what was generated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from partimento.errors import TrainingError
from partimento.training.contract import Batch
from partimento.training.nn.discriminators.sequence import Intervals
from partimento.training.policy_gradient.rollouts import (
    TokenPolicy,
    Walks,
    walks_of,
    without_dropout,
)
from partimento.training.tokens.data import TokenSet
from partimento.training.tokens.task import TokenTask

__all__ = ["Game", "GameState", "GivenWalks", "Sequences", "distinct_share"]

_LEAST_PIECES = 2
_PITCHES = ("pitch", "note_on")
_NGRAM = 16


class GameState(nn.Module):
    """What a game must remember from step to step, kept by checkpoints as buffers.

    ``begun``: whether it has begun; ``steps``: how many the generator took. The rest is a store of
    N made sequences beside the real ones that they match, in blocks: a block is made at once, which
    costs little more than one sequence, and takes the place of the oldest. The generator learns
    from the newest block, part by part; the discriminator from all, or it would know a block by
    heart. ``real`` and ``made`` are (N, L), ``features`` (N, L, F); the first ``prompt`` (N,)
    tokens are the same in both. ``blocks`` were made so far; ``served`` rows of the newest are used
    up.
    """

    begun: Tensor
    steps: Tensor
    real: Tensor
    made: Tensor
    features: Tensor
    prompt: Tensor
    blocks: Tensor
    served: Tensor

    def __init__(self, block: int, kept: int, length: int, features: int) -> None:
        super().__init__()
        self.block, self.kept = block, kept
        rows = block * kept
        shapes: dict[str, tuple[int, ...]] = {
            "begun": (), "steps": (), "blocks": (), "served": (), "prompt": (rows,),
            "real": (rows, length), "made": (rows, length), "features": (rows, length, features),
        }  # fmt: skip
        for name, shape in shapes.items():
            self.register_buffer(name, torch.zeros(shape, dtype=torch.long))

    def renew(self, game: Game, batch: Batch, size: int) -> None:
        """Have the generator match a block of real ones, unless ``size`` rows are left to serve."""
        if int(self.blocks) and int(self.served) + size <= self.block:
            return
        at = int(self.blocks) % self.kept * self.block
        rows = slice(at, at + self.block)
        self.real[rows] = batch["targets"]
        self.features[rows] = batch["features"]
        self.prompt[rows] = batch["prompt"]
        self.made[rows] = game.make(batch)
        self.blocks += 1
        self.served.zero_()

    def serve(self, size: int) -> Tensor:
        """Use up ``size`` rows of the newest block; return which (R,)."""
        first = (int(self.blocks) - 1) % self.kept * self.block + int(self.served)
        self.served += size
        return torch.arange(first, first + size)

    def some(self, size: int) -> Tensor:
        """Return ``size`` rows (R,) of all blocks, drawn by torch's generator."""
        return torch.randperm(min(int(self.blocks), self.kept) * self.block)[:size]

    def pair(self, game: Game, rows: Tensor) -> tuple[Sequences, Sequences]:
        """Return the real sequences in rows (R,) and the made ones that match them."""
        at = rows.to(self.real.device)
        features, prompt = self.features[at], self.prompt[at]
        real, made = (game.sequences(each[at], features, prompt) for each in (self.real, self.made))
        return real, made


class GivenWalks:
    """Walks along features (B, L, F) that are known beforehand; state: row and place."""

    def __init__(self, features: Tensor) -> None:
        self.given = features

    def begin(self, batch: int, device: torch.device) -> Tensor:
        """Return the first place of each row (B, 2)."""
        rows = torch.arange(batch, device=device)
        return torch.stack([rows, torch.zeros_like(rows)], dim=1)

    def features(self, state: Tensor) -> Tensor:
        """Return (B, F); those of the last place beyond it."""
        return self.given[state[:, 0], state[:, 1].clamp(max=self.given.shape[1] - 1)]

    def push(self, state: Tensor, tokens: Tensor) -> Tensor:
        """Go one place on."""
        return state + torch.tensor([0, 1], device=state.device)


@dataclass(frozen=True)
class Sequences:
    """Sequences as both sides see them.

    - ``tokens``: (B, L); ``columns``: (B, L, C), known before each of them;
    - ``scored``: (B, L), where the discriminator scores: past the prompt, up to the end of the
      piece;
    - ``features``: (B, L, F), those of the columns; ``prompt``: (B,), how many tokens were given.
    """

    tokens: Tensor
    columns: Tensor
    scored: Tensor
    features: Tensor
    prompt: Tensor


class Game:
    """The real and the made sequences of one token model."""

    def __init__(self, model: TokenTask, length: int, from_nothing: float) -> None:
        self.model, self.length, self.from_nothing = model, length, from_nothing
        voices = model.representation.tokens_per_step
        self.is_grid = voices > 1
        vocabulary = model.representation.vocabulary
        pitches = next((name for name in _PITCHES if name in vocabulary.ranges), None)
        span = vocabulary.span(pitches) if pitches else slice(0, 1)
        self.intervals = Intervals(span.start, span.stop - 1, voices)

    def check(self) -> None:
        """Hold the corpus against what a discriminator needs.

        Raises:
            TrainingError: if pieces are too few or too short.
        """
        pieces = self.model.sets["train"].pieces
        longest = max(len(piece.tokens) for piece in pieces)
        fitting = len(self._fitting(self.model.sets["train"]))
        if fitting < _LEAST_PIECES:
            raise TrainingError(
                f"a discriminator needs {_LEAST_PIECES} pieces of {self.length} tokens or more, "
                "not "
                f"{fitting}; the longest has {longest}: lower training.length, or add music"
            )

    def _fitting(self, tokens: TokenSet) -> list[int]:
        return [i for i, piece in enumerate(tokens.pieces) if len(piece.tokens) >= self.length]

    def real(self, draw: np.random.Generator, size: int, split: str = "train") -> Batch:
        """Return ``targets`` (B, L), ``features`` (B, L, F) and ``prompt`` (B,) of real crops.

        Pieces are drawn by their length, transpositions evenly. A batch begins at the beginnings of
        pieces, without a prompt, or anywhere with one of a quarter to half of the length; where
        features depend on the tokens before them, it is always at the beginnings.
        """
        tokens = self.model.sets[split]
        if not (fitting := self._fitting(tokens)):
            tokens = self.model.sets["train"]
            fitting = self._fitting(tokens)
        share = np.array([len(tokens.pieces[i].tokens) for i in fitting], dtype=np.float64)
        align, quarter = self.model.align, self.length // 4
        prompt = 0
        if draw.random() >= self.from_nothing:
            prompt = int(draw.integers(quarter, 2 * quarter + 1)) // align * align
        targets, features = [], []
        for index in draw.choice(fitting, size, p=share / share.sum()).tolist():
            sequence, known = tokens.piece(index, int(draw.choice(tokens.pieces[index].shifts)))
            spare = (len(sequence) - self.length) // align
            start = int(draw.integers(spare + 1)) * align if prompt and self.is_grid else 0
            targets.append(sequence[start : start + self.length])
            features.append(known[start : start + self.length])
        return {
            "targets": torch.from_numpy(np.stack(targets)),
            "features": torch.from_numpy(np.stack(features)),
            "prompt": torch.full((size,), prompt),
        }

    def policy(self, features: Tensor) -> TokenPolicy:
        """Return the generator as a policy over sequences with these features (B, L, F)."""
        representation = self.model.representation
        walks: Walks = GivenWalks(features) if self.is_grid else walks_of(representation)
        start, width = representation.start_token, self.model.local_width
        return TokenPolicy(self.model.network, walks, start, width)

    def make(self, batch: Batch, uniforms: Tensor | None = None) -> Tensor:
        """Return tokens (B, L) that the generator makes to match real ones; ``uniforms`` decide.

        Without them torch's own generator does.
        """
        tokens, prompt = batch["targets"], int(batch["prompt"][0])
        policy = self.policy(batch["features"])
        rows, length = tokens.shape
        return policy.sample(rows, length, uniforms, prompt=tokens[:, :prompt])

    def of(self, batch: Batch) -> Sequences:
        """Return the real sequences of a batch."""
        return self.sequences(batch["targets"], batch["features"], batch["prompt"])

    def sequences(self, tokens: Tensor, features: Tensor, prompt: Tensor) -> Sequences:
        """Return tokens (B, L) as both sides see them; the first ``prompt`` (B,) were given."""
        scored = torch.arange(tokens.shape[1], device=tokens.device) >= prompt[:, None]
        end = self.model.representation.end_token
        if end is not None:
            ends = (tokens == end).long()
            scored &= ends.cumsum(1) - ends == 0
        columns = self.policy(features).columns(tokens)
        return Sequences(tokens, columns, scored, features, prompt)

    def log_probabilities(self, made: Sequences, network: nn.Module | None = None) -> Tensor:
        """Return (B, L, V), the generator's log-distribution at each place, without dropout.

        ``network`` stands in for the generator's where one is given.
        """
        network = network or self.model.network
        with without_dropout(network):
            logits = network(made.columns).float()
        masked = self.policy(made.features).masked(logits)
        return torch.log_softmax(masked, dim=-1)


def distinct_share(tokens: npt.NDArray[np.int64], size: int = _NGRAM) -> float:
    """Return how many different runs of ``size`` tokens there are among all of (B, L), 0..1."""
    size = min(size, tokens.shape[1])
    windows = np.lib.stride_tricks.sliding_window_view(tokens, size, axis=1).reshape(-1, size)
    return len(np.unique(windows, axis=0)) / len(windows)
