"""Training of every token model: pieces to tokens, one likelihood stage, export.

A system's ``training.py`` makes one of these with a network of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from partimento.errors import TrainingError
from partimento.files.corpora.corpus import Corpus
from partimento.metrics.copying import CopyIndex
from partimento.music import Note, Score, Track
from partimento.representations import token_representation
from partimento.representations.base import input_columns
from partimento.runtime.model_folder import ModelFolder
from partimento.runtime.presets import TokenPreset
from partimento.training.contract import Batch, Loss, Player, Stage
from partimento.training.data import pitch_ranges
from partimento.training.device import best_device, number_format
from partimento.training.export.writer import COPIES, export_token_model
from partimento.training.loop.timing import step_seconds
from partimento.training.objectives.likelihood import next_token_loss
from partimento.training.tokens import data as token_data
from partimento.training.tokens.data import TokenPiece, TokenSet
from partimento.training.tokens.fitting import fitted
from partimento.training.tokens.temperature_scaling import best_temperature, divide_head

__all__ = ["TokenTask", "sequence_nll"]

_VALID_CROPS = 48
_VALID_BATCH = 8
_TAIL_SHARE = 0.1
_RARE = 0.001

NetworkFactory = Callable[[TokenPreset, int, tuple[int, ...]], nn.Module]


class TokenTask:
    """One token model in training: its preset, its network, its data."""

    def __init__(self, system: str, preset: TokenPreset, network: NetworkFactory) -> None:
        self.system, self.preset = system, preset
        self.representation = token_representation(preset.representation)
        self.vocabulary = self.representation.vocabulary.size
        self.factory = network
        self.network = network(preset, self.vocabulary, self.representation.feature_sizes)
        self.sets: dict[str, TokenSet] = {}
        self.facts: dict[str, Any] = {}

    def fresh(self) -> TokenTask:
        """Return another training task of the same preset, with newly initialised weights."""
        return type(self)(self.system, self.preset, self.factory)

    def of_preset(self, preset: TokenPreset) -> TokenTask:
        """Return a task of another preset, of the same representation, on the same data."""
        task = type(self)(self.system, preset, self.factory)
        task.sets = self.sets
        return task

    def cost(self) -> tuple[float, str]:
        """Return the seconds of a step on made-up music, and the number format it runs in."""
        notes = tuple(
            Note(120 * i, 60 + i % 12, 120) for i in range(4 * self.preset.training.length)
        )
        scale = Score((Track("Piano", notes),))
        trial = self.of_preset(self.preset)
        pieces, _ = token_data.encode_pieces(self.representation, [scale], 0, (1.0,))
        trial.sets = {"train": TokenSet(self.representation, pieces)}
        return step_seconds(trial.stages()[0]), number_format(best_device())

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The one network."""
        return {"network": self.network}

    @property
    def local_width(self) -> int:
        """How many past tokens stand in the input columns."""
        return self.preset.network.local_width

    @property
    def align(self) -> int:
        """Crops start at multiples of this many tokens."""
        return self.representation.tokens_per_step

    def prepare(self, corpora: Sequence[Corpus], folder: Path, say: Callable[[str], None]) -> None:
        """Read and encode the corpora, or take what an earlier run in ``folder`` encoded.

        Raises:
            TrainingError: if nothing can be learnt from.
        """
        made_from = {
            "corpora": [(corpus.name, len(corpus.items)) for corpus in corpora],
            "representation": self.preset.representation,
            "transpose": self.preset.transpose,
            "stretches": self.preset.stretches,
        }
        cache = folder / "tokens.npz"
        sets = token_data.load_sets(cache, made_from)
        if sets is None:
            learnt: list[tuple[str, Score]] = []
            sets = self._encode(corpora, say, learnt)
            # What the model has been trained on, so that what it makes can be held against it.
            CopyIndex.build(learnt).save(folder / COPIES)
            token_data.save_sets(cache, sets, made_from)
        self._take(sets)
        self.facts["corpora"] = sorted({corpus.name for corpus in corpora})
        counts = self.facts["pieces"]
        say(
            f"{counts['train']} pieces to learn from ({self.sets['train'].token_count:,} tokens), "
            f"{counts['valid']} to validate"
        )
        if self.preset.fit:
            with torch.random.fork_rng(devices=[]):  # the weights come from the seed alone
                self.preset = fitted(self, self.sets["train"].token_count, say)
            size, features = self.vocabulary, self.representation.feature_sizes
            self.network = self.factory(self.preset, size, features)

    def recall(self, folder: Path) -> None:
        """Take the data that a run in ``folder`` encoded, where it is still there."""
        sets = token_data.load_sets(folder / "tokens.npz")
        if sets is not None:
            self._take(sets)

    def _take(self, sets: Mapping[str, list[TokenPiece]]) -> None:
        self.sets = {split: TokenSet(self.representation, pieces) for split, pieces in sets.items()}
        self.facts = {
            "pieces": {split: len(tokens.pieces) for split, tokens in self.sets.items()},
            "tokens": {split: tokens.token_count for split, tokens in self.sets.items()},
        }

    def _encode(
        self,
        corpora: Sequence[Corpus],
        say: Callable[[str], None],
        learnt: list[tuple[str, Score]],
    ) -> dict[str, list[TokenPiece]]:
        sets: dict[str, list[TokenPiece]] = {"train": [], "valid": [], "test": []}
        ranges: dict[str, tuple[int, int]] | None = None
        for corpus in corpora:
            for split in sets:
                named = [
                    (n, piece) for n, piece in corpus.pieces(split) if isinstance(piece, Score)
                ]
                scores = [score for _, score in named]
                if split == "train":
                    known = {name for name, _ in learnt}
                    learnt += [
                        (name, score)
                        for name, score in ((f"{corpus.name}/{n}", s) for n, s in named)
                        if name not in known
                    ]
                    ranges = pitch_ranges(scores)
                factors = self.preset.stretches if split == "train" else (1.0,)
                pieces, skipped = token_data.encode_pieces(
                    self.representation, scores, self.preset.transpose, factors, ranges
                )
                sets[split] += pieces
                if skipped:
                    say(f"{corpus.name} {split}: {skipped} pieces do not fit this representation")
        if not sets["train"]:
            raise TrainingError("no piece to learn from was found; see the preflight above")
        if not sets["valid"]:
            sets["train"], sets["valid"] = _hold_out_tails(sets["train"], self.align)
            say("too few pieces for a validation set: the last tenth of each piece is held out")
        return sets

    @property
    def instruments(self) -> list[int]:
        """The preset's instruments, or those of the training music, rare ones left out.

        A model is asked to play these alone: it never learnt the others. [] where it has none.
        """
        if self.preset.instruments is not None:
            return list(self.preset.instruments)
        vocabulary = self.representation.vocabulary
        if "instrument" not in vocabulary.ranges or "train" not in self.sets:
            return []
        span = vocabulary.span("instrument")
        said = np.concatenate([piece.tokens for piece in self.sets["train"].pieces])
        said = said[(said >= span.start) & (said < span.stop)].astype(np.int64) - span.start
        counts = np.bincount(said, minlength=span.stop - span.start)
        return [int(i) for i in np.flatnonzero(counts >= max(1, _RARE * counts.sum()))]

    def stages(self) -> tuple[Stage, ...]:
        """Return the one stage: maximum likelihood."""
        player = Player("model", (self.network,), self._loss)
        return (Stage("likelihood", (player,), self.preset.training, self._batch, self._validate),)

    def _batch(self, draw: np.random.Generator) -> Batch:
        training = self.preset.training
        return self.sets["train"].batch(
            draw, training.batch_size, training.length, self.local_width, self.align
        )

    def _loss(self, batch: Batch) -> Loss:
        return next_token_loss(self.network(batch["columns"]), batch["targets"], batch["mask"])

    def _validate(self) -> Mapping[str, float]:
        """Return the loss over the validation crops."""
        total, count = 0.0, 0
        for batch in self._valid_batches():
            places = int(batch["mask"].sum())
            total += float(self._loss(batch).total) * places
            count += places
        return {"loss": total / max(1, count)}

    def _valid_batches(self) -> Iterator[Batch]:
        """Yield a fixed, even choice of crops of the validation pieces."""
        draw = np.random.default_rng(0)
        training = self.preset.training
        device = next(self.network.parameters()).device
        for _ in range(0, _VALID_CROPS, _VALID_BATCH):
            batch = self.sets["valid"].batch(
                draw, _VALID_BATCH, training.length, self.local_width, self.align
            )
            yield {key: value.to(device) for key, value in batch.items()}

    def finish(self) -> dict[str, float]:
        """Fit the temperature on the validation crops and divide it into the head.

        Returns the temperature and the validation loss with it.
        """
        self.network.eval()
        pairs = []
        with torch.no_grad():
            for batch in self._valid_batches():
                logits = self.network(batch["columns"])
                pairs.append((logits[batch["mask"]], batch["targets"][batch["mask"]]))
        temperature = best_temperature(pairs)
        divide_head(self.network, temperature)
        loss = self.figures()["loss"]
        self.network.train()
        return {"temperature": temperature, "valid_loss": loss}

    def export(
        self,
        out: Path,
        facts: Mapping[str, Any],
        precisions: tuple[str, ...] = ("int8",),
        run: Path | None = None,
    ) -> ModelFolder:
        """Write the network as a model folder."""
        return export_token_model(self, out, facts, precisions, run)

    def figures(self) -> dict[str, float]:
        """Return the validation figures of the network as it is."""
        self.network.eval()
        with torch.no_grad():
            figures = dict(self._validate())
        self.network.train()
        return figures

    def test_nll(self, split: str = "test", window: int | None = None) -> float:
        """Return the mean NLL, nats a token, over every token of a split, in fp32."""
        self.network.eval()
        window = window or self.preset.training.length
        tokens = self.sets[split]
        total, count = 0.0, 0
        for index in range(len(tokens.pieces)):
            sequence, features = tokens.piece(index)
            nll = sequence_nll(
                self.network, self.representation, sequence, features, self.local_width, window
            )
            total, count = total + float(nll.sum()), count + len(nll)
        self.network.train()
        return total / max(1, count)


