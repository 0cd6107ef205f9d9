"""The 128 General MIDI programs as tones.

Each family of the standard has a few tones of its own, and each program is one of them or a
variation of it. Effects that no musical line needs (helicopter, applause) are coloured noise.
"""

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

__all__ = ["tone_of"]

_BODY = (Formant(110, 70, 2), Formant(220, 120, 1), Formant(450, 300, 0), Formant(2500, 2500, -6))
_VIOLIN_BODY = (
    Formant(290, 160, -2),
    Formant(500, 300, 0),
    Formant(1100, 900, 0),
    Formant(2600, 1800, 2),
)

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
    Spectrum((-3, 2), (500, 2500), 0.5, levels_db=(0, -16, -22, -30, -34, -40, -30)),
    Envelope(0.003, ring_seconds=6, ring_follows=0.75, damping=0.35, release_seconds=0.3),
    Motion(tremolo=0.12, tremolo_hz=4.6),
    Ensemble(2, 1.5, 0.5, 0.0),
    (Noise(-34, 900, 2, ring_seconds=0.03),),
    room=0.6,
)
FM_PIANO = replace(
    ELECTRIC_PIANO,
    partials=Partials((1, 2, 3, 4, 13.0, 14.0, 15.0)),
    spectrum=Spectrum((-1, 1), (900, 6000), 0.5, levels_db=(0, -12, -24, -30, -34, -24, -34)),
    motion=Motion(),
)
HARPSICHORD = Tone(
    Partials(count=60, stiffness=0.0001),
    Spectrum((-3.2, -2.8), (5000, 6000), 0.2, pluck=0.085),
    Envelope(0.0015, ring_seconds=3.2, ring_follows=0.7, damping=0.03, release_seconds=0.12),
    ensemble=Ensemble(2, 1.2, 0.35, -3.0, 0.2),
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
    Spectrum((-2, 2), (3000, 9000), 0.5, levels_db=(0, -8, -15, -24)),
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
    Spectrum((-3, 1), (1200, 5000), 0.5, levels_db=(0, -14, -26)),
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
    noises=(Noise(-22, 500, 2, ring_seconds=0.04),),
)
XYLOPHONE = replace(
    MARIMBA,
    partials=Partials((1, 3.0, 6.2, 10.1)),
    spectrum=Spectrum((-1, 3), (2500, 7000), 0.4, levels_db=(0, -6, -14, -20)),
    envelope=Envelope(0.001, ring_seconds=0.75, damping=0.5, release_seconds=0.5),
    noises=(Noise(-20, 2500, 2, ring_seconds=0.02),),
)
BELLS = Tone(
    # The strike note of a tubular bell is heard an octave under its fourth mode.
    Partials((1, 2, 3.01, 4.16, 5.43, 6.79, 8.21)),
    Spectrum((-2, 0), (2000, 6000), 0.3, levels_db=(0, -3, -5, -9, -13, -18, -24)),
    Envelope(0.002, ring_seconds=7, ring_follows=0.85, damping=0.3, release_seconds=2.5),
    ensemble=Ensemble(2, 2.0, 0.4, -6.0),
    noises=(Noise(-26, 3000, 2, ring_seconds=0.03),),
    room=1.4,
)

