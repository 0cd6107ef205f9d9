"""Those who set a given soprano for four voices: a copyist, an n-gram, and two shipped models.

All of them take pitches (steps, 4) in sixteenths, of which they may look at the soprano alone, and
return pitches (steps, 4) with that same soprano. -1 is silence.

- ``Copyist``: nearest neighbour. For each bar of sixteen sixteenths the passage of a training
  chorale whose soprano, transposed by at most a fourth up or a tritone down or up, is nearest in
  this bar and (at half the weight) two beats on either side; its lower voices are copied.
- ``NGram``: a sonority a beat, as intervals below the soprano, given the sonority before and the
  soprano's step, backing off to the soprano's degree in the key and its step; Viterbi.
- ``ForcedTransformer``: Music Transformer with the soprano's tokens forced and the others
  sampled; of ``CANDIDATES`` the one with the likeliest lower voices is kept.
- ``Accompanist``: a model that is asked to accompany, ranked as the product ranks.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from partimento import api, catalog, seeds
from partimento.analysis.keys import key_of_weights
from partimento.files import open_corpus
from partimento.music import Key, Score
from partimento.representations import Countdown, FourVoiceGrid
from partimento.runtime.tokens.performer import TokenPerformer
from partimento.samplers.autoregressive import sample_batch
from partimento.samplers.picks import Pick

__all__ = [
    "CANDIDATES",
    "Accompanist",
    "Copyist",
    "ForcedTransformer",
    "Grid",
    "Harmoniser",
    "NGram",
    "chorale_grids",
]

Grid = npt.NDArray[np.int64]
CANDIDATES = 8
_BAR, _BEAT = 16, 4
_CONTEXT = 8
_SHIFTS = range(-6, 7)
_FAR = 3  # a difference of more semitones counts no more than this
_REST = -1


class Harmoniser(Protocol):
    """Sets sopranos for four voices."""

    def harmonise(self, soprano: Grid, seed: int) -> Grid:
        """Return pitches (steps, 4) for a soprano (steps,)."""
        ...


def chorale_grids(split: str) -> list[Grid]:
    """Return the pitches (steps, 4) of every Bach chorale of a published split."""
    grid = FourVoiceGrid()
    pieces = (piece for _, piece in open_corpus("jsb_chorales").pieces(split))
    return [grid.grid(piece) for piece in pieces if isinstance(piece, Score)]


def _windows(soprano: Grid, starts: npt.NDArray[np.int64]) -> npt.NDArray[np.int8]:
    """Return (starts, _CONTEXT + _BAR + _CONTEXT); what lies outside the piece is silent."""
    width = _BAR + 2 * _CONTEXT
    padded = np.full(len(soprano) + 2 * width, _REST, dtype=np.int8)
    padded[width : width + len(soprano)] = soprano
    at = starts[:, None] + width - _CONTEXT + np.arange(width)
    out: npt.NDArray[np.int8] = padded[at]
    return out


class Copyist:
    """Copies the lower voices of the training passage with the nearest soprano."""

    def __init__(self, train: Sequence[Grid]) -> None:
        self._grids = list(train)
        starts = [np.arange(0, max(1, len(grid) - _BAR + 1), _BEAT) for grid in train]
        self._piece = np.concatenate([np.full(len(s), i) for i, s in enumerate(starts)])
        self._start = np.concatenate(starts)
        own = np.concatenate(
            [_windows(grid[:, 0], s) for grid, s in zip(train, starts, strict=True)]
        )
        self._moved = [np.where(own < 0, own, own + shift).astype(np.int8) for shift in _SHIFTS]
        self._weight = np.full(own.shape[1], 0.5, dtype=np.float32)
        self._weight[_CONTEXT : _CONTEXT + _BAR] = 1.0

    def harmonise(self, soprano: Grid, seed: int) -> Grid:
        """Return pitches (steps, 4); nothing is drawn."""
        out = np.full((len(soprano), 4), _REST, dtype=np.int64)
        out[:, 0] = soprano
        starts = np.arange(0, len(soprano), _BAR)
        for start, wanted in zip(starts.tolist(), _windows(soprano, starts), strict=True):
            best, row, shift = np.inf, 0, 0
            for moved, by in zip(self._moved, _SHIFTS, strict=True):
                apart = np.minimum(np.abs(moved - wanted), _FAR)
                apart[(moved < 0) != (wanted < 0)] = _FAR
                cost = apart.astype(np.float32) @ self._weight + 0.01 * abs(by)
                nearest = int(cost.argmin())
                if cost[nearest] < best:
                    best, row, shift = float(cost[nearest]), nearest, by
            source = self._grids[self._piece[row]][self._start[row] : self._start[row] + _BAR, 1:]
            count = min(len(source), len(soprano) - start)
            source = source[:count]
            out[start : start + count, 1:] = np.where(source < 0, source, source + shift)
        return out


def _key(soprano: Grid) -> Key:
    """Return the key that a melody is most likely in."""
    weights = np.bincount(soprano[soprano >= 0] % 12, minlength=12).astype(np.float64)
    return key_of_weights(weights) or Key(0)


class NGram:
    """Counts of sonorities a beat below the soprano; the likeliest path is taken."""

    _AFTER, _DEGREE, _ALL = 4.0, 4.0, 1e-6  # discounting: what a context is thought to lack

    def __init__(self, train: Sequence[Grid]) -> None:
        follow: dict[int, Counter[tuple[int, int]]] = defaultdict(Counter)
        degree: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
        everywhere: Counter[int] = Counter()
        names: dict[tuple[int, ...], int] = {}
        for grid in train:
            key = _key(grid[:, 0])
            beats = grid[::_BEAT]
            before = -1
            for place, row in enumerate(beats.tolist()):
                if min(row) < 0:
                    before = -1
                    continue
                state = names.setdefault(tuple(row[0] - p for p in row[1:]), len(names))
                step = row[0] - int(beats[place - 1, 0]) if before >= 0 else 0
                everywhere[state] += 1
                degree[self._place(row[0], key)][state] += 1
                degree[(*self._place(row[0], key), step)][state] += 1
                if before >= 0:
                    follow[step][before, state] += 1
                before = state
        self._names = np.array(list(names), dtype=np.int64)
        count = len(names)
        self._base = np.zeros(count)
        self._base[list(everywhere)] = list(everywhere.values())
        self._base /= self._base.sum()
        self._degree = degree
        self._follow = {step: self._sparse(table, count) for step, table in follow.items()}

    @staticmethod
    def _place(pitch: int, key: Key) -> tuple[int, ...]:
        return (pitch - key.tonic) % 12, int(key.is_minor)

    @staticmethod
    def _sparse(table: Counter[tuple[int, int]], count: int) -> tuple[Any, Any, Any, Any]:
        pairs = np.array(list(table), dtype=np.int64)
        times = np.array(list(table.values()), dtype=np.float64)
        return pairs[:, 0], pairs[:, 1], times, np.bincount(pairs[:, 0], times, minlength=count)

    def _backed_off(self, pitch: int, key: Key, step: int) -> npt.NDArray[np.float64]:
        """Return (states,): chances given the soprano alone."""
        chances = self._base + self._ALL / len(self._base)
        for context in (self._place(pitch, key), (*self._place(pitch, key), step)):
            found = self._degree.get(context)
            if found:
                chances = self._DEGREE * chances
                chances[list(found)] += list(found.values())
                chances /= chances.sum()
        return chances

    def harmonise(self, soprano: Grid, seed: int) -> Grid:
        """Return pitches (steps, 4), the lower voices held through each beat; nothing is drawn."""
        key = _key(soprano)
        beats = soprano[::_BEAT].tolist()
        out = np.full((len(soprano), 4), _REST, dtype=np.int64)
        out[:, 0] = soprano
        score: npt.NDArray[np.float64] | None = None
        back: list[npt.NDArray[np.int64]] = []
        begun = 0
        for place, pitch in enumerate([*beats, _REST]):
            if pitch < 0:
                if score is not None:
                    self._write(out, beats, begun, back, int(score.argmax()))
                score, back = None, []
                continue
            if score is None:
                begun, score = place, np.log(self._backed_off(pitch, key, 0))
                continue
            score, came_from = self._onward(score, pitch, pitch - beats[place - 1], key)
            back.append(came_from)
        return out

    def _onward(
        self, score: npt.NDArray[np.float64], pitch: int, step: int, key: Key
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """Return (the best log chance of each state at the next beat, where it came from)."""
        backed = self._backed_off(pitch, key, step)
        totals = np.zeros(len(score))
        if step in self._follow:
            before, after, times, totals = self._follow[step]
        unseen = score + np.log(self._AFTER / (totals + self._AFTER))
        best = np.full(len(score), unseen.max()) + np.log(backed)
        came_from = np.full(len(score), int(unseen.argmax()))
        if step in self._follow:
            chance = (times + self._AFTER * backed[after]) / (totals[before] + self._AFTER)
            value = score[before] + np.log(chance)
            order = np.argsort(value, kind="stable")  # of several the last, the best, is kept
            top = np.full(len(score), -np.inf)
            origin = np.zeros(len(score), dtype=np.int64)
            top[after[order]], origin[after[order]] = value[order], before[order]
            came_from = np.where(top > best, origin, came_from)
            best = np.maximum(best, top)
        return best, came_from

    def _write(
        self,
        out: Grid,
        beats: list[int],
        begun: int,
        back: list[npt.NDArray[np.int64]],
        state: int,
    ) -> None:
        """Write the path that ends in ``state`` into the lower voices."""
        for place in range(begun + len(back), begun - 1, -1):
            voices = beats[place] - self._names[state]
            out[place * _BEAT : (place + 1) * _BEAT, 1:] = voices
            if place > begun:
                state = int(back[place - begun - 1][state])


class _ForcedSoprano:
    """Allows the given soprano and, below it, any pitch or rest; the state counts tokens."""

    def __init__(self, soprano: npt.NDArray[np.int64], size: int, rest: int) -> None:
        self._soprano = soprano.tolist()
        self._free = np.arange(size) <= rest
        self._only = np.eye(size, dtype=bool)

    def begin(self) -> int:
        return 0

    def allowed(self, state: int) -> npt.NDArray[np.bool_]:
        return self._free if state % 4 else self._only[self._soprano[state // 4]]

    def advance(self, state: int, token: int) -> int:
        return state + 1

    def after_prompt(self, state: int) -> int:
        return state

    def written(self, state: int, token: int) -> int:
        return token

    def is_done(self, state: int) -> bool:
        return state >= 4 * len(self._soprano)


class _Listening:
    """A decoder that adds up the log-likelihood of the lower voices in each stream.

    The very last token, after which nothing is asked, is left out.
    """

    def __init__(self, decoder: Any) -> None:
        self._decoder = decoder
        self.vocabulary_size = decoder.vocabulary_size
        self.total = np.zeros(0)
        self._logits: npt.NDArray[np.float32] | None = None
        self._count = 0

    def begin(self, batch: int) -> Any:
        self.total = np.zeros(batch)
        return self._decoder.begin(batch)

    def append(self, state: Any, tokens: npt.NDArray[np.int64]) -> tuple[Any, Any]:
        if self._logits is not None:
            if self._count % 4:
                logits = self._logits.astype(np.float64)
                picked = logits[np.arange(len(tokens)), tokens[:, 0]]
                self.total += picked - np.logaddexp.reduce(logits, axis=1)
            self._count += 1
        self._logits, state = self._decoder.append(state, tokens)
        return self._logits, state


class ForcedTransformer:
    """Music Transformer under a forced soprano, its candidates ranked by likelihood."""

    def __init__(self, model: str = "music-transformer-chorales", threads: int | None = None):
        folder = catalog.open_model(model)
        self._performer = TokenPerformer.load(folder, threads=threads)
        defaults = folder.config["defaults"]
        self._pick = Pick(float(defaults["temperature"]), 0, float(defaults["top_p"]))
        form = self._performer.representation
        assert isinstance(form, Countdown)
        assert isinstance(form.base, FourVoiceGrid)
        self._form, self._grid = form, form.base

    def harmonise(self, soprano: Grid, seed: int) -> Grid:
        """Return pitches (steps, 4): the likeliest of ``CANDIDATES`` samples."""
        grid = self._grid
        rows = np.stack([soprano, *[np.full_like(soprano, _REST)] * 3], axis=1)
        given = grid.encode_grid(rows).reshape(-1, 4)[:, 0]
        rule = _ForcedSoprano(given, grid.vocabulary.size, grid.rest_token)
        form = self._form.on(grid, -(-len(soprano) // grid.steps_per_bar))
        rngs = [seeds.generator(seed + CANDIDATES * i) for i in range(CANDIDATES)]
        decoder = _Listening(self._performer.decoder.following(form))
        made = sample_batch(decoder, self._pick, [rule] * CANDIDATES, rngs)
        best = made[int(decoder.total.argmax())]
        out = grid.decode_grid(np.array(best, dtype=np.int64)).copy()
        out[:, 0] = soprano
        return out


class Accompanist:
    """A model that accompanies: the first of its ranked answers."""

    def __init__(self, model: str | Path, threads: int | None = None, **controls: Any) -> None:
        self._instrument: Any = api.load(model, threads=threads)
        self._controls = controls
        self._grid = FourVoiceGrid()

    def harmonise(self, soprano: Grid, seed: int) -> Grid:
        """Return pitches (steps, 4) of the best of ``CANDIDATES`` answers."""
        alone = np.stack([soprano, *[np.full_like(soprano, _REST)] * 3], axis=1)
        whole = self._grid.score(alone)
        prompt = whole.with_tracks(whole.tracks[:1])
        tracks = ["Alto", "Tenor", "Bass"]
        answers = self._instrument.accompany_many(
            CANDIDATES, prompt, tracks=tracks, seed=seed, **self._controls
        )
        made = answers[0].result.score
        found = self._grid.grid(made.with_tracks(t for t in made.tracks if t.name in tracks))
        out = alone.copy()
        count = min(len(found), len(out))
        out[:count, 1:] = found[:count, 1:]
        return out
