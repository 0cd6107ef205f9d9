"""Token sequences drawn from a policy, and Monte-Carlo rollouts of every prefix in one batch.

A policy is a token network with what turns tokens into its input columns. Each place costs one
step from cached states: an LSTM's hidden state, a Transformer's keys and values. Rollouts walk all
prefixes together in time: a prefix of t tokens joins the batch when place t is reached, as copies
of the row that has read those tokens, so no prefix is read twice and no row is padded.

``TokenPolicy.rollouts`` is the fast form, ``naive_rollouts`` the plain one: prefix by prefix, the
whole past read again at each place. Both take the same uniform numbers to the same tokens.
"""

from __future__ import annotations

import contextlib
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import singledispatch
from typing import Protocol

import torch
from torch import Tensor, nn

from partimento.representations import BarEvents, Countdown, FourVoiceGrid, TokenRepresentation
from partimento.training.nn.attention import (
    RelativeAttention,
    RotaryAttention,
    SlidingAttention,
    apply_rotary,
    rotary_tables,
)
from partimento.training.nn.embedding import sinusoids
from partimento.training.nn.recurrent import CausalLSTM
from partimento.training.nn.transformer import Block, CausalTransformer

__all__ = [
    "BarWalks",
    "CachedLSTM",
    "CachedNetwork",
    "CachedTransformer",
    "GridWalks",
    "HiddenWalks",
    "PlainWalks",
    "TokenPolicy",
    "Walks",
    "cached",
    "naive_rollouts",
    "pick",
    "policy_of",
    "walks_of",
    "without_dropout",
]

_MOST_ROWS = 16384  # sequences that walk at once; more are walked in parts


class Walks(Protocol):
    """Many walks over token sequences at once; state (B, S) is handed in and back.

    The batched form of ``partimento.representations.base.Walk``.
    """

    def begin(self, batch: int, device: torch.device) -> Tensor:
        """Return the state (B, S) before the first token."""
        ...

    def features(self, state: Tensor) -> Tensor:
        """Return (B, F): the features of the tokens that come next."""
        ...

    def push(self, state: Tensor, tokens: Tensor) -> Tensor:
        """Return the state (B, S) after tokens (B,)."""
        ...


class PlainWalks:
    """Walks of a representation without features."""

    def begin(self, batch: int, device: torch.device) -> Tensor:
        """Return nothing (B, 0)."""
        return torch.zeros(batch, 0, dtype=torch.long, device=device)

    def features(self, state: Tensor) -> Tensor:
        """Return nothing (B, 0)."""
        return state

    def push(self, state: Tensor, tokens: Tensor) -> Tensor:
        """Return the state as it is."""
        return state


class GridWalks:
    """Walks over ``FourVoiceGrid``; state: how many tokens there were."""

    def __init__(self, grid: FourVoiceGrid) -> None:
        self.steps, self.phases = grid.steps_per_bar, grid.feature_sizes[1]

    def begin(self, batch: int, device: torch.device) -> Tensor:
        """Return zeros (B, 1)."""
        return torch.zeros(batch, 1, dtype=torch.long, device=device)

    def features(self, state: Tensor) -> Tensor:
        """Return (B, 2): voice, step in the bar."""
        step = state.div(4, rounding_mode="floor") % self.steps % self.phases
        return torch.cat([state % 4, step], dim=1)

    def push(self, state: Tensor, tokens: Tensor) -> Tensor:
        """Count one more token."""
        return state + 1


