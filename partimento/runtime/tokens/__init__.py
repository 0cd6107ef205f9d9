"""Models of token sequences: the performer, and adapters of representations."""
