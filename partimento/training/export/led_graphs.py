"""The denoiser, the clusters and the words' towers as ONNX graphs (``torch.onnx.export``).

======== =========================================================================================
denoiser ``latents`` (B, L, C), ``angles`` (B, L), ``tokens`` (B, L), ``guide`` (B, L, G), ``style``
         (B, W), ``given`` (B,) to ``velocity`` (B, L, C); L is the window's
clusters ``features`` (n, 25) to ``tokens`` (n,), and the clusters' ``middles`` (K, 25)
words    ``grams`` (B, n) to ``codes`` (B, levels), ``quantised`` and ``joint`` (B, W)
ear      ``statistics`` (B, S) to the same
======== =========================================================================================
"""

from __future__ import annotations

import onnx
import torch
from torch import Tensor, nn

from partimento.runtime.audio.diffusion_presets import DiffusionConfig
from partimento.training.export.modules import export_module
from partimento.training.nn.dual_path import DualPath
from partimento.training.nn.joint_words import JointEmbedding

__all__ = ["clusters_graph", "denoiser_graph", "ear_graph", "words_graph"]

_SAID = ["codes", "quantised", "joint"]


class _Nearest(nn.Module):
    def __init__(self, centres: Tensor) -> None:
        super().__init__()
        self.centres: Tensor
        self.register_buffer("centres", centres.detach().clone())

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        apart = (self.centres**2).sum(1) - 2 * features @ self.centres.T
        return apart.argmin(dim=1), self.centres * 1.0


class _Styled(nn.Module):
    def __init__(self, joint: JointEmbedding, tower: nn.Module) -> None:
        super().__init__()
        self.joint, self.tower = joint, tower

    def forward(self, given: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        embedding = self.tower(given)
        codes, quantised = self.joint.codes(embedding)
        return codes, quantised, embedding


def denoiser_graph(
    network: DualPath, config: DiffusionConfig, latent_width: int
) -> onnx.ModelProto:
    """Return the graph of a denoiser; the number of rows is free."""
    length = config.length
    example = {
        "latents": torch.zeros(2, length, latent_width),
        "angles": torch.zeros(2, length),
        "tokens": torch.zeros(2, length, dtype=torch.int64),
        "guide": torch.zeros(2, length, config.guide),
        "style": torch.zeros(2, config.style),
        "given": torch.ones(2),
    }
    return export_module(network, example, ["velocity"], {name: {0: "B"} for name in example})


def clusters_graph(centres: Tensor) -> onnx.ModelProto:
    """Return the graph of clusters (K, 25)."""
    features = torch.zeros(2, centres.shape[1])
    return export_module(
        _Nearest(centres), {"features": features}, ["tokens", "middles"], {"features": {0: "n"}}
    )


def words_graph(joint: JointEmbedding) -> onnx.ModelProto:
    """Return the graph of the words' tower and the quantiser."""
    grams = torch.ones(2, 4, dtype=torch.int64)
    free = {"grams": {0: "B", 1: "n"}}
    return export_module(_Styled(joint, joint.words), {"grams": grams}, _SAID, free)


def ear_graph(joint: JointEmbedding) -> onnx.ModelProto:
    """Return the graph of the sound's tower and the quantiser."""
    rows = torch.zeros(2, len(joint.sound.mean))
    return export_module(
        _Styled(joint, joint.sound), {"statistics": rows}, _SAID, {"statistics": {0: "B"}}
    )