class BarWalks:
    """Walks over ``BarEvents``; state: 1 + position in the bar, 1 + metre (0: none yet)."""

    def __init__(self, events: BarEvents) -> None:
        vocabulary = events.vocabulary
        self.bar = vocabulary.first("bar")
        self.metre, self.position = vocabulary.span("metre"), vocabulary.span("position")

    def begin(self, batch: int, device: torch.device) -> Tensor:
        """Return zeros (B, 2)."""
        return torch.zeros(batch, 2, dtype=torch.long, device=device)

    def features(self, state: Tensor) -> Tensor:
        """Return (B, 2): position, metre."""
        return state

    def push(self, state: Tensor, tokens: Tensor) -> Tensor:
        """Take positions, metres and bar lines in."""
        position, metre = state[:, 0], state[:, 1]
        is_place = (tokens >= self.position.start) & (tokens < self.position.stop)
        is_metre = (tokens >= self.metre.start) & (tokens < self.metre.stop)
        position = torch.where(is_place, tokens - self.position.start + 1, position)
        position = position.masked_fill(tokens == self.bar, 0)
        metre = torch.where(is_metre, tokens - self.metre.start + 1, metre)
        return torch.stack([position, metre], dim=1)


class HiddenWalks:
    """Walks of a base whose last feature is given as 0, unknown: a countdown without its end."""

    def __init__(self, base: Walks) -> None:
        self.base = base

    def begin(self, batch: int, device: torch.device) -> Tensor:
        """Return the base's state."""
        return self.base.begin(batch, device)

    def features(self, state: Tensor) -> Tensor:
        """Return the base's features and a zero."""
        known = self.base.features(state)
        return torch.cat([known, known.new_zeros(len(known), 1)], dim=1)

    def push(self, state: Tensor, tokens: Tensor) -> Tensor:
        """Return the base's state."""
        return self.base.push(state, tokens)


@singledispatch
def walks_of(representation: TokenRepresentation) -> Walks:
    """Return the batched walks of a representation; one with features registers its own.

    Raises:
        ValueError: if it has features and no batched walk is known.
    """
    if representation.feature_sizes:
        raise ValueError(f"no batched walk of {type(representation).__name__} is known")
    return PlainWalks()


walks_of.register(FourVoiceGrid, GridWalks)
walks_of.register(BarEvents, BarWalks)


@walks_of.register
def _(representation: Countdown) -> Walks:
    return HiddenWalks(walks_of(representation.base))


Memory = list[tuple[Tensor, Tensor]]  # a pair a layer, one row a sequence


class CachedNetwork(ABC):
    """A token network one place at a time; it holds weights, the memory is handed in."""

    @abstractmethod
    def begin(self, rows: int, length: int) -> Memory:
        """Return the memory of ``rows`` sequences of at most ``length`` places."""

    @abstractmethod
    def step(self, memory: Memory, columns: Tensor, at: int) -> Tensor:
        """Take columns (R, C) of place ``at`` into the first R rows; return logits (R, V)."""

    @abstractmethod
    def spread(self, memory: Memory, sources: Tensor, first: int, places: int) -> None:
        """Copy the rows ``sources`` (R,), which have read ``places``, to ``first``...."""


class CachedLSTM(CachedNetwork):
    """``CausalLSTM`` by single steps; memory: hidden and cell state (rows, W) a layer."""

    def __init__(self, network: CausalLSTM) -> None:
        self.network = network

    def begin(self, rows: int, length: int) -> Memory:
        """Return zeros."""
        weight, width = self.network.head.weight, self.network.config.width
        return [
            (weight.new_zeros(rows, width), weight.new_zeros(rows, width))
            for _ in self.network.layers
        ]

    def step(self, memory: Memory, columns: Tensor, at: int) -> Tensor:
        """Return logits (R, V)."""
        rows = len(columns)
        x = self.network.embedding(columns)
        for layer, (hidden, cell) in zip(self.network.layers, memory, strict=True):
            assert isinstance(layer, nn.LSTM)
            # input-hidden and hidden-hidden weights, and their biases
            before = (hidden[:rows], cell[:rows])
            x, inner = torch.lstm_cell(x, before, *layer.all_weights[0])
            hidden[:rows], cell[:rows] = x, inner
        logits: Tensor = self.network.head(x)
        return logits

    def spread(self, memory: Memory, sources: Tensor, first: int, places: int) -> None:
        """Copy hidden and cell state."""
        for hidden, cell in memory:
            hidden[first : first + len(sources)] = hidden[sources]
            cell[first : first + len(sources)] = cell[sources]


