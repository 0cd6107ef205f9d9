"""How a token representation answers a request: a prompt, a constraint, and bars from tokens.

A request is seen here as ``TokenRequest``, the part of ``partimento.runtime.contract.Request`` that
a representation of notes reads, so that a representation needs nothing that stands above it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from partimento.music import KeySignature, Promises, Score, Tempo, TimeSignature
from partimento.representations.base import TokenRepresentation, Tokens
from partimento.representations.constraint import Constraint

__all__ = ["EvenRealiser", "Realiser", "TokenRequest", "metre_of", "tempo_of", "with_marks"]


class TokenRequest(Protocol):
    """What a representation reads of a request."""

    @property
    def promises(self) -> Promises:
        """What must hold."""
        ...

    @property
    def score(self) -> Score | None:
        """The prompt."""
        ...

    @property
    def tempo_quarters_per_minute(self) -> float | None:
        """The tempo; None where the representation or the model chooses."""
        ...

    @property
    def endless(self) -> bool:
        """Whether the music goes on until the consumer stops."""
        ...


class Realiser(Protocol):
    """How one representation answers one request."""

    constraint: Constraint[Any]
    representation: TokenRepresentation  # as this request needs it: its metre, its end

    def prompt(self) -> Tokens:
        """Return the tokens of the request's prompt; empty without one."""
        ...

    def pieces(self, tokens: Iterator[int]) -> Iterator[Score]:
        """Yield the score bar by bar as its tokens come."""
        ...


def tempo_of(request: TokenRequest, config: Mapping[str, Any]) -> float | None:
    """Return the tempo requested, else that at the prompt's end, else the model's default."""
    if request.tempo_quarters_per_minute is not None:
        return request.tempo_quarters_per_minute
    if request.score is not None and request.score.tempos:
        return request.score.tempos[-1].quarters_per_minute
    default = config.get("defaults", {}).get("tempo")
    return None if default is None else float(default)


def metre_of(request: TokenRequest) -> TimeSignature:
    """Return the metre requested, or that of the prompt's end, or 4/4."""
    if request.promises.time_signature is not None:
        return request.promises.time_signature
    if request.score is not None and request.score.time_signatures:
        return replace(request.score.time_signatures[-1], onset_ticks=0)
    return TimeSignature(0, 4, 4)


def with_marks(score: Score, request: TokenRequest, tempo: float | None) -> Score:
    """Return a piece with the tempo and the key of the request written in."""
    key = request.promises.key
    return replace(
        score,
        tempos=(Tempo(0, tempo),) if tempo is not None else score.tempos,
        key_signatures=(KeySignature(0, key),) if key is not None else (),
    )


class EvenRealiser:
    """The realiser of a representation whose bars all have the same number of tokens.

    Args:
        representation: in the request's metre.
        constraint: the promises on it.
        tokens_per_bar: how many tokens make a bar.
        rest: the token that fills up a prompt's last bar.
        request: what is answered.
        config: the model folder's.
    """

    def __init__(
        self,
        representation: TokenRepresentation,
        constraint: Constraint[Any],
        tokens_per_bar: int,
        rest: int,
        request: TokenRequest,
        config: Mapping[str, Any],
    ) -> None:
        self.representation, self.constraint = representation, constraint
        self._even, self._tokens_per_bar, self._rest = representation, tokens_per_bar, rest
        self.request, self.tempo = request, tempo_of(request, config)

    def prompt(self) -> Tokens:
        """Return the prompt's tokens, its last bar filled up with rests."""
        if self.request.score is None:
            return np.zeros(0, dtype=np.int64)
        tokens = self._even.encode(self.request.score)
        missing = -len(tokens) % self._tokens_per_bar
        return np.concatenate([tokens, np.full(missing, self._rest, dtype=np.int64)])

    def pieces(self, tokens: Iterator[int]) -> Iterator[Score]:
        """Yield one bar at a time."""
        bar: list[int] = []
        for token in tokens:
            bar.append(token)
            if len(bar) == self._tokens_per_bar:
                yield with_marks(self._even.decode(np.array(bar)), self.request, self.tempo)
                bar = []
