"""Where a stream of latents stands: coordinates, style and noise at any place, from a seed alone.

Pasini and Schlueter 2022 (arXiv 2208.08706) drive a generator by a path through a Gaussian space:
anchors every so many latents, and all between them by interpolation. Here every number is a
function of (seed, place), so a stream of any length can be entered anywhere, and batch, stream and
parallel pieces agree to the bit.

::

    anchor k of a track             a_k ~ N(0, 1)                       -> LatentCoordinates.anchor
    published path (``linear``)     (1 - t) a_k + t a_(k+1)             -> blend
    our path (``slerp``)            (sin (1-t)w a_k + sin tw a_(k+1)) / sin w,
                                    w the angle between the two          -> blend
    coordinates, style that move    sqrt(1 - m^2) h + m s, m = movement -> LatentCoordinates.styles
                                    h where they are at home, s a track
    two homes mixed                 cos(x pi / 2) h + sin(x pi / 2) h'   -> LatentCoordinates.home
    variation (truncation)          v a, v style

A straight path shrinks to .7 of its length half-way, so what is played there is less varied; the
great circle does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from partimento import seeds

__all__ = [
    "HOME",
    "PATH",
    "STYLE",
    "Interpolation",
    "LatentCoordinates",
    "blend",
    "blend_weights",
]

Interpolation = Literal["slerp", "linear"]
Floats = npt.NDArray[np.float32]

PATH, STYLE, _TRACK, _NOISE, HOME = 1, 2, 4, 3, 6  # the streams of a seed
_BLOCK = 64  # latents whose noise is drawn together
_STRAIGHT = 1e-4  # radians: two anchors this near are joined by a line


@dataclass(frozen=True)
class LatentCoordinates:
    """The path of one seed; ``path[a:b]`` is what the methods give for latents a to b.

    ``anchor_every`` and ``style_every`` are in latents. With a ``period`` (in latents) the path is
    a circle: place i and place i + period are the same, and the anchors stand at equal distances
    as near to the wished ones as the period allows. Places may be negative: a generator that looks
    to both sides needs some before the first. ``other`` is a seed whose home may be mixed in.
    """

    seed: int
    coordinate: int = 64
    style: int = 64
    noise: int = 16
    anchor_every: int = 384
    style_every: int = 768
    interpolation: Interpolation = "slerp"
    period: int | None = None
    other: int | None = None

    def __post_init__(self) -> None:
        if self.period is not None and self.period < 1:
            raise ValueError(f"a loop has at least one latent, not {self.period}")

    def coordinates(
        self,
        start: int,
        stop: int,
        variation: float | Floats = 1.0,
        movement: float | Floats = 1.0,
        mix: float | Floats = 0.0,
    ) -> Floats:
        """Return (stop - start, coordinate): at home for ever, or moving along the path.

        ``variation`` scales them. ``movement`` is 0 (they stand still) to 1 (the published path,
        nothing of home is kept), ``mix`` 0 to 1 (at home where ``other`` is); each of the three is
        a number, or one a place.
        """
        home = self.home(HOME, self.coordinate, mix)
        return self._moving(home, PATH, self.anchor_every, start, stop, variation, movement)

    def styles(
        self,
        start: int,
        stop: int,
        variation: float | Floats = 1.0,
        movement: float | Floats = 0.0,
        mix: float | Floats = 0.0,
    ) -> Floats:
        """Return (stop - start, style): one style for ever, or moving among others.

        ``variation``, ``movement`` and ``mix`` as in ``coordinates``.
        """
        home = self.home(STYLE, self.style, mix)
        return self._moving(home, _TRACK, self.style_every, start, stop, variation, movement)

    def home(self, stream: int, width: int, mix: float | Floats = 0.0) -> Floats:
        """Return (1, width), or one row for each of ``mix``: where a stream stands unmoved."""
        own = self.drawn(stream, width)[None]
        if self.other is None:
            return own.astype(np.float32)
        turn = np.clip(_column(mix), 0.0, 1.0) * (np.pi / 2)
        theirs = _draw(self.other, width, stream)[None]
        return np.asarray(np.cos(turn) * own + np.sin(turn) * theirs, dtype=np.float32)

    def drawn(self, stream: int, width: int) -> npt.NDArray[np.float64]:
        """Return (width,): the seed's own home of a stream."""
        return _draw(self.seed, width, stream)

    def _moving(
        self,
        home: Floats,
        stream: int,
        every: int,
        start: int,
        stop: int,
        variation: float | Floats,
        movement: float | Floats,
    ) -> Floats:
        moved = np.clip(_column(movement), 0.0, 1.0)
        kept = np.sqrt(1.0 - moved * moved)
        out = np.broadcast_to(home, (stop - start, home.shape[1])) * kept
        if moved.any():
            out = out + self._track(stream, home.shape[1], every, start, stop) * moved
        return np.asarray(out * _column(variation), dtype=np.float32)

    def noises(self, start: int, stop: int) -> Floats:
        """Return (stop - start, noise), each place drawn by itself."""
        out = np.empty((stop - start, self.noise), dtype=np.float32)
        places = np.arange(start, stop)
        if self.period is not None:
            places %= self.period
        blocks = places // _BLOCK
        for block in np.unique(blocks):
            at = blocks == block
            rows = seeds.generator(self.seed, _NOISE, _natural(int(block))).standard_normal(
                (_BLOCK, self.noise)
            )
            out[at] = rows[places[at] - block * _BLOCK]
        return out

    def inputs(
        self,
        start: int,
        stop: int,
        conditions: Floats,
        variation: float | Floats = 1.0,
        movement: float | Floats = 0.0,
        mix: float | Floats = 0.0,
    ) -> Floats:
        """Return (stop - start, F): coordinates, style, noise, conditions, in this order.

        ``conditions`` are (stop - start, C), or (C,) for all places; see ``sound_conditions.py``.
        """
        count = stop - start
        values = np.asarray(conditions, dtype=np.float32)
        values = np.broadcast_to(values, (count, values.shape[-1]))
        return np.concatenate(
            [
                self.coordinates(start, stop, variation, movement, mix),
                self.styles(start, stop, variation, movement, mix),
                self.noises(start, stop),
                values,
            ],
            axis=1,
        )

    def anchor(self, stream: int, index: int, width: int) -> npt.NDArray[np.float64]:
        """Return (width,): anchor ``index`` of a track; it may be negative."""
        return _draw(self.seed, width, stream, _natural(index))

    def _track(self, stream: int, width: int, every: int, start: int, stop: int) -> Floats:
        """Return (stop - start, width) along the anchors of a stream."""
        out = np.empty((stop - start, width), dtype=np.float32)
        done = start
        while done < stop:
            turn = 0 if self.period is None else done // self.period * self.period
            place = done - turn
            first, last, before, after = self._span(place, every)
            one, other = (self.anchor(stream, index, width) for index in (before, after))
            # The whole span's weights are computed whatever is asked, so that no rounding depends
            # on where a piece of the stream begins.
            steps = np.arange(last - first, dtype=np.float64) / (last - first)
            whole = blend(one, other, steps, self.interpolation)
            until = min(stop, turn + last)
            out[done - start : until - start] = whole[place - first : until - turn - first]
            done = until
        return out

    def _span(self, place: int, every: int) -> tuple[int, int, int, int]:
        """Return (first place, last place, anchor, next anchor) of the span around a place."""
        if self.period is None:
            index = place // every
            return index * every, (index + 1) * every, index, index + 1
        count = max(1, round(self.period / every))
        index = place * count // self.period
        first, last = (-(-k * self.period // count) for k in (index, index + 1))
        if place < first:  # rounding up moved the border past it
            index, first, last = index - 1, -(-(index - 1) * self.period // count), first
        return first, last, index % count, (index + 1) % count


def blend(
    one: npt.NDArray[np.float64],
    other: npt.NDArray[np.float64],
    steps: npt.NDArray[np.float64],
    kind: Interpolation,
) -> npt.NDArray[np.float64]:
    """Return (n, width): from ``one`` (width,) at step 0 to ``other`` at step 1."""
    scale = float(np.linalg.norm(one) * np.linalg.norm(other))
    cosine = float(one @ other) / scale if scale else 1.0
    near, far = blend_weights(cosine, steps, kind)
    return near[:, None] * one + far[:, None] * other


def blend_weights(
    cosine: float, steps: npt.NDArray[np.float64], kind: Interpolation
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the shares of both anchors at each step; ``cosine`` is of the angle between them."""
    angle = float(np.arccos(np.clip(cosine, -1.0, 1.0)))
    if kind == "linear" or min(angle, np.pi - angle) < _STRAIGHT:
        return 1.0 - steps, steps
    return np.sin((1.0 - steps) * angle) / np.sin(angle), np.sin(steps * angle) / np.sin(angle)


def _draw(seed: int, width: int, *stream: int) -> npt.NDArray[np.float64]:
    return seeds.generator(seed, *stream).standard_normal(width)


def _natural(index: int) -> int:
    """Return a natural number for every whole one: 0, -1, 1, -2, 2 ... become 0, 1, 2, 3, 4 ..."""
    return 2 * index if index >= 0 else -2 * index - 1


def _column(value: float | Floats) -> Floats:
    """Return (1, 1) of a number, (n, 1) of a number a place."""
    return np.asarray(value, dtype=np.float32).reshape(-1, 1)
