"""Corpora as grids: encoded once, kept beside the run, drawn as crops with cells to be found."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from partimento.analysis.chords import recognise
from partimento.errors import TrainingError
from partimento.files.atomic import atomic_path
from partimento.music import Score
from partimento.representations.track_grid import BLOCK, Cells, TrackGrid
from partimento.training.data import fingerprint, fitting_shifts, pitch_ranges

__all__ = ["GridPiece", "GridSet", "encode_grids", "load_grids", "save_grids"]

_SPLITS = ("train", "valid", "test")
_Ints = npt.NDArray[np.int64]


@dataclass
class GridPiece:
    """One encoded piece, with one block of nothing before its start and one after its end.

    ``features`` (T, 2) are 0 there: the network sees where a piece begins and closes.
    ``starts`` are the columns where bars start, and 0.
    """

    cells: npt.NDArray[np.int16]
    features: npt.NDArray[np.int16]
    starts: npt.NDArray[np.int32]
    ensemble: int
    shifts: tuple[int, ...] = (0,)
    corpus: int = 0


def encode_grids(
    grid: TrackGrid, scores: Sequence[Score], ensembles: Sequence[int], reach: int, corpus: int = 0
) -> tuple[list[GridPiece], int]:
    """Return the encoded pieces, their chords recognised, and how many scores did not fit."""
    ranges = pitch_ranges(scores)
    pieces, skipped = [], 0
    for score, ensemble in zip(scores, ensembles, strict=True):
        try:
            whole = grid.encode(score if score.chords else replace(score, chords=recognise(score)))
        except Exception:  # whatever it is, one bad piece never stops the rest
            skipped += 1
            continue
        edge = ((0, 0), (BLOCK, BLOCK), (0, 0))
        pieces.append(
            GridPiece(
                np.pad(whole.cells, edge).astype(np.int16),
                np.pad(whole.layout.features, edge[1:]).astype(np.int16),
                np.concatenate([[0], whole.layout.starts + BLOCK]).astype(np.int32),
                ensemble,
                fitting_shifts(score, ranges, reach),
                corpus,
            )
        )
    return pieces, skipped


class GridSet:
    """The pieces of one split; draws crops.

    ``shares`` maps the number of a corpus to its sampling weight; 1 if not.
    """

    def __init__(
        self,
        grid: TrackGrid,
        pieces: Sequence[GridPiece],
        shares: Mapping[int, float] | None = None,
    ) -> None:
        self.grid, self.pieces = grid, list(pieces)
        share = np.array([piece.cells.shape[1] for piece in self.pieces], dtype=np.float64)
        corpora = np.array([piece.corpus for piece in self.pieces])
        for corpus in {*corpora.tolist()}:
            weight = 1.0 if shares is None else shares.get(corpus, 1.0)
            share[corpora == corpus] *= weight / share[corpora == corpus].sum()
        self._share = share / share.sum() if len(share) else share

    @property
    def column_count(self) -> int:
        """How many columns all pieces have."""
        return sum(piece.cells.shape[1] - 2 * BLOCK for piece in self.pieces)

    def crop(self, draw: np.random.Generator, columns: int) -> tuple[Cells, _Ints, int]:
        """Return cells (S, T, 2), features (T, 2) and the ensemble of a random crop.

        Every corpus is drawn as often as its share says, its pieces by their length, transpositions
        evenly; a crop starts at a bar. What lies beyond the piece is EMPTY, its features 0.
        """
        piece = self.pieces[int(draw.choice(len(self.pieces), p=self._share))]
        whole = piece.cells.shape[1]
        starts = piece.starts[piece.starts <= max(0, whole - columns)]
        start = int(draw.choice(starts))
        cells = np.zeros((self.grid.slots, columns, 2), dtype=np.int64)
        features = np.zeros((columns, 2), dtype=np.int64)
        end = min(whole, start + columns)
        cells[:, : end - start] = piece.cells[:, start:end]
        features[: end - start] = piece.features[start:end]
        moved = self.grid.transposed(cells, int(draw.choice(piece.shifts)))
        return cells if moved is None else moved, features, piece.ensemble


def save_grids(path: Path, sets: dict[str, list[GridPiece]], made_from: object) -> None:
    """Write the encoded splits as one compressed ``.npz`` without pickle."""
    arrays: dict[str, npt.NDArray[np.generic]] = {
        "made_from": np.frombuffer(fingerprint(made_from).encode(), dtype=np.uint8)
    }
    for split in _SPLITS:
        arrays[f"{split}_count"] = np.array([len(sets[split])])
        for index, piece in enumerate(sets[split]):
            name = f"{split}_{index}"
            arrays[f"{name}_cells"], arrays[f"{name}_features"] = piece.cells, piece.features
            arrays[f"{name}_starts"] = piece.starts
            span = [piece.ensemble, min(piece.shifts), max(piece.shifts), piece.corpus]
            arrays[f"{name}_about"] = np.array(span, dtype=np.int64)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def load_grids(path: Path, made_from: object = None) -> dict[str, list[GridPiece]] | None:
    """Return the encoded splits, or None if they are missing or were made from something else.

    ``made_from`` None takes whatever they were made from.

    Raises:
        TrainingError: if the file is damaged.
    """
    if not path.exists():
        return None
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            mark = bytes(arrays["made_from"]).decode()
            if made_from is not None and mark != fingerprint(made_from):
                return None
            return {
                split: [
                    _unpacked(arrays, f"{split}_{index}")
                    for index in range(int(arrays[f"{split}_count"][0]))
                ]
                for split in _SPLITS
            }
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise TrainingError(f"{path} is damaged ({error}); delete it and start again") from None


def _unpacked(arrays: dict[str, _Ints], name: str) -> GridPiece:
    ensemble, low, high, corpus = arrays[f"{name}_about"].tolist()
    return GridPiece(
        arrays[f"{name}_cells"].astype(np.int16),
        arrays[f"{name}_features"].astype(np.int16),
        arrays[f"{name}_starts"].astype(np.int32),
        ensemble,
        tuple(range(low, high + 1)),
        corpus,
    )
