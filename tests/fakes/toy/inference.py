"""The toy's performer: latents from noise, prompts or both, and rolls from latents."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt

from partimento.errors import CannotBeMet, NotSupported
from partimento.music import Promises, Score, TimeSignature
from partimento.representations import make_representation
from partimento.representations.multi_hot_roll import MultiHotRoll
from partimento.representations.pitches import check_track_names, class_mask, track_mask
from partimento.representations.realiser import metre_of, tempo_of, with_marks
from partimento.runtime.codes import Codes
from partimento.runtime.conditions import LabelsCondition, StyleCondition
from partimento.runtime.contract import Draft, Request, Streamed, Task
from partimento.runtime.sessions import open_session
from partimento.samplers.diffusion import Velocity, v_diffusion

__all__ = ["PARTS", "STYLES", "ToyPerformer", "condition_of"]

PARTS = ("denoiser", "encoder", "decoder")
STYLES = ("high", "low")
Floats = npt.NDArray[np.float32]


def condition_of(style: str | None, density: float | None) -> Floats:
    """Return (4,): one of each style, the density or 0, and whether it is known."""
    chosen = [float(style == name) for name in STYLES]
    return np.array([*chosen, density or 0.0, float(density is not None)], dtype=np.float32)


class ToyPerformer:
    """Plays a toy model. It holds weights only."""

    def __init__(self, sessions: dict[str, Any], roll: MultiHotRoll, config: Any) -> None:
        self.sessions, self.roll, self.config = sessions, roll, config
        self.latent = int(config["network"]["latent"])

    @classmethod
    def load(cls, folder: Any, threads: int | None = None, precision: str = "int8") -> ToyPerformer:
        """Return the performer of a model folder."""
        folder.graph(precision)  # raises where there is none
        sessions = {
            part: open_session(folder.path / f"{part}.{precision}.onnx", threads) for part in PARTS
        }
        roll = make_representation(folder.config["representation"])
        assert isinstance(roll, MultiHotRoll)
        return cls(sessions, roll, folder.config)

    def stream(
        self, request: Request, controls: Any, rng: np.random.Generator
    ) -> Iterator[Streamed]:
        """Yield the answer; see ``contract.Performer``."""
        if request.task is Task.INTERPOLATE:
            return self._between(request)
        if request.task is Task.TRANSFER:
            return self._transferred(request)
        check_track_names(request.promises, [self.roll.tracks[0].name])
        metre = metre_of(request)
        if metre.denominator != 4:
            raise NotSupported("the toy counts quarters; it can serve 4/4, 3/4 and the like")
        if request.endless:
            return self._endless(request, controls, rng, metre)
        if request.promises.bars is None:
            raise NotSupported("the toy has no notion of an end; ask for bars or for a stream")
        self._masks(request.promises, 0)  # refuses before the first note what cannot be met
        return self._new(request, controls, rng, metre, request.promises.bars)

    def _new(
        self,
        request: Request,
        controls: Any,
        rng: np.random.Generator,
        metre: TimeSignature,
        bars: int,
        first_bar: int = 0,
    ) -> Iterator[Streamed]:
        quarters = metre.numerator
        noise = rng.standard_normal((bars * quarters, self.latent)).astype(np.float32)
        estimate = noise
        for level, estimate in enumerate(
            v_diffusion(self._velocity(request), noise, controls.steps)
        ):
            if level < controls.steps - 1:
                yield Draft(self._score(estimate, request, metre, first_bar), level)
        for bar in range(bars):
            part = estimate[bar * quarters : (bar + 1) * quarters]
            score = self._score(part, request, metre, first_bar + bar)
            yield with_marks(score, request, tempo_of(request, self.config))
        yield Codes("toy", {"latents": estimate})

    def _endless(
        self, request: Request, controls: Any, rng: np.random.Generator, metre: TimeSignature
    ) -> Iterator[Streamed]:
        for bar in count():
            yield from (
                each
                for each in self._new(request, controls, rng, metre, 1, bar)
                if isinstance(each, Score)
            )

    def _velocity(self, request: Request) -> Velocity:
        style = request.condition(StyleCondition)
        labels = request.condition(LabelsCondition)
        if style is not None and style.style not in STYLES:
            raise NotSupported(f"the toy knows no style {style.style!r}; it knows high, low")
        density = None if labels is None else labels.labels.get("density")
        condition = condition_of(None if style is None else style.style, density)

        def predict(state: Floats, angle: float) -> Floats:
            rows = len(state)
            turned = np.tile(np.float32([np.cos(angle), np.sin(angle)]), (rows, 1))
            inputs = np.concatenate([state, turned, np.tile(condition, (rows, 1))], axis=1)
            return self._run("denoiser", inputs)

        return predict

    def _run(self, part: str, x: Floats) -> Floats:
        out: Floats = self.sessions[part].run(["y"], {"x": x.astype(np.float32)})[0]
        return out

    def latents(self, score: Score) -> Floats:
        """Return (quarters, latent) of a score."""
        roll = self.roll.encode(score)
        return self._run("encoder", np.moveaxis(roll, 2, 0).reshape(roll.shape[2], -1))

    def _score(
        self, latents: Floats, request: Request, metre: TimeSignature, first_bar: int
    ) -> Score:
        """Return the score of latents: a quarter note wherever its onset is likely and allowed.

        At least one note sounds at each quarter, so that no silence is too long.
        """
        odds = self._run("decoder", latents).reshape(len(latents), 2, -1)[:, 0]
        roll = np.zeros((2, 1, len(latents), self.roll.pitches), dtype=np.float32)
        most = request.promises.max_polyphony or self.roll.pitches
        for step, logits in enumerate(odds):
            bar = first_bar + step // metre.numerator
            allowed = np.where(self._masks(request.promises, bar), logits, -np.inf)
            best = np.argsort(-allowed, kind="stable")[:most]
            chosen = [pitch for pitch in best if allowed[pitch] > 0] or [best[0]]
            roll[:, 0, step, chosen] = 1
        return replace(self.roll.decode(roll), time_signatures=(metre,))

    def _masks(self, promises: Promises, bar: int) -> npt.NDArray[np.bool_]:
        """Return (pitches,): what may sound in a bar."""
        mask = track_mask(promises, self.roll.tracks[0].name)
        chord = promises.chord_of_bar(bar) if promises.chords else None
        if chord is not None:
            mask &= class_mask(chord.pitch_classes)
        mask = mask[self.roll.lowest : self.roll.highest + 1]
        if not mask.any():
            raise CannotBeMet("the toy has no pitch left in this range; widen it")
        return mask

    def _between(self, request: Request) -> Iterator[Streamed]:
        first, second = (self.latents(self._notes(prompt)) for prompt in request.prompts)
        length = max(len(first), len(second))
        ends = [np.pad(each, ((0, length - len(each)), (0, 0))) for each in (first, second)]
        assert request.steps is not None
        walk = [
            (1 - at) * ends[0] + at * ends[1]
            for at in np.linspace(0, 1, request.steps, dtype=np.float32)
        ]
        for latents in walk:
            yield self._score(latents, request, TimeSignature(0, 4, 4), 0)
        yield Codes("toy", {"latents": np.stack(walk)})

    def _transferred(self, request: Request) -> Iterator[Streamed]:
        content, *like = (self.latents(self._notes(prompt)) for prompt in request.prompts)
        style = request.condition(StyleCondition)
        if like:
            target = like[0].mean(axis=0)
        elif style is not None and style.style in self.config["network"]["styles"]:
            target = np.float32(self.config["network"]["styles"][style.style])
        else:
            raise NotSupported("a transfer needs a piece to be like, or a style: high, low")
        moved = content - content.mean(axis=0) + target
        yield self._score(moved, request, TimeSignature(0, 4, 4), 0)
        yield Codes("toy", {"latents": moved})

    @staticmethod
    def _notes(prompt: object) -> Score:
        if not isinstance(prompt, Score):
            raise NotSupported("the toy takes notes, not sound")
        return prompt
