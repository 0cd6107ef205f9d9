"""Quantisers between an encoder and a decoder: VQ, residual VQ, FSQ, and the Gaussian of a VAE.

Each is a module that takes vectors (B, T, D) and returns `Quantised`: vectors through which the
gradient passes to the encoder, codes, and a loss to be added. The twins for playing stand in
``representations/codebooks.py``.
"""

from partimento.training.nn.quantisers.gaussian import Gaussian
from partimento.training.nn.quantisers.quantised import Quantised, straight_through
from partimento.training.nn.quantisers.residual import ResidualQuantiser
from partimento.training.nn.quantisers.scalar import ScalarQuantiser
from partimento.training.nn.quantisers.vector import VectorQuantiser

__all__ = [
    "Gaussian",
    "Quantised",
    "ResidualQuantiser",
    "ScalarQuantiser",
    "VectorQuantiser",
    "straight_through",
]