def sequence_nll(
    network: nn.Module,
    representation: Any,
    tokens: np.ndarray[Any, np.dtype[np.int64]],
    features: np.ndarray[Any, np.dtype[np.int64]],
    local_width: int,
    window: int,
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the NLL of each token, every token seeing at least half a window of its past."""
    from_columns = input_columns(tokens, features, representation.start_token, local_width)
    device = next(network.parameters()).device
    out = np.zeros(len(tokens))
    done = 0
    while done < len(tokens):
        begin = max(0, done - window // 2) if done else 0
        begin -= begin % 4
        end = min(len(tokens), begin + window)
        columns = torch.from_numpy(from_columns[begin:end])[None].to(device)
        with torch.no_grad():
            logits = network(columns)[0].float()
        targets = torch.from_numpy(tokens[begin:end]).to(device)
        nll = nn.functional.cross_entropy(logits, targets, reduction="none").cpu().numpy()
        out[done:end] = nll[done - begin :]
        done = end
    return out


def _hold_out_tails(
    pieces: Sequence[TokenPiece], align: int
) -> tuple[list[TokenPiece], list[TokenPiece]]:
    """Split the last tenth off every piece; a tail of fewer than 8 tokens stays."""
    heads, tails = [], []
    for piece in pieces:
        cut = int(len(piece.tokens) * (1 - _TAIL_SHARE)) // align * align
        if len(piece.tokens) - cut >= 8 and cut >= 8:
            heads.append(TokenPiece(piece.tokens[:cut], piece.shifts))
            tails.append(TokenPiece(piece.tokens[cut:]))
        else:
            heads.append(piece)
    return heads, tails or heads[:1]
