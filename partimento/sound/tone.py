"""What a tone is made of: partials, spectrum, envelope, motion, ensemble and noise.

A `Tone` is a description without sound; `partimento.sound.voice` turns it into samples.
Levels are in decibels, times in seconds, frequencies in hertz, intervals in cents.
"""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Ensemble", "Envelope", "Formant", "Motion", "Noise", "Partials", "Spectrum", "Tone"]


@dataclass(frozen=True, slots=True)
class Partials:
    """Which frequencies sound, as ratios to the fundamental.

    Without ``ratios`` they are 1, 2, 3, ... up to ``count``, stretched as those of a stiff string:
    ``h * sqrt((1 + B h^2) / (1 + B))`` (Fletcher 1964) with ``B = stiffness`` at C4.
    """

    ratios: tuple[float, ...] = ()
    count: int = 56
    stiffness: float = 0.0


@dataclass(frozen=True, slots=True)
class Formant:
    """A resonance that stays where it is while the pitch moves."""

    centre_hz: float
    width_hz: float
    level_db: float


@dataclass(frozen=True, slots=True)
class Spectrum:
    """How loud each partial is. Pairs are (softest, loudest) velocity.

    ``levels_db`` are the first partials' own levels (organ ranks, bars and bells), on top of which
    come a slope per octave above the fundamental, a low-pass corner (12 dB an octave; it follows
    the pitch by ``corner_follows`` octaves an octave, C4 being the reference), ``even_db`` on the
    even partials (closed pipes and reeds), the comb of a string struck or plucked at a fraction
    ``pluck`` of its length, and formants over a floor.
    """

    slope_db: tuple[float, float] = (-6.0, -6.0)
    corner_hz: tuple[float, float] = (20_000.0, 20_000.0)
    corner_follows: float = 0.35
    even_db: float = 0.0
    pluck: float = 0.0
    levels_db: tuple[float, ...] = ()
    formants: tuple[Formant, ...] = ()
    formant_floor_db: float = -26.0


@dataclass(frozen=True, slots=True)
class Envelope:
    """How a tone grows and dies.

    ``bloom`` makes high partials follow the attack more steeply (brass). A ``ring_seconds`` above
    0 is the time in which C4's fundamental falls by 60 dB; high partials and high notes die
    sooner (``damping``, ``ring_follows``), and ``afterglow`` is the share that dies four times as
    slowly. ``accent`` is how far (0..1) the level falls from the attack to the sustained part.
    ``release_seconds`` is the fall by 60 dB after the note's end; pitches from
    ``undamped_from`` on ring on.
    """

    attack_seconds: float = 0.005
    bloom: float = 0.0
    accent: float = 0.0
    ring_seconds: float = 0.0
    ring_follows: float = 0.6
    damping: float = 0.12
    afterglow: float = 0.0
    release_seconds: float = 0.25
    undamped_from: int = 128


@dataclass(frozen=True, slots=True)
class Motion:
    """Slow change: vibrato, random drift of pitch, tremolo (``tremolo`` is its depth, 0..1).

    ``scoop_cents`` is how far below its pitch a note starts.
    """

    vibrato_cents: float = 0.0
    vibrato_hz: float = 5.3
    vibrato_delay_seconds: float = 0.25
    drift_cents: float = 0.0
    tremolo: float = 0.0
    tremolo_hz: float = 5.0
    scoop_cents: float = 0.0


@dataclass(frozen=True, slots=True)
class Ensemble:
    """Several strings or players at once: how many, how far apart in pitch and in the room."""

    players: int = 1
    detune_cents: float = 0.0
    width: float = 0.2
    others_db: float = -3.0
    pitch_pan: float = 0.0


@dataclass(frozen=True, slots=True)
class Noise:
    """Breath, bow, hammer: a band of noise, ``level_db`` beside the tone.

    With ``follows`` the centre is a ratio to the fundamental, otherwise in hertz. It falls by
    60 dB in ``ring_seconds`` down to the share ``sustain``.
    """

    level_db: float
    centre: float
    octaves: float = 1.0
    follows: bool = False
    ring_seconds: float = 0.1
    sustain: float = 0.0
    attack_seconds: float = 0.002


@dataclass(frozen=True, slots=True)
class Tone:
    """A whole instrument. ``room`` is its share in the room; ``trim_db`` corrects its loudness."""

    partials: Partials = field(default_factory=Partials)
    spectrum: Spectrum = field(default_factory=Spectrum)
    envelope: Envelope = field(default_factory=Envelope)
    motion: Motion = field(default_factory=Motion)
    ensemble: Ensemble = field(default_factory=Ensemble)
    noises: tuple[Noise, ...] = ()
    room: float = 1.0
    trim_db: float = 0.0
    transpose: int = 0
