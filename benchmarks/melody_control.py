"""Is what is asked of produced sound heard in it? Chords, tempo, density, loudness, words.

    python -m benchmarks.melody_control [--model NAME]

- ``chords``: progressions of major and minor triads in several keys, a chord a bar of four beats:
  the share of beats whose recognised triad is the one asked (``metrics.audio_adherence``, 24
  classes). ``chords_ceiling`` is the recogniser's own rate: the same progressions as block chords
  with their bass, played by the synthesiser; ``chords_scores`` its rate on held-out scores, whose
  beats hold passing notes too; ``chords_free`` what it is where no chords were asked: chance.
- ``tempo_r``, ``density_r``, ``loudness_r``: correlation of asked and measured. A tempo is sought
  within the range that is asked and a tenth beyond.
- ``words``: sound made of a text, the right one among 20 texts by the model's own ear and words;
  ``words_instrument`` the right one of five instruments; ``words_chance`` is chance.
- ``unknown``: whether a text of words that no caption has is refused by name.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import Options, say, start
from benchmarks.melody_speed import model_of
from partimento import seeds
from partimento.analysis.audio import loudness, onset_times, tempo
from partimento.analysis.chords import beat_onsets, recognise_beats
from partimento.config import validate_config
from partimento.errors import MusicError
from partimento.files import open_corpus
from partimento.metrics.audio_adherence import chord_adherence, heard_triads
from partimento.music import Note, Score, Tempo, Timeline, Track, parse_chords
from partimento.music.transform import crop
from partimento.representations.semantics import sound_features
from partimento.runtime.audio.led_latents import MelodyControls
from partimento.runtime.audio.led_performer import LedPerformer
from partimento.runtime.contract import AUDIO_RATE_HZ, Request
from partimento.sound.render import render

LINES = (
    "Am F C G",
    "C Am F G",
    "Dm Bb F C",
    "G Em C D",
    "Em C G D",
    "F C Dm Bb",
    "Bb Gm Eb F",
    "D A Bm G",
)
FAMILY_WORDS = ("piano", "organ", "strings", "choir", "woodwinds")
TEXTS = tuple(
    f"{how} {what}"
    for what in FAMILY_WORDS
    for how in ("slow dark", "fast bright", "quiet", "loud busy")
)
LEAST_CHORDS = 0.7
TARGETS = {"chords": lambda share: share >= LEAST_CHORDS}


def made(performer: LedPerformer, seconds: float, seed: int, **asked: Any) -> np.ndarray:
    """Return the samples of a request."""
    controls = validate_config(MelodyControls, asked, "controls")
    stream = performer.stream(
        Request(duration_seconds=seconds), controls, np.random.default_rng(seed)
    )
    return np.concatenate([piece.samples for piece in stream], axis=1)


def block_chords(line: str, bpm: float, bars: int) -> Score:
    """Return a progression as block chords over their bass."""
    notes = []
    chords = parse_chords(line)
    for bar in range(bars):
        chord = chords[bar % len(chords)]
        pitches = [36 + chord.root, *(60 + (p - 60) % 12 for p in sorted(chord.pitch_classes))]
        notes += [Note(1920 * bar, pitch, 1920, 80) for pitch in pitches]
    return Score((Track("Strings", tuple(sorted(notes)), program=48),), tempos=(Tempo(0, bpm),))


def judged(samples: np.ndarray, line: str, bpm: float) -> float:
    """Return the share of beats with the chord of their bar."""
    chords = parse_chords(line)
    beats = np.arange(0, samples.shape[1] / AUDIO_RATE_HZ, 60 / bpm)
    asked = [chords[at // 4 % len(chords)] for at in range(len(beats) - 1)]
    return chord_adherence(heard_triads(samples, AUDIO_RATE_HZ, beats.tolist()), asked)


def chords_of(performer: LedPerformer, defaults: dict[str, Any], quick: bool) -> dict[str, float]:
    """Return the figures of chords."""
    found: dict[str, list[float]] = {"chords": [], "chords_free": [], "chords_ceiling": []}
    lines = LINES[:1] if quick else LINES
    for seed, line in enumerate(lines):
        bpm = (80.0, 96.0, 112.0)[seed % 3]
        seconds = (2 if quick else 4) * 4 * 60 / bpm
        led = made(performer, seconds, seed, **{**defaults, "chords": line, "tempo": bpm})
        free = made(performer, seconds, seed, **{**defaults, "tempo": bpm})
        real = render(block_chords(line, bpm, 2 if quick else 8)).samples
        values = [judged(each, line, bpm) for each in (led, free, real)]
        for name, value in zip(found, values, strict=True):
            found[name].append(value)
        say(f"{line}: {values[0]:.2f}, free {values[1]:.2f}, block chords {values[2]:.2f}")
    return {name: round(float(np.mean(values)), 3) for name, values in found.items()}


def on_scores(data: str, count: int) -> float:
    """Return the recogniser's rate on held-out scores, played by the synthesiser."""
    shares = []
    for _, piece in open_corpus("jsb_chorales", data).pieces("test"):
        if not isinstance(piece, Score) or len(shares) == count:
            continue
        bars = Timeline(piece).bars[:8]
        score = crop(piece, 0, bars[-1].end_ticks)
        ends = Timeline(score).seconds(beat_onsets(score).astype(float))
        heard = heard_triads(render(score).samples, AUDIO_RATE_HZ, ends.tolist())
        shares.append(chord_adherence(heard, recognise_beats(score)[: len(heard)]))
    return float(np.mean(shares)) if shares else float("nan")


