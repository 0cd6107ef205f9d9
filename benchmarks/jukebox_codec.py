"""What do the codecs of Jukebox lose? Held-out recordings by level, beside other ways.

    python -m benchmarks.jukebox_codec [--model NAME] [--corpus SPEC] [--count 8] [--steps 300]

Clips of 10 s of the test split, mono. Contestants, each an object of ``convergence_db`` (spectral
convergence, 20 log10, less is better), ``mel_distance`` (nepers, less), ``chroma`` (similarity, 1
is best), ``bits_per_second``:

- level0, level1, ..: the codecs as they ship, the finest first, with ``perplexity`` and ``dead``
  entries of their codebooks on these clips;
- griffin_lim: 80 mel bands of each frame, not rounded, and phases by fast Griffin-Lim;
- opus: libopus at its lowest bit rate, in one channel (``bits_per_second`` as its files have it);
- other_clip: another held-out clip: what resembles by being music of this kind alone.

``trained`` compares codecs of one level that learn here from nothing, ``--steps`` each on the same
crops: ``restarts`` (as shipped), ``no_restarts``, and ``published`` (strided convolutions, a sample
at a time, the published losses) at the same hop.

The paper's own figures are in its text; they are of other music, at 60, 15 and 3.8 kbit/s.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import soundfile
import torch

from benchmarks.audio_clips import F32
from benchmarks.codec import coarse, fine
from benchmarks.harness import Options, say, start
from benchmarks.jukebox_codes import bench_of
from benchmarks.recorded_clips import CORPUS, QUICK_CORPUS, mono, named_clips
from partimento import seeds
from partimento.analysis.audio import chroma, chroma_similarity
from partimento.metrics.audio_distances import mel_distance, spectral_convergence
from partimento.representations.codebooks import codebook_use
from partimento.runtime.audio_tokens.presets import CodesConfig
from partimento.runtime.contract import AUDIO_RATE_HZ
from partimento.systems.jukebox.published_codec import PublishedVQVAE, reconstruction_loss
from partimento.training.audio_tokens.codec_stage import CodecStage, sound_of_frames
from partimento.training.nn.spectral_vqvae import SpectralVQVAE

SECONDS, COUNT, STEPS, BATCH = 10.0, 8, 300, 4
LEARNT_LEVEL = 0
TARGETS: dict[str, Callable[[Any], bool]] = {"levels_in_order": bool, "beats_other_clip": bool}


def compared(made: F32, target: F32) -> dict[str, float]:
    """Return the figures of one clip (2, N)."""
    rate = AUDIO_RATE_HZ
    return {
        "convergence_db": 20 * float(np.log10(spectral_convergence(made, target))),
        "mel_distance": mel_distance(made, target, rate),
        "chroma": chroma_similarity(chroma(made, rate), chroma(target, rate)),
    }


def judged(name: str, make: Callable[[F32], F32], targets: Sequence[F32]) -> dict[str, float]:
    """Return the mean figures of a contestant."""
    rows = [compared(make(target), target) for target in targets]
    out = {key: round(float(np.mean([row[key] for row in rows])), 3) for key in rows[0]}
    say(f"{name}: {out}")
    return out


def opus(sound: F32) -> tuple[F32, float]:
    """Return mono sound through libopus at its lowest bit rate, and the bits a second of it."""
    low = sound[0, : len(sound[0]) // 147 * 147]
    # Opus knows 48 kHz: resampled there and back, which costs nothing that matters here.
    from_rate, to_rate = AUDIO_RATE_HZ, 48_000
    count = round(len(low) * to_rate / from_rate)
    wave = np.fft.irfft(np.fft.rfft(low), n=count) * (count / len(low))
    file = io.BytesIO()
    soundfile.write(
        file, wave, to_rate, format="OGG", subtype="OPUS", compression_level=1.0
    )  # fmt: skip
    bits = 8 * len(file.getvalue()) / (len(low) / from_rate)
    file.seek(0)
    back = soundfile.read(file, dtype="float32")[0][:count]
    back = np.pad(back, (0, count - len(back)))
    spectrum = np.fft.rfft(back)[: len(low) // 2 + 1]
    out = np.fft.irfft(spectrum, n=len(low)) * (len(low) / count)
    whole = np.zeros(sound.shape[1], dtype=np.float32)
    whole[: len(out)] = out
    return np.tile(whole, (2, 1)), bits


def learnt(
    config: CodesConfig, train: Sequence[F32], steps: int, kind: str
) -> Callable[[F32], F32]:
    """Return a codec of one level that learnt so many steps, as a function of a clip."""
    torch.manual_seed(0)
    codec: Any = (PublishedVQVAE if kind == "published" else SpectralVQVAE)(config, LEARNT_LEVEL)
    stage = None if kind == "published" else CodecStage([codec], AUDIO_RATE_HZ)
    unit = max(config.hops[-1], 8192)
    length = 8 * unit
    adam = torch.optim.AdamW(codec.parameters(), 1e-3, betas=(0.9, 0.99))
    draw = seeds.generator(1)

    def crop() -> F32:
        sound = train[int(draw.integers(len(train)))]
        at = int(draw.integers(max(1, sound.shape[1] - length + 1)))
        part = sound[0, at : at + length]
        return np.pad(part, (0, length - len(part)))

    if stage is not None:
        codec.measure(codec.spectra(torch.from_numpy(np.stack([crop() for _ in range(16)]))))
    for step in range(steps):
        samples = torch.from_numpy(np.stack([crop() for _ in range(BATCH)]))
        if stage is None:
            made, quantised = codec(samples)
            loss = reconstruction_loss(made, samples) + quantised.loss
        else:
            loss = stage.loss_of(0, {"samples": samples}).total
        adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(codec.parameters(), 1.0)
        adam.step()
        if step % 100 == 0:
            say(f"{kind}: step {step}, loss {float(loss.detach()):.3f}")
    codec.eval()

    @torch.inference_mode()
    def play(clip: F32) -> F32:
        count = clip.shape[1] // unit * unit
        samples = torch.from_numpy(np.ascontiguousarray(clip[:1, :count]))
        codes = codec.encode(samples)
        said = codec.decode(codes)
        made = said[0].numpy() if stage is None else sound_of_frames(codec, said)
        out = np.zeros(clip.shape[1], dtype=np.float32)
        out[:count] = made[:count]
        return np.tile(out, (2, 1))

    return play


def run(options: Options) -> dict[str, Any]:
    """Let all contestants make all clips."""
    torch.set_num_threads(2)
    quick = options.quick
    spec = options.more.get("corpus") or (QUICK_CORPUS if quick else CORPUS)
    seconds, count = (3.0, 2) if quick else (SECONDS, int(options.more.get("count") or COUNT))
    bench = bench_of(options.more.get("model"), quick)
    unit = bench.performer.codecs[-1].hop
    clips = [mono(sound) for _, sound in named_clips(spec, "test", count, seconds)]
    targets = [each[:, : each.shape[1] // unit * unit] for each in clips]
    found: dict[str, Any] = {}
    for level, codec in enumerate(bench.performer.codecs):
        codes = [codec.encode(x[0]) for x in targets]
        figures = judged(
            f"level{level}",
            lambda x, codec=codec: np.tile(codec.decode_all(codec.encode(x[0])), (2, 1)),
            targets,
        )
        use = codebook_use(np.concatenate(codes), codec.entries)
        bits = np.log2(codec.entries) * AUDIO_RATE_HZ / codec.hop
        figures |= {"perplexity": round(use.perplexity, 1), "dead": use.dead}
        found[f"level{level}"] = figures | {"bits_per_second": round(float(bits), 1)}
    layout = (1, 80, 512)
    found["griffin_lim"] = judged(
        "griffin_lim",
        lambda x: mono(fine(coarse(x, AUDIO_RATE_HZ, layout), AUDIO_RATE_HZ, layout, x.shape[1])),
        targets,
    )
    found["griffin_lim"]["numbers_per_second"] = round(80 * AUDIO_RATE_HZ / 512, 1)
    found["opus"] = judged("opus", lambda x: opus(x)[0], targets)
    found["opus"]["bits_per_second"] = round(float(np.mean([opus(x)[1] for x in targets])), 1)
    others = {id(x): targets[(at + 1) % len(targets)] for at, x in enumerate(targets)}
    found["other_clip"] = judged("other_clip", lambda x: others[id(x)], targets)
    train = [mono(x) for _, x in named_clips(spec, "train", 2 if quick else 36, seconds)]
    found["trained"] = trained(bench.performer.facts.codec, train, targets, options)
    distances = [found[f"level{at}"]["mel_distance"] for at in range(len(bench.performer.codecs))]
    return {
        **found,
        "levels_in_order": distances == sorted(distances),
        "beats_other_clip": max(distances) < found["other_clip"]["mel_distance"],
        "model": bench.name,
        "clips": len(targets),
    }


def trained(
    config: CodesConfig, train: Sequence[F32], targets: Sequence[F32], options: Options
) -> dict[str, Any]:
    """Return the figures of codecs that learn here, at the hop of the finest level."""
    steps = 2 if options.quick else int(options.more.get("steps") or STEPS)
    published = config.model_copy(update={"kind": "published", "width": 32, "doubled": 0})
    kinds = {
        "restarts": config,
        "no_restarts": config.model_copy(update={"restart_below": 0.0}),
        "published": published,
    }
    if options.quick:
        kinds["published"] = published.model_copy(update={"width": 4, "depth": 1})
    return {
        kind: judged(kind, learnt(each, train, steps, kind), targets) | {"steps": steps}
        for kind, each in kinds.items()
    }


if __name__ == "__main__":
    start(
        __doc__,
        run,
        TARGETS,
        {
            "model": "name or folder of the model",
            "corpus": f"what it learnt from ({CORPUS})",
            "count": f"of clips ({COUNT})",
            "steps": f"of the codecs that learn here ({STEPS})",
        },
    )
