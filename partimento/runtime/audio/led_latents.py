"""Latents of sound that tokens lead, window by window, and the tokens before them.

A window has M chunks. At first all of it is noise; from then on it slides by one chunk: the known
chunks stand at angle 0 and the new one at pi / 2 (Lam et al. 2023, arXiv 2305.15719, section 4).
The language model goes on with its tokens; a score, where one is rendered, gives them instead. What
is asked is read anew before each chunk, so that a change sounds within one; what is kept does not
grow with time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field, field_validator

from partimento.errors import MusicError
from partimento.music import Chord, parse_chords
from partimento.representations.guides import GUIDE, Asked, asked_guide, chord_fit
from partimento.representations.semantic_stream import GuideTrack, SemanticStream
from partimento.representations.words import FAMILIES, check_text, known_words
from partimento.runtime.audio.denoiser import Denoiser, Listener, Style
from partimento.runtime.audio.diffusion_presets import MelodyFacts
from partimento.runtime.contract import Controls
from partimento.runtime.decoders import TokenDecoder
from partimento.samplers.diffusion import chunked_diffusion, chunked_flow
from partimento.samplers.picks import Pick

__all__ = ["BEATS", "LatentStream", "Led", "MelodyControls", "Part", "Tape", "forward_passes"]

F32 = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
BEATS = 4  # of a bar of chords


class MelodyControls(Controls):
    """Controls of sound led by tokens; None is as the seed draws it."""

    steps: int = Field(10, ge=1, le=100, description="of diffusion: more is finer and slower")
    guidance: float = Field(
        2.5, ge=1, le=10, description="how strongly tokens, chords and words lead; 1 is as trained"
    )
    temperature: float = Field(0.9, gt=0, le=5, description="of the tokens: below 1 safer")
    top_p: float = Field(0.95, gt=0, le=1, description="keep the likeliest tokens of this mass")
    bind: float = Field(
        8.0, ge=0, le=30, description="nats that a token gains where it fits the asked chord"
    )
    text: str | None = Field(None, description="what is to be heard, e.g. 'slow dark strings'")
    chords: str | None = Field(None, description="one a bar of four beats: 'Am F C G'")
    tempo: float | None = Field(None, ge=40, le=240, description="beats a minute")
    density: float | None = Field(None, ge=0, le=16, description="onsets a second")
    loudness: float | None = Field(None, ge=-60, le=0, description="level in dBFS (RMS)")

    @field_validator("chords")
    @classmethod
    def _chords_parse(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                parse_chords(value)
            except MusicError as error:
                raise ValueError(str(error)) from None
        return value


def forward_passes(
    seconds: float, steps: int, latents_a_second: float, chunk: int, chunks: int
) -> int:
    """Return how often networks are called for so much sound, guided rows counted once.

    A token for each latent, and ``steps`` calls of the denoiser a window. The published model, one
    of whose windows is ten seconds, has ``25 T + steps``.
    """
    latents = math.ceil(seconds * latents_a_second)
    windows = 1 + max(0, -(-(latents - chunk * chunks) // chunk))
    return chunk * (chunks + windows - 1) + windows * steps


@dataclass(frozen=True)
class Part:
    """Latents (n, C), standardised, and the tokens (n,) and guides (n, 6) that led them."""

    latents: F32
    tokens: Ints
    guides: F32

    def last(self, count: int) -> Part:
        """Return the last ``count`` places."""
        first = max(0, len(self.tokens) - count)
        return Part(self.latents[first:], self.tokens[first:], self.guides[first:])

    def then(self, other: Part) -> Part:
        """Return these places and others after them."""
        return Part(
            np.concatenate([self.latents, other.latents]),
            np.concatenate([self.tokens, other.tokens]),
            np.concatenate([self.guides, other.guides]),
        )


@dataclass
class Tape:
    """Where a stream stands: what it remembers, how far it is, and its language model's state."""

    past: Part
    tempo: float
    place: int = 0  # latents made
    beats: float = 0.0  # passed before ``place``
    spoken: tuple[SemanticStream, TokenDecoder[Any], Any] | None = None
    pending: Ints = field(default_factory=lambda: np.zeros((1, 0), dtype=np.int64))


@dataclass(frozen=True)
class Led:
    """The tokens and guides of a score, which lead in the language model's place."""

    tokens: Ints
    guides: F32

    def part(self, start: int, count: int) -> tuple[Ints, F32]:
        """Return those of ``count`` places; the last one goes on after the end."""
        rows = np.minimum(np.arange(start, start + count), len(self.tokens) - 1)
        return self.tokens[rows], self.guides[rows]


