"""One training run: stages, optimiser, checkpoints, progress."""
