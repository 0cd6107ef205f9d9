"""Models that write sound as codes: codecs, priors over codes, windows, and their performer."""
