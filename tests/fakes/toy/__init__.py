"""A toy system for tests: latent diffusion of quarters, with every type that a system may use."""

from partimento.systems.toy.card import CARD

__all__ = ["CARD"]
