"""Performer of systems whose generators make latents and whose codecs make sound of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from typing import Any

import numpy as np
import numpy.typing as npt

from partimento import seeds
from partimento.analysis.audio import loudness, onset_density, onset_times, tempo
from partimento.errors import ModelError, NotSupported
from partimento.music import Audio
from partimento.representations.latent_coordinates import LatentCoordinates
from partimento.runtime.audio.codec import Codec, DecoderState
from partimento.runtime.audio.controls import Beat, Conditioning, Conditions, MusikaControls, usual
from partimento.runtime.audio.generator import LatentGenerator
from partimento.runtime.audio.inversion import find_path
from partimento.runtime.audio.presets import LatentAudioFacts, SoundFacts
from partimento.runtime.audio.prompts import after_prompt, led_on, prompt_samples
from partimento.runtime.audio.stream import Source, in_small_pieces, loop, on_all_cores
from partimento.runtime.contract import AUDIO_RATE_HZ, Controls, Request, Task
from partimento.runtime.model_folder import ModelFolder
from partimento.runtime.threads import cores

__all__ = ["LatentAudioPerformer", "MusikaControls"]

F32 = npt.NDArray[np.float32]
_STEERED = 4  # latents a piece where controls may change: a change sounds within half a second
_LONGEST_LOOP_SECONDS = 300
_HEARD = 256  # latents of the prompt that are listened to: 24 s
_CARRIED = 3.0  # latents after which a third of what the prompt had of its own is left


@dataclass(frozen=True)
class _Scene:
    """What a request means: a path, its conditioning, and what came before it."""

    path: LatentCoordinates
    conditions: Conditions
    heard: Mapping[str, float]  # of the prompt: controls that are so where nothing is asked
    before: F32  # latents of the prompt, (n, width)
    gap: F32  # (width,): the prompt's last latent less what the generator would have made there

    def wished(self, controls: Controls) -> Controls:
        """Return the controls, others as they were in the prompt."""
        open_ = {k: v for k, v in self.heard.items() if getattr(controls, k, 0.0) is None}
        return controls.model_copy(update=open_) if open_ else controls

    def styled(self, controls: Controls) -> LatentCoordinates:
        """Return the path, mixed with the style that the controls name."""
        other = _other(controls)
        return self.path if other == self.path.other else replace(self.path, other=other)

    def joined(self, made: F32, start: int) -> F32:
        """Return latents of the places from ``start`` on: the prompt's, then those made."""
        places = np.arange(start, start + len(made))
        left = np.exp(-(places + 1) / _CARRIED).astype(np.float32)
        out: F32 = np.clip(made + left[:, None] * self.gap, -1, 1)
        old = places < 0
        if old.any() and len(self.before):
            out[old] = self.before[np.maximum(places[old] + len(self.before), 0)]
        return out


