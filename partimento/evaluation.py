"""Generated music compared with real music: two sets of pieces in, one table out."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from partimento import files
from partimento.errors import FileError, MusicError
from partimento.generation.instrument import Instrument
from partimento.generation.loading import load
from partimento.generation.prompts import Sketch, piece_of
from partimento.metrics.copying import CopyIndex
from partimento.metrics.plots import save_plots
from partimento.metrics.report import Report, Row, compare
from partimento.music import Score
from partimento.seeds import generator

__all__ = ["COPY_INDEX_KEY", "Evaluation", "evaluate", "scores_of"]

_SHOWN = 3  # pieces that a warning names
COPY_INDEX_KEY = "copy_index"  # the key of a model's config that names its index file
Pieces = Sketch | Iterable[Sketch]  # a folder, zip or corpus; one piece; or several pieces


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
            rows.append(Row("NLL per token (nats)", f"{made:.3f}", f"{real:.3f}", ""))
        rows.append(Row("copies searched in", self.copies_from, "", ""))
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
    made: Pieces,
    reference: Pieces,
    *,
    training: Pieces | None = None,
    model: str | Path | None = None,
    seed: int = 0,
) -> Evaluation:
    """Measure generated music against real music.

    Args:
        made: the generated pieces: a folder or zip, or one or several pieces, each a path, a score
            or a result.
        reference: real pieces of the same kind, in the same forms, or a known corpus by name.
        training: what the model was trained on, for the copy check; without it the model's own
            index is used, and without that the reference.
        model: a model, whose NLL per token is measured on both sets.
        seed: splits the pieces into the judge's folds.

    Raises:
        FileError: if a folder or file cannot be read or holds no notes.
        ModelError: if the model is missing.
        MusicError: for what is no piece, and for pieces without notes.
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


def scores_of(place: Pieces) -> dict[str, Score]:
    """Return the scores of a folder, zip or known corpus by their names in it; sound is left out.

    What cannot be read is named in a warning.

    Pieces that are given one by one are named by their path, or numbered from 1.

    Raises:
        FileError: if it cannot be read or holds no notes.
        MusicError: for what is no piece, and for pieces without notes.
    """
    if not isinstance(place, str | Path):
        return _given(place)
    if Path(place).suffix.lower() in files.SCORE_SUFFIXES and os.path.isfile(place):
        return _given([place])
    corpus = files.open_corpus(place)
    notes = [i.id for i in corpus.items if Path(i.id).suffix.lower() not in files.SOUND_SUFFIXES]
    scores: dict[str, Score] = {}
    unread: list[str] = []
    for outcome in corpus.only(tuple(notes)).outcomes():
        if isinstance(outcome.piece, Score) and outcome.piece.notes:
            scores[outcome.id] = outcome.piece
        elif outcome.piece is None:
            unread.append(f"{outcome.id}: {outcome.problem}")
    if unread:
        shown = "; ".join(unread[:_SHOWN])
        more = f"; and {len(unread) - _SHOWN} more" if len(unread) > _SHOWN else ""
        warnings.warn(f"{place}: {len(unread)} pieces left out: {shown}{more}", stacklevel=2)
    if not scores:
        raise FileError(place, "there are no pieces with notes in it", "name a folder of MIDI")
    return scores


def _given(pieces: Iterable[Sketch] | Sketch) -> dict[str, Score]:
    """Return pieces that are given one by one, by their names."""
    several = list(pieces) if isinstance(pieces, Iterable) else [pieces]
    scores: dict[str, Score] = {}
    for number, given in enumerate(several, 1):
        piece = piece_of(given)
        name = str(given) if isinstance(given, str | Path) else f"piece {number}"
        if isinstance(piece, Score) and piece.notes:
            scores[name] = piece
    if not scores:
        raise MusicError("there are no pieces with notes to measure; give MIDI, scores or results")
    return scores


def _name(place: Pieces) -> str:
    return str(place) if isinstance(place, str | Path) else "the pieces given"


def _copy_index(
    training: Pieces | None,
    instrument: Instrument | None,
    reference: Pieces,
    real: Mapping[str, Score],
) -> tuple[CopyIndex, str]:
    """Return the index for the copy check, and what it was made of, in words."""
    if training is not None:
        return CopyIndex.build(scores_of(training).items()), _name(training)
    if instrument is not None and COPY_INDEX_KEY in instrument.folder.config:
        file = instrument.folder.file(instrument.folder.config[COPY_INDEX_KEY])
        return CopyIndex.load(file), f"the training music of {instrument.name}"
    source = f"{_name(reference)} (name the training music by --training)"
    return CopyIndex.build(real.items()), source


def _mean_nll(instrument: Instrument, pieces: Mapping[str, Score]) -> float:
    """Return the mean over all tokens of the pieces that the model can measure.

    Raises:
        PartimentoError: if it can measure none, as of the first.
    """
    losses = []
    unmeasured: list[tuple[str, Exception]] = []
    for name, score in pieces.items():
        try:
            losses.append(instrument.nll(score))
        except Exception as error:  # whatever it is, one piece never stops the rest
            unmeasured.append((name, error))
    if not losses:
        raise unmeasured[0][1]
    if unmeasured:
        first, why = unmeasured[0]
        text = f"{len(unmeasured)} pieces have no NLL; {first}: {why}"
        warnings.warn(text, stacklevel=3)
    return float(np.concatenate(losses).mean())
