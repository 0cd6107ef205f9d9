"""VAE or VQ-VAE? One encoder and decoder, three bottlenecks, the same clips, equal bits.

    python -m benchmarks.vae_or_vq [--corpus SPEC] [--steps 400] [--pictures FOLDER]

The codec of Jukebox's middle level (a code each 11.6 ms, ``training/nn/spectral_vqvae.py``) learns
``--steps`` steps from nothing with each bottleneck, on the same crops, at 11 bits a code:

- gaussian: 16 numbers with means and variances; the weight of its divergence is moved until the
  divergence of a vector is 11 bits;
- vq: one codebook of 2,048 entries of 64 numbers, moving averages and restarts;
- fsq: three numbers of 16, 16 and 8 levels.

Each has ``level`` and ``mel`` (distances of held-out frames, nepers, less is better), ``bits`` a
vector as measured, and of the codes ``perplexity`` and ``dead`` entries. ``--pictures`` writes the
spectrogram of one held-out clip as it is and through each.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.audio_clips import F32
from benchmarks.harness import Options, say, start
from benchmarks.recorded_clips import CORPUS, QUICK_CORPUS, mono, named_clips
from partimento import seeds
from partimento.files.pictures.spectrogram import write_spectrogram
from partimento.music import Audio
from partimento.representations.codebooks import codebook_use
from partimento.runtime.audio_tokens.presets import CodesConfig
from partimento.runtime.contract import AUDIO_RATE_HZ
from partimento.training.audio_tokens.codec_stage import CodecStage, sound_of_frames
from partimento.training.nn.quantisers import Gaussian, ScalarQuantiser
from partimento.training.nn.spectral_vqvae import SpectralVQVAE

BITS, LEVELS, GAUSSIAN = 11, (16, 16, 8), 16
STEPS, BATCH, FRAMES, RATE = 400, 4, 128, 1.5e-3
GAIN = 0.005  # how fast the weight of the divergence is moved, a bit and step
TARGETS = {"same_bits": bool}


def codec_of(kind: str, config: CodesConfig) -> SpectralVQVAE:
    """Return a codec with a bottleneck."""
    torch.manual_seed(0)
    if kind == "gaussian":
        return SpectralVQVAE(config, 0, Gaussian(GAUSSIAN, 0.01), 2 * GAUSSIAN)
    if kind == "fsq":
        return SpectralVQVAE(config, 0, ScalarQuantiser(LEVELS))
    return SpectralVQVAE(config, 0)


def crop(sounds: Sequence[F32], draw: np.random.Generator, length: int) -> F32:
    """Return mono samples (length,) from anywhere."""
    sound = sounds[int(draw.integers(len(sounds)))]
    at = int(draw.integers(max(1, sound.shape[1] - length + 1)))
    part = sound[0, at : at + length]
    return np.pad(part, (0, length - len(part)))


def learnt(kind: str, config: CodesConfig, sounds: Sequence[F32], steps: int) -> SpectralVQVAE:
    """Return a codec after so many steps."""
    codec, draw = codec_of(kind, config), seeds.generator(1)
    stage, length = CodecStage([codec], AUDIO_RATE_HZ), FRAMES * config.hop
    first = np.stack([crop(sounds, draw, length) for _ in range(32)])
    codec.measure(codec.spectra(torch.from_numpy(first)))
    adam = torch.optim.AdamW(codec.parameters(), RATE, betas=(0.9, 0.99))
    plan = torch.optim.lr_scheduler.OneCycleLR(adam, RATE, max(2, steps))
    for step in range(steps):
        samples = torch.from_numpy(np.stack([crop(sounds, draw, length) for _ in range(BATCH)]))
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=False):
            loss = stage.loss_of(0, {"samples": samples})
        adam.zero_grad()
        loss.total.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(codec.parameters(), 1.0)
        adam.step()
        plan.step()
        if isinstance(codec.quantiser, Gaussian):
            away = rate_of(codec, samples) - BITS
            codec.quantiser.weight *= float(np.exp(np.clip(GAIN * away, -0.05, 0.05)))
        if step % 100 == 0:
            say(f"{kind}: step {step}, loss {float(loss.total.detach()):.3f}")
    return codec.eval()


@torch.no_grad()
def rate_of(codec: SpectralVQVAE, samples: Tensor) -> float:
    """Return the bits a vector of a Gaussian bottleneck."""
    assert isinstance(codec.quantiser, Gaussian)
    features = torch.log(codec.spectra(samples).abs() + 1e-3)
    return codec.quantiser.rate_bits(codec.encoder(features))


@torch.no_grad()
def judged(codec: SpectralVQVAE, held: Sequence[F32]) -> dict[str, float]:
    """Return the figures of a codec on held-out clips."""
    stage = CodecStage([codec], AUDIO_RATE_HZ)
    samples = torch.from_numpy(np.stack([each[0] for each in held]))
    spectra = codec.spectra(samples)
    said, quantised = codec(spectra)
    found = stage.distances(codec, said, spectra)
    out = {name: round(float(found[name]), 4) for name in ("level", "mel")}
    if isinstance(codec.quantiser, Gaussian):
        return out | {"bits": round(rate_of(codec, samples), 2)}
    use = codebook_use(quantised.codes.numpy(), 2**BITS)
    return out | {
        "bits": float(BITS),
        "entropy": round(use.bits, 2),
        "perplexity": round(use.perplexity, 1),
        "dead": use.dead,
    }


def run(options: Options) -> dict[str, Any]:
    """Train each, and measure."""
    torch.set_num_threads(1)
    quick = options.quick
    spec = options.more.get("corpus") or (QUICK_CORPUS if quick else CORPUS)
    config = CodesConfig(
        hops=(512,), entries=(2**BITS,), encoder_widths=(96,), peaks=(0.0,), restart_below=0.03
    )
    if quick:
        config = config.model_copy(update={"width": 16, "encoder_widths": (16,)})
    steps = 3 if quick else int(options.more.get("steps") or STEPS)
    seconds = FRAMES * config.hop / AUDIO_RATE_HZ
    train = [mono(x) for _, x in named_clips(spec, "train", 2 if quick else 72, 2 if quick else 10)]
    held = [mono(x) for _, x in named_clips(spec, "test", 2 if quick else 16, seconds + 0.1)]
    held = [x[:, : FRAMES * config.hop] for x in held]
    found: dict[str, Any] = {}
    made = [held[0][0]]
    for kind in ("gaussian", "vq", "fsq"):
        codec = learnt(kind, config, train, steps)
        found[kind] = judged(codec, held)
        say(f"{kind}: {found[kind]}")
        with torch.no_grad():
            said, _ = codec(codec.spectra(torch.from_numpy(held[0][:1].copy())))
        made.append(sound_of_frames(codec, said))
    if options.more.get("pictures"):
        place = Path(str(options.more["pictures"])) / "vae-or-vq.png"
        whole = np.tile(np.concatenate(made), (2, 1)).astype(np.float32)
        write_spectrogram(Audio(whole, AUDIO_RATE_HZ), place)
    near = abs(found["gaussian"]["bits"] - BITS) <= 1.0
    return {**found, "same_bits": near, "steps": steps, "clips": len(held)}


if __name__ == "__main__":
    start(
        __doc__,
        run,
        TARGETS,
        {
            "corpus": f"what to learn from ({CORPUS})",
            "steps": f"each ({STEPS})",
            "pictures": "a folder for the spectrogram",
        },
    )
