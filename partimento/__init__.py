"""Partimento: give it a sketch and it realises music, at once, on the computer you have."""

__version__ = "0.1.0"
