"""Codecs of spectra begin as principal components, whatever stands for a frame."""

from __future__ import annotations

import pytest
import torch

from partimento.runtime.audio_tokens.presets import CodesConfig
from partimento.training.nn.codec import log_features
from partimento.training.nn.spectral_vqvae import SpectralVQVAE

CONFIG = CodesConfig(
    hops=(128, 512, 2048), entries=(8, 8, 8), code_width=4, bins=40, encoder_widths=(16, 16, 16),
    width=20, kernel=3, expansion=1, frame_blocks=1, code_blocks=1,
)  # fmt: skip


@pytest.mark.parametrize("level", [0, 1, 2])
def test_a_codec_begins_as_principal_components(level: int) -> None:
    torch.manual_seed(0)
    codec = SpectralVQVAE(CONFIG, level)
    # Spectra that stay for four frames, so that averaging over a code loses nothing.
    logs = torch.randn(6, 16, 40).repeat_interleave(4, dim=1) * torch.linspace(2, 0.1, 40)
    spectra = torch.polar(logs.exp(), torch.zeros_like(logs))
    codec.measure(spectra)
    for name, value in codec.named_parameters():
        if name.endswith(".scale"):
            value.data.zero_()  # without what the blocks add
    vectors = codec.encoder(log_features(spectra))
    each = {0: 4, 1: 1, 2: 1}[level]
    assert vectors.shape == (6, 64 * each // (4 if level == 2 else 1), 4)
    said = codec.decoder(vectors).level
    features = log_features(spectra)
    scaled = (features - codec.encoder.scaling.mean) / codec.encoder.scaling.deviation
    count = min(16, 4 * each)
    flat = scaled.flatten(0, 1)
    parts = torch.linalg.svd(flat - flat.mean(0), full_matrices=False)[2][:count]
    wanted = (scaled @ parts.T @ parts) * codec.encoder.scaling.deviation
    torch.testing.assert_close(said, wanted + codec.encoder.scaling.mean, atol=1e-3, rtol=1e-3)
