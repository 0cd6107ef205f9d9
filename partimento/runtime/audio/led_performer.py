"""Performer of sound that tokens lead: it generates, continues, loops, and renders scores."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import chain, repeat
from typing import Any

import numpy as np
import numpy.typing as npt

from partimento.analysis.audio import loudness, tempo
from partimento.config import validate_config
from partimento.errors import ModelError, MusicError, NotSupported
from partimento.music import Audio, Score, Timeline
from partimento.music.repeats import unfolded
from partimento.representations.guides import score_guide
from partimento.representations.semantic_stream import SemanticStream
from partimento.representations.semantics import score_features, sound_features
from partimento.representations.sound_conditions import loudness_condition
from partimento.representations.words import FAMILIES
from partimento.runtime.audio.codec import Codec, DecoderState
from partimento.runtime.audio.denoiser import Denoiser, Listener, Style
from partimento.runtime.audio.diffusion_presets import MelodyFacts
from partimento.runtime.audio.led_latents import LatentStream, Led, MelodyControls, Part, Tape
from partimento.runtime.audio.presets import SoundFacts
from partimento.runtime.audio.prompts import after_prompt, led_on, prompt_samples
from partimento.runtime.audio.stream import in_small_pieces, loop
from partimento.runtime.conditions import ChordCondition, TextCondition
from partimento.runtime.contract import AUDIO_RATE_HZ, Controls, Request, Task
from partimento.runtime.decoders import TokenDecoder, decoder_kind
from partimento.runtime.model_folder import ModelFolder
from partimento.runtime.sessions import open_session
from partimento.runtime.threads import cores

__all__ = ["LedPerformer"]

F32 = npt.NDArray[np.float32]
_SILENT_DBFS = -60.0
_LONGEST_LOOP_SECONDS = 300.0
_TAIL_SECONDS = 1.0  # of sound after the last note of a score
_HEARD_CHUNKS = 3  # of a prompt that the first new chunk is made beside


class LedPerformer:
    """Makes sound of any length; it holds weights only."""

    def __init__(
        self,
        codec: Codec,
        denoiser: Denoiser,
        listener: Listener,
        language: TokenDecoder[Any],
        facts: MelodyFacts,
        threads: int | None = None,
    ) -> None:
        self.codec, self.denoiser, self.listener = codec, denoiser, listener
        self.threads = threads or cores()
        self.latent_seconds = codec.latent_samples / AUDIO_RATE_HZ
        self.made = LatentStream(denoiser, listener, language, facts, self.latent_seconds)

    @classmethod
    def load(
        cls, folder: ModelFolder, threads: int | None = None, precision: str = "int8"
    ) -> LedPerformer:
        """Return the performer of a model folder.

        Raises:
            ModelError: if a graph is missing, cannot be read, or is not what the config says.
        """
        rate = folder.section("representation", SoundFacts).sample_rate_hz
        if rate != AUDIO_RATE_HZ:
            raise ModelError(
                f"{folder.name} makes sound at {rate} Hz; models play at {AUDIO_RATE_HZ}, train one"
            )
        with folder.reading():
            facts = folder.section("network", MelodyFacts)
            kind = decoder_kind(facts.language)
            sizes = validate_config(kind.facts, facts.language, "network.language", strict=True)
            stream = SemanticStream(facts.tokens, facts.words.levels, facts.words.codes)
            session = open_session(folder.part("language", precision), 1)
            return cls(
                Codec.load_with(folder, facts.codec, precision),
                Denoiser.load(folder, facts, precision, threads),
                Listener.load(folder, facts, precision),
                kind(session, stream, sizes),
                facts,
                threads,
            )

    def stream(
        self, request: Request, controls: Controls, rng: np.random.Generator
    ) -> Iterator[Audio]:
        """Yield the sound in order; see ``runtime.contract.Performer``.

        A score is rendered in its own tempo, with a second of sound after its last note.

        Raises:
            NotSupported: for other tasks, or what a score or a loop decides by itself.
            MusicError: for words that the model was not trained on, a score without notes, or a
                prompt of silence.
        """
        if not isinstance(controls, MelodyControls):
            raise NotSupported("this model takes the controls of melody; see describe")
        asked = _with_conditions(request, controls)
        if request.task is Task.RENDER:
            made = self._rendered(request, asked, rng)
        elif request.task not in (Task.GENERATE, Task.CONTINUE):
            raise NotSupported(f"this model cannot {request.task}")
        elif request.is_loop:
            made = self._loop(request, asked, rng)
        else:
            made = self._played(request, asked, rng)
        for samples in made:
            if samples.shape[1]:
                yield Audio(np.ascontiguousarray(samples), AUDIO_RATE_HZ)

    def _played(
        self, request: Request, controls: MelodyControls, rng: np.random.Generator
    ) -> Iterator[F32]:
        total = None
        if not request.endless:
            total = max(1, round((request.duration_seconds or 0.0) * AUDIO_RATE_HZ))
        tape = self.made.start(controls, rng)
        if request.task is Task.CONTINUE:
            style, state, last = self._heard(request, controls, tape, rng)
        else:
            style, state, last = self.made.style(controls.text, rng), self.codec.begin(), None
        parts = self.made.parts(tape, _wished(request, controls), style, rng)
        yield from _cut(self._sounding(parts, state), last, self.codec.framing.hop, total)

    def _rendered(
        self, request: Request, controls: MelodyControls, rng: np.random.Generator
    ) -> Iterator[F32]:
        score = request.score
        if score is None or not any(not t.is_drum and t.notes for t in score.tracks):
            raise MusicError("there are no pitched notes to render; give a score that has some")
        decided = [n for n in ("tempo", "chords", "density") if getattr(controls, n) is not None]
        if decided:
            raise NotSupported(f"{', '.join(decided)} cannot be asked: the score decides it")
        score = unfolded(score)
        seconds = float(Timeline(score).seconds(score.length_ticks)) + _TAIL_SECONDS
        frames = math.ceil(seconds / self.latent_seconds)
        tokens = self.listener.tokens(score_features(score, frames, self.latent_seconds))
        level = np.full(frames, np.nan, dtype=np.float32)
        if controls.loudness is not None:
            level[:] = loudness_condition(controls.loudness)
        led = Led(tokens, score_guide(score, frames, self.latent_seconds, level))
        style = self.made.style(controls.text, rng, _families_of(score))
        parts = self.made.parts(
            self.made.start(controls, rng), lambda _seconds: controls, style, rng, led
        )
        total = round(seconds * AUDIO_RATE_HZ)
        made = self._sounding(parts, self.codec.begin())
        yield from _cut(made, None, self.codec.framing.hop, total)

    def _loop(
        self, request: Request, controls: MelodyControls, rng: np.random.Generator
    ) -> Iterator[F32]:
        """Yield one turn, or turn after turn: the last chunk is made between the end and the start.

        A turn is a whole number of latents and of beats.
        """
        seconds = request.duration_seconds or 0.0
        if request.steer is not None or request.task is not Task.GENERATE:
            raise NotSupported("a loop is made whole: it cannot be steered, nor continue a sound")
        least = self.denoiser.config.length * self.latent_seconds
        if not least <= seconds <= _LONGEST_LOOP_SECONDS:
            raise NotSupported(
                f"a loop lasts {least:.1f} to {_LONGEST_LOOP_SECONDS:g} seconds, not {seconds:g}"
            )
        period = round(seconds / self.latent_seconds)
        tape, whole = self.made.start(controls, rng), None
        minutes = period * self.latent_seconds / 60
        even = max(1, round(tape.tempo * minutes)) / minutes
        controls = controls.model_copy(update={"tempo": float(np.clip(even, 40, 240))})
        style = self.made.style(controls.text, rng)
        for part in self.made.parts(tape, lambda _seconds: controls, style, rng):
            whole = part if whole is None else whole.then(part)
            if len(whole.tokens) >= period:
                break
        assert whole is not None
        turn = Part(whole.latents[:period], whole.tokens[:period], whole.guides[:period])
        latents = self.denoiser.as_latents(self._closed(turn, controls, style, rng))

        def source(start: int, stop: int) -> F32:
            return latents[np.arange(start, stop) % period]

        made = loop(self.codec, source, period, self.threads)
        step = 64 * self.codec.latent_samples
        while True:
            for at in range(0, made.shape[1], step):
                yield made[:, at : at + step]
            if not request.endless:
                return

    def _closed(
        self, turn: Part, controls: MelodyControls, style: Style, rng: np.random.Generator
    ) -> F32:
        """Return the latents of a turn whose last chunk leads into its first, known after it."""
        config, count = self.denoiser.config, len(turn.tokens)
        rows = np.arange(count + config.chunk - config.length, count + config.chunk) % count
        places = np.arange(config.length)
        new = (places >= config.length - 2 * config.chunk) & (places < config.length - config.chunk)
        window = Part(turn.latents[rows].copy(), turn.tokens[rows], turn.guides[rows])
        noise = rng.standard_normal((int(new.sum()), window.latents.shape[1]))
        window.latents[new] = noise.astype(np.float32)
        made = self.made.denoised(window, new, controls, style, rng)
        out = turn.latents.copy()
        out[rows[new]] = made[new]
        return out

    def _heard(
        self, request: Request, controls: MelodyControls, tape: Tape, rng: np.random.Generator
    ) -> tuple[Style, DecoderState, F32]:
        """Return a prompt's style, the codec after it, and its last sample (2, 1).

        ``tape`` is brought to its end, in its tempo where none is asked.
        """
        codec, config = self.codec, self.denoiser.config
        heard = prompt_samples(request, codec, config.length)
        if float(loudness(heard, heard.shape[1])[0]) < _SILENT_DBFS:
            raise MusicError("the sound to continue is silence; give one with music at its end")
        given = codec.encode(heard)
        features = sound_features(heard, AUDIO_RATE_HZ, codec.latent_samples)
        if controls.text is not None:
            style = self.made.style(controls.text, rng)
        else:
            style = self.listener.of_sound(given, features)
        if controls.tempo is None and (found := tempo(heard, AUDIO_RATE_HZ)):
            tape.tempo = float(np.clip(found, 40, 240))
        keep = min(len(given), _HEARD_CHUNKS * config.chunk)
        tokens = self.listener.tokens(features)[-keep:]
        self.made.after(self.denoiser.standardised(given[-keep:]), tokens, style, tape)
        return style, after_prompt(codec, heard, given), heard[:, -1:]

    def _sounding(self, parts: Iterator[Part], state: DecoderState) -> Iterator[F32]:
        """Yield the samples of latents, a chunk's at a time."""
        waiting = np.zeros((0, self.codec.config.latent_width), dtype=np.float32)

        def source(start: int, stop: int) -> F32:
            nonlocal waiting
            while len(waiting) < stop - start:
                made = self.denoiser.as_latents(next(parts).latents)
                waiting = np.concatenate([waiting, made])
            out, waiting = waiting[: stop - start], waiting[stop - start :]
            return out

        chunk = self.denoiser.config.chunk
        # The first piece and what the decoder waits for are a chunk together.
        sizes = chain([max(1, chunk - self.codec.config.lookahead)], repeat(chunk))
        for samples, _ in in_small_pieces(self.codec, source, state, sizes):
            yield samples


