"""Data and stages of models of sound."""
