"""Training of TTS-GAN: one stage of two players, by least squares (Mao et al. 2017)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from partimento.runtime.curves.generator import SeriesPreset
from partimento.systems.tts_gan.networks import critic, network
from partimento.training.contract import Batch, Loss, Player, Stage
from partimento.training.curves.task import SeriesTrainee
from partimento.training.device import autocast
from partimento.training.objectives.energy import energy_score

__all__ = ["TTSGANTrainee", "trainee"]


class TTSGANTrainee(SeriesTrainee):
    """The generator and the critic of TTS-GAN in training."""

    def __init__(self, preset: SeriesPreset) -> None:
        super().__init__("tts_gan", preset, network(preset), critic(preset))

    def fresh(self) -> TTSGANTrainee:
        """Return another trainee of the same preset, its weights drawn anew."""
        return TTSGANTrainee(self.preset)

    def stages(self) -> tuple[Stage, ...]:
        """Return the one stage: the critic moves, then the generator."""
        recipe = self.preset.recipe
        faster = recipe.learning_rate * self.preset.critic_rate
        players = (
            Player(
                "critic",
                (self.critic,),
                self.critic_loss,
                recipe=recipe.model_copy(update={"learning_rate": faster}),
            ),
            Player("generator", (self.network,), self.game_loss),
        )
        return (Stage("adversarial", players, recipe, self.batch, self.validate),)

    def _draws(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return two draws for the same windows, the second empty where it is not needed."""
        if not self.preset.energy:
            made = self.made(batch)
            return made, made[:0]
        names = ("noise", "grain", "condition", "mask")
        twice = {n: torch.cat([batch[n], batch.get(f"{n}2", batch[n])]) for n in names}
        first, second = self.made(twice).chunk(2)
        return first, second

    def critic_loss(self, batch: Batch) -> Loss:
        """Return the critic's side of the game: (D(x) - 1)^2 + D(G(z))^2."""
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
            with _still(self.critic):
                game = (self.judged(made, batch) - 1).square().mean()
            total, parts = game, {"game": game.detach()}
            if self.preset.energy:
                mask = batch["mask"].repeat(1, 1, made.shape[-1] // batch["mask"].shape[-1])
                score = energy_score(made, other, batch["values"], mask)
                total = total + self.preset.energy * score
                parts["energy"] = score.detach()
        return Loss(total, parts)


@contextmanager
def _still(module: nn.Module) -> Iterator[None]:
    """Let gradients pass through a module without any for its weights."""
    weights = [weight for weight in module.parameters() if weight.requires_grad]
    for weight in weights:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in weights:
            weight.requires_grad_(True)


def trainee(preset: SeriesPreset) -> TTSGANTrainee:
    """Return the trainee of a preset."""
    return TTSGANTrainee(preset)
