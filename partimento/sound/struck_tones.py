"""Tones that are struck or plucked and die away: keys, mallets, strings, basses, drums."""

from __future__ import annotations

from dataclasses import replace

from partimento.sound.tone import (
    Ensemble,
    Envelope,
    Formant,
    Motion,
    Noise,
    Partials,
    Spectrum,
    Tone,
)

__all__ = [
    "ACOUSTIC_BASS",
    "BANJO",
    "BELLS",
    "BODY",
    "CELESTA",
    "CLAVINET",
    "CLEAN_GUITAR",
    "ELECTRIC_PIANO",
    "FINGER_BASS",
    "FM_PIANO",
    "FRETLESS",
    "GLOCKENSPIEL",
    "HARP",
    "HARPSICHORD",
    "JAZZ_GUITAR",
    "KALIMBA",
    "MARIMBA",
    "NYLON",
    "OVERDRIVE",
    "PIANO",
    "PICK_BASS",
    "PIZZICATO",
    "SITAR",
    "STEEL",
    "STEEL_DRUM",
    "TAIKO",
    "TIMPANI",
    "VIBRAPHONE",
    "WOODBLOCK",
    "XYLOPHONE",
    "hiss",
]

BODY = (Formant(110, 70, 2), Formant(220, 120, 1), Formant(450, 300, 0), Formant(2500, 2500, -6))

PIANO = Tone(
    Partials(count=56, stiffness=0.00035),
    Spectrum((-7.0, -3.5), (550, 3000), 0.4, pluck=0.122),
    Envelope(
        0.002, ring_seconds=6.5, ring_follows=0.62, damping=0.1, afterglow=0.22,
        release_seconds=0.35, undamped_from=90,
    ),
    ensemble=Ensemble(2, 0.9, 0.25, -2.0, pitch_pan=0.3),
    noises=(Noise(-19, 280, 2.2, ring_seconds=0.09), Noise(-33, 2400, 1.6, ring_seconds=0.04)),
    room=0.7,
)  # fmt: skip
ELECTRIC_PIANO = Tone(
    Partials((1, 2, 3, 4, 5, 6, 11.1)),
    Spectrum((-6, 4), (600, 3500), 0.4, levels_db=(0, -9, -15, -22, -27, -32, -33)),
    Envelope(0.003, ring_seconds=6, ring_follows=0.75, damping=0.35, release_seconds=0.3),
    Motion(tremolo=0.12, tremolo_hz=4.6),
    Ensemble(2, 1.5, 0.5, 0.0),
    (Noise(-34, 900, 2, ring_seconds=0.03),),
    room=0.6,
)
FM_PIANO = replace(
    ELECTRIC_PIANO,
    partials=Partials((1, 2, 3, 4, 13.0, 14.0, 15.0)),
    spectrum=Spectrum((-4, 3), (900, 6000), 0.5, levels_db=(0, -10, -22, -28, -32, -24, -34)),
    motion=Motion(),
)
HARPSICHORD = Tone(
    Partials(count=60, stiffness=0.0001),
    Spectrum((-3.2, -2.8), (5000, 6000), 0.2, pluck=0.085),
    Envelope(0.0015, ring_seconds=3.2, ring_follows=0.7, damping=0.03, release_seconds=0.12),
    ensemble=Ensemble(2, 1.2, 0.35, -4.0, 0.2),
    noises=(Noise(-24, 3000, 2, ring_seconds=0.02),),
    room=0.8,
)
CLAVINET = replace(
    HARPSICHORD,
    spectrum=Spectrum((-5, -3), (1800, 4500), 0.3, pluck=0.2),
    envelope=Envelope(0.0015, ring_seconds=1.8, damping=0.06, release_seconds=0.06),
    room=0.3,
)

