"""What every training task over the track grid does: corpora into grids, kept beside the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

from torch import nn

from partimento.errors import TrainingError
from partimento.files.corpora.corpus import Corpus
from partimento.metrics.copying import CopyIndex
from partimento.music import Score
from partimento.representations.track_grid import TrackGrid
from partimento.runtime.presets import GridPreset, RollPreset
from partimento.training.export.writer import COPIES
from partimento.training.grids import data as grid_data
from partimento.training.grids.data import GridPiece, GridSet

__all__ = ["GridLearner"]

_STRING_PROGRAMS = range(40, 48)
_CACHE = "grids.npz"

P = TypeVar("P", bound=GridPreset | RollPreset)


class GridLearner(Generic[P]):
    """A model over the track grid in training: its preset, its network, its data.

    A subclass adds ``stages`` and ``export``.
    """

    def __init__(
        self, system: str, preset: P, factory: Callable[[P, TrackGrid], nn.Module]
    ) -> None:
        self.system, self.preset, self.factory = system, preset, factory
        self.grid = TrackGrid.from_spec(preset.representation["tracks"])
        self.network = factory(preset, self.grid)
        self.sets: dict[str, GridSet] = {}
        self.facts: dict[str, Any] = {}

    def fresh(self) -> Self:
        """Return another training task of the same preset, with newly initialised weights."""
        return type(self)(self.system, self.preset, self.factory)

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The one network."""
        return {"network": self.network}

    def prepare(self, corpora: Sequence[Corpus], folder: Path, say: Callable[[str], None]) -> None:
        """Read and encode the corpora, or take what an earlier run in ``folder`` encoded.

        Raises:
            TrainingError: if nothing can be learnt from.
        """
        made_from = {
            "corpora": [(corpus.name, len(corpus.items)) for corpus in corpora],
            "representation": self.preset.representation,
            "transpose": self.preset.transpose,
            "ensembles": self.preset.network.ensembles,
        }
        sets = grid_data.load_grids(folder / _CACHE, made_from)
        if sets is None:
            learnt: list[tuple[str, Score]] = []
            sets = self._encode(corpora, say, learnt)
            CopyIndex.build(learnt).save(folder / COPIES)
            grid_data.save_grids(folder / _CACHE, sets, made_from)
        named = {number: corpus.name for number, corpus in enumerate(corpora)}
        self._take(sets, {n: self.preset.shares.get(name, 1.0) for n, name in named.items()})
        self.facts["corpora"] = sorted({corpus.name for corpus in corpora})
        counts = self.facts["pieces"]
        say(
            f"{counts['train']} pieces to learn from ({self.sets['train'].column_count:,} columns "
            f"of a sixteenth), {counts['valid']} to validate"
        )

    def _encode(
        self,
        corpora: Sequence[Corpus],
        say: Callable[[str], None],
        learnt: list[tuple[str, Score]],
    ) -> dict[str, list[GridPiece]]:
        sets: dict[str, list[GridPiece]] = {"train": [], "valid": [], "test": []}
        for number, corpus in enumerate(corpora):
            for split, pieces in sets.items():
                named = [(n, p) for n, p in corpus.pieces(split) if isinstance(p, Score)]
                if split == "train":
                    learnt += [(f"{corpus.name}/{name}", score) for name, score in named]
                scores = [score for _, score in named]
                ensembles = [self._ensemble(score) for score in scores]
                made, skipped = grid_data.encode_grids(
                    self.grid, scores, ensembles, self.preset.transpose, number
                )
                pieces += made
                if skipped:
                    say(f"{corpus.name} {split}: {skipped} pieces have more tracks than the grid")
        if not sets["train"]:
            raise TrainingError("no piece to learn from was found; see the preflight above")
        if not sets["valid"]:
            say("too few pieces for a validation set: every tenth piece of the training is used")
            sets["valid"] = sets["train"][::10]
        return sets

    def _ensemble(self, score: Score) -> int:
        """Return which of the preset's ensembles plays a score: strings by their programs."""
        names = self.preset.network.ensembles
        strings = sum(track.program in _STRING_PROGRAMS for track in score.tracks)
        is_strings = 2 * strings > len(score.tracks)
        return names.index("strings") if is_strings and "strings" in names else 0

    def recall(self, folder: Path) -> None:
        """Take the data that a run in ``folder`` encoded, where it is still there."""
        sets = grid_data.load_grids(folder / _CACHE)
        if sets is not None:
            self._take(sets)

    def _take(
        self, sets: Mapping[str, list[GridPiece]], shares: Mapping[int, float] | None = None
    ) -> None:
        self.sets = {split: GridSet(self.grid, pieces, shares) for split, pieces in sets.items()}
        self.facts = {
            "pieces": {split: len(grids.pieces) for split, grids in self.sets.items()},
            "columns": {split: grids.column_count for split, grids in self.sets.items()},
        }

    def finish(self) -> dict[str, float]:
        """Nothing is left to do."""
        return {}
