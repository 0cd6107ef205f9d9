"""Music as arrays, without weights: the token forms that models read and write.

========================  =====================================================
``four_voice_grid``       four voices, a pitch a voice and a sixteenth (chorales)
``bar_events``            bars, positions, notes with durations, any instruments
``melody_steps``          one pitch an eighth (melodies)
``performance_events``    note on, note off, time shift in 10 ms (piano playing)
``countdown``             the first or second, each token knowing how near the end is
``track_grid``            tracks by sixteenths, any cell given or asked for; no tokens
``multi_hot_roll``        tracks by time by pitch, onset beside sustain; no tokens
``performance_curves``    velocity and timing of a performance over sixteenths; no tokens
``spectra``               sound as short-time spectra, whole or streamed; no tokens
========================  =====================================================

Each keeps the laws of ``partimento.representations.base`` and is one file or folder that bears its
name and holds an ``ENTRY`` (``partimento.representations.registry``). ``make_representation``
rebuilds any of them from its ``spec()``, which is what a model folder holds.
"""

from partimento.representations.bar_events import BarEvents
from partimento.representations.base import (
    Representation,
    TokenRepresentation,
    Tokens,
    Vocabulary,
    Walk,
)
from partimento.representations.constraint import Constraint, Mask
from partimento.representations.countdown import Countdown
from partimento.representations.four_voice_grid import FourVoiceGrid
from partimento.representations.melody_steps import MelodySteps
from partimento.representations.performance_events import PerformanceEvents
from partimento.representations.realiser import Realiser
from partimento.representations.registry import (
    can_close,
    is_performed,
    make_representation,
    realiser_for,
    representation_names,
    token_representation,
)

__all__ = [
    "BarEvents",
    "Constraint",
    "Countdown",
    "FourVoiceGrid",
    "Mask",
    "MelodySteps",
    "PerformanceEvents",
    "Realiser",
    "Representation",
    "TokenRepresentation",
    "Tokens",
    "Vocabulary",
    "Walk",
    "can_close",
    "is_performed",
    "make_representation",
    "realiser_for",
    "representation_names",
    "token_representation",
]
