"""What does the codec lose? Held-out sound, encoded and decoded, beside cheaper ways.

    python -m benchmarks.codec [--model NAME] [--corpus jsb_chorales,...] [--count 12]

Clips of 12 s of held-out scores (test split), played as the model's training data were, each as
other tempo, key, touch, room and level. Contestants, each told by its ``mel_distance`` (nepers,
less is better), ``convergence`` (spectral, less), ``chroma`` (similarity, 1 is best), ``onset_f``
(onsets found in both within 50 ms), ``si_sdr`` (dB; it has meaning only where phases are kept,
and no contestant here keeps them), ``loudness_db`` (mean error); ``*_error`` is the standard error
over clips:

- codec: encoder and decoder of the model as it ships;
- codec_8bit, codec_4bit: latents rounded to so many bits between;
- griffin_lim, griffin_lim_fine: as many mel coefficients a second as the codec has numbers, in the
  layouts (channels, bands, hop) that do best on validation clips, by mel distance and by chroma,
  turned to sound by fast Griffin-Lim;
- untrained: a decoder of the same shape with weights as drawn, from the model's own latents; it is
  told how loud each frequency is on average, as training begins with;
- other_clip: another clip of the same kind: what resembles by being music of this kind alone.

Exit 1 where the codec is not nearer than either Griffin-Lim in mel distance and chroma, or lies
more than two standard errors behind the better in onsets; ``nearer_than_griffin_lim`` tells of
each measure alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from benchmarks.audio_clips import F32, MODEL, clips, data_of
from benchmarks.harness import Options, say, start
from partimento import seeds
from partimento.analysis.audio import chroma, chroma_similarity, loudness, onset_f, onset_times
from partimento.catalog import open_model
from partimento.metrics.audio_distances import mel_distance, si_sdr, spectral_convergence
from partimento.representations.spectra import (
    Framing,
    analyse,
    griffin_lim,
    left_right,
    mel_matrix,
    mid_side,
)
from partimento.runtime.audio.codec import Codec
from partimento.runtime.audio.presets import CodecConfig
from partimento.training.nn.codec import StreamingCodec

LATENTS = 129  # of 4096 samples: 12 s
CORPORA = "jsb_chorales"
FRAMING = Framing()
# Channels and hop of mel coefficients; as many bands as the number of coefficients allows.
LAYOUTS = ((1, 4096), (1, 2048), (1, 1024), (2, 4096), (2, 2048))
ROUNDS = 32
FITS = 60
FLOOR = 1e-4
JUDGED = ("mel_distance", "chroma", "onset_f")


def coarse(samples: F32, rate: int, layout: tuple[int, int, int]) -> F32:
    """Return mel coefficients (channels, frames, bands) of samples (2, N), as logarithms."""
    channels, bands, hop = layout
    framing = Framing(2048, 512) if hop < 2048 else Framing(4096, 512)
    spectra = np.abs(analyse(mid_side(samples)[:channels], framing)) * (2048 / framing.size)
    matrix = mel_matrix(rate, framing.size, bands, 30.0, 16_000.0)
    mels = spectra[:, : samples.shape[1] // 512] @ (matrix / matrix.sum(1, keepdims=True)).T
    step = hop // 512
    whole = mels[:, : mels.shape[1] // step * step]
    means = whole.reshape(channels, -1, step, bands).mean(axis=2)
    return np.log(means + FLOOR).astype(np.float32)


def fine(mels: F32, rate: int, layout: tuple[int, int, int], length: int) -> F32:
    """Return samples (2, N) of mel coefficients: bins by least squares, phases by Griffin-Lim."""
    channels, bands, hop = layout
    frames = length // 512 + FRAMING.overlap - 1
    places = (np.arange(frames) + 0.5) * 512 / hop - 0.5
    full = np.stack(
        [
            np.stack([np.interp(places, np.arange(len(c)), c[:, b]) for b in range(bands)], axis=1)
            for c in mels
        ]
    )
    wanted = np.maximum(np.exp(full) - FLOOR, 0).astype(np.float32)
    matrix = mel_matrix(rate, FRAMING.size, bands, 30.0, 16_000.0)
    matrix = matrix / matrix.sum(axis=1, keepdims=True)
    found = wanted @ (matrix / np.maximum(matrix.sum(axis=0), 1e-6))
    for _ in range(FITS):  # multiplicative steps (Lee and Seung 2001): never below zero
        found *= (wanted @ matrix) / np.maximum((found @ matrix.T) @ matrix, 1e-9)
    sound = griffin_lim(found.astype(np.float32), FRAMING, seeds.generator(3), ROUNDS)
    whole = sound if channels == 2 else np.concatenate([sound, 0 * sound])
    return left_right(whole)[:, :length]


def rounded(latents: F32, bits: int) -> F32:
    """Return latents in -1..1 rounded to ``bits`` bits."""
    steps = np.float32((2**bits - 1) / 2)
    out: F32 = np.round((latents + 1) * steps) / steps - 1
    return out


def compared(made: F32, target: F32, rate: int) -> dict[str, float]:
    """Return the figures of one clip."""
    loud = [loudness(each) for each in (made, target)]
    heard = loud[1] > -60
    return {
        "mel_distance": mel_distance(made, target, rate),
        "convergence": spectral_convergence(made, target),
        "chroma": chroma_similarity(chroma(made, rate), chroma(target, rate)),
        "onset_f": onset_f(onset_times(made, rate), onset_times(target, rate)),
        "si_sdr": si_sdr(made, target),
        "loudness_db": float(np.abs(loud[0] - loud[1])[heard].mean()),
    }


def judged(
    name: str, make: Callable[[F32], F32], targets: Sequence[F32], rate: int
) -> dict[str, float]:
    """Return the mean figures of a contestant over all clips."""
    rows = [compared(make(target), target, rate) for target in targets]
    means = {key: round(float(np.mean([row[key] for row in rows])), 4) for key in rows[0]}
    for key in JUDGED:
        spread = float(np.std([row[key] for row in rows], ddof=1)) / len(rows) ** 0.5
        means[f"{key}_error"] = round(spread, 4)
    say(f"{name}: " + ", ".join(f"{key} {value:.3f}" for key, value in means.items()))
    return means


def best_layouts(targets: Sequence[F32], rate: int, numbers: float) -> list[tuple[int, int, int]]:
    """Return, of the layouts with so many numbers a second, the best by mel distance, by chroma."""
    found: dict[tuple[int, int, int], tuple[float, float]] = {}
    for channels, hop in LAYOUTS:
        layout = (channels, max(4, round(numbers * hop / rate / channels)), hop)
        figures = [compared(fine(coarse(x, rate, layout), rate, layout, x.shape[1]), x, rate)
                   for x in targets]  # fmt: skip
        distance, alike = (
            float(np.mean([row[key] for row in figures])) for key in ("mel_distance", "chroma")
        )
        found[layout] = (distance, -alike)
        say(f"mel coefficients {layout}: mel distance {distance:.3f}, chroma {alike:.3f}")
    return [min(found, key=lambda layout: found[layout][by]) for by in (0, 1)]


def untrained(config: CodecConfig, sounds: Sequence[F32]) -> Callable[[F32], F32]:
    """Return the decoder of a codec as it was drawn, but for the mean spectrum of sounds."""
    torch.manual_seed(0)
    network = StreamingCodec(config).eval()
    with torch.inference_mode():
        network.measure(network.spectra(torch.from_numpy(np.stack(sounds))))

    @torch.inference_mode()
    def decode(latents: F32) -> F32:
        out: F32 = network.decode(torch.from_numpy(latents)[None])[0].numpy()
        return out

    return decode


def contestants(
    codec: Codec,
    targets: Sequence[F32],
    tuning: Sequence[F32],
    rate: int,
    layouts: Sequence[tuple[int, int, int]],
) -> Any:
    """Return the contestants by name: of a clip, what they make of it."""
    bare = untrained(codec.config, tuning)
    others = {id(x): targets[(at + 1) % len(targets)] for at, x in enumerate(targets)}

    def at_bits(bits: int) -> Callable[[F32], F32]:
        return lambda x: codec.decode_all(rounded(codec.encode(x), bits))

    def of_mels(layout: tuple[int, int, int]) -> Callable[[F32], F32]:
        return lambda x: fine(coarse(x, rate, layout), rate, layout, x.shape[1])

    return {
        "codec": lambda x: codec.decode_all(codec.encode(x)),
        "codec_8bit": at_bits(8),
        "codec_4bit": at_bits(4),
        "griffin_lim": of_mels(layouts[0]),
        "griffin_lim_fine": of_mels(layouts[1]),
        "untrained": lambda x: bare(codec.encode(x)),
        "other_clip": lambda x: others[id(x)],
    }


def run(options: Options) -> dict[str, Any]:
    """Let all contestants make all clips."""
    folder = open_model(options.more.get("model") or MODEL)
    codec, data = Codec.load(folder), data_of(folder.config)
    rate = data.sample_rate_hz
    count = 2 if options.quick else int(options.more.get("count") or 12)
    length = codec.latent_samples * (30 if options.quick else LATENTS)
    corpora = tuple((options.more.get("corpus") or CORPORA).split(","))
    targets = list(clips(data, corpora, "test", count, length))
    tuning = list(clips(data, corpora, "valid", 1 if options.quick else 3, length, seed=12))
    numbers = codec.config.latent_width * rate / codec.latent_samples
    layouts = best_layouts(tuning, rate, numbers)
    found: dict[str, Any] = {
        name: judged(name, make, targets, rate)
        for name, make in contestants(codec, targets, tuning, rate, layouts).items()
    }
    for name, bits in (("codec", 32), ("codec_8bit", 8), ("codec_4bit", 4)):
        found[name]["kilobits_per_second"] = round(numbers * bits / 1000, 2)
    for name, layout in zip(("griffin_lim", "griffin_lim_fine"), layouts, strict=True):
        channels, bands, hop = layout
        told = {
            "layout": list(layout),
            "numbers_per_second": round(channels * bands * rate / hop, 1),
        }
        found[name].update(told)
    rivals = [found[f"griffin_lim{end}"] for end in ("", "_fine")]
    nearer = nearer_than(found["codec"], rivals)
    behind = max(each["onset_f"] for each in rivals) - found["codec"]["onset_f"]
    is_level = behind <= 2 * found["codec"]["onset_f_error"]
    return {
        **found,
        "nearer_than_griffin_lim": nearer,
        "beats_griffin_lim": nearer["mel_distance"] and nearer["chroma"] and is_level,
        "model": folder.name,
        "numbers_per_second": round(numbers, 1),
        "clips": len(targets),
        "seconds": round(sum(x.shape[1] for x in targets) / rate, 1),
    }


def nearer_than(
    codec: Mapping[str, float], others: Sequence[Mapping[str, float]]
) -> dict[str, bool]:
    """Return of each measure whether the codec is nearer to the original than all others."""
    return {
        key: all(sign * codec[key] > sign * other[key] for other in others)
        for key, sign in (("mel_distance", -1), ("chroma", 1), ("onset_f", 1))
    }


if __name__ == "__main__":
    start(
        __doc__,
        run,
        {"beats_griffin_lim": bool},
        {
            "model": f"name or folder of the model ({MODEL})",
            "corpus": f"names of corpora, joined by commas ({CORPORA})",
            "count": "of clips (12)",
        },
    )
