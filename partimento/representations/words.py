"""Words about sound: captions made by rule from what is known of a clip, and words as numbers.

A caption names some of: the instruments, the tempo, the mode, the density, the loudness. Words
enter a network as hashed sub-word n-grams (Bojanowski et al. 2017, arXiv 1607.04606), so that the
base install needs no table of words; which words mean anything to a model is known all the same
(`unknown_words`), and others are refused by name.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
import numpy.typing as npt
from pydantic import Field

from partimento.config import Config
from partimento.errors import MusicError
from partimento.messages import shown

__all__ = [
    "FAMILIES",
    "STATISTICS",
    "Traits",
    "WordsConfig",
    "captions",
    "check_text",
    "known_words",
    "ngrams",
    "statistics",
    "unknown_words",
]

F32 = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
_LONGEST = 2000  # characters of a text
_SHORTEST_GRAM, _LONGEST_GRAM = 3, 5
_WORD = re.compile(r"[^\W\d_]+", re.UNICODE)

# General MIDI programs, first to last, and what they are called.
FAMILIES: Mapping[str, tuple[range, tuple[str, ...]]] = {
    "piano": (range(8), ("piano", "grand piano", "solo piano", "keyboard")),
    "mallets": (range(8, 16), ("mallets", "vibraphone", "marimba", "bells")),
    "organ": (range(16, 24), ("organ", "church organ", "pipe organ")),
    "guitar": (range(24, 40), ("guitar", "acoustic guitar", "plucked strings")),
    "strings": (range(40, 52), ("strings", "string orchestra", "violins", "string ensemble")),
    "choir": (range(52, 56), ("choir", "voices", "singing choir", "vocal ensemble")),
    "brass": (range(56, 64), ("brass", "horns", "brass ensemble", "trumpets")),
    "winds": (range(64, 80), ("winds", "woodwinds", "flute and clarinet", "wind ensemble")),
    "synthesiser": (range(80, 104), ("synthesizer", "synth", "electronic")),
}
_LEVELS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "tempo": (
        ("slow", "calm", "relaxed", "gentle", "peaceful"),
        ("moderate", "walking", "steady"),
        ("fast", "lively", "quick", "energetic", "agitated"),
    ),
    "density": (
        ("sparse", "open", "still", "sustained"),
        (),
        ("busy", "dense", "flowing", "rich"),
    ),
    "loudness": (
        ("quiet", "soft", "tender", "delicate"),
        (),
        ("loud", "powerful", "grand", "strong"),
    ),
}
_BOUNDS = {"tempo": (82.0, 112.0), "density": (1.6, 3.2), "loudness": (-30.0, -22.0)}
_MODES = (
    ("bright", "happy", "major", "cheerful", "joyful", "warm"),
    ("dark", "sad", "minor", "melancholy", "sombre", "gloomy"),
)
_FRAMES = ("{}", "{} music", "a {} piece", "{} sound", "some {} music", "a piece of {} music")
# Words that say nothing of the sound, and may stand in any text.
_SILENT = frozenset(
    {
        "a", "an", "and", "the", "of", "for", "with", "in", "on", "by", "to", "some",
        "music", "piece", "sound", "played", "playing", "please", "very", "rather", "quite",
        "is", "that", "like", "song", "tune", "something", "it", "make", "me", "give",
        "mood", "tempo",
    }
)  # fmt: skip
STATISTICS = 25  # numbers of features in `statistics`, beside the latents'


class WordsConfig(Config):
    """Sizes of the joint embedding of words and sound."""

    buckets: int = Field(2048, ge=2, le=1 << 20, description="of hashed n-grams")
    gram_width: int = Field(32, ge=1, le=4096)
    width: int = Field(32, ge=2, le=4096, description="of the joint embedding")
    levels: int = Field(12, ge=1, le=64, description="of the residual quantiser")
    codes: int = Field(32, ge=2, le=1 << 16, description="a level")


@dataclass(frozen=True)
class Traits:
    """What is known of a clip; None is not known."""

    family: str | None = None
    beats_per_minute: float | None = None
    is_minor: bool | None = None
    onsets_per_second: float | None = None
    dbfs: float | None = None


def _level(name: str, value: float) -> tuple[str, ...]:
    low, high = _BOUNDS[name]
    return _LEVELS[name][0 if value < low else 2 if value > high else 1]


def _choices(traits: Traits) -> dict[str, tuple[str, ...]]:
    """Return the words for each trait, as far as there are any."""
    out = {
        name: _level(name, value)
        for name, value in (
            ("tempo", traits.beats_per_minute),
            ("density", traits.onsets_per_second),
            ("loudness", traits.dbfs),
        )
        if value is not None
    }
    if traits.is_minor is not None:
        out["mode"] = _MODES[traits.is_minor]
    if traits.family is not None and traits.family in FAMILIES:
        out["family"] = FAMILIES[traits.family][1]
    return {name: words for name, words in out.items() if words}


def captions(traits: Traits, rng: np.random.Generator, count: int, most: int = 4) -> list[str]:
    """Return captions of a clip, each of one to ``most`` of its traits, drawn."""
    choices = _choices(traits)
    out = []
    for _ in range(count):
        names = [str(name) for name in rng.permutation(sorted(choices))]
        # Instruments are what most texts name.
        if "family" in names and rng.random() < 0.8:
            names = ["family", *(name for name in names if name != "family")]
        names = names[: int(rng.integers(1, most + 1))]
        found = {name: str(rng.choice(choices[name])) for name in names}
        noun = found.pop("family", None)
        adjectives = " ".join(found.values())
        text = " ".join(part for part in (adjectives, noun) if part)
        if noun is not None and adjectives and rng.random() < 0.3:
            text = f"{adjectives} music for {noun}"
        elif noun is None or rng.random() < 0.3:
            text = str(rng.choice(_FRAMES)).format(text)
        out.append(text)
    return out


def known_words(families: Sequence[str] = tuple(FAMILIES)) -> tuple[str, ...]:
    """Return the words that captions of these families of instruments are made of, sorted."""
    texts = [*(text for name in families for text in FAMILIES[name][1])]
    texts += [word for levels in _LEVELS.values() for level in levels for word in level]
    texts += [word for mode in _MODES for word in mode]
    return tuple(sorted({word for text in texts for word in text.split()} - _SILENT))


def _stem(word: str) -> str:
    for ending in ("ness", "ly", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word.removesuffix(ending)
    return word


def unknown_words(text: str, known: Sequence[str]) -> tuple[str, ...]:
    """Return the words of a text that no caption covers and that are not mere grammar."""
    stems = {_stem(word) for word in known}
    words = dict.fromkeys(_WORD.findall(text.lower()))
    return tuple(w for w in words if w not in _SILENT and _stem(w) not in stems)


def check_text(text: str, known: Sequence[str]) -> None:
    """Raise unless a model was trained on the words of a text.

    Raises:
        MusicError: for an empty or very long text, or words that no caption covers; names them,
            and words that come near.
    """
    if len(text) > _LONGEST:
        raise MusicError(f"a text has {_LONGEST:,} characters at most, not {len(text):,}")
    if not _WORD.search(text):
        raise MusicError(
            f"a text names what is to be heard, e.g. 'slow dark strings'; {shown(text)} does not"
        )
    strange = unknown_words(text, known)
    if strange:
        near = {w for word in strange for w in get_close_matches(word, known, 2, 0.75)}
        hint = f"did you mean {', '.join(sorted(near))}? " if near else ""
        raise MusicError(
            f"this model was trained on no word {', '.join(map(shown, strange[:5]))}; {hint}"
            f"it knows: {', '.join(known)}"
        )
    if not set(map(_stem, _WORD.findall(text.lower()))) & {_stem(w) for w in known}:
        raise MusicError(
            f"{shown(text)} names nothing that is heard; known are: {', '.join(known)}"
        )


def ngrams(text: str, buckets: int) -> Ints:
    """Return the buckets (n,) of the words of a text and of their n-grams of 3 to 5 letters."""
    out = []
    for word in _WORD.findall(text.lower()):
        whole = f"<{word}>"
        grams = {
            whole[at : at + size]
            for size in range(_SHORTEST_GRAM, _LONGEST_GRAM + 1)
            for at in range(len(whole) - size + 1)
        } | {whole}
        out += [zlib.crc32(gram.encode()) % buckets for gram in sorted(grams)]
    return np.array(out, dtype=np.int64)


def statistics(latents: F32, features: F32) -> F32:
    """Return (2 C + 25,) of a clip: mean and deviation of its latents (n, C), and of its features.

    ``features`` (n, 25) are semantic ones. Of pitch classes it is told how they fit major and minor
    keys, not which they are.
    """
    mean = features[:, :12].mean(axis=0)
    fits = [_fits(mean, profile) for profile in (_MAJOR, _MINOR)]
    onset = features[:, 24]
    change = np.abs(np.diff(features[:, :12], axis=0)).sum(axis=1) if len(features) > 1 else [0.0]
    told = np.array(
        [
            *np.sort(fits[0])[::-1][:6],
            *np.sort(fits[1])[::-1][:6],
            *(np.sort(mean)[::-1][:6]),
            fits[0].max() - fits[1].max(),
            onset.mean(),
            onset.std(),
            np.mean(change),
            np.std(change),
            (onset > 0.2).mean(),
            np.abs(np.diff(latents, axis=0)).mean() if len(latents) > 1 else 0.0,
        ]
    )
    parts = [latents.mean(axis=0), latents.std(axis=0), told]
    out: F32 = np.concatenate(parts).astype(np.float32)
    return out


# Krumhansl and Kessler 1982.
_MAJOR = np.array([6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88])
_MINOR = np.array([6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17])


def _fits(mean: F32, profile: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return how well the pitch classes fit the profile of a key on each of 12 tonics."""
    x = mean - mean.mean()
    y = profile - profile.mean()
    norm = np.linalg.norm(x) * np.linalg.norm(y)
    return np.array([float(np.roll(y, at) @ x) for at in range(12)]) / max(float(norm), 1e-9)
