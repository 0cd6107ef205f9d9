"""How much one file may hold: far more than any music has, and little enough for time and memory.

Readers refuse what lies beyond with a FileError instead of working on it for minutes.
"""

from __future__ import annotations

__all__ = [
    "MAX_BARS",
    "MAX_KERN_BYTES",
    "MAX_MEMBERS",
    "MAX_PARTS",
    "MAX_QUARTERS",
    "MAX_SAMPLES",
    "MAX_TEXT_BYTES",
    "MAX_TUNE_CHARACTERS",
    "MAX_UNPACKED_BYTES",
]

MAX_QUARTERS = 100_000  # of a piece: 14 hours at 120 a minute
MAX_BARS = 100_000  # of a piece, those of all voices together
MAX_PARTS = 256  # voices of a tune, spines of a kern file
MAX_TUNE_CHARACTERS = 200_000  # of one ABC tune
MAX_TEXT_BYTES = 2**25  # of a file of ABC, or of chords
MAX_KERN_BYTES = 1_500_000  # of a kern file
MAX_SAMPLES = 2**27  # of a sound, all channels together: 25 minutes of stereo at 44.1 kHz
MAX_MEMBERS = 100_000  # of a zip
MAX_UNPACKED_BYTES = 2**28  # of one member of a zip
