"""Corpora as token sequences: encoded once, kept beside the run, drawn as random crops."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from partimento.errors import MusicError, NotSupported, TrainingError
from partimento.files.atomic import atomic_path
from partimento.music import Score
from partimento.music.transform import stretch
from partimento.representations.base import TokenRepresentation, Tokens, input_columns
from partimento.training.contract import Batch
from partimento.training.data import fingerprint, fitting_shifts, pitch_ranges

__all__ = [
    "TokenPiece",
    "TokenSet",
    "encode_pieces",
    "load_sets",
    "save_sets",
]

_SPLITS = ("train", "valid", "test")


@dataclass
class TokenPiece:
    """One encoded piece; ``shifts`` are the transpositions that stay inside the corpus's ranges."""

    tokens: npt.NDArray[np.int16]
    shifts: tuple[int, ...] = (0,)


def encode_pieces(
    representation: TokenRepresentation,
    scores: Sequence[Score],
    reach: int,
    stretches: Sequence[float],
    ranges: dict[str, tuple[int, int]] | None = None,
) -> tuple[list[TokenPiece], int]:
    """Return the encoded pieces and how many scores could not be encoded."""
    ranges = pitch_ranges(scores) if ranges is None else ranges
    pieces, skipped = [], 0
    for score in scores:
        try:
            for factor in stretches:
                slower = stretch(score, factor) if factor != 1.0 else score
                tokens = representation.encode(slower)
                if len(tokens) >= 8:
                    pieces.append(
                        TokenPiece(tokens.astype(np.int16), fitting_shifts(score, ranges, reach))
                    )
        except (MusicError, NotSupported):
            skipped += 1
    return pieces, skipped


class TokenSet:
    """The pieces of one split; draws batches of crops."""

    def __init__(self, representation: TokenRepresentation, pieces: Sequence[TokenPiece]) -> None:
        self.representation, self.pieces = representation, list(pieces)
        lengths = np.array([len(piece.tokens) for piece in self.pieces], dtype=np.float64)
        self._share = lengths / lengths.sum() if len(lengths) else lengths
        self._features: dict[int, npt.NDArray[np.int64]] = {}
        self._moved: dict[tuple[int, int], npt.NDArray[np.int16]] = {}

    @property
    def token_count(self) -> int:
        """How many tokens all pieces have."""
        return sum(len(piece.tokens) for piece in self.pieces)

    def piece(self, index: int, shift: int = 0) -> tuple[Tokens, npt.NDArray[np.int64]]:
        """Return the tokens (n,) and features (n, F) of a piece, transposed."""
        if index not in self._features:
            tokens = self.pieces[index].tokens.astype(np.int64)
            self._features[index] = self.representation.features(tokens).astype(np.int64)
        key = (index, shift)
        if key not in self._moved:
            tokens = self.pieces[index].tokens.astype(np.int64)
            moved = self.representation.transposed(tokens, shift) if shift else tokens
            self._moved[key] = (tokens if moved is None else moved).astype(np.int16)
        return self._moved[key].astype(np.int64), self._features[index]

    def crop(
        self, index: int, shift: int, start: int, length: int, local_width: int
    ) -> tuple[npt.NDArray[np.int64], Tokens]:
        """Return columns (n, C) and targets (n,) of at most ``length`` tokens from ``start``."""
        tokens, features = self.piece(index, shift)
        end = min(len(tokens), start + length)
        before = max(0, start - local_width)
        columns = input_columns(
            tokens[before:end], features[before:end], self.representation.start_token, local_width
        )
        return columns[start - before :], tokens[start:end]

    def batch(
        self, draw: np.random.Generator, size: int, length: int, local_width: int, align: int
    ) -> Batch:
        """Return ``columns`` (B, L, C), ``targets`` and ``mask`` (B, L) of random crops.

        Pieces are drawn by their length, transpositions evenly; crops start at multiples of
        ``align``.
        """
        width = local_width + len(self.representation.feature_sizes)
        columns = np.zeros((size, length, width), dtype=np.int64)
        targets = np.zeros((size, length), dtype=np.int64)
        mask = np.zeros((size, length), dtype=bool)
        for row in range(size):
            index = int(draw.choice(len(self.pieces), p=self._share))
            piece = self.pieces[index]
            shift = int(draw.choice(piece.shifts))
            spare = max(0, len(piece.tokens) - length)
            start = int(draw.integers(spare // align + 1)) * align
            inputs, wanted = self.crop(index, shift, start, length, local_width)
            hidden = self.representation.hidden_features
            if hidden and draw.random() < 0.5:
                inputs[:, -hidden:] = 0
            columns[row, : len(wanted)], targets[row, : len(wanted)] = inputs, wanted
            mask[row, : len(wanted)] = True
        return {
            "columns": torch.from_numpy(columns),
            "targets": torch.from_numpy(targets),
            "mask": torch.from_numpy(mask),
        }


def save_sets(path: Path, sets: dict[str, list[TokenPiece]], made_from: object) -> None:
    """Write the encoded splits as one ``.npz`` without pickle, marked with what made them."""
    arrays: dict[str, npt.NDArray[np.generic]] = {
        "made_from": np.frombuffer(fingerprint(made_from).encode(), dtype=np.uint8)
    }
    for split in _SPLITS:
        pieces = sets[split]
        arrays[f"{split}_tokens"] = np.concatenate(
            [piece.tokens for piece in pieces] or [np.zeros(0, np.int16)]
        )
        arrays[f"{split}_lengths"] = np.array([len(p.tokens) for p in pieces], dtype=np.int64)
        spans = [(min(p.shifts), max(p.shifts)) for p in pieces]
        arrays[f"{split}_shifts"] = np.array(spans, dtype=np.int64).reshape(-1, 2)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def load_sets(path: Path, made_from: object = None) -> dict[str, list[TokenPiece]] | None:
    """Return the encoded splits, or None if they are missing or were made from something else.

    ``made_from`` None takes whatever they were made from.
    """
    if not path.exists():
        return None
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            mark = bytes(arrays["made_from"]).decode()
            if made_from is not None and mark != fingerprint(made_from):
                return None
            return {split: _unpack(arrays, split) for split in _SPLITS}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise TrainingError(f"{path} is damaged ({error}); delete it and start again") from None


def _unpack(arrays: dict[str, npt.NDArray[np.int64]], split: str) -> list[TokenPiece]:
    lengths, spans = arrays[f"{split}_lengths"], arrays[f"{split}_shifts"]
    parts = np.split(arrays[f"{split}_tokens"], np.cumsum(lengths)[:-1]) if len(lengths) else []
    return [
        TokenPiece(part.astype(np.int16), tuple(range(int(low), int(high) + 1)))
        for part, (low, high) in zip(parts, spans, strict=True)
    ]
