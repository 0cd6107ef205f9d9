"""Tones that last as long as their note: organs, strings, voices, winds, synthesisers."""

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
    "ACCORDION",
    "BASSOON",
    "BRASS",
    "BRASS_SECTION",
    "CELLO",
    "CHOIR",
    "CHURCH_ORGAN",
    "CLARINET",
    "DRAWBARS",
    "FLUTE",
    "GLASS_PAD",
    "HORN",
    "LEAD",
    "LOW_BRASS",
    "METAL_PAD",
    "MUTED_TRUMPET",
    "OBOE",
    "OOHS",
    "ORGAN",
    "PAD",
    "PAN_FLUTE",
    "PERCUSSIVE_ORGAN",
    "RECORDER",
    "REED_ORGAN",
    "SAX",
    "SOLO_STRING",
    "SQUARE_LEAD",
    "SYNTH_BASS",
    "SYNTH_BRASS",
    "SYNTH_STRINGS",
    "VIOLINS",
    "VIOLIN_BODY",
    "WHISTLE",
]

VIOLIN_BODY = (
    Formant(290, 160, -2),
    Formant(500, 300, 0),
    Formant(1100, 900, 0),
    Formant(2600, 1800, 2),
)

DRAWBARS = (0.5, 1, 1.5, 2, 3, 4, 5, 6, 8)
ORGAN = Tone(
    Partials(DRAWBARS),
    Spectrum((-2, 0.5), levels_db=(-6, 0, -9, -7, -12, -13, -22, -24, -20)),
    Envelope(0.008, release_seconds=0.06),
    Motion(vibrato_cents=3, vibrato_hz=6.4, vibrato_delay_seconds=0, tremolo=0.12, tremolo_hz=6.4),
    Ensemble(2, 0, 0.7, -2.0),
    (Noise(-24, 3200, 1.5, ring_seconds=0.012),),
    room=0.7,
)
PERCUSSIVE_ORGAN = replace(
    ORGAN,
    spectrum=Spectrum((-2, 0.5), levels_db=(-8, 0, -14, -9, -6, -30, -40, -40, -40)),
    envelope=Envelope(0.004, bloom=0.25, accent=0.45, release_seconds=0.06),
)
CHURCH_ORGAN = Tone(
    # Principals at 8', 4', 2 2/3', 2' and a mixture; a rank's own overtones are in the slope.
    Partials((0.5, 1, 2, 3, 4, 5, 6, 8, 10, 12, 16)),
    Spectrum((-2, 0.5), levels_db=(-14, 0, -4, -10, -7, -20, -13, -12, -24, -20, -22)),
    Envelope(0.045, bloom=0.15, release_seconds=0.16),
    Motion(drift_cents=0.5),
    Ensemble(3, 2.0, 0.8, -6.0),
    (Noise(-27, 4.0, 1.5, True, 0.06, 0.12),),
    room=1.9,
)
REED_ORGAN = Tone(
    Partials(count=32),
    Spectrum((-5, -4), (2400, 3400), 0.2, formants=(Formant(700, 900, 0), Formant(2000, 1600, 0))),
    Envelope(0.05, bloom=0.2, release_seconds=0.09),
    Motion(drift_cents=0.5),
    Ensemble(2, 3.5, 0.4, -6.0),
    (Noise(-36, 3000, 2, False, 0.1, 0.6),),
)
ACCORDION = replace(
    REED_ORGAN,
    spectrum=Spectrum((-4, -2.5), (2800, 4500), 0.2, even_db=-2),
    envelope=Envelope(0.04, bloom=0.25, release_seconds=0.07),
    ensemble=Ensemble(3, 8.0, 0.5, -9.0),
)

SYNTH_BASS = Tone(
    Partials(count=48),
    Spectrum((-6, -5.5), (500, 2600), 0.3),
    Envelope(0.004, bloom=0.9, accent=0.4, release_seconds=0.08),
    ensemble=Ensemble(2, 5.0, 0.15, -6.0),
    room=0.2,
    trim_db=-4.5,
)