class LatentAudioPerformer:
    """Makes sound of any length; it holds weights only."""

    def __init__(
        self,
        codec: Codec,
        generator: LatentGenerator,
        known: Mapping[Any, Sequence[float]],
        threads: int | None = None,
    ) -> None:
        self.codec, self.generator = codec, generator
        self.threads = threads or cores()
        self._known: Mapping[str, Sequence[float]] = known

    @classmethod
    def load(
        cls, folder: ModelFolder, threads: int | None = None, precision: str = "int8"
    ) -> LatentAudioPerformer:
        """Return the performer of a model folder.

        Raises:
            ModelError: if a graph is missing or cannot be read.
            NotSupported: if its parts are of a kind that cannot be played.
        """
        rate = folder.section("representation", SoundFacts).sample_rate_hz
        if rate != AUDIO_RATE_HZ:
            raise ModelError(
                f"{folder.name} makes sound at {rate} Hz; models play at {AUDIO_RATE_HZ}, train one"
            )
        known = folder.section("network", LatentAudioFacts).conditions
        return cls(
            Codec.load(folder, precision), LatentGenerator.load(folder, precision), known, threads
        )

    def source(self, controls: Controls, rng: np.random.Generator) -> Source:
        """Return the latents that `stream` makes sound of when it generates, at any place."""
        return self._source(self._scene(controls, _seed_of(rng)), controls)

    def stream(
        self, request: Request, controls: Controls, rng: np.random.Generator
    ) -> Iterator[Audio]:
        """Yield the sound in order; see ``runtime.contract.Performer``.

        A loop is made of whole latents, then brought to the length that was asked: it is at most
        ``23 / seconds`` per cent higher or lower for it. An endless one is played again and again.
        The sound that is to be continued is listened to, and something like it goes on.

        Raises:
            NotSupported: if another task is asked, or a loop that is too long or steered.
            MusicError: if there is no sound to continue.
        """
        if request.task not in (Task.GENERATE, Task.CONTINUE):
            raise NotSupported(f"this model cannot {request.task}; it can generate and continue")
        total = None
        if not request.endless:
            total = max(1, round((request.duration_seconds or 0.0) * AUDIO_RATE_HZ))
        for samples in self._samples(request, controls, rng, total):
            yield Audio(np.ascontiguousarray(samples), AUDIO_RATE_HZ)

    def _samples(
        self, request: Request, controls: Controls, rng: np.random.Generator, total: int | None
    ) -> Iterator[F32]:
        seed = _seed_of(rng)
        if request.is_loop:
            yield from self._loop(request, controls, seed)
            return
        if request.task is Task.CONTINUE:
            scene, state, last = self._heard(request, controls, seed, rng)
        else:
            scene, state, last = self._scene(controls, seed), self.codec.begin(), None
        early = 0 if last is None else self.codec.framing.hop
        count = None if total is None else -(-(total + early) // self.codec.latent_samples)
        if request.steer is None:
            source = self._source(scene, controls)
            made = on_all_cores(self.codec, source, state, count, self.threads)
        else:
            made = self._steered(request, scene, state)
        first = True
        for samples in made:
            if first:
                samples, first = led_on(samples, last, self.codec.framing.hop), False
            if total is not None:
                samples = samples[:, :total]
                total -= samples.shape[1]
            if samples.shape[1]:
                yield samples
            if total == 0:
                return

    @property
    def _latent_seconds(self) -> float:
        return self.codec.latent_samples / AUDIO_RATE_HZ

    def _scene(self, controls: Controls, seed: int, period: int | None = None) -> _Scene:
        """Return a scene that begins from nothing."""
        conditions = Conditions(seed, self._known, self._latent_seconds, period)
        width = self.codec.config.latent_width
        nothing = np.zeros((0, width), dtype=np.float32)
        path = self.generator.path(seed, period, _other(controls))
        return _Scene(path, conditions, {}, nothing, np.zeros(width, dtype=np.float32))

    def _source(self, scene: _Scene, controls: Controls) -> Source:
        """Return the latents at any place, the controls never changing."""
        margin, controls = self.generator.margin, scene.wished(controls)

        def latents(start: int, stop: int) -> F32:
            conditioning = scene.conditions.conditioning(
                controls, start - margin, stop + margin, Beat()
            )
            return scene.joined(self._made(scene.path, conditioning, start, stop), start)

        return latents

    def _made(
        self, path: LatentCoordinates, conditioning: Conditioning, start: int, stop: int
    ) -> F32:
        """Return what the generator makes of the places, given the conditioning around them."""
        margin = self.generator.margin
        inputs = path.inputs(
            start - margin,
            stop + margin,
            conditioning.conditions,
            conditioning.variation,
            conditioning.movement,
            conditioning.mix,
        )
        return self.generator.latents(inputs)

    def _steered(self, request: Request, scene: _Scene, state: DecoderState) -> Iterator[F32]:
        """Yield small pieces, each made as the controls are when it is begun."""
        source = _Steered(self, request, scene)
        for samples, _ in in_small_pieces(self.codec, source.latents, state, repeat(_STEERED)):
            yield samples

    def _loop(self, request: Request, controls: Controls, seed: int) -> Iterator[F32]:
        """Yield a loop once, or again and again."""
        seconds = request.duration_seconds or 0.0
        if request.steer is not None or request.task is not Task.GENERATE:
            raise NotSupported("a loop is made whole: it cannot be steered, nor continue a sound")
        if not 0 < seconds <= _LONGEST_LOOP_SECONDS:
            raise NotSupported(
                f"a loop lasts {_LONGEST_LOOP_SECONDS} seconds at most, not {seconds:g}; "
                "ask for a length within that"
            )
        length = max(1, round(seconds * AUDIO_RATE_HZ))
        period = max(1, round(length / self.codec.latent_samples))
        scene = self._scene(controls, seed, period)
        made = loop(self.codec, self._source(scene, controls), period, self.threads)
        whole = _stretched(made, length)
        step = 64 * self.codec.latent_samples
        while True:
            for at in range(0, whole.shape[1], step):
                yield whole[:, at : at + step]
            if not request.endless:
                return

    def _heard(
        self, request: Request, controls: Controls, seed: int, rng: np.random.Generator
    ) -> tuple[_Scene, DecoderState, F32]:
        """Return the scene and the state after a prompt, and the prompt's last sample (2, 1)."""
        codec = self.codec
        heard = prompt_samples(request, codec, _HEARD)
        last = heard[:, -1:]
        given = codec.encode(heard)
        found = _as_heard(heard, self._known)
        scene = replace(self._scene(controls, seed), heard=found)
        asked = scene.wished(controls)
        margin, count = self.generator.margin, len(given)
        conditioning = scene.conditions.conditioning(asked, -count - margin, margin, Beat())
        path = find_path(self.generator, scene.path, given, conditioning, rng)
        beside = self._made(
            path, scene.conditions.conditioning(asked, -1 - margin, margin, Beat()), -1, 0
        )
        scene = _Scene(path, scene.conditions, found, given, given[-1] - beside[0])
        state = after_prompt(codec, heard, given)
        return scene, state, last


class _Steered:
    """The latents of a stream whose controls change; asked in order, once for each place."""

    def __init__(self, performer: LatentAudioPerformer, request: Request, scene: _Scene) -> None:
        self._performer, self._request, self._scene = performer, request, scene
        self._conditioning: Conditioning | None = None
        self._beat = Beat()

    def latents(self, start: int, stop: int) -> F32:
        """Return the latents of the places: earlier conditioning stays as it was."""
        performer, scene = self._performer, self._scene
        margin = performer.generator.margin
        assert self._request.steer is not None
        # The latents are ahead of the sound that is made of them.
        heard = max(0, start - performer.codec.config.lookahead)
        controls = scene.wished(self._request.steer(heard * performer._latent_seconds))
        conditions = scene.conditions
        if self._conditioning is None:
            self._conditioning = conditions.conditioning(
                controls, start - margin, start, self._beat
            )
        conditioning = self._conditioning.then(
            conditions.conditioning(controls, start, stop + margin, self._beat)
        )
        made = performer._made(scene.styled(controls), conditioning, start, stop)
        known = stop - start + margin
        self._conditioning = conditioning.part(0, known).last(margin)
        self._beat = conditions.beat_at(controls, stop, self._beat)
        return scene.joined(made, start)


def _seed_of(rng: np.random.Generator) -> int:
    return int(rng.integers(1 << 32))


def _other(controls: Controls) -> int | None:
    """Return the seed of the path whose home is mixed in, if there is one."""
    style = getattr(controls, "style", None)
    return None if style is None else _seed_of(seeds.generator(style))


def _as_heard(heard: F32, known: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Return the loudness, the density and the tempo of a sound, as far as the music knew such."""
    seconds = heard.shape[1] / AUDIO_RATE_HZ
    onsets = onset_times(heard, AUDIO_RATE_HZ)
    found = {
        "loudness": float(np.mean(loudness(heard))),
        "density": float(onset_density(onsets, 1, seconds, seconds)[0]),
    }
    beats = tempo(heard, AUDIO_RATE_HZ)
    if beats:
        found["tempo"] = float(beats)
    return usual(found, known)


def _stretched(samples: F32, length: int) -> F32:
    """Return (2, length): a turn of something that goes round, a little faster or slower."""
    count = samples.shape[1]
    if count == length:
        return samples
    waves = np.fft.rfft(samples, axis=1)
    out: F32 = np.fft.irfft(waves[:, : length // 2 + 1], n=length, axis=1).astype(np.float32)
    out *= np.float32(length / count)
    return out
