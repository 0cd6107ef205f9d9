"""Token networks under ONNX Runtime: weights in the decoder, everything else in the state.

`TokenDecoder` is what callers see; each way to remember what came before is a class below it, with
its own state and its own ``facts`` (what the model's config must say of the network), found by the
network's ``kind`` in `DECODERS`:

=============  ======================  ==============================================
``kind``       class                   memory
=============  ======================  ==============================================
transformer    `AttentionDecoder`      keys and values of a window; when it is full, its last half
                                       is run again from the start of the cache
sliding        `SlidingDecoder`        keys and values of the last places; the oldest are dropped,
                                       and nothing is run again
recurrent      `RecurrentDecoder`      the hidden state of an LSTM
=============  ======================  ==============================================

A decoder for another cache (bar summaries, cross-attention) is one more class in the table.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from partimento.config import Config
from partimento.errors import ConfigError
from partimento.representations.base import TokenRepresentation, Walk
from partimento.runtime.sessions import Dims, Session

__all__ = [
    "DECODERS",
    "AttentionDecoder",
    "AttentionFacts",
    "AttentionState",
    "NetworkFacts",
    "RecurrentDecoder",
    "RecurrentFacts",
    "RecurrentState",
    "SlidingDecoder",
    "SlidingFacts",
    "TokenDecoder",
    "decoder_kind",
]

_F32 = npt.NDArray[np.float32]
_I64 = npt.NDArray[np.int64]
_LONGEST_CALL = 512  # places a recurrent network reads in one call
_LARGEST_CACHE = 1 << 29  # bytes of one stream
S = TypeVar("S")


class NetworkFacts(Config):
    """What a model's config says of any token network."""

    kind: str
    vocabulary: int = Field(ge=2, le=1 << 20)
    local_width: int = Field(ge=1, le=4096, description="past tokens in the columns")


class AttentionFacts(NetworkFacts):
    """Of a Transformer: the shape of its cache."""

    kind: Literal["transformer", "sliding"]
    layers: int = Field(ge=1, le=1024)
    kv_heads: int = Field(ge=1, le=4096)
    head_width: int = Field(ge=1, le=4096)
    window: int = Field(ge=2, le=1 << 20, description="places that the cache holds")

    @model_validator(mode="after")
    def _cache_fits(self) -> Self:
        size = 8 * self.layers * self.kv_heads * self.head_width * self.window
        if size > _LARGEST_CACHE:
            raise ValueError(f"its cache takes {size:,} bytes, at most {_LARGEST_CACHE:,} are")
        return self


class SlidingFacts(AttentionFacts):
    """Of a Transformer whose layers see the last ``span`` places alone."""

    span: int = Field(ge=1, description="places that each layer sees, the last one among them")

    @model_validator(mode="after")
    def _span_fits(self) -> Self:
        if self.window < 2 * self.span:
            raise ValueError(f"the window is at least twice the span {self.span}")
        return self


class RecurrentFacts(NetworkFacts):
    """Of an LSTM: the shape of its state."""

    kind: Literal["recurrent"]
    layers: int = Field(ge=0, le=1024)
    width: int = Field(ge=1, le=1 << 16)


class _Inputs:
    """Turns appended tokens into the columns of the places that they make known."""

    def __init__(self, representation: TokenRepresentation, batch: int, local_width: int) -> None:
        self.walks: list[Walk] = [representation.walk() for _ in range(batch)]
        start = representation.start_token
        self.recent: _I64 = np.full((batch, local_width), start, dtype=np.int64)
        self.is_new = True

    def columns(self, tokens: _I64) -> _I64:
        """Return (B, S, C): S is the count of tokens, and one more on the first call."""
        places = [self._place()] if self.is_new else []
        self.is_new = False
        for at in range(tokens.shape[1]):
            self.recent = np.roll(self.recent, 1, axis=1)
            self.recent[:, 0] = tokens[:, at]
            for walk, token in zip(self.walks, tokens[:, at].tolist(), strict=True):
                walk.push(token)
            places.append(self._place())
        if not places:
            raise ValueError("nothing was appended")
        return np.stack(places, axis=1)

    def repeated(self, count: int) -> _Inputs:
        """Return ``count`` copies of the inputs of one stream."""
        other = copy.copy(self)
        other.walks = [copy.deepcopy(self.walks[0]) for _ in range(count)]
        other.recent = np.repeat(self.recent, count, axis=0)
        return other

    def _place(self) -> _I64:
        features = np.array([walk.features() for walk in self.walks], dtype=np.int64)
        return np.concatenate([self.recent, features.reshape(len(self.walks), -1)], axis=1)