_DRAWBARS = (0.5, 1, 1.5, 2, 3, 4, 5, 6, 8)
ORGAN = Tone(
    Partials(_DRAWBARS),
    Spectrum((0, 0), levels_db=(-6, 0, -9, -7, -12, -13, -22, -24, -20)),
    Envelope(0.008, release_seconds=0.06),
    Motion(vibrato_cents=3, vibrato_hz=6.4, vibrato_delay_seconds=0, tremolo=0.12, tremolo_hz=6.4),
    Ensemble(2, 0, 0.7, -2.0),
    (Noise(-24, 3200, 1.5, ring_seconds=0.012),),
    room=0.7,
)
PERCUSSIVE_ORGAN = replace(
    ORGAN,
    spectrum=Spectrum((0, 0), levels_db=(-8, 0, -14, -9, -6, -30, -40, -40, -40)),
    envelope=Envelope(0.004, bloom=0.25, accent=0.45, release_seconds=0.06),
)
CHURCH_ORGAN = Tone(
    # Principals at 8', 4', 2 2/3', 2' and a mixture; a rank's own overtones are in the slope.
    Partials((0.5, 1, 2, 3, 4, 5, 6, 8, 10, 12, 16)),
    Spectrum((0, 0), levels_db=(-14, 0, -4, -10, -7, -20, -13, -12, -24, -20, -22)),
    Envelope(0.045, bloom=0.15, release_seconds=0.16),
    Motion(drift_cents=0.5),
    Ensemble(3, 2.0, 0.8, -4.0),
    (Noise(-27, 4.0, 1.5, True, 0.06, 0.12),),
    room=1.9,
)
REED_ORGAN = Tone(
    Partials(count=32),
    Spectrum((-5, -4), (2400, 3400), 0.2, formants=(Formant(700, 900, 0), Formant(2000, 1600, 0))),
    Envelope(0.05, bloom=0.2, release_seconds=0.09),
    Motion(drift_cents=0.5),
    Ensemble(2, 3.5, 0.4, -3.0),
    (Noise(-36, 3000, 2, False, 0.1, 0.6),),
)
ACCORDION = replace(
    REED_ORGAN,
    spectrum=Spectrum((-4, -2.5), (2800, 4500), 0.2, even_db=-2),
    envelope=Envelope(0.04, bloom=0.25, release_seconds=0.07),
    ensemble=Ensemble(3, 9.0, 0.5, -3.0),
)

