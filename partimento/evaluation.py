"""Made music beside real music: folders in, one table out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from partimento import files
from partimento.errors import FileError
from partimento.generation.instrument import Instrument
from partimento.generation.loading import load
from partimento.metrics.copying import CopyIndex
from partimento.metrics.plots import save_plots
from partimento.metrics.report import Report, Row, compare
from partimento.music import Score
from partimento.seeds import generator

__all__ = ["COPY_INDEX_KEY", "Evaluation", "evaluate", "scores_of"]

COPY_INDEX_KEY = "copy_index"  # the key of a model's config that names its index file


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The report on two sets of pieces, and the mean NLL a token under a model if one was named."""

    report: Report
    nll: Mapping[str, float]  # "generated" and "reference", nats a token; empty without a model
    copies_from: str  # what the copy check was held against

    def rows(self) -> list[Row]:
        """Return the table, top to bottom."""
        rows = self.report.rows()
        if self.nll:
            made, real = self.nll["generated"], self.nll["reference"]
            rows.append(Row("NLL a token (nats)", f"{made:.3f}", f"{real:.3f}", ""))
        rows.append(Row("copies looked for in", self.copies_from, "", ""))
        return rows

    def to_json(self) -> str:
        """Return all figures as JSON, keys sorted."""
        values = {**self.report.summary(), "nll": dict(self.nll), "copies_from": self.copies_from}
        return json.dumps(values, sort_keys=True, indent=2)

    def save_plots(self, folder: str | Path) -> tuple[Path, ...]:
        """Draw distributions and similarity into a folder, and return the pictures.

        Raises:
            MissingExtra: without matplotlib.
            FileError: if the folder cannot be written.
        """
        return save_plots(self.report, folder)


def evaluate(
    made: str | Path,
    reference: str | Path,
    *,
    training: str | Path | None = None,
    model: str | Path | None = None,
    seed: int = 0,
) -> Evaluation:
    """Measure made music against real music.

    Args:
        made: a folder or zip of generated pieces.
        reference: a folder or zip of real ones of the same kind, or a known corpus by name.
        training: what the model learnt from, for the copy check; without it the model's own index
            is taken, and without that the reference.
        model: a model, whose NLL a token of both sets is measured.
        seed: deals the pieces to the judge's folds.

    Raises:
        FileError: if a folder cannot be read or holds no notes.
        ModelError: if the model is missing.
    """
    generated, real = scores_of(made), scores_of(reference)
    instrument = None if model is None else load(model)
    index, source = _copy_index(training, instrument, reference, real)
    report = compare(generated, real, generator(seed), copy_index=index)
    nll: dict[str, float] = {}
    if instrument is not None:
        nll = {
            "generated": _mean_nll(instrument, generated),
            "reference": _mean_nll(instrument, real),
        }
    return Evaluation(report, nll, source)


def scores_of(place: str | Path) -> dict[str, Score]:
    """Return the scores of a folder, zip or known corpus by their names in it; sound is left out.

    Raises:
        FileError: if it cannot be read or holds no notes.
    """
    corpus = files.open_corpus(place)
    notes = [i.id for i in corpus.items if Path(i.id).suffix.lower() not in files.AUDIO_SUFFIXES]
    pieces = corpus.only(tuple(notes)).pieces()
    scores = {name: piece for name, piece in pieces if isinstance(piece, Score) and piece.notes}
    if not scores:
        raise FileError(place, "there are no pieces with notes in it", "name a folder of MIDI")
    return scores


def _copy_index(
    training: str | Path | None,
    instrument: Instrument | None,
    reference: str | Path,
    real: Mapping[str, Score],
) -> tuple[CopyIndex, str]:
    """Return the index for the copy check, and what it was made of, in words."""
    if training is not None:
        return CopyIndex.build(scores_of(training).items()), str(training)
    if instrument is not None and COPY_INDEX_KEY in instrument.folder.config:
        file = instrument.folder.path / str(instrument.folder.config[COPY_INDEX_KEY])
        return CopyIndex.load(file), f"the training music of {instrument.name}"
    return CopyIndex.build(real.items()), f"{reference} (name the training music by --training)"


def _mean_nll(instrument: Instrument, pieces: Mapping[str, Score]) -> float:
    losses = [instrument.nll(score) for score in pieces.values()]
    return float(np.concatenate(losses).mean())
