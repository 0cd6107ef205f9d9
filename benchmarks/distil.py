"""Distil several networks of the JSB task into one of the shipped size.

    python -m benchmarks.distil runs/jsb-relative-pitch -o runs/jsb-distilled [--steps N]

The teachers are the kept network of `benchmarks.jsb` and the runs that are named; the mean of their
distributions is the target (Hinton, Vinyals and Dean 2015, arXiv 1503.02531, at temperature 1). On
training pieces, which teachers half remember, that mean is too sure; so the student learns from
chorales that the teachers made as well, of which each knows only what it has understood. No note
but those of the published training part is learnt from, by teachers or student.

The student starts from the kept network. The run that is written is an ordinary one: ``train
--start-from`` goes on from it, and `benchmarks.jsb` measures it as ``nll_distilled``.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks import jsb
from benchmarks.harness import say
from partimento import seeds
from partimento.files import open_corpus
from partimento.files.corpora.corpus import Corpus
from partimento.music import Score
from partimento.runtime.presets import TokenPreset
from partimento.runtime.tokens.performer import TokenPerformer
from partimento.samplers.autoregressive import sample_batch
from partimento.samplers.picks import Pick
from partimento.systems.music_transformer.networks import network
from partimento.training.contract import Batch, Loss
from partimento.training.data import pitch_ranges
from partimento.training.loop.run import train
from partimento.training.tokens.data import TokenSet, encode_pieces
from partimento.training.tokens.task import TokenTask

PIECES, AT_ONCE, TOKENS = 192, 16, 1024  # made by each teacher; tokens of each
STEPS, RATE = 1200, 3e-4


class DistilledTask(TokenTask):
    """A student of several networks that read the same columns."""

    def __init__(self, preset: TokenPreset, teachers: Sequence[TokenTask]) -> None:
        super().__init__("music_transformer", preset, network)
        self.teachers = tuple(task.network.eval() for task in teachers)
        self.players = tuple(teachers)

    def fresh(self) -> TokenTask:
        """Return a task of newly initialised weights, which has no teachers."""
        return DistilledTask(self.preset, ())

    def prepare(self, corpora: Sequence[Corpus], folder: Path, say: Callable[[str], None]) -> None:
        """Encode the corpora, and add what the teachers make to the training pieces."""
        super().prepare(corpora, folder, say)
        scores = [p for _, p in corpora[0].pieces("train") if isinstance(p, Score)]
        ranges = pitch_ranges(scores)
        pieces = list(self.sets["train"].pieces)
        for number, task in enumerate(self.players):
            made, _ = encode_pieces(
                self.representation, music_of(task, number), self.preset.transpose, (1.0,), ranges
            )
            pieces += made
            say(f"teacher {number + 1} made {len(made)} pieces")
        self.sets["train"] = TokenSet(self.representation, pieces)

    def _loss(self, batch: Batch) -> Loss:
        if not self.network.training:  # validation: how likely the music itself is
            return super()._loss(batch)
        logits = self.network(batch["columns"]).float()
        with torch.no_grad():
            target = mean_distribution([each(batch["columns"]) for each in self.teachers])
        mask = batch["mask"].float()
        surprise = -(target * torch.log_softmax(logits, dim=-1)).sum(dim=-1)
        total = (surprise * mask).sum() / mask.sum().clamp(min=1)
        return Loss(total, {"soft_nll": total.detach()})


def mean_distribution(logits: Sequence[Tensor]) -> Tensor:
    """Return (..., V): the mean of the distributions that logits (..., V) stand for."""
    return torch.stack([torch.softmax(each.float(), dim=-1) for each in logits]).mean(dim=0)


def music_of(task: TokenTask, number: int) -> list[Score]:
    """Return pieces that a network makes, drawn at temperature 1."""
    grid = task.representation
    with tempfile.TemporaryDirectory() as name:
        player = TokenPerformer.load(task.export(Path(name) / "teacher", {}), threads=1)
    decoder = player.decoder.following(grid)
    rngs = seeds.generator(number).spawn(PIECES)
    scores = []
    for at in range(0, PIECES, AT_ONCE):
        rows = rngs[at : at + AT_ONCE]
        for tokens in sample_batch(decoder, Pick(), [None] * len(rows), rows, max_tokens=TOKENS):
            scores.append(grid.decode(np.array(tokens, dtype=np.int64)))
    return scores


def main() -> None:
    """Train the student."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=STEPS)
    options = parser.parse_args()
    kept = jsb.kept(jsb.PLAIN)
    assert kept is not None  # it ships with the benchmarks
    others = [jsb.trained(run.name) for run in options.runs]
    teachers = [kept, *(task for task in others if task is not None)]
    training = kept.preset.training.model_copy(
        update={"steps": options.steps, "learning_rate": RATE, "validate_every": 150, "patience": 0}
    )
    student = DistilledTask(kept.preset.model_copy(update={"training": training}), teachers)
    say(f"{len(teachers)} teachers, {options.steps} steps")
    with tempfile.TemporaryDirectory() as name:
        start = kept.export(Path(name) / "kept", {}, ("fp32",))
        train(student, [open_corpus("jsb_chorales")], options.out, start_from=start.path, threads=1)
    assert isinstance(student.network, nn.Module)
    say(f"{options.out} is trained: python -m benchmarks.jsb")


if __name__ == "__main__":
    main()
