"""From latents at any place to sound: piece by piece, on all cores, or round in a loop.

The sound of the places from 0 on begins in small pieces, so that it is heard at once. From then on
it is made in stretches of ``STRETCH`` latents that several threads follow and make to sound at the
same time; where they lie does not depend on how many threads there are, so nor do the samples.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from threading import Event

import numpy as np
import numpy.typing as npt

from partimento.representations.spectra import Tail, left_right, overlap_start
from partimento.runtime.audio.codec import Codec, DecoderState, Stretch, Turned, turned_in_order

__all__ = ["FIRST", "STRETCH", "Source", "in_small_pieces", "loop", "on_all_cores"]

F32 = npt.NDArray[np.float32]
Source = Callable[[int, int], F32]
"""Returns the latents (b - a, width) of the places a to b."""

FIRST = (4, 8, 16)  # latents of the first pieces
STRETCH = 96
_STEP = 32  # latents that the network is given at once
_BENT = 24  # frames over which the phases at the end of a loop are brought to those of its start


def in_small_pieces(
    codec: Codec, source: Source, state: DecoderState, pieces: Iterator[int]
) -> Iterator[tuple[F32, DecoderState]]:
    """Yield samples and the state after them; ``source`` is asked in order, once for each place.

    ``state`` stands before place 0. Each piece is heard up to its last latent, less
    ``framing.lag`` samples.
    """
    start, stop = 0, codec.config.lookahead
    for count in pieces:
        stop += count
        samples, state = codec.decode(state, source(start, stop))
        start = stop
        yield samples, state


def on_all_cores(
    codec: Codec, source: Source, state: DecoderState, count: int | None, threads: int
) -> Iterator[F32]:
    """Yield the samples of the places 0 to ``count``, None for ever; the pieces vary in length."""
    left = None if count is None else count * codec.latent_samples
    with _workers(threads) as (pool, stop):
        for samples in _pieces(_Hands(codec, source, pool, stop, threads), state, count):
            if left is not None:
                samples = samples[:, :left]
                left -= samples.shape[1]
            if samples.shape[1]:
                yield samples


@contextmanager
def _workers(threads: int) -> Iterator[tuple[ThreadPoolExecutor, Event]]:
    stop = Event()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="latents")
    try:
        yield pool, stop
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True)
class _Hands:
    """What works on a stream: its threads, and whether they are to stop."""

    codec: Codec
    source: Source
    pool: ThreadPoolExecutor
    stop: Event
    threads: int

    def said(self, span: tuple[int, int]) -> Future[list[Stretch]]:
        """Return what will be said of a span of places."""
        return self.pool.submit(_said, self.codec, self.source, *span, self.stop)

    def sound(self, stretches: Sequence[Turned]) -> Future[tuple[F32, Tail]]:
        """Return the coming samples of stretches."""
        return self.pool.submit(_sound, self.codec, stretches, self.stop)


def _pieces(hands: _Hands, state: DecoderState, count: int | None) -> Iterator[F32]:
    """Yield the samples of one latent more than ``count``, for the last frames overlap."""
    codec, end = hands.codec, None if count is None else count + 1
    head = _first_pieces(codec.reach, end)
    spans = _spans(sum(head), end)
    following = deque(hands.said(span) for span in islice(spans, hands.threads))
    for samples, after in in_small_pieces(codec, hands.source, state, iter(head)):
        state = after
        yield samples
    track, tail = state.track, _heard(state.tail)
    sounding: deque[Future[tuple[F32, Tail]]] = deque()
    while following or sounding:
        if following:
            turned, track = turned_in_order(following.popleft().result(), track)
            sounding.append(hands.sound(turned))
            following.extend(hands.said(span) for span in islice(spans, 1))
        if len(sounding) > 1 or not following:
            samples, late = sounding.popleft().result()
            samples[:, : tail.shape[1]] += tail
            tail = _heard(late)
            step = _STEP * codec.latent_samples
            for at in range(0, samples.shape[1], step):
                yield samples[:, at : at + step]


def _first_pieces(reach: int, end: int | None) -> list[int]:
    """Return the sizes of the first pieces: as many as later ones need before them."""
    sizes = list(FIRST)
    while sum(sizes) < reach:
        sizes.append(FIRST[-1])
    if end is None:
        return sizes
    out: list[int] = []
    for size in sizes:
        out.append(min(size, end - sum(out)))
    return [size for size in out if size]


def _spans(start: int, end: int | None) -> Iterator[tuple[int, int]]:
    while end is None or start < end:
        stop = start + STRETCH if end is None else min(start + STRETCH, end)
        yield start, stop
        start = stop


def _said(codec: Codec, source: Source, first: int, last: int, stop: Event) -> list[Stretch]:
    """Return what the network says of the sound of the places ``first`` to ``last``."""
    ahead = codec.config.lookahead
    enter = first + ahead - codec.reach
    latents = source(enter, last + ahead)
    state, out = codec.enter(enter, first), []
    for at in range(0, len(latents), _STEP):
        if stop.is_set():
            break
        stretches, state = codec.said(state, latents[at : at + _STEP])
        out += stretches
    return out


def _sound(codec: Codec, stretches: Sequence[Turned], stop: Event) -> tuple[F32, Tail]:
    """Return the samples of stretches, begun in silence, and the waves that go on after them."""
    return codec.sound(() if stop.is_set() else stretches, overlap_start(codec.framing, 2))


def _heard(tail: Tail) -> F32:
    """Return the waves of mid and side (2, overlap - 1, hop) as samples of left and right."""
    return left_right(tail.reshape(2, -1))


def loop(codec: Codec, source: Source, period: int, threads: int) -> F32:
    """Return samples (2, period * latent_samples) whose end leads into their beginning.

    ``source`` goes round: place i and place i + ``period`` are the same. The network is warmed by
    what comes before place 0, which is the end. Phases do not come round by themselves: over the
    last frames they are bent to where they were at the beginning.
    """
    with _workers(threads) as (pool, stop):
        hands = _Hands(codec, source, pool, stop, threads)
        parts = list(_loop_parts(hands, period))
        return _round(codec, [part.result() for part in parts])


def _loop_parts(hands: _Hands, period: int) -> Iterator[Future[tuple[F32, Tail]]]:
    """Yield the coming samples of a loop; what was said is dropped as soon as it sounds."""
    spans, track = _spans(0, period), hands.codec.track()
    following = deque(hands.said(span) for span in islice(spans, hands.threads))
    first: Stretch | None = None
    begun: npt.NDArray[np.int32] | None = None
    straight = period * hands.codec.config.latent_frames - _BENT  # frames that are not bent
    done, bent = 0, []
    while following:
        for stretch in following.popleft().result():
            turned, track = stretch.turned(track)
            if first is None or begun is None:
                first, begun = stretch, turned.turns[0]
            done += len(turned.turns)
            if done <= straight:
                yield hands.sound([turned])
            else:
                bent.append((done - straight, turned))
        following.extend(hands.said(span) for span in islice(spans, 1))
    assert first is not None
    assert begun is not None
    # Where the phases of the first frame would stand if it came again.
    again, _ = first.turned(track)
    away = begun - again.turns[0]
    for past, each in bent:
        at = np.arange(past - len(each.turns) + 1, past + 1)
        ramp = np.clip(at / (_BENT + 1), 0, 1)
        bend = np.rint(ramp[:, None] * away).astype(np.int32)
        yield hands.sound([replace(each, turns=each.turns + bend)])


def _round(codec: Codec, parts: Sequence[tuple[F32, Tail]]) -> F32:
    """Return parts overlapped and added, the last with the first."""
    lag = codec.framing.lag
    whole = np.concatenate([samples for samples, _ in parts], axis=1)
    total, done = whole.shape[1], 0
    for samples, tail in parts:
        done += samples.shape[1]
        places = (done + np.arange(lag)) % total
        whole[:, places] += _heard(tail)
    # The first samples of a stream of frames are those before the first latent.
    return np.roll(whole, -lag, axis=1)
