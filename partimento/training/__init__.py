"""Training: networks, objectives, the loop, checkpoints, export. Only here is torch."""
