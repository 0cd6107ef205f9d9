"""Pieces that close: the last bars are made several times, and the likeliest is taken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from partimento.errors import CannotBeMet
from partimento.representations.closing import ClosingConstraint
from partimento.samplers.autoregressive import Decoder, Stream, pushed
from partimento.samplers.picks import Pick

__all__ = ["sample_closing"]

_DRAWS = 2  # of each variant of the closing
_ROUNDS = 3  # of drawing them, where none closes


def sample_closing(
    decoder: Decoder[Any],
    pick: Pick,
    constraint: ClosingConstraint[Any],
    rng: np.random.Generator,
    prompt: Sequence[int] = (),
) -> Iterator[int]:
    """Yield tokens like ``autoregressive.sample``; the closing is the likeliest of several.

    Once the constraint says that the closing begins, the state is forked: each variant of it is
    drawn ``_DRAWS`` times in one batch, and the one whose tokens have the highest mean
    log-probability under the network alone (no mask, temperature 1) is yielded, of those that
    close as asked.

    Raises:
        CannotBeMet: if none closes, since promises that come first leave no room for the cadence.
    """
    stream = Stream(pick, constraint, rng, prompt)
    state = decoder.begin(1)
    tokens: npt.NDArray[np.int64] = np.asarray(prompt, dtype=np.int64).reshape(1, -1)
    while stream.runs() and not constraint.is_closing(stream.rules):
        logits, state = decoder.append(state, tokens)
        token = stream.push(logits[0])
        yield token
        tokens = np.array([[token]], dtype=np.int64)
    if not stream.runs():
        return
    made = [pair for pair in constraint.variants(stream.rules) for _ in range(_DRAWS)]
    for _ in range(_ROUNDS):
        streams = [
            Stream(pick, variant, luck, rules=rules)
            for (variant, rules), luck in zip(made, rng.spawn(len(made)), strict=True)
        ]
        written, likelihood = _written(decoder, decoder.fork(state, len(streams)), streams, tokens)
        closed = [
            row for row, (variant, _) in enumerate(made) if variant.closes(streams[row].rules)
        ]
        if closed:
            yield from written[max(closed, key=lambda row: likelihood[row])]
            return
    raise CannotBeMet(
        "no ending was found within what else is asked (range, polyphony, chords, silence); ask "
        "for less, or for the ending 'open'"
    )


def _written(
    decoder: Decoder[Any], state: Any, streams: Sequence[Stream], tokens: npt.NDArray[np.int64]
) -> tuple[list[list[int]], list[float]]:
    """Return what each stream writes, and the mean log-probability of its tokens."""
    written: list[list[int]] = [[] for _ in streams]
    likelihood = np.zeros(len(streams))
    column = np.repeat(tokens, len(streams), axis=0)
    running = [row for row, stream in enumerate(streams) if stream.runs()]
    while running:
        logits, state = decoder.append(state, column)
        column = np.zeros((len(streams), 1), dtype=np.int64)
        normaliser = _log_sum_exp(logits)
        for row, token in pushed(streams, running, logits):
            likelihood[row] += float(logits[row, token]) - normaliser[row]
            column[row, 0] = token
            written[row].append(token)
        running = [row for row in running if streams[row].runs()]
    lengths = np.array([len(tokens) for tokens in written])
    return written, (likelihood / np.maximum(lengths, 1)).tolist()


def _log_sum_exp(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return (B,) of logits (B, V)."""
    peak = logits.max(axis=1, keepdims=True)
    total = np.exp(logits - peak).sum(axis=1)
    return np.asarray(np.log(total) + peak[:, 0], dtype=np.float64)
