"""What every representation offers, what one of tokens adds, and the named ranges of a vocabulary.

A representation keeps three laws, held by property tests:
``decode(encode(p)) == quantize(p)``; ``decode`` is total over token sequences (or arrays of the
right shape); ``quantize`` is idempotent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from partimento.errors import ConfigError
from partimento.music import Score

__all__ = [
    "Representation",
    "TokenRepresentation",
    "Tokens",
    "Vocabulary",
    "Walk",
    "input_columns",
    "whole_numbers",
]

Tokens = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Vocabulary:
    """Named ranges of tokens, laid end to end: ``{"pitch": 128, "rest": 1}``."""

    ranges: Mapping[str, int]

    @property
    def size(self) -> int:
        """How many tokens there are."""
        return sum(self.ranges.values())

    def first(self, name: str) -> int:
        """Return the first token of a range."""
        at = 0
        for known, count in self.ranges.items():
            if known == name:
                return at
            at += count
        raise KeyError(name)

    def span(self, name: str) -> slice:
        """Return a range as a slice of the vocabulary."""
        first = self.first(name)
        return slice(first, first + self.ranges[name])

    def name_of(self, token: int) -> tuple[str, int]:
        """Return (range name, index inside the range) of a token."""
        at = 0
        for name, count in self.ranges.items():
            if at <= token < at + count:
                return name, token - at
            at += count
        raise IndexError(f"token {token} lies outside a vocabulary of {self.size}")


class Walk(Protocol):
    """Follows a token sequence and gives, before each token, the features known by then."""

    def features(self) -> tuple[int, ...]:
        """Return the features of the token that comes next."""
        ...

    def push(self, token: int) -> None:
        """Take the next token in."""
        ...


class Representation(Protocol):
    """Scores as arrays: tokens, cells, rolls or curves."""

    def spec(self) -> dict[str, Any]:
        """Return the name and the options that make this representation, as JSON values."""
        ...

    def encode(self, score: Score) -> Any:
        """Return the arrays of a score."""
        ...


@runtime_checkable
class TokenRepresentation(Protocol):
    """Scores as sequences of integers."""

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens there are."""
        ...

    @property
    def start_token(self) -> int:
        """What stands before the first token; never predicted."""
        ...

    @property
    def end_token(self) -> int | None:
        """What ends a piece; None where pieces have no end."""
        ...

    @property
    def feature_sizes(self) -> tuple[int, ...]:
        """How many values each feature takes."""
        ...

    @property
    def tokens_per_step(self) -> int:
        """How many tokens stand for one moment; crops start at multiples of it."""
        ...

    @property
    def pitch_span(self) -> slice | None:
        """The tokens that are pitches, a semitone apart, where voices take turns token by token.

        A voice's last token is then ``tokens_per_step`` back. None where they do not take turns.
        """
        ...

    @property
    def hidden_features(self) -> int:
        """How many of the last features may be unknown (0); training hides them in half the crops.

        The value 0 of such a feature means unknown.
        """
        ...

    def encode(self, score: Score) -> Tokens:
        """Return the tokens of a score, without the start token, with the end token if any."""
        ...

    def decode(self, tokens: Tokens) -> Score:
        """Return the score of any token sequence."""
        ...

    def quantize(self, score: Score) -> Score:
        """Return the score as this representation can hold it."""
        ...

    def features(self, tokens: Tokens) -> npt.NDArray[np.int64]:
        """Return (n, features): what is known of each token before it is seen."""
        ...

    def walk(self) -> Walk:
        """Return a walk at the start of a piece; gives the same features one by one."""
        ...

    def transposed(self, tokens: Tokens, semitones: int) -> Tokens | None:
        """Return the tokens transposed, or None where a pitch would leave the range."""
        ...

    def spec(self) -> dict[str, Any]:
        """Return what makes this representation again, as JSON values."""
        ...


def input_columns(
    tokens: Tokens, features: npt.NDArray[np.int64], start_token: int, width: int
) -> npt.NDArray[np.int64]:
    """Return (n, width + features): the inputs from which each of ``tokens`` is predicted.

    The first ``width`` columns are the tokens 1, 2, ..., ``width`` places before; places before
    the piece hold the start token. The network joins and projects their embeddings, so that it
    sees the last few tokens without any attention.
    """
    padded = np.concatenate([np.full(width, start_token, dtype=np.int64), tokens])
    shifted = [padded[width - back : len(padded) - back] for back in range(1, width + 1)]
    return np.concatenate([np.stack(shifted, axis=1), features], axis=1)


def whole_numbers(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options that must all be integers.

    Raises:
        ConfigError: for the first that is none.
    """
    for key, value in options.items():
        if not isinstance(value, int) or isinstance(value, bool):
            raise ConfigError(f"representation.{key}", f"is an integer, not {value!r}")
    return dict(options)
