"""Training of Jukebox: the codecs of all levels, then a prior for each, the coarsest first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from partimento.errors import ConfigError, TrainingError
from partimento.files.corpora.corpus import Corpus
from partimento.representations.sound_labels import UNKNOWN, labels_of_name
from partimento.runtime.audio_tokens.presets import JukeboxPreset
from partimento.runtime.model_folder import ModelFolder
from partimento.systems.jukebox.networks import codecs_of, priors_of
from partimento.training.audio.data import AudioSet, load_audio, prepare_audio
from partimento.training.audio_tokens.codec_stage import CodecStage
from partimento.training.audio_tokens.export import write_codes_model
from partimento.training.audio_tokens.prior_stage import PriorStages
from partimento.training.contract import Stage
from partimento.training.nn.spectral_vqvae import SpectralVQVAE

__all__ = ["JukeboxTask", "training_task"]


class JukeboxTask:
    """Codecs and priors of all levels in training."""

    system = "jukebox"

    def __init__(self, preset: JukeboxPreset) -> None:
        self.preset = preset
        self.codecs, self.priors = codecs_of(preset), priors_of(preset)
        self.sets: dict[str, AudioSet] = {}
        self.facts: dict[str, Any] = {}
        self.sound: CodecStage | None = None
        self._connect()

    def _connect(self) -> None:
        """Make the stages of the networks there are."""
        spectral = [codec for codec in self.codecs if isinstance(codec, SpectralVQVAE)]
        if len(spectral) == len(self.codecs):
            self.sound = CodecStage(spectral, self.preset.data.sample_rate_hz)
            self.codes = PriorStages(self.preset, spectral, self.priors)

    def fresh(self) -> JukeboxTask:
        """Return another training task of the same preset, with newly initialised weights."""
        return JukeboxTask(self.preset)

    @property
    def network(self) -> nn.Module:
        """The codec of the finest level."""
        return self.codecs[0]

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The codecs and the priors by level."""
        codecs = {f"codec{level}": each for level, each in enumerate(self.codecs)}
        return codecs | {f"prior{level}": each for level, each in enumerate(self.priors)}

    def prepare(self, corpora: Sequence[Corpus], folder: Path, say: Callable[[str], None]) -> None:
        """Cut and resample the corpora into shards, or take those of an earlier run.

        Artists and genres, where the preset names none, are those of the recordings' names.

        Raises:
            TrainingError: if there is no sound to learn from.
            ConfigError: for published codecs.
        """
        self._trained()
        data, step = self.preset.data, self.preset.codec.hops[-1]
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
        if not sets["valid"].clips:
            say("nothing is held out: the training sound is judged by itself")
            sets = {**sets, "valid": sets["train"]}
        self.sets = sets
        self._label()
        self.facts = {
            "minutes": round(sets["train"].seconds / 60, 1),
            "clips": {split: len(found.clips) for split, found in sets.items()},
            "corpora": sorted({clip.group.partition("/")[0] for clip in sets["train"].clips}),
        }
        self._trained().take(sets, folder)
        self.codes.take(sets, folder, say)

    def _label(self) -> None:
        """Take the artists and genres of the training sound, where the preset names none."""
        if self.preset.artists:
            return
        found = [labels_of_name(clip.group) for clip in self.sets["train"].clips]
        artists = sorted({each.artist for each in found} - {UNKNOWN})
        genres = sorted({genre for each in found for genre in each.genres} - {UNKNOWN})
        names = {"artists": (UNKNOWN, *artists), "genres": (UNKNOWN, *genres)}
        self.preset = self.preset.model_copy(update=names)
        self.priors = priors_of(self.preset)
        self._connect()

    def stages(self) -> tuple[Stage, ...]:
        """Return the stages: the codecs, then the priors, the coarsest first."""
        codecs, *priors = self.preset.trainings()
        return (self._trained().stage(codecs), *self.codes.stages(priors))

    def _trained(self) -> CodecStage:
        """Return the codecs' side of the training.

        Raises:
            ConfigError: for published codecs, which are compared and counted, not shipped.
        """
        if self.sound is None:
            raise ConfigError("codec.kind", "published codecs are for comparison; take spectral")
        return self.sound

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
        """Write encoders, decoders and priors as a model folder.

        Raises:
            ConfigError: for what cannot be played: published codecs.
        """
        self._trained()
        preset = self.preset
        config = {
            "system": self.system,
            "representation": {
                "name": "sound",
                "sample_rate_hz": preset.data.sample_rate_hz,
                "channels": 2,
            },
            "network": {
                "codec": preset.codec.model_dump(mode="json"),
                "priors": [prior.model_dump(mode="json") for prior in preset.priors],
                "artists": list(preset.artists or (UNKNOWN,)),
                "genres": list(preset.genres or (UNKNOWN,)),
            },
            "defaults": {**preset.defaults, **facts.get("defaults", {})},
            "parameters": sum(
                weight.numel() for each in self.networks.values() for weight in each.parameters()
            ),
            "preset": preset.model_dump(mode="json"),
        }
        heard = self._heard()
        return write_codes_model(out, config, self.codes, heard, facts, precisions)

    def _heard(self) -> np.ndarray[Any, np.dtype[np.float32]] | None:
        """Return mono samples (B, N) of held-out crops; None if none are known."""
        if "valid" not in self.sets:
            return None
        window = self.preset.priors[-1].window
        longest = max(clip.latents for clip in self.sets["valid"].clips)
        crops, _ = self.sets["valid"].evenly(2, min(window, longest))
        mono: np.ndarray[Any, np.dtype[np.float32]] = crops.mean(1)
        return mono


def training_task(preset: JukeboxPreset) -> JukeboxTask:
    """Return the training task of a preset."""
    return JukeboxTask(preset)