GLOCKENSPIEL = Tone(
    Partials((1, 2.756, 5.404, 8.933)),
    Spectrum((-1, 2), (4000, 9000), 0.5, levels_db=(0, -6, -12, -20)),
    Envelope(0.0015, ring_seconds=3.5, ring_follows=0.75, damping=0.5, release_seconds=1.6),
    ensemble=Ensemble(1, 0, 0.2, pitch_pan=0.2),
    noises=(Noise(-28, 5000, 1.5, ring_seconds=0.02),),
)
CELESTA = replace(
    GLOCKENSPIEL,
    partials=Partials((1, 2, 4.0, 6.1, 9.2)),
    spectrum=Spectrum((-4, -1), (2000, 6000), 0.5, levels_db=(0, -18, -12, -26, -30)),
    envelope=Envelope(0.002, ring_seconds=2.8, damping=0.4, release_seconds=0.5),
)
VIBRAPHONE = Tone(
    Partials((1, 4.0, 10.0)),
    Spectrum((-6, 2), (1500, 6000), 0.5, levels_db=(0, -9, -18)),
    Envelope(0.002, ring_seconds=7, ring_follows=0.75, damping=0.6, release_seconds=0.8),
    Motion(tremolo=0.45, tremolo_hz=5.2),
    Ensemble(1, 0, 0.2, pitch_pan=0.2),
    (Noise(-30, 1200, 2, ring_seconds=0.03),),
)
MARIMBA = Tone(
    Partials((1, 3.93, 9.6)),
    Spectrum((-4, 1), (900, 3500), 0.5, levels_db=(0, -11, -20)),
    Envelope(0.0015, ring_seconds=1.3, ring_follows=0.62, damping=0.7, release_seconds=0.7),
    ensemble=Ensemble(1, 0, 0.2, pitch_pan=0.3),
    noises=(Noise(-25, 420, 2, ring_seconds=0.035),),
)
XYLOPHONE = replace(
    MARIMBA,
    partials=Partials((1, 3.0, 6.2, 10.1)),
    spectrum=Spectrum((0, 4), (3500, 8000), 0.4, levels_db=(0, -4, -10, -16)),
    envelope=Envelope(0.001, ring_seconds=0.75, damping=0.5, release_seconds=0.5),
    noises=(Noise(-20, 2500, 2, ring_seconds=0.02),),
)
BELLS = Tone(
    # The strike note of a tubular bell is heard an octave under its fourth mode.
    Partials((1, 2, 3.01, 4.16, 5.43, 6.79, 8.21)),
    Spectrum((-2, 0), (2000, 6000), 0.3, levels_db=(0, -3, -5, -9, -13, -18, -24)),
    Envelope(0.002, ring_seconds=7, ring_follows=0.85, damping=0.3, release_seconds=2.5),
    ensemble=Ensemble(2, 2.0, 0.4, -9.0),
    noises=(Noise(-26, 3000, 2, ring_seconds=0.03),),
    room=1.4,
)

NYLON = Tone(
    Partials(count=40, stiffness=0.00005),
    Spectrum((-6, -3), (1000, 3200), 0.35, pluck=0.23, formants=BODY, formant_floor_db=-8),
    Envelope(0.002, ring_seconds=3.4, ring_follows=0.7, damping=0.16, release_seconds=0.18),
    ensemble=Ensemble(2, 0.8, 0.25, -5.0),
    noises=(Noise(-22, 500, 2, ring_seconds=0.05), Noise(-34, 3500, 1.5, ring_seconds=0.02)),
    room=0.7,
)
STEEL = replace(
    NYLON,
    spectrum=Spectrum((-4, -1.5), (2000, 6500), 0.3, pluck=0.16, formants=BODY,
                      formant_floor_db=-6),
    envelope=Envelope(0.0015, ring_seconds=5.0, ring_follows=0.7, damping=0.1,
                      release_seconds=0.2),
    noises=(Noise(-22, 3800, 1.5, ring_seconds=0.03),),
)  # fmt: skip
JAZZ_GUITAR = replace(
    NYLON,
    spectrum=Spectrum((-6, -5), (800, 1500), 0.3, pluck=0.2),
    noises=(Noise(-30, 700, 2, ring_seconds=0.04),),
    room=0.5,
)
CLEAN_GUITAR = replace(
    STEEL,
    spectrum=Spectrum((-4, -2), (1600, 4000), 0.3, pluck=0.27),
    noises=(Noise(-30, 3000, 2, ring_seconds=0.03),),
    ensemble=Ensemble(2, 4.0, 0.5, -4.0),
)
OVERDRIVE = Tone(
    Partials(count=56),
    Spectrum((-2.5, -1.5), (3000, 4500), 0.1, even_db=-3),
    Envelope(0.003, ring_seconds=14, ring_follows=0.85, damping=0.0, release_seconds=0.12),
    Motion(vibrato_cents=5, vibrato_delay_seconds=0.4),
    Ensemble(2, 5.0, 0.6, -7.0),
    (Noise(-26, 2500, 2.5, ring_seconds=0.06),),
    room=0.5,
    trim_db=1.0,
)
HARP = Tone(
    Partials(count=36),
    Spectrum((-7, -4.5), (1000, 3200), 0.45, pluck=0.4),
    Envelope(0.0025, ring_seconds=4.2, ring_follows=0.68, damping=0.2, release_seconds=1.6),
    ensemble=Ensemble(1, 0, 0.3, pitch_pan=0.45),
    noises=(Noise(-28, 350, 2, ring_seconds=0.05),),
    room=1.3,
)
PIZZICATO = Tone(
    Partials(count=32),
    Spectrum((-7, -4), (900, 2600), 0.4, pluck=0.2, formants=BODY, formant_floor_db=-8),
    Envelope(0.003, ring_seconds=0.7, ring_follows=0.75, damping=0.22, release_seconds=0.4),
    ensemble=Ensemble(4, 4.0, 0.7, -8.0),
    noises=(Noise(-17, 450, 2, ring_seconds=0.05),),
    room=0.8,
)
SITAR = replace(
    STEEL,
    spectrum=Spectrum((-1.5, 0), (3500, 6500), 0.2, pluck=0.06),
    envelope=Envelope(0.004, bloom=0.3, ring_seconds=5, damping=0.03, release_seconds=0.6),
    ensemble=Ensemble(3, 3.0, 0.4, -9.0),
)
BANJO = replace(
    STEEL,
    spectrum=Spectrum((-2, 0), (3000, 7000), 0.2, pluck=0.1),
    envelope=Envelope(0.001, ring_seconds=1.3, damping=0.08, release_seconds=0.1),
    noises=(Noise(-18, 900, 1.5, ring_seconds=0.05),),
)
KALIMBA = replace(
    MARIMBA,
    partials=Partials((1, 5.4, 12.0)),
    spectrum=Spectrum((-6, 3), (2500, 7000), 0.4, levels_db=(0, -14, -20)),
    envelope=Envelope(0.002, ring_seconds=1.8, damping=1.2, release_seconds=0.9),
)

