"""Training of models of curves: performances to windows, figures, collapse, export.

A system's ``training.py`` makes one of these with networks, losses and stages of its own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from partimento.errors import ConfigError, TrainingError
from partimento.files.corpora.corpus import Corpus
from partimento.metrics.curve_distances import compare_curves, spread
from partimento.music import Score
from partimento.representations.performance_curves import PerformanceCurves
from partimento.runtime.curves.generator import SeriesPreset, draw_grain
from partimento.runtime.model_folder import ModelFolder
from partimento.training.contract import Batch, Stage
from partimento.training.curves import data as series_data
from partimento.training.curves.data import SeriesPiece, SeriesSet
from partimento.training.device import autocast
from partimento.training.export.curve_graph import generator_graph
from partimento.training.export.writer import write_model
from partimento.training.nn.quantiles import Calibration

__all__ = ["COLLAPSED", "CurveTask"]

COLLAPSED = 0.5  # of the data's spread: below it the generator has one thing to say
_VALID_WINDOWS = 256
_MOST_QUARTERS = 50_000  # seven hours: what is longer is a file gone wrong
_CALIBRATED_WINDOWS = 512
_LEVEL = 0.55  # the mean velocity of Groove MIDI, for a network without data


class CurveTask(ABC):
    """A generator of curves and its discriminator in training; a system fills ``stages``."""

    def __init__(
        self, system: str, preset: SeriesPreset, network: nn.Module, discriminator: nn.Module
    ) -> None:
        self.system, self.preset = system, preset
        self.curves = PerformanceCurves.of_spec(preset.representation)
        if preset.network.kind == "free" and self.curves.channels != "pooled":
            raise ConfigError("representation.channels", "a free network makes one, pooled")
        if self.curves.steps % preset.network.patch:
            raise ConfigError("network.patch", f"must divide the {self.curves.steps} steps")
        self.network, self.discriminator = network, discriminator
        self.sets: dict[str, SeriesSet] = {}
        self.facts: dict[str, Any] = {}
        self.level = _LEVEL
        self._say: Callable[[str], None] = lambda _text: None
        self._held: SeriesPiece | None = None

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The one network."""
        return {"network": self.network}

    @abstractmethod
    def fresh(self) -> Self:
        """Return another training task of the same preset, with newly initialised weights."""

    @abstractmethod
    def stages(self) -> tuple[Stage, ...]:
        """Return the stages in order, which draw by ``batch`` and judge by ``validate``."""

    def prepare(self, corpora: Sequence[Corpus], folder: Path, say: Callable[[str], None]) -> None:
        """Read and encode the corpora, or take what an earlier run in ``folder`` encoded.

        Raises:
            TrainingError: if there is no music, too little for a discriminator, or none that was
            played.
        """
        made_from = {
            "corpora": [[corpus.name, len(corpus.items)] for corpus in corpora],
            "representation": self.preset.representation,
        }
        cache = folder / "series.npz"
        sets = series_data.load_series(cache, self.curves.steps, made_from)
        if sets is None:
            sets = self._encode(corpora, say)
            series_data.save_series(cache, sets, made_from)
        self._take(sets)
        self._say = say
        self.facts["corpora"] = sorted({corpus.name for corpus in corpora})
        counts = self.facts["pieces"]
        say(
            f"{counts['train']} performances to learn from "
            f"({self.sets['train'].onset_count:,} onsets), {counts['valid']} to validate"
        )

    def recall(self, folder: Path) -> None:
        """Take the data that a run in ``folder`` encoded, where it is still there."""
        sets = series_data.load_series(folder / "series.npz", self.curves.steps)
        if sets is not None:
            self._take(sets)

    def _encode(
        self, corpora: Sequence[Corpus], say: Callable[[str], None]
    ) -> dict[str, SeriesSet]:
        sets: dict[str, SeriesSet] = {}
        for split in ("train", "valid", "test"):
            pieces = []
            for corpus in corpora:
                for name, piece in corpus.pieces(split):
                    if not isinstance(piece, Score) or not piece.notes:
                        continue
                    if piece.end_ticks > _MOST_QUARTERS * piece.ticks_per_quarter:
                        say(f"{name}: longer than {_MOST_QUARTERS:,} quarters, left out")
                        continue
                    try:
                        pieces.append(series_data.encode_piece(self.curves, piece))
                    except Exception as error:  # one bad piece never stops the rest
                        say(f"{name}: cannot be encoded ({error}), left out")
            sets[split] = SeriesSet(pieces, self.curves.steps)
        if not sets["train"].pieces:
            raise TrainingError("no piece to learn from was found; see the preflight above")
        series_data.require_life(sets["train"])
        if not sets["valid"].pieces:
            sets["train"], sets["valid"] = sets["train"].heads_and_tails()
            say("too few pieces for a validation set: the last tenth of each piece is held out")
        return sets

    def _take(self, sets: dict[str, SeriesSet]) -> None:
        self.sets = sets
        self.facts = {
            "pieces": {split: len(found.pieces) for split, found in sets.items()},
            "onsets": {split: found.onset_count for split, found in sets.items()},
        }
        loud = [piece.velocity[piece.onset] for piece in sets["train"].pieces]
        self.level = round(float(np.concatenate(loud).mean()), 4) if loud else _LEVEL
        self._held = sets["valid"].windows(_VALID_WINDOWS)

    def batch(self, draw: np.random.Generator) -> Batch:
        """Return windows of the training music."""
        windows = self.sets["train"].draw(draw, self.preset.training.batch_size)
        return self._tensors(windows, draw)

    def _tensors(self, windows: SeriesPiece, draw: np.random.Generator) -> Batch:
        """Return windows with the noise from which the generator must make their like."""
        config = self.preset.network
        count, length = windows.onset.shape[:2]
        parts = {
            "values": self._values(windows),
            "mask": windows.onset,
            "condition": windows.condition,
            "noise": draw.standard_normal((count, config.latent)),
            "grain": draw_grain(draw, count, length, config.grain),
        }
        if self.preset.energy:  # another draw for the same windows
            parts["noise2"] = draw.standard_normal((count, config.latent))
            parts["grain2"] = draw_grain(draw, count, length, config.grain)
        return {name: torch.from_numpy(x.astype(np.float32)) for name, x in parts.items()}

    def _values(self, windows: SeriesPiece) -> npt.NDArray[np.float32]:
        """Return (B, L, V): velocities and offsets as the networks see them, both -1..1.

        A free network makes its own onsets, so its curves go on between them, in straight lines.
        """
        if self.preset.network.kind == "scored":
            parts = [2 * windows.velocity - 1, 2 * windows.offset]
            return np.concatenate([x * windows.onset for x in parts], axis=-1)
        out = np.zeros((*windows.onset.shape[:2], 3), dtype=np.float32)
        at = np.arange(windows.onset.shape[1])
        for row, (loud, late, onset) in enumerate(
            zip(
                windows.velocity[..., 0], windows.offset[..., 0], windows.onset[..., 0], strict=True
            )
        ):
            if onset.any():
                out[row, :, 0] = np.interp(at, at[onset], 2 * loud[onset] - 1)
                out[row, :, 1] = np.interp(at, at[onset], 2 * late[onset])
            out[row, :, 2] = 2 * onset - 1
        return out

    def made(self, batch: Batch) -> Tensor:
        """Return (B, L, V) by the generator; what is not struck is 0, as in the data."""
        made: Tensor = self.network(batch["noise"], batch["grain"], batch["condition"])
        if self.preset.network.kind == "scored":
            made = made * batch["mask"].repeat(1, 1, 2)
        return made

    def judged(self, values: Tensor, batch: Batch) -> Tensor:
        """Return (B,): what the discriminator makes of values; 1 is real, 0 is made."""
        if self.preset.network.kind == "scored":
            values = torch.cat([values, batch["condition"]], dim=-1)
        out: Tensor = self.discriminator(values)
        return out

    def validate(self) -> Mapping[str, float]:
        """Return and report the figures of generated windows; a collapsed state is never best."""
        figures = self._figures()
        summary = "  ".join(f"{name} {figures[name]:.3f}" for name in figures if name != "loss")
        self._say(f"generated curves: {summary}")
        if figures["spread"] < COLLAPSED:
            self._say(
                f"the generator's curves vary {figures['spread']:.0%} as much as the data's: it "
                "has collapsed; the last good weights are kept, where there are some"
            )
        return figures

    def _figures(self) -> dict[str, float]:
        """Return distances of generated to held-out windows, and discriminator scores of both."""
        held = self._held
        assert held is not None
        batch = self._tensors(held, np.random.default_rng(0))
        device = next(self.network.parameters()).device
        batch = {name: value.to(device) for name, value in batch.items()}
        with autocast(device, enabled=False):
            made = self.made(batch)
            scores = self.judged(batch["values"], batch).mean(), self.judged(made, batch).mean()
        loud, late = self.played(made.float().cpu().numpy())
        apart = compare_curves((loud, late, held.onset), (held.velocity, held.offset, held.onset))
        share = min(
            spread(x, held.onset) / max(1e-6, spread(y, held.onset))
            for x, y in ((loud, held.velocity), (late, held.offset))
        )
        return {
            "loss": apart.total + (1.0 if share < COLLAPSED else 0.0),
            "js_velocity": apart.velocity,
            "js_offset": apart.offset,
            "js_velocity_autocorrelation": apart.velocity_autocorrelation,
            "js_offset_autocorrelation": apart.offset_autocorrelation,
            "spread": share,
            "discriminator_real": float(scores[0]),
            "discriminator_made": float(scores[1]),
        }

    def played(
        self, values: npt.NDArray[np.float32]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return velocity 0..1 and offset -0.5..0.5, each (B, L, C), of what a network made."""
        count = self.curves.channel_count
        loud, late = values[..., :count], values[..., count : 2 * count]
        return np.clip((loud + 1) / 2, 0, 1), np.clip(late / 2, -0.5, 0.5)

    def finish(self) -> dict[str, float]:
        """Calibrate the generator on the training music; returns the figures with it.

        Raises:
            TrainingError: if it has collapsed: no state of the run was a good one.
        """
        if not self.sets or not self.sets["train"].pieces:
            return {}
        for module in (self.network, self.discriminator):
            module.eval()
        calibration = self.network.calibration
        assert isinstance(calibration, Calibration)
        calibration.reset()  # what is fitted is measured without it
        with torch.no_grad():
            share = self._figures()["spread"]
        _require_spread(share)
        draw = np.random.default_rng(0)
        windows = self.sets["train"].draw(draw, _CALIBRATED_WINDOWS)
        device = next(self.network.parameters()).device
        batch = {n: value.to(device) for n, value in self._tensors(windows, draw).items()}
        with torch.no_grad():
            made = self.network(batch["noise"], batch["grain"], batch["condition"]).float().cpu()
            real = batch["values"].cpu()
            mask = torch.from_numpy(windows.onset)
            for value in range(made.shape[-1]):
                played = mask[..., value % mask.shape[-1]]
                if self.preset.network.kind == "free":
                    played = torch.ones_like(played)
                if played.any():
                    calibration.fit(value, made[..., value][played], real[..., value][played])
            figures = self._figures()
        for module in (self.network, self.discriminator):
            module.train()
        return {f"valid_{name}": value for name, value in figures.items()}

    def export(
        self,
        out: Path,
        facts: Mapping[str, Any],
        precisions: tuple[str, ...] = ("fp32",),
        run: Path | None = None,
    ) -> ModelFolder:
        """Write the generator as a model folder; it is small, so its weights are not rounded.

        Raises:
            TrainingError: if it has collapsed, as ``facts`` say.
        """
        _require_spread(float(facts.get("valid_spread", 1.0)))
        config = self.preset.network
        weights = {
            name: value.detach().float().cpu().numpy()
            for name, value in self.network.state_dict().items()
        }
        shape = {"kind": config.kind, "latent": config.latent, "grain": config.grain}
        summary = {
            "system": self.system,
            "representation": self.curves.spec(),
            "network": {
                **shape,
                "steps": self.curves.steps,
                "level": self.level,
                "same_hand": self.preset.same_hand,
            },
            "defaults": {**self.preset.defaults, **facts.get("defaults", {})},
        }
        graph = generator_graph(config, weights)
        return write_model(out, summary, graph, self, facts, precisions, run)


def _require_spread(share: float) -> None:
    """Refuse a generator that has collapsed: no state of its run was a better one.

    Raises:
        TrainingError: if so.
    """
    if share < COLLAPSED:
        raise TrainingError(
            f"the generator's curves vary {share:.0%} as much as the data's at its best "
            "validation: it collapsed from the start, so no model is written; begin again with a "
            "lower training.learning_rate"
        )