class CachedTransformer(CachedNetwork):
    """``CausalTransformer`` by single steps; memory: keys and values (rows, G, L, D) a layer."""

    def __init__(self, network: CausalTransformer) -> None:
        self.network = network

    def begin(self, rows: int, length: int) -> Memory:
        """Return empty caches."""
        config, weight = self.network.config, self.network.head.weight
        shape = (rows, config.kv_heads, length, config.head_width)
        return [(weight.new_zeros(shape), weight.new_zeros(shape)) for _ in self.network.blocks]

    def step(self, memory: Memory, columns: Tensor, at: int) -> Tensor:
        """Return logits (R, V)."""
        network = self.network
        x = network.embedded(columns)  # (R, width)
        if network.config.attention == "absolute":
            x = x + sinusoids(at + 1, x.shape[-1])[at].to(x)
        for block, (keys, values) in zip(network.blocks, memory, strict=True):
            assert isinstance(block, Block)
            x = x + self._attention(block, block.norm1(x), keys[: len(x)], values[: len(x)], at)
            x = x + block.down(torch.relu(block.up(block.norm2(x))))
        return network.logits(x, columns)

    def _attention(self, block: Block, x: Tensor, keys: Tensor, values: Tensor, at: int) -> Tensor:
        """Return (R, width) of one place over keys and values (R, G, L, D), which it joins."""
        own = block.attention
        rows, groups = len(x), own.kv_heads
        q = own.query(x).view(rows, groups, own.heads // groups, own.head_width)  # (R, G, H/G, D)
        k = own.key(x).view(rows, groups, 1, own.head_width)
        v = own.value(x).view(rows, groups, 1, own.head_width)
        if isinstance(own, RotaryAttention):
            cos, sin = (table[at:].to(x) for table in rotary_tables(at + 1, own.head_width))
            q, k = apply_rotary(q, cos, sin), apply_rotary(k, cos, sin)
        keys[:, :, at], values[:, :, at] = k[:, :, 0], v[:, :, 0]
        logits = q @ keys[:, :, : at + 1].transpose(-1, -2)  # (R, G, H/G, at + 1)
        if isinstance(own, RelativeAttention):
            far = own.distance.shape[1] - 1
            back = (far - torch.arange(at, -1, -1, device=x.device)).clamp(min=0)
            table = own.distance[:, back].to(q.dtype)  # (H, at + 1, D)
            table = table.view(groups, own.heads // groups, at + 1, own.head_width)
            logits = logits + torch.einsum("rghd,ghld->rghl", q, table)
            if isinstance(own, SlidingAttention):
                logits[..., : max(0, at - far)] = -torch.inf
        weights = torch.softmax(logits / math.sqrt(own.head_width), dim=-1)
        mixed = (weights @ values[:, :, : at + 1]).reshape(rows, -1)  # (R, width)
        out: Tensor = own.out(mixed)
        return out

    def spread(self, memory: Memory, sources: Tensor, first: int, places: int) -> None:
        """Copy the keys and values of the places that were read."""
        for keys, values in memory:
            for cache in (keys, values):
                cache[first : first + len(sources), :, :places] = cache[sources, :, :places]


def cached(network: nn.Module) -> CachedNetwork:
    """Return the stepwise form of a token network.

    Raises:
        ValueError: if none is known.
    """
    if isinstance(network, CausalLSTM):
        return CachedLSTM(network)
    if isinstance(network, CausalTransformer):
        return CachedTransformer(network)
    raise ValueError(f"no stepwise form of {type(network).__name__} is known")


def pick(logits: Tensor, uniforms: Tensor) -> Tensor:
    """Return tokens (R,) of logits (R, V) by the inverse of their cumulative distribution.

    ``uniforms`` (R,) lie in [0, 1); a token of probability zero is never picked.
    """
    mass = torch.softmax(_precise(logits), dim=-1)
    heaps = mass.cumsum(-1)
    aim = uniforms.to(heaps)[:, None] * heaps[:, -1:]
    tokens = torch.searchsorted(heaps, aim, right=True)[:, 0]
    return tokens.clamp(max=logits.shape[-1] - 1)


def _precise(logits: Tensor) -> Tensor:
    """Return logits in float32 at least: in bfloat16 a cumulative distribution has 256 steps."""
    return logits if logits.dtype == torch.float64 else logits.float()


class TokenPolicy:
    """A token network as a policy; it holds the network and how its inputs are made, no state."""

    def __init__(
        self, network: nn.Module, walks: Walks, start_token: int, local_width: int = 1
    ) -> None:
        self.network, self.walks = network, walks
        self.start_token, self.local_width = start_token, local_width
        self.steps = cached(network)

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.network.parameters()).device

    def masked(self, logits: Tensor) -> Tensor:
        """Return logits (..., V) in which the start token cannot be."""
        at = torch.arange(logits.shape[-1], device=logits.device)
        return logits.masked_fill(at == self.start_token, float("-inf"))

    def columns(self, tokens: Tensor) -> Tensor:
        """Return (B, L, C): the inputs from which each of tokens (B, L) is predicted."""
        batch, length = tokens.shape
        before = tokens.new_full((batch, self.local_width), self.start_token)
        padded = torch.cat([before, tokens], dim=1)
        recent = [
            padded[:, self.local_width - back : self.local_width - back + length]
            for back in range(1, self.local_width + 1)
        ]
        state = self.walks.begin(batch, tokens.device)
        features = []
        for at in range(length):
            features.append(self.walks.features(state))
            state = self.walks.push(state, tokens[:, at])
        return torch.cat([torch.stack(recent, dim=2), torch.stack(features, dim=1)], dim=2)

    def log_probabilities(self, tokens: Tensor) -> Tensor:
        """Return (B, L, V): the log-distribution of each place given the tokens before it."""
        logits = self.network(self.columns(tokens))
        return torch.log_softmax(self.masked(_precise(logits)), dim=-1)

    @torch.no_grad()
    def sample(
        self,
        batch: int,
        length: int,
        uniforms: Tensor | None = None,
        prompt: Tensor | None = None,
        temperature: float = 1.0,
    ) -> Tensor:
        """Return tokens (B, L) drawn from the policy.

        ``uniforms`` (B, L) decide; without them torch's generator does. ``prompt`` (B, P) stands
        at the front.
        """
        given = uniforms if uniforms is not None else torch.rand(batch, length, device=self.device)
        tokens = torch.zeros(batch, length, dtype=torch.long, device=self.device)
        known = 0
        if prompt is not None:
            known = prompt.shape[1]
            tokens[:, :known] = prompt
        memory = self.steps.begin(batch, length)
        recent, state = self._begin(batch)
        for at in range(length):
            columns = torch.cat([recent, self.walks.features(state)], dim=1)
            logits = self.steps.step(memory, columns, at)
            if at >= known:
                tokens[:, at] = pick(self.masked(logits) / temperature, given[:, at])
            recent, state = self._push(recent, state, tokens[:, at])
        return tokens

    @torch.no_grad()
    def rollouts(
        self,
        tokens: Tensor,
        count: int,
        uniforms: Tensor | None = None,
        starts: Sequence[int] | None = None,
    ) -> Tensor:
        """Return (S, B, N, L): prefixes of tokens (B, L), each completed ``count`` = N times.

        ``starts`` are the S lengths of the prefixes, rising, each 1..L-1 (all of them without).
        ``uniforms`` (S, B, N, L) decide; without them torch's generator does.
        """
        batch, length = tokens.shape
        lengths = list(range(1, length)) if starts is None else list(starts)
        if lengths != sorted(set(lengths)) or (lengths and not 1 <= lengths[0] <= lengths[-1]):
            raise ValueError("starts rise from 1")
        if lengths and lengths[-1] >= length:
            raise ValueError(f"a prefix is shorter than the {length} tokens, not {lengths[-1]}")
        given = uniforms
        if given is None:
            given = torch.rand(len(lengths), batch, count, length, device=self.device)
        part = max(1, _MOST_ROWS // (len(lengths) * count + 1))
        made = [
            self._rollouts(tokens[at : at + part], lengths, given[:, at : at + part])
            for at in range(0, batch, part)
        ]
        return torch.cat(made, dim=1)

    def _rollouts(self, tokens: Tensor, lengths: list[int], uniforms: Tensor) -> Tensor:
        """Walk the sequences themselves in the first B rows, the rollouts behind them."""
        (batch, length), count = tokens.shape, uniforms.shape[2]
        shape = (len(lengths), batch, count, length)
        out = tokens[None, :, None].expand(shape).clone().view(-1, length)  # (S B N, L)
        draws = uniforms.reshape(-1, length)
        sources = torch.arange(batch, device=tokens.device).repeat_interleave(count)
        memory = self.steps.begin(batch + len(out), length)
        recent, state = self._begin(batch)
        for at in range(length):
            columns = torch.cat([recent, self.walks.features(state)], dim=1)
            logits = self.steps.step(memory, columns, at)
            alive = len(columns) - batch
            if alive:
                out[:alive, at] = pick(self.masked(logits[batch:]), draws[:alive, at])
            chosen = torch.cat([tokens[:, at], out[:alive, at]])
            recent, state = self._push(recent, state, chosen)
            if at + 1 in lengths:
                self.steps.spread(memory, sources, batch + alive, at + 1)
                recent = torch.cat([recent, recent[sources]])
                state = torch.cat([state, state[sources]])
        return out.view(shape)

    def _begin(self, batch: int) -> tuple[Tensor, Tensor]:
        """Return the last tokens (B, w) and the walks before the first token."""
        recent = torch.full((batch, self.local_width), self.start_token, device=self.device)
        return recent, self.walks.begin(batch, self.device)

    def _push(self, recent: Tensor, state: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        recent = torch.cat([tokens[:, None], recent[:, :-1]], dim=1)
        return recent, self.walks.push(state, tokens)


def policy_of(
    network: nn.Module, representation: TokenRepresentation, local_width: int
) -> TokenPolicy:
    """Return the policy that a network is over a representation."""
    walks = walks_of(representation)
    return TokenPolicy(network, walks, representation.start_token, local_width)


@torch.no_grad()
def naive_rollouts(policy: TokenPolicy, tokens: Tensor, uniforms: Tensor) -> Tensor:
    """Return what ``TokenPolicy.rollouts`` does, prefix by prefix without any cache.

    tokens (B, L); uniforms (L-1, B, N, L); returns (L-1, B, N, L). For each prefix and each of its
    N rollouts, the batch is completed place by place, its whole past read again for each.
    """
    starts, batch, count, length = uniforms.shape
    out = tokens[None, :, None].expand(starts, batch, count, length).clone()
    with without_dropout(policy.network):
        for start in range(starts):
            for n in range(count):
                for at in range(start + 1, length):
                    # Place ``at`` depends on what precedes it: its own token is not read.
                    columns = policy.columns(out[start, :, n, : at + 1])
                    logits = policy.masked(policy.network(columns)[:, -1])
                    out[start, :, n, at] = pick(logits, uniforms[start, :, n, at])
    return out


@contextlib.contextmanager
def without_dropout(network: nn.Module) -> Iterator[None]:
    """Let a network's dropout pass everything, as in the steps from cached states."""
    resting = [m for m in network.modules() if isinstance(m, nn.Dropout) and m.training]
    for module in resting:
        module.eval()
    try:
        yield
    finally:
        for module in resting:
            module.train()
