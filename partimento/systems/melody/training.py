"""Training of MeLoDy: codec, words, language model, diffusion; and the model folder of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from partimento.errors import TrainingError
from partimento.files.corpora.corpus import Corpus
from partimento.representations.spectra import LOG_SCALE
from partimento.representations.words import FAMILIES
from partimento.runtime.audio.diffusion_presets import MelodyPreset
from partimento.runtime.model_folder import ModelFolder
from partimento.systems.melody.networks import codec
from partimento.training.audio.codec_stages import CodecStages
from partimento.training.audio.data import AudioSet, load_audio, prepare_audio
from partimento.training.audio.export import F32, ExportedPart, write_audio_model
from partimento.training.audio.led_data import described_score, described_sound, traits_of
from partimento.training.audio.led_stages import LedStages
from partimento.training.audio.shards import ShardDescription
from partimento.training.contract import Stage
from partimento.training.export.codec_graph import decoder_graph, encoder_graph
from partimento.training.export.graph_builder import transformer_graph
from partimento.training.export.led_graphs import (
    clusters_graph,
    denoiser_graph,
    ear_graph,
    words_graph,
)
from partimento.training.nn.codec import log_features
from partimento.training.nn.discriminators.stft import STFTDiscriminators

__all__ = ["MelodyTask", "training_task"]

_DESCRIBED = ShardDescription("led", described_score, described_sound)
_SHARES = (0.4, 0.02, 0.1, 0.48)  # of the minutes of a run: codec, words, language, diffusion
_HEARD_CROPS, _HEARD_LATENTS = 12, 48
_CALIBRATED = 6  # batches of the denoiser
_CACHES = 4  # how much longer the language model's cache is than what it looks back


class MelodyTask:
    """A codec, words, a language model and a denoiser in training."""

    system = "melody"

    def __init__(self, preset: MelodyPreset) -> None:
        self.preset = preset
        self.sound = codec(preset)
        discriminators = STFTDiscriminators((preset.codec.discriminator_sizes[-1],), 1)
        self.codec = CodecStages(self.sound, discriminators, preset.data.sample_rate_hz)
        self.led = LedStages(preset, self.sound)
        self.sets: dict[str, AudioSet] = {}
        self.facts: dict[str, Any] = {}

    def fresh(self) -> MelodyTask:
        """Return another training task of the same preset, with newly initialised weights."""
        return MelodyTask(self.preset)

    @property
    def network(self) -> nn.Module:
        """The denoiser."""
        return self.led.denoiser

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The denoiser, the codec, what is measured of its latents, and what leads them."""
        led = self.led
        return {
            "denoiser": led.denoiser, "codec": self.sound, "table": led.table, "words": led.words,
            "language": led.language,
        }  # fmt: skip

    def prepare(self, corpora: Sequence[Corpus], folder: Path, say: Callable[[str], None]) -> None:
        """Cut, play and resample the corpora into shards, or take those of an earlier run.

        Raises:
            TrainingError: if there is no sound to learn from.
        """
        data, step = self.preset.data, self.preset.codec.latent_samples
        sets = prepare_audio(corpora, folder, say, data, step, description=_DESCRIBED)
        self._take(sets, folder, say)
        self.facts["corpora"] = sorted({corpus.name for corpus in corpora})

    def recall(self, folder: Path) -> None:
        """Take the sound that a run in ``folder`` cut, where it is still there."""
        sets = load_audio(folder)
        if sets is not None:
            self._take(sets, folder, lambda _text: None)

    def _take(self, sets: dict[str, AudioSet], folder: Path, say: Callable[[str], None]) -> None:
        if not sets["train"].clips:
            raise TrainingError("no sound to learn from was found; see the preflight above")
        if not sets["valid"].clips:
            say("nothing is held out: the training sound is judged by itself")
            sets = {**sets, "valid": sets["train"]}
        self.sets = sets
        clips = sets["train"].clips
        families = {traits_of(clip.conditions).family for clip in clips if clip.latents}
        self.facts = {
            "minutes": round(sets["train"].seconds / 60, 1),
            "clips": {split: len(found.clips) for split, found in sets.items()},
            "corpora": sorted({clip.group.partition("/")[0] for clip in clips}),
            "families": [name for name in FAMILIES if name in families],
        }
        self.codec.take(sets, folder)
        self.led.take(sets, say)

    def stages(self) -> tuple[Stage, ...]:
        """Return the stages: codec, words, language, diffusion.

        Minutes of the preset's ``training`` are those of the whole run; without, each stage has its
        own steps or minutes, or those of ``training``.
        """
        training = self.preset.training
        first = self.codec.stages(self.preset.codec_training, self.preset.codec_training)[0]
        stages = (first, *self.led.stages())
        if training.minutes is not None:
            minutes = training.minutes
            return tuple(
                replace(
                    s,
                    training=s.training.model_copy(
                        update={"steps": None, "minutes": minutes * share}
                    ),
                )
                for s, share in zip(stages, _SHARES, strict=True)
            )
        return tuple(
            s
            if s.training.steps or s.training.minutes
            else replace(s, training=s.training.model_copy(update={"steps": training.steps}))
            for s in stages
        )

    def finish(self) -> dict[str, float]:
        """Return how often the token of a frame by ear is that of its score."""
        return {"token_agreement": self.led.token_agreement()} if self.sets else {}

    def export(
        self,
        out: Path,
        facts: Mapping[str, Any],
        precisions: tuple[str, ...] = ("int8",),
        run: Path | None = None,
    ) -> ModelFolder:
        """Write the codec, the language model, the denoiser and the words as a model folder."""
        preset, led = self.preset, self.led
        language = {
            k: v.detach().float().cpu().numpy() for k, v in led.language.state_dict().items()
        }
        sizes = preset.language
        window = _CACHES * sizes.max_distance
        features = len(led.stream.feature_sizes)
        parts = {
            **self._codec_parts(),
            "denoiser": ExportedPart(
                denoiser_graph(led.denoiser, preset.diffusion, preset.codec.latent_width),
                feeds=self._denoised(),
            ),
            "language": ExportedPart(
                transformer_graph(sizes, language, features, window, None), is_live=True
            ),
            "clusters": ExportedPart(clusters_graph(led.table.centres), is_exact=True),
            "words": ExportedPart(words_graph(led.words)),
            "ear": ExportedPart(ear_graph(led.words)),
        }
        low, high = led.table.tempo.tolist()
        config = {
            "system": self.system,
            "representation": {
                "name": "sound", "sample_rate_hz": preset.data.sample_rate_hz, "channels": 2,
            },
            "network": {
                "codec": preset.codec.model_dump(mode="json"),
                "diffusion": preset.diffusion.model_dump(mode="json"),
                "words": preset.words.model_dump(mode="json"),
                "tokens": preset.tokens,
                "scale": [round(v, 6) for v in led.table.scale.tolist()],
                "mean": [round(v, 6) for v in led.table.mean.tolist()],
                "tempo": [round(low, 1), round(high, 1)],
                "families": list(facts.get("families", self.facts.get("families", []))),
                "language": {
                    "kind": "sliding", "vocabulary": led.stream.vocabulary.size,
                    "local_width": sizes.local_width, "layers": sizes.layers,
                    "kv_heads": sizes.kv_heads, "head_width": sizes.head_width,
                    "span": sizes.max_distance, "window": window,
                },
            },
            "defaults": {**preset.defaults, **facts.get("defaults", {})},
            "parameters": sum(
                w.numel() for part in self.networks.values() for w in part.parameters()
            ),
        }  # fmt: skip
        return write_audio_model(out, config, parts, preset, facts, precisions)

    def _codec_parts(self) -> dict[str, ExportedPart]:
        """Return the codec's graphs, with features and latents of held-out sound, if any."""
        network = self.sound
        features: list[F32] = []
        latents: list[F32] = []
        if "valid" in self.sets:
            draw = np.random.default_rng(0)
            samples, _ = self.sets["valid"].crops(draw, _HEARD_CROPS, _HEARD_LATENTS)
            device = next(network.parameters()).device
            with torch.no_grad():
                sound = torch.from_numpy(samples).to(device)
                logs = log_features(network.spectra(sound)).flatten(2) / LOG_SCALE
                made = [x.float().cpu().numpy() for x in (logs, network.encode(sound))]
            features, latents = (list(np.split(each, len(each))) for each in made)
        return {
            "decoder": ExportedPart(decoder_graph(network), latents),
            "encoder": ExportedPart(encoder_graph(network), features),
        }

    def _denoised(self) -> list[dict[str, Any]]:
        """Return what the denoiser is given on held-out sound, at all angles; [] if unknown."""
        if not self.led.is_ready:
            return []
        draw, out = np.random.default_rng(1), []
        for _ in range(_CALIBRATED):
            batch = self.led.diffusion_batch(draw, "valid")
            angles = batch["angles"][..., None]
            state = torch.cos(angles) * batch["latents"] + torch.sin(angles) * batch["noise"]
            given = {**batch, "latents": state}
            names = ("latents", "angles", "tokens", "guide", "style", "given")
            out.append({name: given[name].cpu().numpy() for name in names})
        return out


def training_task(preset: MelodyPreset) -> MelodyTask:
    """Return a training task."""
    return MelodyTask(preset)
