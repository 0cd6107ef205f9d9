"""Models of performance curves."""