VIOLINS = Tone(
    Partials(count=56),
    Spectrum((-5.8, -3.8), (2400, 5600), 0.15, formants=VIOLIN_BODY, formant_floor_db=-4),
    Envelope(0.11, bloom=0.3, accent=0.12, release_seconds=0.3),
    Motion(vibrato_cents=8, vibrato_hz=5.5, vibrato_delay_seconds=0.15, drift_cents=2.5),
    Ensemble(5, 8.0, 0.9, -10.0),
    (Noise(-34, 3500, 2.5, False, 0.25, 0.5),),
    room=1.3,
)
SOLO_STRING = replace(
    VIOLINS,
    spectrum=Spectrum((-5.5, -3.8), (2600, 5600), 0.15, formants=VIOLIN_BODY,
                      formant_floor_db=-6),
    envelope=Envelope(0.07, bloom=0.35, accent=0.15, release_seconds=0.2),
    motion=Motion(vibrato_cents=20, vibrato_hz=5.6, vibrato_delay_seconds=0.3, drift_cents=2,
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
    ensemble=Ensemble(5, 9.0, 1.0, -9.5),
    noises=(),
)

_AAH = (Formant(720, 130, 0), Formant(1150, 150, -4), Formant(2700, 260, -14),
        Formant(3400, 350, -17))  # fmt: skip
_OOH = (Formant(340, 110, 0), Formant(760, 130, -12), Formant(2500, 300, -30))
CHOIR = Tone(
    Partials(count=48),
    Spectrum((-6.5, -4.0), (2800, 5200), 0.1, formants=_AAH, formant_floor_db=-24),
    Envelope(0.13, bloom=0.25, release_seconds=0.32),
    Motion(vibrato_cents=8, vibrato_hz=5.0, vibrato_delay_seconds=0.2, drift_cents=2.5,
           scoop_cents=-14),
    Ensemble(5, 8.0, 0.9, -10.5),
    (Noise(-33, 2600, 1.6, False, 0.3, 0.6, 0.03),),
    room=1.6,
)  # fmt: skip
OOHS = replace(CHOIR, spectrum=Spectrum((-10, -4), (1200, 2600), 0.1, formants=_OOH))

BRASS = Tone(
    Partials(count=40),
    Spectrum((-3.0, 0.5), (1300, 4600), 0.3, formants=(Formant(1300, 1200, 3),),
             formant_floor_db=-3),
    Envelope(0.055, bloom=1.3, accent=0.14, release_seconds=0.14),
    Motion(vibrato_cents=5, vibrato_hz=5.0, vibrato_delay_seconds=0.5, drift_cents=1.2,
           scoop_cents=-22),
    Ensemble(1, 0, 0.1),
    (Noise(-30, 1800, 2, False, 0.06, 0.1),),
)  # fmt: skip
HORN = replace(
    BRASS,
    spectrum=Spectrum((-6, -2.5), (600, 1900), 0.35, formants=(Formant(420, 420, 3),),
                      formant_floor_db=-3),
    envelope=Envelope(0.08, bloom=1.2, accent=0.1, release_seconds=0.2),
    room=1.6,
)  # fmt: skip
LOW_BRASS = replace(
    BRASS,
    spectrum=Spectrum((-4.5, -0.5), (850, 3000), 0.35, formants=(Formant(600, 600, 3),),
                      formant_floor_db=-3),
    envelope=Envelope(0.065, bloom=1.3, accent=0.14, release_seconds=0.15),
)  # fmt: skip
MUTED_TRUMPET = replace(
    BRASS,
    spectrum=Spectrum((-1.5, 0), (3600, 6000), 0.1, formants=(Formant(1700, 900, 4),),
                      formant_floor_db=-14),
)  # fmt: skip
BRASS_SECTION = replace(BRASS, ensemble=Ensemble(4, 7.0, 0.8, -8.5))
SYNTH_BRASS = replace(
    BRASS_SECTION,
    spectrum=Spectrum((-6, -5), (1500, 5000), 0.3),
    envelope=Envelope(0.04, bloom=1.0, accent=0.3, release_seconds=0.25),
    motion=Motion(drift_cents=1.5),
    noises=(),
)

SAX = Tone(
    Partials(count=40),
    Spectrum((-4, -1.5), (1600, 3800), 0.25, even_db=1.5,
             formants=(Formant(650, 500, 2), Formant(1500, 900, 0)), formant_floor_db=-5),
    Envelope(0.045, bloom=0.7, accent=0.1, release_seconds=0.12),
    Motion(vibrato_cents=15, vibrato_hz=5.2, vibrato_delay_seconds=0.35, drift_cents=1.5,
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
    spectrum=Spectrum((-5, -2), (1800, 3800), 0.25, even_db=-16),
    envelope=Envelope(0.05, bloom=0.5, release_seconds=0.11),
    motion=Motion(drift_cents=1),
    noises=(Noise(-34, 2.5, 2, True, 0.1, 0.5),),
)

FLUTE = Tone(
    Partials(count=20),
    Spectrum((-11, -6), (1900, 4200), 0.4),
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
    spectrum=Spectrum((-14, -8), (1600, 3200), 0.4, even_db=-12),
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
    Ensemble(2, 6.0, 0.3, -7.0),
    room=0.7,
)
SQUARE_LEAD = replace(
    LEAD, spectrum=Spectrum((-7, -5), (2200, 7000), 0.3, even_db=-40), ensemble=Ensemble(1)
)
PAD = Tone(
    Partials(count=32),
    Spectrum((-8, -6.5), (900, 2200), 0.3),
    Envelope(0.35, bloom=0.4, release_seconds=1.1),
    Motion(drift_cents=2, tremolo=0.15, tremolo_hz=0.35),
    Ensemble(5, 8.0, 1.0, -11.0),
    room=1.7,
)
METAL_PAD = replace(
    PAD,
    partials=Partials((1, 2, 2.99, 4.02, 5.43, 6.8, 9.1)),
    spectrum=Spectrum((-4, 0), (2500, 6000), 0.3, levels_db=(0, -6, -10, -14, -16, -20, -24)),
    envelope=Envelope(0.2, release_seconds=1.3),
)
GLASS_PAD = replace(METAL_PAD, envelope=Envelope(0.01, accent=0.5, release_seconds=1.4))