class TokenDecoder(ABC, Generic[S]):
    """A network that says what comes next. It holds weights only; ``S`` is the state of streams.

    ``window`` is how many places `all_logits` takes at once.

    Raises:
        ConfigError: if the config's vocabulary is not that of the representation.
        ModelError: if the graph is not what the config says.
    """

    facts: ClassVar[type[NetworkFacts]]
    window: int

    def __init__(
        self, session: Session, representation: TokenRepresentation, facts: NetworkFacts
    ) -> None:
        size = representation.vocabulary.size
        if facts.vocabulary != size:
            raise ConfigError(
                "network.vocabulary", f"is {facts.vocabulary}, the representation has {size} tokens"
            )
        self.session, self.representation = session, representation
        self.vocabulary_size, self.local_width = facts.vocabulary, facts.local_width

    def _require(self, inputs: Mapping[str, Dims], state: Mapping[str, Dims]) -> None:
        """Compare the graph with the columns, other ``inputs``, the logits and the ``state``."""
        columns = self.local_width + len(self.representation.feature_sizes)
        self.session.require(
            {"columns": ("int64", (None, None, columns)), **inputs, **state},
            {
                "logits": ("float", (None, None, self.vocabulary_size)),
                **{f"new_{name}": dims for name, dims in state.items()},
            },
        )

    def following(self, representation: TokenRepresentation) -> Self:
        """Return this decoder with inputs made by another form of its representation."""
        other = copy.copy(self)
        other.representation = representation
        return other

    @abstractmethod
    def begin(self, batch: int) -> S:
        """Return the state of ``batch`` streams before their first token."""

    @abstractmethod
    def append(self, state: S, tokens: _I64) -> tuple[_F32, S]:
        """Append tokens (B, n); return logits (B, V) of the next token and the state.

        The first call takes n = 0 as well, for the logits of the first token. The old state is
        used up.
        """

    @abstractmethod
    def fork(self, state: S, count: int) -> S:
        """Return the state of ``count`` streams that all stand where the one of ``state`` stands.

        The old state stays valid.
        """

    @abstractmethod
    def all_logits(self, columns: _I64) -> _F32:
        """Return the logits (S, V) of a whole sequence of columns (S, C), S within the window."""


@dataclass
class AttentionState:
    """One batch of streams: inputs so far, the cache, and how many places it holds."""

    inputs: _Inputs
    columns: _I64  # (B, window, C), those of the places in the cache
    binding: Any
    step: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    count: int = 0


