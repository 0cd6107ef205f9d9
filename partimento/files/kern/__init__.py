"""Humdrum ``**kern``."""
