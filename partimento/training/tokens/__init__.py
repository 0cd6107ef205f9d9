"""Data and the task of models of token sequences."""
