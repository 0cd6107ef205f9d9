"""Discriminators of complex short-time spectra at several window sizes (Defossez et al. 2022, 3.4).

Each sees real and imaginary parts of left and right as a picture and judges every part of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from partimento.representations.spectra import Framing
from partimento.training.nn.spectral import analyse

__all__ = ["STFTDiscriminators"]

_SLOPE = 0.2
_POWER = 0.35  # spectra are raised to 0.3: what is soft is seen as well
_FLOOR = 1e-6


class _Discriminator(nn.Module):
    """One window size: samples (B, 2, N) to judgements (B, 1, T, F) and its layers' features."""

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.framing = Framing(size, size // 4)
        layers = [weight_norm(nn.Conv2d(4, width, (3, 9), padding=(1, 4)))]
        for dilation in (1, 2, 4):
            layers.append(
                weight_norm(
                    nn.Conv2d(width, width, (3, 9), (1, 2), (dilation, 4), dilation=(dilation, 1))
                )
            )
        layers.append(weight_norm(nn.Conv2d(width, width, 3, padding=1)))
        self.layers = nn.ModuleList(layers)
        self.last = weight_norm(nn.Conv2d(width, 1, 3, padding=1))
        for layer in (*layers, self.last):
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)  # or they would say more than the sound does at first

    def forward(self, samples: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the judgements and the features of every layer."""
        spectra = analyse(samples, self.framing) * (4 / self.framing.size)
        power = spectra.real.square() + spectra.imag.square()
        small = (power + _FLOOR).pow(-_POWER)
        x = torch.cat([spectra.real * small, spectra.imag * small], dim=1)
        features = []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), _SLOPE)
            features.append(x)
        return self.last(x), features


class STFTDiscriminators(nn.Module):
    """Discriminators at several window sizes."""

    def __init__(self, sizes: Sequence[int] = (2048, 1024, 512), width: int = 32) -> None:
        super().__init__()
        self.discriminators = nn.ModuleList(_Discriminator(size, width) for size in sizes)

    def forward(self, samples: Tensor) -> tuple[list[Tensor], list[list[Tensor]]]:
        """Return the judgements and the features of each discriminator."""
        judged, features = [], []
        for discriminator in self.discriminators:
            score, seen = discriminator(samples)
            judged.append(score)
            features.append(seen)
        return judged, features