ACOUSTIC_BASS = Tone(
    Partials(count=40, stiffness=0.0001),
    Spectrum((-7, -4.5), (500, 1500), 0.2, pluck=0.28, formants=BODY, formant_floor_db=-6),
    Envelope(0.005, ring_seconds=2.6, ring_follows=0.85, damping=0.16, release_seconds=0.14),
    ensemble=Ensemble(1, 0, 0.05),
    noises=(Noise(-18, 180, 1.5, ring_seconds=0.06), Noise(-33, 1600, 1.5, ring_seconds=0.04)),
    room=0.4,
)
FINGER_BASS = replace(
    ACOUSTIC_BASS,
    spectrum=Spectrum((-5, -3), (700, 2200), 0.2, pluck=0.2),
    envelope=Envelope(0.004, ring_seconds=4.2, ring_follows=0.85, damping=0.12,
                      release_seconds=0.1),
    noises=(Noise(-30, 1500, 2, ring_seconds=0.03),),
    room=0.2,
)  # fmt: skip
PICK_BASS = replace(
    FINGER_BASS,
    spectrum=Spectrum((-3, -1.5), (1500, 4000), 0.2, pluck=0.12),
    noises=(Noise(-24, 2800, 1.5, ring_seconds=0.02),),
)
FRETLESS = replace(
    FINGER_BASS,
    envelope=Envelope(0.012, bloom=0.3, ring_seconds=5, ring_follows=0.9, damping=0.1,
                      release_seconds=0.12),
    motion=Motion(vibrato_cents=9, vibrato_delay_seconds=0.3, scoop_cents=-25),
)  # fmt: skip

TIMPANI = Tone(
    Partials((1, 1.504, 1.742, 2.0, 2.245, 2.494, 2.8)),
    Spectrum((-5, -1), (500, 1500), 0.4, levels_db=(0, -4, -16, -8, -18, -14, -20)),
    Envelope(0.004, ring_seconds=2.8, ring_follows=0.7, damping=0.5, release_seconds=1.2),
    noises=(Noise(-10, 150, 2.2, ring_seconds=0.12),),
    room=1.5,
)
STEEL_DRUM = Tone(
    Partials((1, 2, 3.0, 4.1, 6.2)),
    Spectrum((-3, 0), (2000, 5000), 0.3, levels_db=(0, -5, -11, -16, -22)),
    Envelope(0.003, bloom=0.4, ring_seconds=1.6, ring_follows=0.75, damping=0.25,
             release_seconds=0.6),
    Motion(drift_cents=2),
    Ensemble(2, 3.0, 0.4, -8.0),
)  # fmt: skip
WOODBLOCK = replace(
    XYLOPHONE,
    envelope=Envelope(0.001, ring_seconds=0.22, damping=0.4, release_seconds=0.2),
    noises=(Noise(-12, 1200, 1.5, ring_seconds=0.03),),
)
TAIKO = replace(
    TIMPANI,
    envelope=Envelope(0.003, ring_seconds=1.1, damping=0.9, release_seconds=0.8),
    noises=(Noise(-5, 120, 2.5, ring_seconds=0.15), Noise(-18, 1500, 2, ring_seconds=0.04)),
)


def hiss(centre: float, octaves: float, ring: float, sustain: float, follows: bool = False) -> Tone:
    """Return a tone that is nearly all noise."""
    return Tone(
        Partials((1.0,)),
        Spectrum(),
        Envelope(0.02, ring_seconds=ring, release_seconds=0.4),
        noises=(Noise(16, centre, octaves, follows, ring, sustain, 0.01),),
        trim_db=-18,
    )