class AttentionDecoder(TokenDecoder[AttentionState]):
    """A causal Transformer graph; see ``training/export/graph_builder.py`` for its inputs.

    The state owns the cache, which the graph updates in place. When the cache is full, the last
    half of the window is run again and decoding goes on, so a stream never ends.
    """

    facts: ClassVar[type[NetworkFacts]] = AttentionFacts

    def __init__(
        self, session: Session, representation: TokenRepresentation, facts: AttentionFacts
    ) -> None:
        super().__init__(session, representation, facts)
        self.window = facts.window
        self._layers = facts.layers
        self._cache_shape = (facts.kv_heads, self.window, facts.head_width)
        cache: Dims = ("float", (None, *self._cache_shape))
        names = [f"{part}_{layer}" for layer in range(self._layers) for part in ("key", "value")]
        self._require(
            {"past": ("int32", (None,)), "total": ("int32", (1,))}, dict.fromkeys(names, cache)
        )

    def begin(self, batch: int) -> AttentionState:
        """Return the state of ``batch`` streams before their first token."""
        width = self.local_width + len(self.representation.feature_sizes)
        columns = np.zeros((batch, self.window, width), dtype=np.int64)
        inputs = _Inputs(self.representation, batch, self.local_width)
        state = AttentionState(inputs, columns, self.session.io_binding())
        state.step = {
            "columns": np.zeros((batch, 1, width), dtype=np.int64),
            "past": np.zeros(batch, dtype=np.int32),
            "total": np.zeros(1, dtype=np.int32),
            "logits": np.zeros((batch, 1, self.vocabulary_size), dtype=np.float32),
        }
        for layer in range(self._layers):
            for part in ("key", "value"):
                cache = np.zeros((batch, *self._cache_shape), dtype=np.float32)
                state.step[f"{part}_{layer}"] = cache
                _bind(state.binding.bind_input, f"{part}_{layer}", cache)
                _bind(state.binding.bind_output, f"new_{part}_{layer}", cache)
        for name in ("past", "total"):
            _bind(state.binding.bind_input, name, state.step[name])
        return state

    def append(self, state: AttentionState, tokens: _I64) -> tuple[_F32, AttentionState]:
        """Append tokens (B, n); return logits (B, V) of the next token and the state."""
        fresh = state.inputs.columns(tokens)
        if state.count + fresh.shape[1] > self.window:
            # Half of the window is run again, so the next time is half a window away.
            keep = self.window // 2
            joined = np.concatenate([state.columns[:, : state.count], fresh], axis=1)
            fresh, state.count = joined[:, -keep:], 0
        return self._push(state, fresh), state

    def _push(self, state: AttentionState, fresh: _I64) -> _F32:
        """Push places (B, n, C) for which there is room; return the logits (B, V) of the last."""
        if state.count and fresh.shape[1] > 1 and len(fresh) > 1:
            # The attention kernel appends several places to a cache for one stream only.
            for at in range(fresh.shape[1]):
                logits = self._run(state, fresh[:, at : at + 1])
            return logits
        return self._run(state, fresh)

    def _run(self, state: AttentionState, columns: _I64) -> _F32:
        """Push the places through the graph; return the logits (B, V) of the last one."""
        batch, length, _ = columns.shape
        state.columns[:, state.count : state.count + length] = columns
        state.count += length
        step = state.step
        step["past"][:] = state.count - 1
        step["total"][:] = state.count
        if length == 1:
            given, logits = step["columns"], step["logits"]
            given[:] = columns
        else:
            given = np.ascontiguousarray(columns)
            logits = np.zeros((batch, length, self.vocabulary_size), dtype=np.float32)
        _bind(state.binding.bind_input, "columns", given)
        _bind(state.binding.bind_output, "logits", logits)
        self.session.run_with_iobinding(state.binding)
        last: _F32 = logits[:, -1].copy()
        return last

    def fork(self, state: AttentionState, count: int) -> AttentionState:
        """Return the state of ``count`` streams that stand where the one of ``state`` stands."""
        other = self.begin(count)
        other.inputs = state.inputs.repeated(count)
        other.columns[:] = state.columns
        other.count = state.count
        for name, value in other.step.items():
            if name.startswith(("key_", "value_")):
                value[:] = state.step[name]
        return other

    def all_logits(self, columns: _I64) -> _F32:
        """Return the logits (S, V) of a whole sequence of columns (S, C), S within the window."""
        state = self.begin(1)
        logits = np.zeros((1, len(columns), self.vocabulary_size), dtype=np.float32)
        state.step["past"][:] = len(columns) - 1
        state.step["total"][:] = len(columns)
        given = np.ascontiguousarray(columns[None])
        _bind(state.binding.bind_input, "columns", given)
        _bind(state.binding.bind_output, "logits", logits)
        self.session.run_with_iobinding(state.binding)
        whole: _F32 = logits[0]
        return whole


