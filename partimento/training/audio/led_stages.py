"""Words, language model and diffusion as stages of training, on latents of a codec that is done.

::

    words       texts against clips, contrastive                    -> words_loss
    language    the next semantic token, given guide and words      -> language_loss
    diffusion   v of noisy latents, chunks at angles of their own   -> diffusion_loss

The clusters, the scale of the latents and the words' codebooks are set when the first stage that
needs them begins; they are buffers, so that a checkpoint holds them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from partimento import seeds
from partimento.errors import TrainingError
from partimento.representations.base import input_columns
from partimento.representations.guides import guide_numbers
from partimento.representations.semantic_stream import SemanticStream
from partimento.representations.semantics import FEATURES, nearest
from partimento.representations.words import captions, ngrams, statistics
from partimento.runtime.audio.diffusion_presets import MelodyPreset
from partimento.training.audio.data import AudioClip, AudioSet
from partimento.training.audio.latent_data import encode_clip
from partimento.training.audio.led_data import (
    LedClip,
    LedSet,
    centres_of,
    hidden,
    style_is_told,
)
from partimento.training.contract import Batch, Loss, Player, Stage
from partimento.training.nn.codec import StreamingCodec
from partimento.training.nn.dual_path import dual_path
from partimento.training.nn.joint_words import JointEmbedding
from partimento.training.nn.transformer import CausalTransformer
from partimento.training.objectives.velocity import chunk_angles, noised, straight, velocity

__all__ = ["LedStages", "SemanticTable", "padded_grams"]

_WINDOW = 128  # latents whose statistics are one sound: six seconds
_VALID_BATCHES = 6
_QUANTISED = 4096  # embeddings of sounds and texts that the codebooks are made of
_LEAST_SCALE = 0.02  # of a number of a latent that hardly varies

F32 = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


class SemanticTable(nn.Module):
    """What is measured, not learnt: cluster centres, the scale of latents, the usual tempi."""

    def __init__(self, tokens: int, latent_width: int) -> None:
        super().__init__()
        self.centres: Tensor
        self.mean: Tensor
        self.scale: Tensor
        self.tempo: Tensor
        self.is_set: Tensor
        draw = torch.Generator().manual_seed(0)
        self.register_buffer("centres", torch.randn(tokens, FEATURES, generator=draw) * 0.3)
        self.register_buffer("mean", torch.zeros(latent_width))
        self.register_buffer("scale", torch.ones(latent_width))
        self.register_buffer("tempo", torch.tensor([70.0, 120.0]))
        self.register_buffer("is_set", torch.zeros(()))


class LedStages:
    """Losses and validation of the three stages; ``take`` sets their sound."""

    def __init__(self, preset: MelodyPreset, codec: StreamingCodec) -> None:
        self.preset, self.codec = preset, codec
        width = preset.codec.latent_width
        words = preset.words
        self.stream = SemanticStream(preset.tokens, words.levels, words.codes)
        self.table = SemanticTable(preset.tokens, width)
        self.words = JointEmbedding(words, width)
        self.language = CausalTransformer(
            preset.language, self.stream.vocabulary.size, self.stream.feature_sizes
        )
        self.denoiser = dual_path(preset.diffusion, width, preset.tokens)
        self.sounds: Mapping[str, AudioSet] = {}
        self._sets: dict[str, LedSet] = {}
        self._say: Callable[[str], None] = lambda _text: None

    def take(self, sounds: Mapping[str, AudioSet], say: Callable[[str], None]) -> None:
        """Take the splits of sound, described as ``led_data`` has it."""
        self.sounds, self._sets, self._say = sounds, {}, say

    def give(self, sets: Mapping[str, LedSet]) -> None:
        """Take splits that are encoded already."""
        self._sets = dict(sets)

    def stages(self) -> tuple[Stage, Stage, Stage]:
        """Return the three stages."""
        preset = self.preset
        words, language, diffusion = (
            preset.words_training,
            preset.language_training,
            preset.training,
        )
        frozen = (self.codec,)
        return (
            Stage(
                "words", (Player("words", (self.words,), self.words_loss),), words,
                self.words_batch,
                partial(self._validate, self.words_batch, self.words_loss), frozen,
            ),
            Stage(
                "language", (Player("language", (self.language,), self.language_loss),), language,
                self.language_batch,
                partial(self._validate, self.language_batch, self.language_loss), frozen,
            ),
            Stage(
                "diffusion", (Player("diffusion", (self.denoiser,), self.diffusion_loss),),
                diffusion, self.diffusion_batch,
                partial(self._validate, self.diffusion_batch, self.diffusion_loss), frozen,
            ),
        )  # fmt: skip

    @property
    def is_ready(self) -> bool:
        """Whether clusters and words are set, and sound is there to draw from."""
        return bool(self.table.is_set) and bool(self.sounds or self._sets)

    # The data.

    def split(self, name: str) -> LedSet:
        """Return a split, its sound encoded by the codec as it is now; measures on first use.

        Raises:
            TrainingError: if there is no sound in it.
        """
        if name not in self._sets:
            if name not in self.sounds:
                raise TrainingError("there is no sound to learn from; prepare some first")
            clips = [self._encoded(clip) for clip in self.sounds[name].clips]
            self._sets[name] = LedSet([clip for clip in clips if len(clip.latents) > 1])
            self._say(f"{name}: {sum(len(c.latents) for c in clips):,} latents of sound encoded")
        if not self.table.is_set and name == "train":
            self._measure()
        return self._sets[name]

    def _encoded(self, clip: AudioClip) -> LedClip:
        device = next(self.codec.parameters()).device
        samples = clip.samples(0, clip.latents)
        made = encode_clip(self.codec, samples, clip.latent_samples, device)
        count = min(len(made), len(clip.conditions))
        return LedClip(clip.name, made[:count], clip.conditions[:count])

    def _measure(self) -> None:
        """Set the clusters, the scale of latents and the tempi from the training sound."""
        found = self._sets["train"]
        rng = seeds.generator(0)
        whole = np.concatenate([clip.latents for clip in found.clips])
        table = self.table
        table.mean.copy_(torch.from_numpy(whole.mean(0)))
        table.scale.copy_(torch.from_numpy(whole.std(0)).clamp_min(_LEAST_SCALE))
        table.centres.copy_(torch.from_numpy(centres_of(found, self.preset.tokens, rng)))
        tempi = [clip.traits.beats_per_minute for clip in found.clips]
        known = [tempo for tempo in tempi if tempo is not None]
        if known:
            table.tempo.copy_(torch.from_numpy(np.quantile(known, (0.2, 0.8)).astype(np.float32)))
        sound = self.words.sound
        rows = torch.from_numpy(np.stack([self._statistics(clip, 0) for clip in found.clips]))
        sound.mean.copy_(rows.mean(0))
        sound.deviation.copy_(rows.std(0, correction=0).clamp_min(1e-3))
        table.is_set.fill_(1)

    def _statistics(self, clip: LedClip, start: int) -> F32:
        rows = slice(start, start + _WINDOW)
        return statistics(clip.latents[rows], clip.heard[rows])

    @property
    def _centres(self) -> F32:
        out: F32 = self.table.centres.cpu().numpy()
        return out

    def _split_of(self, draw: np.random.Generator, split: str | None) -> LedSet:
        found = self.split("train")
        if split is None or split == "train":
            return found
        held = self.split(split)
        return held if held.clips else found

    # Words.

    def words_batch(self, draw: np.random.Generator, split: str | None = None) -> Batch:
        """Return n-grams of captions (B, n) and the statistics (B, S) of their clips."""
        found = self._split_of(draw, split)
        rows, texts = [], []
        for at in draw.integers(len(found.clips), size=self.preset.words_training.batch_size):
            clip = found.clips[at]
            start = int(draw.integers(max(1, len(clip.latents) - _WINDOW + 1)))
            rows.append(self._statistics(clip, start))
            texts.append(_caption(clip, draw))
        grams = padded_grams(texts, self.preset.words.buckets)
        return {"grams": grams, "statistics": torch.from_numpy(np.stack(rows))}

    def words_loss(self, batch: Batch) -> Loss:
        """Return the contrastive loss."""
        return Loss(self.words.contrast(batch["grams"], batch["statistics"]))

    def _style(self, clips: list[LedClip], starts: list[int], draw: np.random.Generator) -> Tensor:
        """Return embeddings (B, W): half of the sounds, half of captions."""
        words = self.words
        if not words.codebooks.any():
            self._quantise()
        rows = np.stack([self._statistics(c, s) for c, s in zip(clips, starts, strict=True)])
        texts = [_caption(clip, draw) for clip in clips]
        was = words.training
        words.eval()
        with torch.no_grad():
            heard = words.sound(torch.from_numpy(rows))
            said = words.words(padded_grams(texts, self.preset.words.buckets))
        words.train(was)
        chosen = torch.from_numpy(draw.random(len(clips)) < 0.5)[:, None]
        return torch.where(chosen, heard, said)

    def _quantise(self) -> None:
        """Set the codebooks from embeddings of sounds and of captions."""
        draw = seeds.generator(1)
        found = self.split("train")
        rows, texts = [], []
        for at in draw.integers(len(found.clips), size=_QUANTISED // 2):
            clip = found.clips[at]
            rows.append(self._statistics(clip, int(draw.integers(max(1, len(clip.latents) // 2)))))
            texts.append(_caption(clip, draw))
        words = self.words
        was = words.training
        words.eval()
        with torch.no_grad():
            heard = words.sound(torch.from_numpy(np.stack(rows)))
            said = words.words(padded_grams(texts, self.preset.words.buckets))
        words.train(was)
        words.quantise_like(torch.cat([heard, said]), draw)

    # The language model.

    def language_batch(self, draw: np.random.Generator, split: str | None = None) -> Batch:
        """Return columns (B, L, C) and the tokens (B, L) that they come before."""
        training = self.preset.language_training
        found = self._split_of(draw, split)
        crops = found.crops(draw, training.batch_size, training.length, self._centres, True)
        guides = hidden(crops.guides, draw)
        told = style_is_told(draw, len(guides))
        with torch.no_grad():
            codes = self.words.codes(self._style(crops.clips, crops.starts, draw))[0].numpy()
        columns = np.stack(
            [
                input_columns(
                    tokens,
                    self.stream.columns(guide, code if is_told else None),
                    self.stream.start_token,
                    self.preset.language.local_width,
                )
                for tokens, guide, code, is_told in zip(
                    crops.tokens, guides, codes, told, strict=True
                )
            ]
        )
        return {"columns": torch.from_numpy(columns), "tokens": torch.from_numpy(crops.tokens)}

    def language_loss(self, batch: Batch) -> Loss:
        """Return the cross-entropy, in nats a token."""
        logits = self.language(batch["columns"])
        return Loss(F.cross_entropy(logits.float().flatten(0, 1), batch["tokens"].flatten()))

    # Diffusion.

    def diffusion_batch(self, draw: np.random.Generator, split: str | None = None) -> Batch:
        """Return latents, tokens, guides, styles, angles and noise of windows."""
        training, config = self.preset.training, self.preset.diffusion
        found = self._split_of(draw, split)
        crops = found.crops(draw, training.batch_size, config.length, self._centres)
        count = len(crops.latents)
        told = torch.from_numpy(style_is_told(draw, count)).float()[:, None]
        style = self.words.codes(self._style(crops.clips, crops.starts, draw))[1] * told
        latents = torch.from_numpy(crops.latents)
        seed = torch.Generator().manual_seed(int(draw.integers(2**31)))
        guides = np.stack([guide_numbers(guide) for guide in hidden(crops.guides, draw)])
        return {
            "latents": (latents - self.table.mean) / self.table.scale,
            "tokens": torch.from_numpy(crops.tokens),
            "guide": torch.from_numpy(guides)[..., : config.guide],
            "style": style[:, : config.style],
            "given": torch.from_numpy((draw.random(count) >= config.unguided).astype(np.float32)),
            "angles": chunk_angles(count, config.chunks, config.length, seed),
            "noise": torch.randn(latents.shape, generator=seed),
        }

    def diffusion_loss(self, batch: Batch) -> Loss:
        """Return the mean squared error of the velocity."""
        latents, noise, angles = batch["latents"], batch["noise"], batch["angles"]
        if self.preset.diffusion.objective == "flow":
            state, wanted = straight(latents, noise, angles)
        else:
            state = noised(latents, noise, angles)
            wanted = velocity(latents, noise, angles)
        made = self.denoiser(
            state, angles, batch["tokens"], batch["guide"], batch["style"], batch["given"]
        )
        return Loss(F.mse_loss(made.float(), wanted))

    def _validate(
        self,
        batches: Callable[[np.random.Generator, str | None], Batch],
        loss: Callable[[Batch], Loss],
    ) -> Mapping[str, float]:
        """Return the mean loss of held-out sound, the same draws each time."""
        device = next(self.codec.parameters()).device
        draw = np.random.default_rng(0)
        networks: tuple[nn.Module, ...] = (self.words, self.language, self.denoiser)
        was = [network.training for network in networks]
        for network in networks:
            network.eval()
        try:
            with torch.no_grad():
                found = []
                for _ in range(_VALID_BATCHES):
                    batch = {k: v.to(device) for k, v in batches(draw, "valid").items()}
                    found.append(float(loss(batch).total))
        finally:
            for network, training in zip(networks, was, strict=True):
                network.train(training)
        return {"loss": float(np.mean(found))}

    def token_agreement(self, split: str = "valid") -> float:
        """Return the share of frames whose token by ear is that of the score."""
        same = []
        for clip in self.split(split).clips:
            if clip.written is not None:
                same.append(
                    nearest(clip.heard, self._centres) == nearest(clip.written, self._centres)
                )
        return float(np.concatenate(same).mean()) if same else float("nan")


def _caption(clip: LedClip, draw: np.random.Generator) -> str:
    found = captions(clip.traits, draw, 1)
    return found[0] or "music"


def padded_grams(texts: list[str], buckets: int) -> Tensor:
    """Return the n-grams (B, n) of texts, bucket b as b + 1, 0 after the last."""
    rows = [ngrams(text, buckets) + 1 for text in texts]
    longest = max(1, *(len(row) for row in rows))
    return torch.from_numpy(np.stack([np.pad(row, (0, longest - len(row))) for row in rows]))
