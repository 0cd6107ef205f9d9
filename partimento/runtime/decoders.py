"""Token networks under ONNX Runtime: weights in the decoder, everything else in the state.

The state of an attention decoder owns its cache, which the graph updates in place. When the cache
is full, the last half of the window is read anew and decoding goes on, so a stream never ends.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from partimento.representations.base import TokenRepresentation, Walk

__all__ = [
    "AttentionDecoder",
    "AttentionState",
    "RecurrentDecoder",
    "RecurrentState",
]

_F32 = npt.NDArray[np.float32]
_I64 = npt.NDArray[np.int64]
_LONGEST_CALL = 512  # places a recurrent network reads in one call


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


@dataclass
class AttentionState:
    """One batch of streams: inputs so far, the cache, and how many places it holds."""

    inputs: _Inputs
    columns: _I64  # (B, window, C), those of the places in the cache
    binding: Any
    step: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    count: int = 0


class AttentionDecoder:
    """A causal Transformer graph; see ``training/export/graph_builder.py`` for its inputs."""

    def __init__(
        self,
        session: ort.InferenceSession,
        representation: TokenRepresentation,
        network: dict[str, Any],
    ) -> None:
        self.session, self.representation = session, representation
        self.vocabulary_size = int(network["vocabulary"])
        self.window = int(network["window"])
        self.local_width = int(network["local_width"])
        self._layers = int(network["layers"])
        self._cache_shape = (int(network["kv_heads"]), self.window, int(network["head_width"]))

    def following(self, representation: TokenRepresentation) -> AttentionDecoder:
        """Return this decoder with inputs made by another form of its representation."""
        other = copy.copy(self)
        other.representation = representation
        return other

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
            # Half of the window is read anew, so the next slide is half a window away.
            keep = self.window // 2
            joined = np.concatenate([state.columns[:, : state.count], fresh], axis=1)
            fresh, state.count = joined[:, -keep:], 0
        if state.count and fresh.shape[1] > 1 and len(fresh) > 1:
            # The attention kernel appends several places to a cache for one stream only.
            for at in range(fresh.shape[1]):
                logits = self._run(state, fresh[:, at : at + 1])
        else:
            logits = self._run(state, fresh)
        return logits, state

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


def _bind(bind: Any, name: str, array: npt.NDArray[Any]) -> None:
    """Bind an input or output to the memory of an array that stays alive."""
    bind(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)


@dataclass
class RecurrentState:
    """One batch of streams: inputs so far and the hidden state."""

    inputs: _Inputs
    hidden: dict[str, _F32]


class RecurrentDecoder:
    """An LSTM graph; its memory is its hidden state, so it needs no window."""

    window = 1 << 62

    def __init__(
        self,
        session: ort.InferenceSession,
        representation: TokenRepresentation,
        network: dict[str, Any],
    ) -> None:
        self.session, self.representation = session, representation
        self.vocabulary_size = int(network["vocabulary"])
        self.local_width = int(network["local_width"])
        self._layers, self._width = int(network["layers"]), int(network["width"])
        self._names = [f"{part}_{layer}" for layer in range(self._layers) for part in ("h", "c")]

    def following(self, representation: TokenRepresentation) -> RecurrentDecoder:
        """Return this decoder with inputs made by another form of its representation."""
        other = copy.copy(self)
        other.representation = representation
        return other

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
