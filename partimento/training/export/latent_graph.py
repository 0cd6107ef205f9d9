"""The flowing generator of latents as an ONNX graph.

Input: ``inputs`` (B, W, F), coordinates, style, noise and conditions of W places. Output:
``latents`` (B, W, L); the first and last ``margin`` of them lack part of their neighbours and are
left out when it is played.
"""

from __future__ import annotations

import onnx
import torch
from torch import nn

from partimento.errors import ConfigError
from partimento.training.export.modules import export_module
from partimento.training.nn.latent_gan import StreamingGenerator

__all__ = ["latent_graph"]

_PLACES = 64  # of the example; any number can be played


def latent_graph(network: nn.Module) -> onnx.ModelProto:
    """Return the graph of a generator, in fp32.

    Raises:
        ConfigError: for a generator that cannot make any piece of a stream by itself.
    """
    if not isinstance(network, StreamingGenerator):
        raise ConfigError("game.kind", "only a flowing generator can be played; train that one")
    config = network.config
    features = config.coordinate + config.style + config.noise + config.conditions
    return export_module(
        network,
        {"inputs": torch.zeros(2, _PLACES, features)},
        ["latents"],
        {"inputs": {0: "B", 1: "W"}},
    )
