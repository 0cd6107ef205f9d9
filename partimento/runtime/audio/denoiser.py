"""A dual-path denoiser under ONNX Runtime, and what leads it: clusters, words, their codes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from partimento.errors import ModelError
from partimento.representations.guides import NUMBERS, guide_numbers
from partimento.representations.semantics import FEATURES
from partimento.representations.words import STATISTICS, ngrams, statistics
from partimento.runtime.audio.diffusion_presets import MelodyFacts
from partimento.runtime.model_folder import ModelFolder
from partimento.runtime.sessions import Session, open_session

__all__ = ["Denoiser", "Listener", "Style"]

F32 = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Style:
    """A kind of sound: codes (levels,), the quantised embedding (W,), and the embedding itself."""

    codes: Ints
    quantised: F32
    embedding: F32


class Denoiser:
    """Velocities of noisy latents, guided: v_u + scale (v_c - v_u). It holds weights only."""

    def __init__(self, session: Session, facts: MelodyFacts) -> None:
        self.config = facts.diffusion
        width, config = facts.codec.latent_width, facts.diffusion
        if config.guide not in (0, NUMBERS):
            raise ModelError(
                f"the denoiser takes guides of {config.guide} numbers, {NUMBERS} are known; "
                "install the model again"
            )
        session.require(
            {
                "latents": ("float", (None, config.length, width)),
                "angles": ("float", (None, config.length)),
                "tokens": ("int64", (None, config.length)),
                "guide": ("float", (None, config.length, config.guide)),
                "style": ("float", (None, config.style)),
                "given": ("float", (None,)),
            },
            {"velocity": ("float", (None, config.length, width))},
            "the denoiser",
        )
        self._session = session
        self.mean = np.array(facts.mean, dtype=np.float32)
        self.scale = np.array(facts.scale, dtype=np.float32)

    @classmethod
    def load(
        cls, folder: ModelFolder, facts: MelodyFacts, precision: str, threads: int | None
    ) -> Denoiser:
        """Return the denoiser of a model folder."""
        path = folder.part("denoiser", precision)
        return cls(open_session(path, threads, flush_denormals=True), facts)

    def velocity(
        self, state: F32, angles: F32, tokens: Ints, guide: F32, style: F32, guidance: float
    ) -> F32:
        """Return v (L, C), given a guide (L, 6) and a style (W,); ``guidance`` 1 is as trained."""
        rows = 1 if guidance == 1 else 2

        def twice(x: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
            return np.repeat(x[None], rows, axis=0)

        numbers = guide_numbers(guide)[:, : self.config.guide]
        found: F32 = self._session.run(
            ["velocity"],
            {
                "latents": twice(state), "angles": twice(angles), "tokens": twice(tokens),
                "guide": twice(numbers), "style": twice(style[: self.config.style]),
                "given": np.array([1, 0][:rows], dtype=np.float32),
            },
        )[0]  # fmt: skip
        if rows == 1:
            first: F32 = found[0]
            return first
        out: F32 = found[1] + np.float32(guidance) * (found[0] - found[1])
        return out

    def standardised(self, latents: F32) -> F32:
        """Return a codec's latents as the denoiser has them."""
        out: F32 = (latents - self.mean) / self.scale
        return out

    def as_latents(self, made: F32) -> F32:
        """Return what was denoised as latents of the codec, within -1..1."""
        out: F32 = np.clip(made * self.scale + self.mean, -1, 1).astype(np.float32)
        return out


class Listener:
    """Clusters of semantic features, and words and sounds as styles. It holds weights only."""

    def __init__(self, clusters: Session, words: Session, ear: Session, facts: MelodyFacts) -> None:
        config, width = facts.words, facts.codec.latent_width
        clusters.require(
            {"features": ("float", (None, FEATURES))},
            {"tokens": ("int64", (None,)), "middles": ("float", (facts.tokens, FEATURES))},
            "the clusters",
        )
        said = {
            "codes": ("int64", (None, config.levels)),
            "quantised": ("float", (None, config.width)),
            "joint": ("float", (None, config.width)),
        }
        words.require({"grams": ("int64", (None, None))}, said, "the words")
        ear.require({"statistics": ("float", (None, 2 * width + STATISTICS))}, said, "the ear")
        self._clusters, self._words, self._ear, self.config = clusters, words, ear, config
        nothing = np.zeros((1, FEATURES), dtype=np.float32)
        self.middles: F32 = clusters.run(["middles"], {"features": nothing})[0]

    @classmethod
    def load(cls, folder: ModelFolder, facts: MelodyFacts, precision: str) -> Listener:
        """Return the listener of a model folder."""
        clusters, words, ear = (
            open_session(folder.part(name, precision), 1) for name in ("clusters", "words", "ear")
        )
        return cls(clusters, words, ear, facts)

    def tokens(self, features: F32) -> Ints:
        """Return the cluster (n,) of each row of semantic features (n, 25)."""
        found: Ints = self._clusters.run(["tokens"], {"features": features})[0]
        return found

    def of_words(self, text: str) -> Style:
        """Return the style that a text names; ``words.check_text`` has passed it."""
        return self._style(self._words, {"grams": ngrams(text, self.config.buckets)[None] + 1})

    def of_sound(self, latents: F32, features: F32) -> Style:
        """Return the style of a sound: its latents (n, C) and semantic features (n, 25)."""
        return self._style(self._ear, {"statistics": statistics(latents, features)[None]})

    def _style(self, session: Session, given: dict[str, npt.NDArray[np.generic]]) -> Style:
        codes, quantised, embedding = session.run(["codes", "quantised", "joint"], given)
        return Style(codes[0], quantised[0], embedding[0])