def followed(
    performer: LedPerformer,
    defaults: dict[str, Any],
    name: str,
    values: tuple[float, ...],
    seeds_: int,
) -> float:
    """Return the correlation of what is asked and what is measured."""
    pairs = []
    for asked in values:
        for seed in range(seeds_):
            sound = made(performer, 12.0, seed, **{**defaults, name: asked})
            if name == "tempo":
                got = tempo(sound, AUDIO_RATE_HZ, min(values) / 1.1, max(values) * 1.1)
            elif name == "density":
                got = len(onset_times(sound, AUDIO_RATE_HZ)) * AUDIO_RATE_HZ / sound.shape[1]
            else:
                got = float(10 * np.log10(np.mean(10 ** (loudness(sound) / 10)) + 1e-12))
            pairs.append((asked, got))
        say(f"{name} {asked}: {np.mean([g for a, g in pairs if a == asked]):.2f}")
    x, y = np.array(pairs).T
    return round(float(np.corrcoef(x, y)[0, 1]), 3) if y.std() else 0.0


def words_of(
    performer: LedPerformer, defaults: dict[str, Any], texts: tuple[str, ...]
) -> dict[str, Any]:
    """Return how often the right text is nearest to sound made of it, and its instruments."""
    listener = performer.listener
    said = np.stack([listener.of_words(text).embedding for text in texts])
    right, family = [], []
    for at, text in enumerate(texts):
        sound = made(performer, 6.0, at, **{**defaults, "text": text})
        nearest = int(np.argmax(said @ heard_style(performer, sound)))
        right.append(nearest == at)
        family.append(text.split()[-1] == texts[nearest].split()[-1])
    out = {"words": np.mean(right), "words_instrument": np.mean(family)}
    return {name: round(float(value), 3) for name, value in out.items()}


def heard_style(performer: LedPerformer, sound: np.ndarray) -> np.ndarray:
    """Return the embedding of a sound."""
    latents = performer.codec.encode(sound)[:128]
    features = sound_features(sound, AUDIO_RATE_HZ, performer.codec.latent_samples)[:128]
    return performer.listener.of_sound(latents, features).embedding


def run(options: Options) -> dict[str, Any]:
    """Measure."""
    quick = options.quick
    with tempfile.TemporaryDirectory() as place:
        folder = model_of(options.more.get("model"), Path(place), quick)
        performer = LedPerformer.load(folder)
    known = MelodyControls.model_fields
    defaults = {k: v for k, v in folder.config["defaults"].items() if k in known}
    if quick:
        defaults["steps"] = 2
    found: dict[str, Any] = chords_of(performer, defaults, quick)
    found["chords_scores"] = round(on_scores(options.data, 1 if quick else 12), 3)
    rounds = 1 if quick else 3
    for name, values in (
        ("tempo", (66.0, 80.0, 96.0, 112.0)), ("density", (0.5, 1.5, 2.5, 4.0)),
        ("loudness", (-36.0, -30.0, -24.0, -18.0)),
    ):  # fmt: skip
        found[f"{name}_r"] = followed(
            performer, defaults, name, values[:2] if quick else values, rounds
        )
    found |= words_of(performer, defaults, TEXTS[:2] if quick else TEXTS)
    found["words_chance"] = round(1 / len(TEXTS), 3)
    try:
        performer.made.style("bagpipes", seeds.generator(0))
        found["unknown"] = False
    except MusicError:
        found["unknown"] = True
    return {**found, "model": folder.name}


if __name__ == "__main__":
    start(__doc__, run, TARGETS, {"model": "the model: a name or a folder"})
