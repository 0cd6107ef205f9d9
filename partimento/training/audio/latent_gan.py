"""The latent game as a stage of training: a generator of latents against its discriminator.

::

    discriminator: hinge + w R1 (lazily: every few steps, scaled up)  -> discriminator_loss
    generator:  hinge + moments over time + predicted conditions         -> generator_loss

Every window is made for the conditions of a real one, so what is made and what is real differ in
nothing but who made it. The codec is not touched: latents are encoded once, with its best weights.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from partimento.errors import TrainingError
from partimento.representations.sound_conditions import CONDITIONS
from partimento.runtime.audio.presets import MusikaPreset
from partimento.training import distributed
from partimento.training.audio.latent_data import (
    LatentSet,
    Places,
    codec_print,
    encode_set,
    load_latents,
    save_latents,
)
from partimento.training.audio.latent_metrics import Reference
from partimento.training.audio.samples import Demos
from partimento.training.contract import Batch, Loss, Player, Stage
from partimento.training.device import autocast
from partimento.training.nn.freezing import frozen
from partimento.training.nn.latent_gan import (
    ConditionPredictor,
    LatentDiscriminator,
    StreamingGenerator,
    draw_inputs,
)
from partimento.training.nn.latent_gan_halves import HalvesDiscriminator, HalvesGenerator
from partimento.training.objectives.adversarial import (
    Moments,
    adapted_share,
    adapted_weight,
    certainty,
    discriminator_hinge,
    feature_distance,
    generator_hinge,
    gradient_penalty,
)

__all__ = ["LatentGame"]

_SPLITS = ("train", "valid")
_LAGS = (0, 1, 2, 4, 8, 16)
_FAINT = 0.3  # deviations far below this are noise to the codec, and not blown up by whitening
_FEW_LATENTS = 20_000  # half an hour: below it parts of what the discriminator sees are hidden
_HIDDEN = 0.25  # of a window, at most
_OVERFIT = 0.6  # of the way from made to real lie real windows that the discriminator never saw
_NORMAL = 2048  # windows that say what is normal
_UNTRAINED = 1e3
_JUDGED = 192  # windows a validation
_LEAST_PLACES = 8  # of a window in what is held out: of fewer no spread can be estimated
_CRITIC_FASTER = 1.0
_TELL_SECONDS = 10.0
_SKILL_MEMORY = 0.99  # decay of how well conditions are predicted


class LatentGame:
    """Generator, discriminator and condition predictor in training; ``take`` sets their data."""

    def __init__(self, preset: MusikaPreset, codec: nn.Module) -> None:
        self.preset, self.config, self.codec = preset, preset.game, codec
        conditions = preset.game.conditions
        channels = 2 if preset.codec.kind == "two_level" else 1  # that one sees each by itself
        width = channels * preset.codec.latent_width
        self.network: StreamingGenerator | HalvesGenerator
        self.discriminator: LatentDiscriminator | HalvesDiscriminator
        if preset.game.kind == "flowing":
            self.network = StreamingGenerator(preset.game, width)
            self.discriminator = LatentDiscriminator(preset.game, width)
        else:
            self.network = HalvesGenerator(preset.game, width)
            self.discriminator = HalvesDiscriminator(preset.game, width)
        self.margin = self.network.margin
        self.listener = ConditionPredictor(width, conditions, preset.game.discriminator_width // 2)
        self.moments = Moments(width + conditions, _LAGS)
        self.sets: dict[str, LatentSet] = {}
        self.crop = preset.game.crop
        self._latents, self._conditions = torch.zeros(0, width), torch.zeros(0, conditions)
        self._sounds: Mapping[str, Any] = {}
        self._folder: Path | None = None
        self._say: Callable[[str], None] = lambda _text: None
        self._reference: Reference | None = None
        self._warned = False
        self._demos = Demos(None, "latents", preset.data.sample_rate_hz)

    def take(self, sounds: Mapping[str, Any], folder: Path, say: Callable[[str], None]) -> None:
        """Take the splits of sound, and the folder of the run in which latents are kept."""
        self._sounds, self._folder, self._say = sounds, folder, say
        self.sets, self._reference = {}, None
        self._demos = Demos(folder, "latents", self.preset.data.sample_rate_hz)

    def stage(self) -> Stage:
        """Return the stage: the discriminator moves, then the generator."""
        training = self.preset.trainings()[2]
        sharper = {"learning_rate": training.learning_rate * _CRITIC_FASTER, "ema": 0.0}
        discriminator = Player(
            "discriminator",
            (self.discriminator, self.listener, self.moments),
            self.discriminator_loss,
            training=training.model_copy(update=sharper),
        )
        generator = Player("generator", (self.network,), self.generator_loss)
        return Stage(
            "latents",
            (discriminator, generator),
            training,
            self.batch,
            self.validate,
            (self.codec,),
        )

    def batch(self, draw: np.random.Generator) -> Batch:
        """Return where real windows are, and whether the gradient penalty applies."""
        self._ready()
        count = self.preset.training.batch_size
        places = self.sets["train"].draw(draw, count, self.crop)
        penalised = draw.random() * self.config.penalty_every < 1
        return {**places._asdict(), "penalised": torch.tensor(penalised)}

    def windows(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return latents (B, T, L) and conditions (B, T + 2 margin, C) of a batch."""
        places = Places(batch["start"], batch["first"], batch["last"])
        return (
            places.inside(self._latents, self.crop),
            places.around(self._conditions, self.crop, self.margin),
        )

    def discriminator_loss(self, batch: Batch) -> Loss:
        """Return hinge + w R1 of the discriminator, and the predictor's error on real windows."""
        every, (latents, around) = self.config.penalty_every, self.windows(batch)
        conditions = self._level(self._inside(around))
        with autocast(around.device, enabled=False):
            real = self.discriminator.standard(latents)
            with torch.no_grad():
                made = self.discriminator.standard(self.made(around))
            seen = self._hidden(torch.cat([real, made]), torch.cat([conditions, conditions]))
            own, other = seen[0].chunk(2)
            given, given_other = seen[1].chunk(2)
            penalised = bool(batch["penalised"])
            own = own.detach().requires_grad_(penalised)
            verdict, on_made = (
                self.discriminator(own, given),
                self.discriminator(other, given_other),
            )
            total = discriminator_hinge(verdict, on_made)
            certain = certainty(verdict, on_made)
            parts = {
                "hinge": total.detach(),
                "certainty": certain,
                "r1_weight": self.discriminator.r1,
            }
            if penalised:
                penalty = gradient_penalty(verdict, own)
                total = total + every * self.discriminator.r1 * penalty
                parts["r1"] = penalty.detach()
            heard = self._heard(real, conditions)
            total = total + heard.sum()
        with torch.no_grad():
            start, step = self.config.r1
            adapted = adapted_share(self.discriminator.r1, certain, step)
            if self.config.kind == "halves":
                adapted = adapted_weight(self.discriminator.r1, certain, step, start)
            self.discriminator.r1.copy_(adapted)
            skill = (1 - heard.detach()).clamp(0, 1)
            self.listener.skill.lerp_(skill, 1 - _SKILL_MEMORY)
        return Loss(total, {name: value.clone() for name, value in parts.items()})

    def generator_loss(self, batch: Batch) -> Loss:
        """Return hinge, and how far moments and predicted conditions are from the given ones."""
        config, (latents, around) = self.config, self.windows(batch)
        conditions = self._level(self._inside(around))
        with autocast(around.device, enabled=False), frozen(self.discriminator, self.listener):
            made = self.discriminator.standard(self.made(around))
            seen, given = self._hidden(made, conditions)
            features = self.discriminator.features(seen, given)
            total = generator_hinge(self.discriminator.heads(features))
            parts = {"hinge": total.detach()}
            if config.moments:
                joined = torch.cat([made, conditions], dim=-1)
                apart = self.moments(joined, made.shape[-1])
                total = total + config.moments * apart
                parts["moments"] = apart.detach()
            else:
                self.moments.batches.add_(1)
            if config.obey:
                kept = (self._heard(made, conditions) * self.listener.skill).sum()
                total = total + config.obey * kept
                parts["disobeyed"] = kept.detach()
            if config.matching:
                with torch.no_grad():
                    real = self.discriminator.standard(latents)
                    theirs = self.discriminator.features(*self._hidden(real, conditions))
                close = feature_distance(theirs, features)
                total = total + config.matching * close
                parts["matching"] = close.detach()
        return Loss(total, parts)

    def made(self, around: Tensor) -> Tensor:
        """Return latents (B, T, L) for conditions (B, T + 2 margin, C)."""
        with autocast(around.device, enabled=around.device.type == "cuda"):
            out: Tensor = self.network(draw_inputs(self.config, around))
        return out[:, self.margin : out.shape[1] - self.margin].float()

    @torch.no_grad()
    def validate(self) -> Mapping[str, float]:
        """Return distances of generated to held-out latents, and discriminator scores."""
        self._ready()
        assert self._reference is not None
        device = next(self.network.parameters()).device
        real, given = (each.to(device) for each in self._spread("valid", _JUDGED, self.margin))
        torch.manual_seed(0)  # the same draws at every validation; a step seeds its own
        made = torch.cat([self.made(part) for part in torch.split(given, _JUDGED // 3)])
        figures = self._reference.figures(made.cpu().numpy())
        if not bool(self.moments.batches):
            figures["loss"] += _UNTRAINED  # noise in the right place is never the best
        with autocast(device, enabled=False):
            figures |= self._verdicts(real, made, self._level(self._inside(given)))
        self._demos.offer(lambda: self._demo(device))
        return figures

    def _verdicts(self, real: Tensor, made: Tensor, conditions: Tensor) -> dict[str, float]:
        """Return the discriminator's means, and how well made latents show their conditions."""
        count = len(real)
        seen, told_seen = self._spread("train", count)
        groups = {
            "seen": (seen.to(real), self._level(told_seen.to(real))),
            "held": (real, conditions),
            "made": (made, conditions),
        }
        verdicts = {}
        for name, (latents, given) in groups.items():
            heads = self.discriminator(self.discriminator.standard(latents), given)
            verdicts[name] = float(torch.stack([each.mean() for each in heads]).mean())
        far = verdicts["seen"] - verdicts["made"]
        missed = (verdicts["seen"] - verdicts["held"]) / far if far > 0.1 else 0.0
        if missed > _OVERFIT and not self._warned:
            self._warned = True
            self._say(
                "the discriminator has memorised its windows: it takes unseen real music "
                "for made; more music helps, or fewer steps"
            )
        kept = self._heard(self.discriminator.standard(made), conditions)
        disobeyed = dict(zip(CONDITIONS, kept.tolist(), strict=False))
        return (
            {f"discriminator_{name}": value for name, value in verdicts.items()}
            | {"discriminator_by_heart": missed}
            | {f"disobeyed_{name}": value for name, value in disobeyed.items()}
        )

    def _heard(self, latents: Tensor, conditions: Tensor) -> Tensor:
        """Return (C,): the predictor's squared error in shares of each condition's variance."""
        missed: Tensor = self.listener(latents) - conditions
        return missed.square().mean(dim=(0, 1))

    def _level(self, conditions: Tensor) -> Tensor:
        """Return conditions standardised over the music."""
        level: Tensor = (conditions - self.listener.mean) / self.listener.deviation
        return level

    def _inside(self, around: Tensor) -> Tensor:
        """Return conditions (B, T, C) without the margins."""
        return around[:, self.margin : around.shape[1] - self.margin]

    def _hidden(self, latents: Tensor, conditions: Tensor) -> tuple[Tensor, Tensor]:
        """Return both with a stretch of each window hidden, where the data are few."""
        wanted = self.config.augment
        few = len(self.sets["train"]) < _FEW_LATENTS if "train" in self.sets else False
        if not (few if wanted is None else wanted):
            return latents, conditions
        count, length = latents.shape[:2]
        device = latents.device
        start = torch.rand(count, 1, device=device) * length
        size = torch.rand(count, 1, device=device) * _HIDDEN * length
        at = torch.arange(length, device=device)
        shown = ((at < start) | (at >= start + size)).to(latents.dtype)[..., None]
        return latents * shown, conditions * shown

    def _ready(self) -> None:
        """Encode what is not encoded yet, and learn where its latents lie."""
        if self._reference is not None:
            return
        if not self.sets:
            self.sets = self._encoded()
        train, valid = self.sets["train"], self.sets["valid"]
        if not len(train):
            raise TrainingError("there are no latents to learn from; train on longer recordings")
        step = 2**self.config.discriminator_blocks
        self.crop = train.crop_that_fits(self.config.crop, step)
        if self.crop < self.config.crop:
            self._say(f"most clips are short: the discriminator sees {self.crop} latents at once")
        if sum(valid.starts(self.crop)[1][-1:]) < _LEAST_PLACES:
            self.sets["valid"] = train
            self._say("too little is held out to judge by: the training music is used for it")
        self._settle(train)

    def _settle(self, train: LatentSet) -> None:
        """Set the networks' standardisation of latents and conditions, and their normal ranges."""
        device = next(self.network.parameters()).device
        latents = train.latents.astype(np.float32)
        known = train.conditions[:, : self.config.conditions]
        conditions = known.astype(np.float32)
        mean = latents.mean(axis=0)
        covariance = np.cov(latents.T) + _FAINT**2 * np.eye(latents.shape[1])
        inner = np.arctanh(np.clip(latents, -0.995, 0.995))
        given = conditions.mean(axis=0), np.maximum(conditions.std(axis=0), 0.05)
        values: dict[nn.Module, dict[str, npt.NDArray[np.floating[Any]]]] = {
            self.listener: {"mean": given[0], "deviation": given[1]},
        }
        if self.config.kind == "flowing":  # the published game sees latents as they are
            values[self.discriminator] = {"mean": mean, "whiten": _power(covariance, -0.5)}
            spread = _power(np.cov(inner.T), 0.5)
            values[self.network] = {
                "center": inner.mean(axis=0),
                "mix": spread,
                "usual": given[0],
                "unusual": given[1],
            }
        with torch.no_grad():
            for module, buffers in values.items():
                for name, value in buffers.items():
                    getattr(module, name).copy_(torch.from_numpy(value))
        self._latents = torch.from_numpy(train.latents).to(device)
        self._conditions = torch.from_numpy(known).to(device)
        seen, around = self._spread("train", _NORMAL)
        # Whoever asks first, a validation in half precision or a step, must find the same.
        with torch.no_grad(), autocast(device, enabled=False):
            joined = [self.discriminator.standard(seen.to(device)), self._level(around.to(device))]
            self.moments.settle(torch.cat(joined, dim=-1))
        held = self._spread("valid", _JUDGED)[0].numpy()
        self._reference = Reference(seen.numpy(), held, mean, latents.std(axis=0) + _FAINT)

    def _encoded(self) -> dict[str, LatentSet]:
        """Return the latents of every split, from the run's folder where they were kept."""
        assert self._folder is not None
        made_with = codec_print(self.codec)
        if distributed.rank() == 0:
            for split in _SPLITS:
                if load_latents(self._folder, split, made_with) is None:
                    clips = [
                        (partial(clip.samples, 0, clip.latents), clip.conditions)
                        for clip in self._sounds[split].clips
                    ]
                    self._say(f"encoding {len(clips)} clips of the {split} split")
                    found = encode_set(
                        self.codec,
                        clips,
                        self.preset.codec.latent_samples,
                        self._teller(len(clips)),
                    )
                    save_latents(self._folder, split, found, made_with)
        distributed.barrier()
        out = {}
        for split in _SPLITS:
            found_again = load_latents(self._folder, split, made_with)
            if found_again is None:
                raise TrainingError(f"the latents of {self._folder} cannot be read back")
            out[split] = found_again
        return out

    def _spread(
        self, split: str, count: int, margin: int = 0, length: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return windows at equal distances: latents and, with margins, conditions."""
        found, length = self.sets[split], length or self.crop
        places = found.spread(count, length)
        latents = torch.from_numpy(found.latents)
        conditions = torch.from_numpy(found.conditions[:, : self.config.conditions])
        return places.inside(latents, length), places.around(conditions, length, margin)

    def _teller(self, count: int) -> Callable[[int], None]:
        """Return a function that reports how many clips are encoded, and how long it takes yet."""
        began = last = time.monotonic()

        def report(done: int) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last >= _TELL_SECONDS and done < count:
                last = now
                left = (now - began) / done * (count - done)
                self._say(f"encoded {done} of {count} clips, {left:.0f} s left")

        return report

    def _demo(self, device: torch.device) -> npt.NDArray[np.float32]:
        """Return half a minute of what is made now (2, N)."""
        rate, samples = self.preset.data.sample_rate_hz, self.preset.codec.latent_samples
        count = int(30 * rate / samples)
        count = min(count, int(self.sets["train"].lengths.max()))
        if self.config.kind == "halves":
            count = self.crop
        _, given = self._spread("train", 1, self.margin, count)
        made = self.made(given.to(device))
        out: npt.NDArray[np.float32] = (
            self.codec.decode(made)[0].float().cpu().numpy()  # type: ignore[operator]
        )
        return out


def _power(covariance: npt.NDArray[np.float64], power: float) -> npt.NDArray[np.float32]:
    """Return a power of a covariance (L, L), symmetric."""
    values, vectors = np.linalg.eigh(covariance)
    out = (vectors * np.maximum(values, 1e-6) ** power) @ vectors.T
    return np.asarray(out, dtype=np.float32)
