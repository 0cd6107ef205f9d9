"""Piano rolls, spectrograms and engraved scores."""
