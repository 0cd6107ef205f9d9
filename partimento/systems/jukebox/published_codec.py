"""The codec as published: strided convolutions and dilated residual blocks, sample to sample.

Dhariwal et al. 2020, Section 3.1, Figure 3, Appendix B.1 and Table 4. Each halving of time is a
convolution of four samples and ``depth`` residual blocks whose dilations grow threefold; the
decoder mirrors it, dilations falling. The finest level has twice the width and depth. The losses
are those of Eq. 1 and 3: the squared error, the largest of its terms once more, and the distance of
the magnitudes of three spectra.
"""

from __future__ import annotations

from math import log2

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from partimento.runtime.audio_tokens.presets import CodesConfig
from partimento.training.nn.quantisers import Quantised
from partimento.training.nn.spectral_vqvae import codebook_of

__all__ = ["SPECTRA", "PublishedVQVAE", "reconstruction_loss", "spectral_loss", "top_k_loss"]

SPECTRA = ((2048, 240, 1200), (1024, 120, 600), (512, 50, 240))  # size, hop, window
_TOP, _TOP_WEIGHT, _SPECTRAL_WEIGHT = 2048, 0.02, 1.0
_GROWTH = 3


class _Residual(nn.Module):
    """x + 1x1(relu(dilated 3(relu(x)))) of (B, W, T)."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.near = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation)
        self.leave = nn.Conv1d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, W, T)."""
        out: Tensor = x + self.leave(F.relu(self.near(F.relu(x))))
        return out


def _sizes(config: CodesConfig, level: int) -> tuple[int, int, int]:
    """Return width, depth and how often time is halved."""
    more = 2 if level < config.doubled else 1
    return more * config.width, more * config.depth, int(log2(config.hops[level]))


class PublishedVQVAE(nn.Module):
    """One level: mono samples (B, N) to codes (B, N / hop) and back."""

    def __init__(self, config: CodesConfig, level: int) -> None:
        super().__init__()
        self.config, self.level = config, level
        width, depth, halvings = _sizes(config, level)
        rates = [_GROWTH**at for at in range(depth)]
        down: list[nn.Module] = []
        for at in range(halvings):
            down.append(nn.Conv1d(1 if at == 0 else width, width, 4, 2, 1))
            down += [_Residual(width, rate) for rate in rates]
        self.encoder = nn.Sequential(*down, nn.Conv1d(width, config.code_width, 3, padding=1))
        self.quantiser = codebook_of(config, level)
        up: list[nn.Module] = [nn.Conv1d(config.code_width, width, 3, padding=1)]
        for _ in range(halvings):
            up += [_Residual(width, rate) for rate in reversed(rates)]
            up.append(nn.ConvTranspose1d(width, width, 4, 2, 1))
        self.decoder = nn.Sequential(*up, nn.Conv1d(width, 1, 3, padding=1))

    def encode(self, samples: Tensor) -> Tensor:
        """Return the codes (B, n) of mono samples (B, n * hop)."""
        return self.quantiser.codes_of(self.encoder(samples[:, None]).transpose(1, 2))

    def decode(self, codes: Tensor) -> Tensor:
        """Return the mono samples (B, n * hop) of codes (B, n)."""
        out: Tensor = self.decoder(self.quantiser.vectors_of(codes).transpose(1, 2))
        return out[:, 0]

    def forward(self, samples: Tensor) -> tuple[Tensor, Quantised]:
        """Return samples (B, N) after they went through the codebook."""
        quantised: Quantised = self.quantiser(self.encoder(samples[:, None]).transpose(1, 2))
        return self.decoder(quantised.vectors.transpose(1, 2))[:, 0], quantised


def top_k_loss(made: Tensor, true: Tensor, count: int = _TOP) -> Tensor:
    """Return the mean of the ``count`` largest squared errors of each item (B, N)."""
    squares = (made - true).square()
    out: Tensor = squares.topk(min(count, squares.shape[1]), dim=1).values.mean()
    return out


def spectral_loss(made: Tensor, true: Tensor) -> Tensor:
    """Return how far the magnitudes of spectra lie apart, the norm of their difference (Eq. 3).

    The mean over the three spectra, and over items (B, N).
    """
    total = made.new_zeros(())
    for size, hop, window in SPECTRA:  # Eq. 3
        shape = torch.hann_window(window, device=made.device)
        mine, theirs = (
            torch.stft(x, size, hop, window, shape, return_complex=True).abs() for x in (made, true)
        )
        total = total + torch.linalg.vector_norm(mine - theirs, dim=(1, 2)).mean()
    return total / len(SPECTRA)


def reconstruction_loss(made: Tensor, true: Tensor) -> Tensor:
    """Return all that is published of the distance of sounds (B, N), the commitment aside."""
    squares = (made - true).square().mean()
    spectral = spectral_loss(made, true) / true.shape[1] ** 0.5
    total: Tensor = squares + _TOP_WEIGHT * top_k_loss(made, true) + _SPECTRAL_WEIGHT * spectral
    return total