class SlidingDecoder(AttentionDecoder):
    """A Transformer whose layers see the last ``span`` places, by distances alone.

    Keys and values do not depend on where in the cache they lie. So when the cache is full, the
    last ``span`` places are moved to its beginning: memory is constant, no place is computed
    twice, and the logits are those of the whole sequence, however long.
    """

    facts = SlidingFacts

    def __init__(
        self, session: Session, representation: TokenRepresentation, facts: SlidingFacts
    ) -> None:
        super().__init__(session, representation, facts)
        self._span = facts.span

    def append(self, state: AttentionState, tokens: _I64) -> tuple[_F32, AttentionState]:
        """Append tokens (B, n); return logits (B, V) of the next token and the state."""
        fresh = state.inputs.columns(tokens)
        room = self.window - self._span  # at least, once the cache has slid
        for at in range(0, fresh.shape[1], room):
            piece = fresh[:, at : at + room]
            if state.count + piece.shape[1] > self.window:
                self._slide(state)
            logits = self._push(state, piece)
        return logits, state

    def _slide(self, state: AttentionState) -> None:
        """Move the last ``span`` places to the beginning of the cache."""
        first = state.count - self._span
        for layer in range(self._layers):
            for part in ("key", "value"):
                cache = state.step[f"{part}_{layer}"]  # (B, G, window, D)
                cache[:, :, : self._span] = cache[:, :, first : state.count]
        state.count = self._span


def _bind(bind: Any, name: str, array: npt.NDArray[Any]) -> None:
    """Bind an input or output to the memory of an array that stays alive."""
    bind(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)


@dataclass
class RecurrentState:
    """One batch of streams: inputs so far and the hidden state."""

    inputs: _Inputs
    hidden: dict[str, _F32]


class RecurrentDecoder(TokenDecoder[RecurrentState]):
    """An LSTM graph; its memory is its hidden state, so it needs no window."""

    facts = RecurrentFacts
    window = 1 << 62

    def __init__(
        self, session: Session, representation: TokenRepresentation, facts: RecurrentFacts
    ) -> None:
        super().__init__(session, representation, facts)
        self._width = facts.width
        self._names = [f"{part}_{layer}" for layer in range(facts.layers) for part in ("h", "c")]
        self._require({}, dict.fromkeys(self._names, ("float", (1, None, self._width))))

    def begin(self, batch: int) -> RecurrentState:
        """Return the state of ``batch`` streams before their first token."""
        shape = (1, batch, self._width)
        hidden = {name: np.zeros(shape, dtype=np.float32) for name in self._names}
        return RecurrentState(_Inputs(self.representation, batch, self.local_width), hidden)

    def append(self, state: RecurrentState, tokens: _I64) -> tuple[_F32, RecurrentState]:
        """Append tokens (B, n); return logits (B, V) of the next token and the state."""
        columns = state.inputs.columns(tokens)
        for at in range(0, columns.shape[1], _LONGEST_CALL):
            logits = self._run(state, columns[:, at : at + _LONGEST_CALL])
        return logits[:, -1], state

    def _run(self, state: RecurrentState, columns: _I64) -> _F32:
        names = ["logits", *(f"new_{name}" for name in self._names)]
        found = self.session.run(names, {"columns": columns, **state.hidden})
        state.hidden = dict(zip(self._names, found[1:], strict=True))
        logits: _F32 = found[0]
        return logits

    def fork(self, state: RecurrentState, count: int) -> RecurrentState:
        """Return the state of ``count`` streams that stand where the one of ``state`` stands."""
        hidden = {name: np.repeat(value, count, axis=1) for name, value in state.hidden.items()}
        return RecurrentState(state.inputs.repeated(count), hidden)

    def all_logits(self, columns: _I64) -> _F32:
        """Return the logits (S, V) of a whole sequence of columns (S, C)."""
        whole: _F32 = self._run(self.begin(1), np.ascontiguousarray(columns[None]))[0]
        return whole


DECODERS: Mapping[str, type[TokenDecoder[Any]]] = {
    "transformer": AttentionDecoder,
    "sliding": SlidingDecoder,
    "recurrent": RecurrentDecoder,
}


def decoder_kind(network: Mapping[str, Any]) -> type[TokenDecoder[Any]]:
    """Return the class that plays a network, by its ``kind``.

    Raises:
        ConfigError: if no such kind is known.
    """
    kind = network.get("kind")
    if not isinstance(kind, str) or kind not in DECODERS:
        known = ", ".join(DECODERS)
        raise ConfigError(
            "network.kind", f"networks of kind {str(kind)[:40]!r} are unknown; known: {known}"
        )
    return DECODERS[kind]
