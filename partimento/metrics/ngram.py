"""The counting baseline: an interpolated n-gram model over integer tokens.

Each level of context is smoothed into the next shorter one, by interpolated absolute discounting
with three discounts a level (Chen and Goodman 1999, equation 26) or by Witten-Bell's weights;
below the shortest stands the even distribution. Two things make it a fair baseline for music on a
grid:

- ``offsets``: which of the tokens before are looked at, the most telling first. (1, 2, 3) is the
  usual 4-gram; (4, 1, 8, 2) looks first at the same one of four voices a step ago.
- ``periods``: the place of the token modulo these counts (voice, beat) belongs to each context;
  the first is given up last, after all tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from partimento.errors import MusicError
from partimento.metrics.hashing import hash_prefixes, hash_row_prefixes

__all__ = ["NGramModel", "Smoothing"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Smoothing = Literal["discount", "witten-bell"]
_BEFORE = -1  # stands for the tokens before a piece


@dataclass(frozen=True, eq=False)
class _Level:
    """Counts of one length of context: entries sorted by context, then token."""

    contexts: npt.NDArray[np.uint64]  # (contexts,)
    first: Ints  # (contexts + 1,) into the entries
    tokens: Ints  # (entries,)
    keys: Ints  # (entries,) context number * vocabulary + token, rising
    counts: Floats  # (entries,) after the discount
    totals: Floats  # (contexts,)
    rest: Floats  # (contexts,) the weight that goes to the shorter context, 0..1


class NGramModel:
    """An n-gram model: ``fit`` it once, then ask ``logits``, ``nll`` or ``sample``."""

    def __init__(
        self,
        vocabulary: int,
        offsets: Sequence[int] = (1, 2, 3, 4),
        periods: Sequence[int] = (),
        smoothing: Smoothing = "discount",
    ) -> None:
        """Make an empty model of tokens 0..``vocabulary`` - 1.

        Raises:
            MusicError: if an offset or period is below 1, an offset comes twice, or there are no
                tokens.
        """
        if vocabulary < 1 or min([*offsets, *periods], default=1) < 1:
            raise MusicError("an n-gram model has tokens, and offsets and periods of 1 or more")
        if len(set(offsets)) < len(offsets):
            raise MusicError(f"the offsets of an n-gram model differ, unlike {tuple(offsets)}")
        self.vocabulary = vocabulary
        self.offsets = tuple(offsets)
        self.periods = tuple(periods)
        self.smoothing = smoothing
        self._levels: list[_Level] = []

    @property
    def context_length(self) -> int:
        """How many tokens back the model looks; ``logits`` needs no more than these."""
        return max(self.offsets, default=0)

    def _columns(self, tokens: Ints) -> Ints:
        """Return (n, periods + offsets): the context of each token, the last given up first."""
        at = np.arange(len(tokens))
        reach = self.context_length
        padded = np.concatenate([np.full(reach, _BEFORE, dtype=np.int64), tokens])
        columns = [at % period for period in self.periods]
        columns += [padded[reach - back : len(padded) - back] for back in self.offsets]
        return np.stack(columns, axis=1) if columns else np.zeros((len(tokens), 0), np.int64)

    def _checked(self, tokens: npt.ArrayLike) -> Ints:
        array = np.asarray(tokens, dtype=np.int64).reshape(-1)
        if len(array) and not 0 <= int(array.min()) <= int(array.max()) < self.vocabulary:
            raise MusicError(
                f"tokens are 0..{self.vocabulary - 1}, not {array.min()}..{array.max()}"
            )
        return array

    def fit(self, sequences: Sequence[npt.ArrayLike]) -> NGramModel:
        """Count token sequences, each of shape (n,), afresh; returns the model itself.

        Raises:
            MusicError: if there are no tokens, or some lie outside the vocabulary.
        """
        arrays = [self._checked(sequence) for sequence in sequences]
        if not sum(len(array) for array in arrays):
            raise MusicError("an n-gram model needs at least one token to count")
        tokens = np.concatenate(arrays)
        columns = np.concatenate([self._columns(array) for array in arrays])
        self._levels = [self._count(context, tokens) for context in hash_prefixes(columns)]
        return self

    def _count(self, context: npt.NDArray[np.uint64], tokens: Ints) -> _Level:
        order = np.lexsort((tokens, context))
        context, tokens = context[order], tokens[order]
        new = np.ones(len(context), dtype=bool)
        new[1:] = (context[1:] != context[:-1]) | (tokens[1:] != tokens[:-1])
        entry = np.flatnonzero(new)
        raw = np.diff([*entry, len(context)]).astype(np.float64)
        contexts, first = np.unique(context[entry], return_index=True)
        first = np.append(first, len(entry))
        sums = np.add.reduceat(raw, first[:-1])
        if self.smoothing == "discount":
            counts = raw - _discounts(raw)[np.minimum(raw, 3).astype(np.int64)]
            totals = sums
        else:
            counts = raw
            totals = sums + np.diff(first)
        rest = 1 - np.add.reduceat(counts, first[:-1]) / totals
        keys = np.repeat(np.arange(len(contexts)), np.diff(first)) * self.vocabulary
        keys += tokens[entry]
        return _Level(contexts, first, tokens[entry], keys, counts, totals, rest)

    def _fitted(self) -> list[_Level]:
        if not self._levels:
            raise MusicError("the n-gram model has counted nothing yet; call fit first")
        return self._levels

    def probabilities(self, context: npt.ArrayLike, position: int | None = None) -> Floats:
        """Return (vocabulary,) probabilities of the token after ``context`` (n,).

        ``position`` is the token's place in its piece, by default the length of the context.
        """
        past = self._checked(context)
        place = len(past) if position is None else position
        return self._probabilities(past[max(0, len(past) - self.context_length) :].tolist(), place)

    def _probabilities(self, past: list[int], position: int) -> Floats:
        row = [position % period for period in self.periods]
        row += [past[-back] if back <= len(past) else _BEFORE for back in self.offsets]
        out = np.full(self.vocabulary, 1.0 / self.vocabulary)
        for key, level in zip(hash_row_prefixes(row), self._fitted(), strict=True):
            index = int(level.contexts.searchsorted(np.uint64(key)))
            if index == len(level.contexts) or int(level.contexts[index]) != key:
                break  # a longer context is unknown where a shorter one is
            span = slice(int(level.first[index]), int(level.first[index + 1]))
            out *= level.rest[index]
            out[level.tokens[span]] += level.counts[span] / level.totals[index]
        return out

    def logits(self, context: npt.ArrayLike, position: int | None = None) -> Floats:
        """Return (vocabulary,) natural logarithms of ``probabilities``."""
        out: Floats = np.log(self.probabilities(context, position))
        return out

    def nll(self, tokens: npt.ArrayLike) -> Floats:
        """Return (n,) negative log-likelihoods in nats of each token of one piece."""
        array = self._checked(tokens)
        share = np.full(len(array), 1.0 / self.vocabulary)
        contexts = hash_prefixes(self._columns(array))
        for keys, level in zip(contexts, self._fitted(), strict=True):
            index = np.minimum(np.searchsorted(level.contexts, keys), len(level.contexts) - 1)
            known = level.contexts[index] == keys
            wanted = index * self.vocabulary + array
            entry = np.minimum(np.searchsorted(level.keys, wanted), len(level.keys) - 1)
            count = np.where(level.keys[entry] == wanted, level.counts[entry], 0.0)
            mixed = share * level.rest[index] + count / level.totals[index]
            share = np.where(known, mixed, share)
        out: Floats = -np.log(share)
        return out

    def stream(
        self, rng: np.random.Generator, prompt: npt.ArrayLike = (), temperature: float = 1.0
    ) -> Iterator[int]:
        """Yield sampled tokens after ``prompt`` (n,) for ever.

        Raises:
            MusicError: if the temperature is not positive.
        """
        if not temperature > 0:
            raise MusicError(f"a temperature is above 0, not {temperature}")
        past = self._checked(prompt).tolist()
        position = len(past)
        while True:
            weights = self._probabilities(past, position) ** (1 / temperature)
            total = np.cumsum(weights)
            token = int(np.searchsorted(total, rng.random() * total[-1], side="right"))
            token = min(token, self.vocabulary - 1)
            yield token
            past = [*past, token][-self.context_length :] if self.context_length else []
            position += 1

    def sample(
        self,
        length: int,
        rng: np.random.Generator,
        prompt: npt.ArrayLike = (),
        temperature: float = 1.0,
    ) -> Ints:
        """Return (length,) sampled tokens after ``prompt``, without the prompt."""
        tokens = self.stream(rng, prompt, temperature)
        return np.array([next(tokens) for _ in range(length)], dtype=np.int64)


def _discounts(counts: Floats) -> Floats:
    """Return the discounts of counts 0, 1, 2 and 3 or more (Chen and Goodman, equation 26)."""
    n = [float((counts == k).sum()) for k in range(5)]
    base = n[1] / (n[1] + 2 * n[2]) if n[1] else 0.5
    out = [0.0]
    for k in (1, 2, 3):
        whole = k - (k + 1) * base * n[k + 1] / n[k] if n[k] else k * base
        # Never nothing and never all: every context keeps some weight for the shorter one.
        out.append(float(np.clip(whole, 0.05, k - 0.05)))
    return np.array(out)
