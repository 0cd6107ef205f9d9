"""Data and the task of models of performance curves."""