NYLON = Tone(
    Partials(count=40, stiffness=0.00005),
    Spectrum((-6, -3), (1000, 3200), 0.35, pluck=0.23, formants=_BODY, formant_floor_db=-8),
    Envelope(0.002, ring_seconds=3.4, ring_follows=0.7, damping=0.16, release_seconds=0.18),
    ensemble=Ensemble(2, 0.8, 0.25, -5.0),
    noises=(Noise(-22, 500, 2, ring_seconds=0.05), Noise(-34, 3500, 1.5, ring_seconds=0.02)),
    room=0.7,
)
STEEL = replace(
    NYLON,
    spectrum=Spectrum((-4, -1.5), (2000, 6500), 0.3, pluck=0.16, formants=_BODY,
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
    Spectrum((-3.5, -2.5), (2600, 3800), 0.1, pluck=0.3, even_db=-4),
    Envelope(0.003, ring_seconds=14, ring_follows=0.85, damping=0.0, release_seconds=0.12),
    Motion(vibrato_cents=5, vibrato_delay_seconds=0.4),
    Ensemble(2, 5.0, 0.6, -2.0),
    (Noise(-26, 2500, 2.5, ring_seconds=0.06),),
    room=0.5,
    trim_db=-1.5,
)
HARP = Tone(
    Partials(count=36),
    Spectrum((-8, -5), (900, 3000), 0.45, pluck=0.45),
    Envelope(0.0025, ring_seconds=4.2, ring_follows=0.68, damping=0.2, release_seconds=1.6),
    ensemble=Ensemble(1, 0, 0.3, pitch_pan=0.45),
    noises=(Noise(-28, 350, 2, ring_seconds=0.05),),
    room=1.3,
)
PIZZICATO = Tone(
    Partials(count=32),
    Spectrum((-7, -4), (900, 2600), 0.4, pluck=0.2, formants=_BODY, formant_floor_db=-8),
    Envelope(0.003, ring_seconds=0.7, ring_follows=0.75, damping=0.22, release_seconds=0.4),
    ensemble=Ensemble(4, 5.0, 0.7, -3.0),
    noises=(Noise(-17, 450, 2, ring_seconds=0.05),),
    room=1.2,
)
SITAR = replace(
    STEEL,
    spectrum=Spectrum((-1.5, 0), (3500, 6500), 0.2, pluck=0.06),
    envelope=Envelope(0.004, bloom=0.3, ring_seconds=5, damping=0.03, release_seconds=0.6),
    ensemble=Ensemble(3, 3.0, 0.4, -6.0),
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
    spectrum=Spectrum((-2, 1), (2000, 5000), 0.4, levels_db=(0, -22, -28)),
    envelope=Envelope(0.002, ring_seconds=1.8, damping=1.2, release_seconds=0.9),
)

ACOUSTIC_BASS = Tone(
    Partials(count=40, stiffness=0.0001),
    Spectrum((-7, -4.5), (500, 1500), 0.2, pluck=0.28, formants=_BODY, formant_floor_db=-6),
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
SYNTH_BASS = Tone(
    Partials(count=48),
    Spectrum((-6, -5.5), (500, 2600), 0.3),
    Envelope(0.004, bloom=0.9, accent=0.4, release_seconds=0.08),
    ensemble=Ensemble(2, 5.0, 0.15, -4.0),
    room=0.2,
)

VIOLINS = Tone(
    Partials(count=56),
    Spectrum((-6.5, -4.8), (2200, 5200), 0.15, formants=_VIOLIN_BODY, formant_floor_db=-4),
    Envelope(0.11, bloom=0.3, accent=0.12, release_seconds=0.3),
    Motion(vibrato_cents=8, vibrato_hz=5.5, vibrato_delay_seconds=0.15, drift_cents=2.5),
    Ensemble(5, 9.0, 0.9, -3.0),
    (Noise(-34, 3500, 2.5, False, 0.25, 0.5),),
    room=1.3,
)
SOLO_STRING = replace(
    VIOLINS,
    spectrum=Spectrum((-5.5, -3.8), (2600, 5600), 0.15, formants=_VIOLIN_BODY,
                      formant_floor_db=-6),
    envelope=Envelope(0.07, bloom=0.35, accent=0.15, release_seconds=0.2),
    motion=Motion(vibrato_cents=14, vibrato_hz=5.6, vibrato_delay_seconds=0.3, drift_cents=2,
                  scoop_cents=-12),
    ensemble=Ensemble(1, 0, 0.12),
    noises=(Noise(-31, 3500, 2.5, False, 0.2, 0.5),),
)  # fmt: skip
_CELLO_BODY = (Formant(110, 60, 0), Formant(230, 120, 1), Formant(600, 400, 0),
               Formant(2200, 1600, -3))  # fmt: skip
CELLO = replace(
    SOLO_STRING,
    spectrum=Spectrum((-5.5, -4), (1900, 4200), 0.2, formants=_CELLO_BODY, formant_floor_db=-5),
    envelope=Envelope(0.085, bloom=0.35, accent=0.15, release_seconds=0.22),
)
SYNTH_STRINGS = replace(
    VIOLINS,
    spectrum=Spectrum((-6, -5.5), (2500, 5500), 0.2),
    envelope=Envelope(0.16, bloom=0.2, release_seconds=0.7),
    motion=Motion(drift_cents=2),
    ensemble=Ensemble(5, 12.0, 1.0, -1.5),
    noises=(),
)

_AAH = (Formant(720, 130, 0), Formant(1150, 150, -4), Formant(2700, 260, -14),
        Formant(3400, 350, -17))  # fmt: skip
_OOH = (Formant(340, 110, 0), Formant(760, 130, -12), Formant(2500, 300, -30))
CHOIR = Tone(
    Partials(count=48),
    Spectrum((-7.5, -5.0), (2600, 5000), 0.1, formants=_AAH, formant_floor_db=-24),
    Envelope(0.13, bloom=0.25, release_seconds=0.32),
    Motion(vibrato_cents=8, vibrato_hz=5.0, vibrato_delay_seconds=0.2, drift_cents=4,
           scoop_cents=-14),
    Ensemble(5, 10.0, 0.9, -3.0),
    (Noise(-33, 2600, 1.6, False, 0.3, 0.6, 0.03),),
    room=1.6,
)  # fmt: skip
OOHS = replace(CHOIR, spectrum=Spectrum((-8, -6), (1200, 2200), 0.1, formants=_OOH))

BRASS = Tone(
    Partials(count=40),
    Spectrum((-5.5, -1.8), (1000, 3200), 0.35, formants=(Formant(1200, 1100, 3),),
             formant_floor_db=-3),
    Envelope(0.055, bloom=1.3, accent=0.14, release_seconds=0.14),
    Motion(vibrato_cents=5, vibrato_hz=5.0, vibrato_delay_seconds=0.5, drift_cents=1.2,
           scoop_cents=-22),
    Ensemble(1, 0, 0.1),
    (Noise(-30, 1800, 2, False, 0.06, 0.1),),
)  # fmt: skip
HORN = replace(
    BRASS,
    spectrum=Spectrum((-8, -4.5), (550, 1500), 0.35, formants=(Formant(420, 420, 3),),
                      formant_floor_db=-3),
    envelope=Envelope(0.08, bloom=1.2, accent=0.1, release_seconds=0.2),
    room=1.6,
)  # fmt: skip
LOW_BRASS = replace(
    BRASS,
    spectrum=Spectrum((-6.5, -2.8), (700, 2300), 0.35, formants=(Formant(600, 600, 3),),
                      formant_floor_db=-3),
    envelope=Envelope(0.065, bloom=1.3, accent=0.14, release_seconds=0.15),
)  # fmt: skip
MUTED_TRUMPET = replace(
    BRASS,
    spectrum=Spectrum((-1, 0.5), (4000, 6500), 0.1, formants=(Formant(1700, 900, 4),),
                      formant_floor_db=-14),
)  # fmt: skip
BRASS_SECTION = replace(BRASS, ensemble=Ensemble(4, 7.0, 0.8, -2.0))
SYNTH_BRASS = replace(
    BRASS_SECTION,
    spectrum=Spectrum((-6, -5), (1500, 5000), 0.3),
    envelope=Envelope(0.04, bloom=1.0, accent=0.3, release_seconds=0.25),
    motion=Motion(drift_cents=1.5),
    noises=(),
)

SAX = Tone(
    Partials(count=40),
    Spectrum((-5, -2.5), (1400, 3400), 0.25, even_db=1.5,
             formants=(Formant(650, 500, 2), Formant(1500, 900, 0)), formant_floor_db=-5),
    Envelope(0.045, bloom=0.7, accent=0.1, release_seconds=0.12),
    Motion(vibrato_cents=10, vibrato_hz=5.2, vibrato_delay_seconds=0.35, drift_cents=1.5,
           scoop_cents=-30),
    Ensemble(1, 0, 0.1),
    (Noise(-27, 2500, 2.2, False, 0.1, 0.45, 0.01),),
)  # fmt: skip
OBOE = replace(
    SAX,
    spectrum=Spectrum((-3, -1.5), (2800, 4500), 0.15, pluck=0.33,
                      formants=(Formant(1150, 500, 5), Formant(2900, 900, 1)),
                      formant_floor_db=-9),
    envelope=Envelope(0.04, bloom=0.4, release_seconds=0.1),
    motion=Motion(vibrato_cents=8, vibrato_delay_seconds=0.3, drift_cents=1, tremolo=0.06),
    noises=(Noise(-36, 3000, 2, False, 0.1, 0.5),),
)  # fmt: skip
BASSOON = replace(
    OBOE,
    spectrum=Spectrum((-5, -3.5), (1400, 2600), 0.2,
                      formants=(Formant(460, 220, 5), Formant(1150, 500, -2)),
                      formant_floor_db=-7),
)  # fmt: skip
CLARINET = replace(
    OBOE,
    spectrum=Spectrum((-6.5, -3.5), (1500, 3200), 0.3, even_db=-17),
    envelope=Envelope(0.05, bloom=0.5, release_seconds=0.11),
    motion=Motion(drift_cents=1),
    noises=(Noise(-34, 2.5, 2, True, 0.1, 0.5),),
)

FLUTE = Tone(
    Partials(count=20),
    Spectrum((-15, -9), (1600, 3200), 0.45),
    Envelope(0.07, bloom=0.4, release_seconds=0.12),
    Motion(vibrato_cents=7, vibrato_hz=5.0, vibrato_delay_seconds=0.3, drift_cents=1.5,
           tremolo=0.16, tremolo_hz=5.0),
    Ensemble(1, 0, 0.12),
    (Noise(-21, 2.0, 1.8, True, 0.09, 0.3, 0.01), Noise(-29, 5000, 2, False, 0.06, 0.5)),
    room=1.3,
)  # fmt: skip
RECORDER = replace(
    FLUTE,
    spectrum=Spectrum((-13, -10), (2000, 3000), 0.4, even_db=-9),
    envelope=Envelope(0.035, release_seconds=0.08),
    motion=Motion(drift_cents=1),
)
PAN_FLUTE = replace(
    FLUTE,
    spectrum=Spectrum((-13, -10), (1600, 2600), 0.4, even_db=-14),
    noises=(Noise(-13, 2.0, 1.6, True, 0.12, 0.4, 0.006), Noise(-24, 4500, 2, False, 0.08, 0.5)),
)
WHISTLE = replace(
    FLUTE, spectrum=Spectrum((-26, -22), (2500, 4000), 0.4), noises=(Noise(-20, 1.0, 0.4, True,
    0.1, 0.6),),
)  # fmt: skip

LEAD = Tone(
    Partials(count=56),
    Spectrum((-6, -6), (2200, 7000), 0.3),
    Envelope(0.006, bloom=0.3, accent=0.15, release_seconds=0.12),
    Motion(vibrato_cents=5, vibrato_delay_seconds=0.4),
    Ensemble(2, 6.0, 0.3, -3.0),
    room=0.7,
)
SQUARE_LEAD = replace(
    LEAD, spectrum=Spectrum((-6, -6), (2200, 7000), 0.3, even_db=-40), ensemble=Ensemble(1)
)
PAD = Tone(
    Partials(count=32),
    Spectrum((-8, -6.5), (900, 2200), 0.3),
    Envelope(0.35, bloom=0.4, release_seconds=1.1),
    Motion(drift_cents=3, tremolo=0.15, tremolo_hz=0.35),
    Ensemble(5, 11.0, 1.0, -1.0),
    room=1.7,
)
METAL_PAD = replace(
    PAD,
    partials=Partials((1, 2, 2.99, 4.02, 5.43, 6.8, 9.1)),
    spectrum=Spectrum((-2, 0), (2500, 6000), 0.3, levels_db=(0, -6, -10, -14, -16, -20, -24)),
    envelope=Envelope(0.2, release_seconds=1.3),
)
GLASS_PAD = replace(METAL_PAD, envelope=Envelope(0.01, accent=0.5, release_seconds=1.4))

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
    Ensemble(2, 4.0, 0.4, -4.0),
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


def _hiss(
    centre: float, octaves: float, ring: float, sustain: float, follows: bool = False
) -> Tone:
    """Return a tone that is nearly all noise."""
    return Tone(
        Partials((1.0,)),
        Spectrum(),
        Envelope(0.02, ring_seconds=ring, release_seconds=0.4),
        noises=(Noise(16, centre, octaves, follows, ring, sustain, 0.01),),
        trim_db=-18,
    )


_KEYS = (
    PIANO,
    replace(PIANO, spectrum=Spectrum((-5.5, -2.5), (1100, 4500), 0.4, pluck=0.11)),
    replace(PIANO, ensemble=Ensemble(2, 2.5, 0.4, -3.0, 0.2), noises=()),
    replace(PIANO, ensemble=Ensemble(3, 9.0, 0.4, -1.0, 0.2)),
    ELECTRIC_PIANO,
    FM_PIANO,
    HARPSICHORD,
    CLAVINET,
)
_CHROMATIC = (
    CELESTA,
    GLOCKENSPIEL,
    replace(
        CELESTA, spectrum=Spectrum((0, 1), (4000, 8000), 0.3, levels_db=(0, -14, -10, -18, -22))
    ),
    VIBRAPHONE,
    MARIMBA,
    XYLOPHONE,
    BELLS,
    replace(STEEL, ensemble=Ensemble(3, 3.0, 0.5, -3.0), room=1.1),
)
_ORGANS = (
    ORGAN,
    PERCUSSIVE_ORGAN,
    replace(ORGAN, spectrum=Spectrum((0, 0), levels_db=(-3, 0, -4, -5, -7, -8, -12, -12, -10))),
    CHURCH_ORGAN,
    REED_ORGAN,
    ACCORDION,
    replace(REED_ORGAN, motion=Motion(vibrato_cents=8, drift_cents=1), ensemble=Ensemble(1)),
    replace(ACCORDION, ensemble=Ensemble(2, 2.0, 0.3, 0.0)),
)
_GUITARS = (
    NYLON,
    STEEL,
    JAZZ_GUITAR,
    CLEAN_GUITAR,
    replace(CLEAN_GUITAR, envelope=Envelope(0.002, ring_seconds=0.45, damping=0.25)),
    OVERDRIVE,
    replace(OVERDRIVE, spectrum=Spectrum((-2, -1), (3200, 4800), 0.1, pluck=0.3)),
    replace(STEEL, partials=Partials((1, 2, 3, 4)), spectrum=Spectrum((-9, -7), (2500, 4000))),
)
_BASSES = (
    ACOUSTIC_BASS,
    FINGER_BASS,
    PICK_BASS,
    FRETLESS,
    replace(PICK_BASS, envelope=Envelope(0.0015, ring_seconds=2.2, release_seconds=0.08)),
    replace(PICK_BASS, spectrum=Spectrum((-2, 0), (2500, 5500), 0.2, pluck=0.09)),
    SYNTH_BASS,
    replace(SYNTH_BASS, spectrum=Spectrum((-6, -6), (350, 1400), 0.3, even_db=-12)),
)
_STRINGS = (
    SOLO_STRING,
    replace(SOLO_STRING, spectrum=Spectrum((-6, -4.5), (2200, 4600), 0.15, formants=_VIOLIN_BODY)),
    CELLO,
    replace(CELLO, envelope=Envelope(0.1, bloom=0.35, accent=0.15, release_seconds=0.25)),
    replace(VIOLINS, motion=Motion(vibrato_cents=5, drift_cents=3, tremolo=0.65, tremolo_hz=11)),
    PIZZICATO,
    HARP,
    TIMPANI,
)
_ENSEMBLES = (
    VIOLINS,
    replace(VIOLINS, envelope=Envelope(0.2, bloom=0.3, release_seconds=0.5)),
    SYNTH_STRINGS,
    replace(SYNTH_STRINGS, spectrum=Spectrum((-7, -6), (1500, 3500), 0.2)),
    CHOIR,
    OOHS,
    replace(CHOIR, motion=Motion(drift_cents=2), envelope=Envelope(0.08, release_seconds=0.4)),
    replace(SYNTH_BRASS, envelope=Envelope(0.01, bloom=0.5, ring_seconds=1.0, damping=0.1)),
)
_BRASSES = (
    BRASS,
    LOW_BRASS,
    replace(LOW_BRASS, spectrum=Spectrum((-8, -4.5), (450, 1400), 0.3)),
    MUTED_TRUMPET,
    HORN,
    BRASS_SECTION,
    SYNTH_BRASS,
    replace(SYNTH_BRASS, spectrum=Spectrum((-7, -6), (1000, 3200), 0.3)),
)
_REEDS = (
    replace(SAX, spectrum=Spectrum((-4.5, -2.5), (2000, 4200), 0.2, formants=_VIOLIN_BODY)),
    SAX,
    replace(SAX, noises=(Noise(-23, 2200, 2.2, False, 0.1, 0.5, 0.01),)),
    replace(SAX, spectrum=Spectrum((-5, -2.5), (1000, 2800), 0.25, even_db=2)),
    OBOE,
    replace(OBOE, spectrum=replace(OBOE.spectrum, corner_hz=(2000, 3400))),
    BASSOON,
    CLARINET,
)
_PIPES = (
    replace(FLUTE, envelope=Envelope(0.04, release_seconds=0.1)),
    FLUTE,
    RECORDER,
    PAN_FLUTE,
    replace(PAN_FLUTE, envelope=Envelope(0.03, accent=0.3, release_seconds=0.1)),
    replace(PAN_FLUTE, motion=Motion(vibrato_cents=12, drift_cents=3, scoop_cents=-40)),
    WHISTLE,
    replace(WHISTLE, motion=Motion(drift_cents=1)),
)
_LEADS = (
    SQUARE_LEAD,
    LEAD,
    replace(FLUTE, room=0.8),
    replace(SQUARE_LEAD, noises=(Noise(-14, 4.0, 1, True, 0.05),)),
    replace(OVERDRIVE, room=0.7),
    replace(CHOIR, ensemble=Ensemble(2, 5.0, 0.4), envelope=Envelope(0.05, release_seconds=0.2)),
    replace(LEAD, partials=Partials((1, 1.5, 2, 3, 4, 4.5, 5, 6, 7.5, 8, 9, 10, 12))),
    replace(LEAD, partials=Partials((0.5, 1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 10, 12))),
)
_PADS = (
    GLASS_PAD,
    PAD,
    replace(
        PAD,
        spectrum=Spectrum((-6, -5), (2000, 5000), 0.3),
        envelope=Envelope(0.08, release_seconds=0.8),
    ),
    replace(CHOIR, envelope=Envelope(0.35, bloom=0.3, release_seconds=1.1), room=2.0),
    replace(VIOLINS, envelope=Envelope(0.4, bloom=0.4, release_seconds=1.1), room=1.8),
    METAL_PAD,
    replace(OOHS, envelope=Envelope(0.4, bloom=0.3, release_seconds=1.3), room=2.0),
    replace(PAD, envelope=Envelope(1.2, bloom=1.2, release_seconds=1.3)),
)
_EFFECTS = (
    GLASS_PAD,
    replace(PAD, envelope=Envelope(0.6, bloom=0.8, release_seconds=1.4)),
    replace(GLOCKENSPIEL, room=2.0),
    replace(STEEL, room=1.8, ensemble=Ensemble(4, 6.0, 0.9, -2.0)),
    replace(METAL_PAD, spectrum=Spectrum((0, 1), (4000, 8000), 0.3)),
    replace(PAD, motion=Motion(drift_cents=9, tremolo=0.4, tremolo_hz=1.1)),
    replace(CELESTA, room=2.2),
    replace(LEAD, motion=Motion(vibrato_cents=18, vibrato_hz=6.5), room=1.5),
)
_ETHNIC = (
    SITAR,
    BANJO,
    replace(BANJO, envelope=Envelope(0.0015, ring_seconds=0.9, damping=0.1, release_seconds=0.12)),
    replace(STEEL, envelope=Envelope(0.0015, ring_seconds=3.2, damping=0.08), room=1.0),
    KALIMBA,
    replace(REED_ORGAN, spectrum=Spectrum((-2, -1), (3000, 4500), 0.1), ensemble=Ensemble(3, 4)),
    SOLO_STRING,
    replace(OBOE, motion=Motion(vibrato_cents=14, scoop_cents=-35)),
)
_PERCUSSIVE = (
    replace(GLOCKENSPIEL, envelope=Envelope(0.001, ring_seconds=1.6, damping=0.2)),
    replace(BELLS, envelope=Envelope(0.001, ring_seconds=0.7, damping=0.3)),
    STEEL_DRUM,
    WOODBLOCK,
    TAIKO,
    replace(TAIKO, noises=(Noise(-14, 300, 2, ring_seconds=0.06),)),
    replace(TAIKO, partials=Partials((1, 2)), spectrum=Spectrum((-8, -4)), noises=()),
    replace(_hiss(6000, 3, 6, 0.0), envelope=Envelope(1.2, ring_seconds=6)),
)
_SOUNDS = (
    _hiss(2500, 1.2, 0.12, 0.0),
    _hiss(1800, 2.0, 0.5, 0.2),
    _hiss(700, 3.0, 8.0, 0.6),
    replace(WHISTLE, motion=Motion(vibrato_cents=80, vibrato_hz=14, vibrato_delay_seconds=0)),
    replace(SQUARE_LEAD, motion=Motion(tremolo=1.0, tremolo_hz=20)),
    _hiss(200, 2.5, 8.0, 0.6),
    _hiss(1500, 2.5, 8.0, 0.5),
    _hiss(400, 4.0, 0.8, 0.0),
)

_TABLE: tuple[tuple[Tone, ...], ...] = (
    _KEYS, _CHROMATIC, _ORGANS, _GUITARS, _BASSES, _STRINGS, _ENSEMBLES, _BRASSES,
    _REEDS, _PIPES, _LEADS, _PADS, _EFFECTS, _ETHNIC, _PERCUSSIVE, _SOUNDS,
)  # fmt: skip


def tone_of(program: int) -> Tone:
    """Return the tone of a General MIDI program, 0..127."""
    return _TABLE[program // 8][program % 8]
