"""Token after token from any decoder, under any constraint, one stream or many in lockstep."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from partimento.representations.constraint import Constraint
from partimento.samplers.picks import Pick

__all__ = ["Decoder", "Stream", "pushed", "sample", "sample_batch"]

S = TypeVar("S")


class Decoder(Protocol[S]):
    """A network that says what comes next. It holds weights only; the state is passed along."""

    vocabulary_size: int

    def begin(self, batch: int) -> S:
        """Return the state of ``batch`` streams before their first token."""
        ...

    def append(self, state: S, tokens: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.float32], S]:
        """Append tokens (batch, n); return logits (batch, V) of the next token, and the new state.

        With n = 0 at the very start these are the logits of the first token: the decoder itself
        supplies the start token. The old state need not be usable any more.
        """
        ...

    def fork(self, state: S, count: int) -> S:
        """Return the state of ``count`` streams that all stand where the one of ``state`` stands.

        The old state stays valid.
        """
        ...


def sample(
    decoder: Decoder[S],
    pick: Pick,
    constraint: Constraint[Any] | None,
    rng: np.random.Generator,
    prompt: Sequence[int] = (),
) -> Iterator[int]:
    """Yield tokens until the constraint is done; without a constraint, for ever.

    The prompt's tokens go through the constraint, whose promises then start again
    (``after_prompt``), and are not yielded. A token is yielded before the network is asked for
    the next one, so whoever stops early pays for nothing more.
    """
    stream = Stream(pick, constraint, rng, prompt)
    state = decoder.begin(1)
    tokens = np.asarray(prompt, dtype=np.int64).reshape(1, -1)
    while stream.runs():
        logits, state = decoder.append(state, tokens)
        token = stream.push(logits[0])
        yield token
        tokens = np.array([[token]], dtype=np.int64)


def sample_batch(
    decoder: Decoder[S],
    picks: Pick | Sequence[Pick],
    constraints: Sequence[Constraint[Any] | None],
    rngs: Sequence[np.random.Generator],
    prompt: Sequence[int] = (),
    max_tokens: int | None = None,
) -> list[list[int]]:
    """Return the tokens of one stream for each of ``rngs``, all run in lockstep.

    Each stream has its own constraint and its own generator, and gives what ``sample`` would give
    with these, whatever the others do (up to the rounding of the network's batched arithmetic).
    Finished streams are fed padding until the last one is done. ``picks`` is one for all or one
    each; ``max_tokens`` bounds every stream.

    Raises:
        ValueError: if the sequences differ in length, or a stream has no end.
    """
    count = len(rngs)
    each = [picks] * count if isinstance(picks, Pick) else list(picks)
    if len(each) != count or len(constraints) != count:
        raise ValueError(
            f"{count} generators ask for as many picks and constraints, "
            f"not {len(each)} and {len(constraints)}"
        )
    if max_tokens is None and any(constraint is None for constraint in constraints):
        raise ValueError("a stream without a constraint has no end; give max_tokens")
    streams = [Stream(*parts, prompt) for parts in zip(each, constraints, rngs, strict=True)]
    written: list[list[int]] = [[] for _ in streams]
    state = decoder.begin(count)
    column = np.tile(np.asarray(prompt, dtype=np.int64), (count, 1))
    running = _running(streams, written, max_tokens)
    while running:
        logits, state = decoder.append(state, column)
        column = np.zeros((count, 1), dtype=np.int64)
        for row, token in pushed(streams, running, logits):
            column[row, 0] = token
            written[row].append(token)
        running = _running(streams, written, max_tokens)
    return written


class Stream:
    """One stream of tokens: how it picks, under which constraint, from which generator.

    ``rules`` is the state of the constraint; where one is given, the stream continues from it.
    """

    def __init__(
        self,
        pick: Pick,
        constraint: Constraint[Any] | None,
        rng: np.random.Generator,
        prompt: Sequence[int] = (),
        rules: Any = None,
    ) -> None:
        self.pick, self.rng, self._constraint = pick, rng, constraint
        self._rules = rules
        if constraint is not None and rules is None:
            self._rules = constraint.begin()
            for token in prompt:
                self._rules = constraint.advance(self._rules, int(token))
            if len(prompt):
                self._rules = constraint.after_prompt(self._rules)

    @property
    def rules(self) -> Any:
        """The state of the constraint."""
        return self._rules

    def runs(self) -> bool:
        """Return whether another token may come."""
        return self._constraint is None or not self._constraint.is_done(self._rules)

    def push(self, logits: npt.NDArray[np.float32]) -> int:
        """Pick and return the next token."""
        return self.write(self.pick(logits, self.allowed(), self.rng))

    def allowed(self) -> npt.NDArray[np.bool_] | None:
        """Return which tokens may come next."""
        return None if self._constraint is None else self._constraint.allowed(self._rules)

    def write(self, picked: int) -> int:
        """Take a picked token in; return the one that is written."""
        if self._constraint is None:
            return picked
        token = self._constraint.written(self._rules, picked)
        self._rules = self._constraint.advance(self._rules, token)
        return token


def pushed(
    streams: Sequence[Stream], running: Sequence[int], logits: npt.NDArray[np.float32]
) -> Iterator[tuple[int, int]]:
    """Yield (row, next token) of each running row; rows that pick alike are picked together."""
    first = streams[running[0]].pick
    if any(streams[row].pick != first for row in running):
        for row in running:
            yield row, streams[row].push(logits[row])
        return
    # A mask lives until the next call of its constraint, which rows may share.
    masks = [_copied(streams[row].allowed()) for row in running]
    rngs = [streams[row].rng for row in running]
    picked = first.batch(logits[list(running)], masks, rngs).tolist()
    for row, token in zip(running, picked, strict=True):
        yield row, streams[row].write(token)


def _copied(mask: npt.NDArray[np.bool_] | None) -> npt.NDArray[np.bool_] | None:
    return None if mask is None else mask.copy()


def _running(
    streams: Sequence[Stream], written: Sequence[Sequence[int]], max_tokens: int | None
) -> list[int]:
    """Return the rows that want another token."""
    return [
        row
        for row, stream in enumerate(streams)
        if stream.runs() and (max_tokens is None or len(written[row]) < max_tokens)
    ]
