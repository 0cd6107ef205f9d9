"""Training of TTS-GAN: one stage of two players, by least squares (Mao et al. 2017)."""

from __future__ import annotations

import torch
from torch import Tensor

from partimento.runtime.curves.generator import SeriesPreset
from partimento.systems.tts_gan.networks import discriminator, network
from partimento.training.contract import Batch, Loss, Player, Stage
from partimento.training.curves.task import CurveTask
from partimento.training.device import autocast
from partimento.training.nn.freezing import frozen
from partimento.training.objectives.energy import energy_score

__all__ = ["TTSGANTask", "training_task"]


class TTSGANTask(CurveTask):
    """The generator and the discriminator of TTS-GAN in training."""

    def __init__(self, preset: SeriesPreset) -> None:
        super().__init__("tts_gan", preset, network(preset), discriminator(preset))

    def fresh(self) -> TTSGANTask:
        """Return another training task of the same preset, with newly initialised weights."""
        return TTSGANTask(self.preset)

    def stages(self) -> tuple[Stage, ...]:
        """Return the one stage: the discriminator moves, then the generator."""
        training = self.preset.training
        faster = training.learning_rate * self.preset.discriminator_rate
        players = (
            Player(
                "discriminator",
                (self.discriminator,),
                self.discriminator_loss,
                training=training.model_copy(update={"learning_rate": faster}),
            ),
            Player("generator", (self.network,), self.game_loss),
        )
        return (Stage("adversarial", players, training, self.batch, self.validate),)

    def _draws(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return two draws for the same windows, the second empty where it is not needed."""
        if not self.preset.energy:
            made = self.made(batch)
            return made, made[:0]
        names = ("noise", "grain", "condition", "mask")
        twice = {n: torch.cat([batch[n], batch.get(f"{n}2", batch[n])]) for n in names}
        first, second = self.made(twice).chunk(2)
        return first, second

    def discriminator_loss(self, batch: Batch) -> Loss:
        """Return the discriminator's side of the game: (D(x) - 1)^2 + D(G(z))^2."""
        with autocast(batch["values"].device, enabled=False):
            with torch.no_grad():
                made = self.made(batch)
            both = {"condition": batch["condition"].repeat(2, 1, 1)}
            real, fake = self.judged(torch.cat([batch["values"], made]), both).chunk(2)
            total = (real - 1).square().mean() + fake.square().mean()
        return Loss(total, {"real": real.mean().detach(), "made": fake.mean().detach()})

    def game_loss(self, batch: Batch) -> Loss:
        """Return the generator's side: (D(G(z)) - 1)^2, and the energy score where it is asked."""
        with autocast(batch["values"].device, enabled=False):
            made, other = self._draws(batch)
            with frozen(self.discriminator):
                game = (self.judged(made, batch) - 1).square().mean()
            total, parts = game, {"game": game.detach()}
            if self.preset.energy:
                mask = batch["mask"].repeat(1, 1, made.shape[-1] // batch["mask"].shape[-1])
                score = energy_score(made, other, batch["values"], mask)
                total = total + self.preset.energy * score
                parts["energy"] = score.detach()
        return Loss(total, parts)


def training_task(preset: SeriesPreset) -> TTSGANTask:
    """Return the training task of a preset."""
    return TTSGANTask(preset)
