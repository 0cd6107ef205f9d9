"""Training of Musika: spectral codec, adversarial codec, then the latent GAN."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from partimento.errors import ConfigError, TrainingError
from partimento.files.corpora.corpus import Corpus
from partimento.representations.latent_coordinates import LatentCoordinates
from partimento.representations.phase_tracks import LEVEL_CAP
from partimento.representations.spectra import LOG_SCALE
from partimento.runtime.audio.presets import MusikaPreset
from partimento.runtime.model_folder import ModelFolder
from partimento.systems.musika.networks import codec
from partimento.training.audio.codec_stages import CodecStages
from partimento.training.audio.data import AudioSet, load_audio, prepare_audio
from partimento.training.audio.export import ExportedPart, write_audio_model
from partimento.training.audio.latent_data import least_latents
from partimento.training.audio.latent_gan import LatentGame
from partimento.training.contract import Stage
from partimento.training.export.codec_graph import decoder_graph, encoder_graph
from partimento.training.export.latent_graph import latent_graph
from partimento.training.nn.codec import StreamingCodec, log_features
from partimento.training.nn.discriminators.stft import STFTDiscriminators

__all__ = ["MusikaTask", "training_task"]

_CONDITIONS = ("density", "loudness", "tempo")
_QUANTILES = 11
_HEARD_CROPS, _HEARD_LATENTS = 12, 32

F32 = npt.NDArray[np.float32]


class MusikaTask:
    """A codec with its discriminators, and a generator of latents with its own, in training."""

    system = "musika"

    def __init__(self, preset: MusikaPreset) -> None:
        self.preset = preset
        self.network = codec(preset)
        self.codec: CodecStages | None = None
        if isinstance(self.network, StreamingCodec):
            discriminators = STFTDiscriminators(
                preset.codec.discriminator_sizes, preset.codec.discriminator_width
            )
            self.codec = CodecStages(self.network, discriminators, preset.data.sample_rate_hz)
        self.game = LatentGame(preset, self.network)
        self.sets: dict[str, AudioSet] = {}
        self.facts: dict[str, Any] = {}

    def fresh(self) -> MusikaTask:
        """Return another training task of the same preset, with newly initialised weights."""
        return MusikaTask(self.preset)

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The codec and the generator of its latents."""
        return {"codec": self.network, "generator": self.game.network}

    def prepare(self, corpora: Sequence[Corpus], folder: Path, say: Callable[[str], None]) -> None:
        """Cut, play and resample the corpora into shards, or take those of an earlier run.

        Raises:
            TrainingError: if there is no sound to learn from.
            ConfigError: for the published codec.
        """
        self._trained()
        data, step = self.preset.data, self.preset.codec.latent_samples
        self._take(prepare_audio(corpora, folder, say, data, step), folder, say)
        self.facts["corpora"] = sorted({corpus.name for corpus in corpora})

    def recall(self, folder: Path) -> None:
        """Take the sound that a run in ``folder`` cut, where it is still there."""
        sets = load_audio(folder)
        if sets is not None:
            self._take(sets, folder, lambda _text: None)

    def _take(self, sets: dict[str, AudioSet], folder: Path, say: Callable[[str], None]) -> None:
        if not sets["train"].clips:
            raise TrainingError("no sound to learn from was found; see the preflight above")
        game = self.preset.game
        needed = least_latents(game.crop, 2**game.discriminator_blocks)
        longest = max(clip.latents for clip in sets["train"].clips)
        if longest < needed:
            second = self.preset.data.sample_rate_hz / self.preset.codec.latent_samples
            raise TrainingError(
                f"the longest piece has {longest / second:.1f} seconds and the game of latents "
                f"needs {needed / second:.1f}: train on longer recordings; scores are repeated by "
                f"--set data.least_seconds={needed / second + 1:.0f}"
            )
        if not sets["valid"].clips:
            say("nothing is held out: the training sound is judged by itself")
            sets = {**sets, "valid": sets["train"]}
        self.sets = sets
        self.facts = {
            "minutes": round(sets["train"].seconds / 60, 1),
            "clips": {split: len(found.clips) for split, found in sets.items()},
            "corpora": sorted({clip.group.partition("/")[0] for clip in sets["train"].clips}),
        }
        self._trained().take(sets, folder)
        self.game.take(sets, folder, say)

    def stages(self) -> tuple[Stage, ...]:
        """Return the stages: spectral, adversarial, latent."""
        first, second, _ = self.preset.trainings()
        return (*self._trained().stages(first, second), self.game.stage())

    def _trained(self) -> CodecStages:
        """Return the codec's side of the training.

        Raises:
            ConfigError: for the published codec, whose training was never published in full.
        """
        if self.codec is None:
            raise ConfigError("codec.kind", "the published codec is for counting; take flowing")
        return self.codec

    def finish(self) -> dict[str, float]:
        """Nothing is left to do to the best weights."""
        return {}

    def export(
        self,
        out: Path,
        facts: Mapping[str, Any],
        precisions: tuple[str, ...] = ("int8",),
        run: Path | None = None,
    ) -> ModelFolder:
        """Write encoder, decoder and generator as a model folder.

        Raises:
            ConfigError: for what cannot be played: the published codec and generator.
        """
        preset, network = self.preset, self._trained().codec
        weights = [*self.network.parameters(), *self.game.network.parameters()]
        config = {
            "system": self.system,
            "representation": {
                "name": "sound",
                "sample_rate_hz": preset.data.sample_rate_hz,
                "channels": 2,
            },
            "network": {
                "codec": preset.codec.model_dump(mode="json"),
                "game": preset.game.model_dump(mode="json"),
                "cap": LEVEL_CAP,
                "conditions": self._conditions(),
            },
            "defaults": {**preset.defaults, **facts.get("defaults", {})},
            "parameters": sum(weight.numel() for weight in weights),
        }
        features, latents, inputs = self._heard(network)
        parts = {
            "decoder": ExportedPart(decoder_graph(network), latents),
            "encoder": ExportedPart(encoder_graph(network), features),
            "generator": ExportedPart(latent_graph(self.game.network), inputs),
        }
        return write_audio_model(out, config, parts, preset, facts, precisions)

    def _heard(self, network: StreamingCodec) -> tuple[list[F32], list[F32], list[F32]]:
        """Return features, latents and the generator's inputs of held-out crops; [] if unknown."""
        if "valid" not in self.sets:
            return [], [], []
        rng = np.random.default_rng(0)
        samples, told = self.sets["valid"].crops(rng, _HEARD_CROPS, _HEARD_LATENTS)
        device = next(network.parameters()).device
        with torch.no_grad():
            sound = torch.from_numpy(samples).to(device)
            logs = log_features(network.spectra(sound)).flatten(2) / LOG_SCALE
            made = [value.float().cpu().numpy() for value in (logs, network.encode(sound))]
        features, latents = (list(np.split(each, len(each))) for each in made)
        game = self.preset.game
        inputs = []
        for seed, conditions in enumerate(told):
            path = LatentCoordinates(
                seed, game.coordinate, game.style, game.noise, game.anchor_every, game.style_every,
                game.interpolation,
            )  # fmt: skip
            inputs.append(
                path.inputs(0, _HEARD_LATENTS, conditions, movement=seed / len(told))[None]
            )
        return features, latents, inputs

    def _conditions(self) -> dict[str, list[float]]:
        """Return eleven quantiles of each condition over the training sound; {} if unknown."""
        if "train" not in self.sets:
            return {}
        told = np.concatenate([clip.conditions for clip in self.sets["train"].clips])
        levels = np.linspace(0, 1, _QUANTILES)
        return {
            name: [round(float(value), 4) for value in np.quantile(told[:, at], levels)]
            for at, name in enumerate(_CONDITIONS)
        }


def training_task(preset: MusikaPreset) -> MusikaTask:
    """Return the training task of a preset."""
    return MusikaTask(preset)
