"""Sequence generators that learn from a discriminator."""