def _wished(request: Request, controls: MelodyControls) -> Callable[[float], MelodyControls]:
    """Return the controls from a time in seconds on."""
    steer = request.steer

    def wished(seconds: float) -> MelodyControls:
        found = controls if steer is None else steer(seconds)
        assert isinstance(found, MelodyControls)
        return found if steer is None else _with_conditions(request, found)

    return wished


def _with_conditions(request: Request, controls: MelodyControls) -> MelodyControls:
    """Return the controls, chords and words of the request's conditions where they have none."""
    chords, text = request.condition(ChordCondition), request.condition(TextCondition)
    update: dict[str, str] = {}
    if chords is not None and controls.chords is None:
        known = [chord for chord in chords.chords if chord is not None]
        if len(known) < len(chords.chords):
            raise NotSupported("each bar of the chords has one here; fill the free bars")
        update["chords"] = " ".join(str(chord) for chord in known)
    if text is not None and controls.text is None:
        update["text"] = text.text
    return controls.model_copy(update=update) if update else controls


def _families_of(score: Score) -> list[str]:
    """Return the family of a score's pitched instruments that has the most notes."""
    tracks = [track for track in score.tracks if not track.is_drum]
    counts = {
        name: sum(len(track.notes) for track in tracks if track.program in span)
        for name, (span, _) in FAMILIES.items()
    }
    best = max(counts, key=lambda name: counts[name])
    return [best] if counts[best] else []


def _cut(made: Iterator[F32], last: F32 | None, hop: int, total: int | None) -> Iterator[F32]:
    """Yield samples up to ``total``, the first led on from the prompt's last one."""
    first = True
    for samples in made:
        if first:
            samples, first = led_on(samples, last, hop), False
        if total is not None:
            samples = samples[:, :total]
            total -= samples.shape[1]
        yield samples
        if total == 0:
            return