class LatentStream:
    """Makes latents without end. It holds weights only; a `Tape` is the state."""

    def __init__(
        self,
        denoiser: Denoiser,
        listener: Listener,
        language: TokenDecoder[Any],
        facts: MelodyFacts,
        latent_seconds: float,
    ) -> None:
        self.denoiser, self.listener, self.language = denoiser, listener, language
        self.facts, self.latent_seconds = facts, latent_seconds
        self.known = known_words(facts.families or tuple(FAMILIES))

    def start(self, controls: MelodyControls, rng: np.random.Generator) -> Tape:
        """Return the tape of a stream that begins from nothing."""
        low, high = self.facts.tempo
        bpm = controls.tempo if controls.tempo is not None else float(rng.uniform(low, high))
        nothing = Part(
            np.zeros((0, self.facts.codec.latent_width), dtype=np.float32),
            np.zeros(0, dtype=np.int64),
            np.zeros((0, len(GUIDE)), dtype=np.float32),
        )
        return Tape(nothing, bpm)

    def after(self, latents: F32, tokens: Ints, style: Style, tape: Tape) -> None:
        """Bring a new tape to where a prompt ends: its standardised latents and tokens (n,)."""
        count = len(tokens)
        beats = -count * self.latent_seconds * tape.tempo / 60
        guides = asked_guide(Asked(tape.tempo, BEATS), beats, count, self.latent_seconds)
        tape.past = Part(latents, tokens, guides)
        track = GuideTrack(self._stream.columns(guides, style.codes))
        stream, decoder, state = self._listening(track)
        # The last token is read with the first new one, whose guide is open until then.
        if count > 1:
            _, state = decoder.append(state, tokens[None, :-1])
        tape.spoken, tape.pending = (stream, decoder, state), tokens[None, -1:]

    def style(
        self, text: str | None, rng: np.random.Generator, families: Sequence[str] = ()
    ) -> Style:
        """Return the style of words, else of one of the families that were trained on, drawn.

        Raises:
            MusicError: for words that the model was not trained on.
        """
        if text is not None:
            check_text(text, self.known)
            return self.listener.of_words(text)
        trained = self.facts.families or tuple(FAMILIES)
        choices = [name for name in families if name in trained] or list(trained)
        return self.listener.of_words(FAMILIES[str(rng.choice(choices))][1][0])

    def parts(
        self,
        tape: Tape,
        wished: Callable[[float], MelodyControls],
        style: Style,
        rng: np.random.Generator,
        led: Led | None = None,
    ) -> Iterator[Part]:
        """Yield what the tape lacks of a window, then one chunk after another; ``tape`` goes along.

        ``style`` is that of the beginning; ``wished`` is asked before each part, with the seconds
        made so far, and its words change the style where they differ from those before.
        """
        config, text = self.denoiser.config, None
        first = True
        while True:
            controls = wished(tape.place * self.latent_seconds)
            if controls.text != text and not first and controls.text is not None:
                style = self.style(controls.text, rng)
            text, first = controls.text, False
            count = max(config.chunk, config.length - len(tape.past.tokens))
            tokens, guides = self._ahead(tape, controls, style, led, count, rng)
            known = tape.past.last(config.length - count)
            noise = rng.standard_normal((count, self.facts.codec.latent_width)).astype(np.float32)
            window = known.then(Part(noise, tokens, guides))
            new = np.arange(config.length) >= config.length - count
            made = self.denoised(window, new, controls, style, rng)
            part = Part(made[-count:], tokens, guides)
            tape.past = known.then(part).last(config.length - config.chunk)
            tape.place += count
            yield part

    def denoised(
        self,
        window: Part,
        new: npt.NDArray[np.bool_],
        controls: MelodyControls,
        style: Style,
        rng: np.random.Generator,
    ) -> F32:
        """Return the latents (L, C) of a window whose ``new`` (L,) places hold noise."""

        def predict(latents: F32, at: F32) -> F32:
            return self.denoiser.velocity(
                latents, at, window.tokens, window.guides, style.quantised, controls.guidance
            )

        is_flow = self.denoiser.config.objective == "flow"
        sampler = chunked_flow if is_flow else chunked_diffusion
        angles = np.where(new, np.float32(math.pi / 2), np.float32(0))
        *_, made = sampler(predict, window.latents, angles, controls.steps)
        out: F32 = np.where(new[:, None], made, window.latents)
        return out

    def _ahead(
        self,
        tape: Tape,
        controls: MelodyControls,
        style: Style,
        led: Led | None,
        count: int,
        rng: np.random.Generator,
    ) -> tuple[Ints, F32]:
        """Return the tokens and guides of the next ``count`` places."""
        if led is not None:
            return led.part(tape.place, count)
        tape.tempo = tape.tempo if controls.tempo is None else controls.tempo
        chords: Sequence[Chord | None] = parse_chords(controls.chords) if controls.chords else ()
        asked = Asked(tape.tempo, BEATS, chords, controls.density, controls.loudness)
        guides = asked_guide(asked, tape.beats, count, self.latent_seconds)
        tape.beats += count * self.latent_seconds * tape.tempo / 60
        return self._spoken(tape, guides, controls, style, rng), guides

    def _spoken(
        self,
        tape: Tape,
        guides: F32,
        controls: MelodyControls,
        style: Style,
        rng: np.random.Generator,
    ) -> Ints:
        """Return the language model's tokens of places with these guides."""
        rows = self._stream.columns(guides, style.codes)
        if tape.spoken is None:
            tape.spoken = self._listening(GuideTrack(rows))
        else:
            tape.spoken[0].track.add(rows)
        stream, decoder, state = tape.spoken
        pick = Pick(temperature=controls.temperature, top_p=controls.top_p)
        fits = np.zeros((len(guides), self.facts.tokens + 1), dtype=np.float32)
        fits[:, :-1] = controls.bind * chord_fit(guides, self.listener.middles)
        allowed = np.arange(self.facts.tokens + 1) < self.facts.tokens
        out = []
        for fit in fits:
            logits, state = decoder.append(state, tape.pending)
            token = pick(logits[0] + fit, allowed, rng)
            tape.pending = np.array([[token]], dtype=np.int64)
            out.append(token)
        tape.spoken = (stream, decoder, state)
        return np.array(out, dtype=np.int64)

    @property
    def _stream(self) -> SemanticStream:
        stream = self.language.representation
        assert isinstance(stream, SemanticStream)
        return stream

    def _listening(self, track: GuideTrack) -> tuple[SemanticStream, TokenDecoder[Any], Any]:
        """Return a language model before its first token, reading the guide from ``track``."""
        words = self.facts.words
        stream = SemanticStream(self.facts.tokens, words.levels, words.codes, track)
        decoder = self.language.following(stream)
        return stream, decoder, decoder.begin(1)
