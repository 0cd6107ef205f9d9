"""The 128 General MIDI programs as tones.

Each family of the standard has a few tones of its own, and each program is one of them or a
variation of it. Effects that no musical line needs (helicopter, applause) are coloured noise.
"""

from __future__ import annotations

from dataclasses import replace

from partimento.sound import struck_tones as struck
from partimento.sound import sustained_tones as lasting
from partimento.sound.tone import Ensemble, Envelope, Motion, Noise, Partials, Spectrum, Tone

__all__ = ["tone_of"]

_KEYS = (
    struck.PIANO,
    replace(struck.PIANO, spectrum=Spectrum((-5.5, -2.5), (1100, 4500), 0.4, pluck=0.11)),
    replace(struck.PIANO, ensemble=Ensemble(2, 2.5, 0.4, -3.0, 0.2), noises=()),
    replace(struck.PIANO, ensemble=Ensemble(3, 9.0, 0.4, -1.0, 0.2)),
    struck.ELECTRIC_PIANO,
    struck.FM_PIANO,
    struck.HARPSICHORD,
    struck.CLAVINET,
)
_CHROMATIC = (
    struck.CELESTA,
    struck.GLOCKENSPIEL,
    replace(
        struck.CELESTA,
        spectrum=Spectrum((0, 1), (4000, 8000), 0.3, levels_db=(0, -14, -10, -18, -22)),
    ),
    struck.VIBRAPHONE,
    struck.MARIMBA,
    struck.XYLOPHONE,
    struck.BELLS,
    replace(struck.STEEL, ensemble=Ensemble(3, 3.0, 0.5, -3.0), room=1.1),
)
_ORGANS = (
    lasting.ORGAN,
    lasting.PERCUSSIVE_ORGAN,
    replace(
        lasting.ORGAN,
        spectrum=Spectrum((-2, 0.5), levels_db=(-3, 0, -4, -5, -7, -8, -12, -12, -10)),
    ),
    lasting.CHURCH_ORGAN,
    lasting.REED_ORGAN,
    lasting.ACCORDION,
    replace(
        lasting.REED_ORGAN, motion=Motion(vibrato_cents=8, drift_cents=1), ensemble=Ensemble(1)
    ),
    replace(lasting.ACCORDION, ensemble=Ensemble(2, 2.0, 0.3, 0.0)),
)
_GUITARS = (
    struck.NYLON,
    struck.STEEL,
    struck.JAZZ_GUITAR,
    struck.CLEAN_GUITAR,
    replace(struck.CLEAN_GUITAR, envelope=Envelope(0.002, ring_seconds=0.45, damping=0.25)),
    struck.OVERDRIVE,
    replace(struck.OVERDRIVE, spectrum=Spectrum((-1.5, -0.5), (3400, 5000), 0.1)),
    replace(
        struck.STEEL, partials=Partials((1, 2, 3, 4)), spectrum=Spectrum((-9, -7), (2500, 4000))
    ),
)
_BASSES = (
    struck.ACOUSTIC_BASS,
    struck.FINGER_BASS,
    struck.PICK_BASS,
    struck.FRETLESS,
    replace(struck.PICK_BASS, envelope=Envelope(0.0015, ring_seconds=2.2, release_seconds=0.08)),
    replace(struck.PICK_BASS, spectrum=Spectrum((-2, 0), (2500, 5500), 0.2, pluck=0.09)),
    lasting.SYNTH_BASS,
    replace(lasting.SYNTH_BASS, spectrum=Spectrum((-6, -6), (350, 1400), 0.3, even_db=-12)),
)
_STRINGS = (
    lasting.SOLO_STRING,
    replace(
        lasting.SOLO_STRING,
        spectrum=Spectrum((-6, -4.5), (2200, 4600), 0.15, formants=lasting.VIOLIN_BODY),
    ),
    lasting.CELLO,
    replace(lasting.CELLO, envelope=Envelope(0.1, bloom=0.35, accent=0.15, release_seconds=0.25)),
    replace(
        lasting.VIOLINS, motion=Motion(vibrato_cents=5, drift_cents=3, tremolo=0.65, tremolo_hz=11)
    ),
    struck.PIZZICATO,
    struck.HARP,
    struck.TIMPANI,
)
_ENSEMBLES = (
    lasting.VIOLINS,
    replace(lasting.VIOLINS, envelope=Envelope(0.2, bloom=0.3, release_seconds=0.5)),
    lasting.SYNTH_STRINGS,
    replace(lasting.SYNTH_STRINGS, spectrum=Spectrum((-7, -6), (1500, 3500), 0.2)),
    lasting.CHOIR,
    lasting.OOHS,
    replace(
        lasting.CHOIR, motion=Motion(drift_cents=2), envelope=Envelope(0.08, release_seconds=0.4)
    ),
    replace(lasting.SYNTH_BRASS, envelope=Envelope(0.01, bloom=0.5, ring_seconds=1.0, damping=0.1)),
)
_BRASSES = (
    lasting.BRASS,
    lasting.LOW_BRASS,
    replace(lasting.LOW_BRASS, spectrum=Spectrum((-8, -4.5), (450, 1400), 0.3)),
    lasting.MUTED_TRUMPET,
    lasting.HORN,
    lasting.BRASS_SECTION,
    lasting.SYNTH_BRASS,
    replace(lasting.SYNTH_BRASS, spectrum=Spectrum((-7, -6), (1000, 3200), 0.3)),
)
_REEDS = (
    replace(
        lasting.SAX,
        spectrum=Spectrum((-4.5, -2.5), (2000, 4200), 0.2, formants=lasting.VIOLIN_BODY),
    ),
    lasting.SAX,
    replace(lasting.SAX, noises=(Noise(-23, 2200, 2.2, False, 0.1, 0.5, 0.01),)),
    replace(lasting.SAX, spectrum=Spectrum((-5, -2.5), (1000, 2800), 0.25, even_db=2)),
    lasting.OBOE,
    replace(lasting.OBOE, spectrum=replace(lasting.OBOE.spectrum, corner_hz=(2000, 3400))),
    lasting.BASSOON,
    lasting.CLARINET,
)
_PIPES = (
    replace(lasting.FLUTE, envelope=Envelope(0.04, release_seconds=0.1)),
    lasting.FLUTE,
    lasting.RECORDER,
    lasting.PAN_FLUTE,
    replace(lasting.PAN_FLUTE, envelope=Envelope(0.03, accent=0.3, release_seconds=0.1)),
    replace(lasting.PAN_FLUTE, motion=Motion(vibrato_cents=12, drift_cents=3, scoop_cents=-40)),
    lasting.WHISTLE,
    replace(lasting.WHISTLE, motion=Motion(drift_cents=1)),
)
_LEADS = (
    lasting.SQUARE_LEAD,
    lasting.LEAD,
    replace(lasting.FLUTE, room=0.8),
    replace(lasting.SQUARE_LEAD, noises=(Noise(-14, 4.0, 1, True, 0.05),)),
    replace(struck.OVERDRIVE, room=0.7),
    replace(
        lasting.CHOIR, ensemble=Ensemble(2, 5.0, 0.4), envelope=Envelope(0.05, release_seconds=0.2)
    ),
    replace(lasting.LEAD, partials=Partials((1, 1.5, 2, 3, 4, 4.5, 5, 6, 7.5, 8, 9, 10, 12))),
    replace(lasting.LEAD, partials=Partials((0.5, 1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 10, 12))),
)
_PADS = (
    lasting.GLASS_PAD,
    lasting.PAD,
    replace(
        lasting.PAD,
        spectrum=Spectrum((-6, -5), (2000, 5000), 0.3),
        envelope=Envelope(0.08, release_seconds=0.8),
    ),
    replace(lasting.CHOIR, envelope=Envelope(0.35, bloom=0.3, release_seconds=1.1), room=2.0),
    replace(lasting.VIOLINS, envelope=Envelope(0.4, bloom=0.4, release_seconds=1.1), room=1.8),
    lasting.METAL_PAD,
    replace(lasting.OOHS, envelope=Envelope(0.4, bloom=0.3, release_seconds=1.3), room=2.0),
    replace(lasting.PAD, envelope=Envelope(0.7, bloom=1.2, release_seconds=1.3), trim_db=3),
)
_EFFECTS = (
    lasting.GLASS_PAD,
    replace(lasting.PAD, envelope=Envelope(0.6, bloom=0.8, release_seconds=1.4)),
    replace(struck.GLOCKENSPIEL, room=2.0),
    replace(struck.STEEL, room=1.8, ensemble=Ensemble(4, 6.0, 0.9, -2.0)),
    replace(lasting.METAL_PAD, spectrum=Spectrum((0, 1), (4000, 8000), 0.3)),
    replace(lasting.PAD, motion=Motion(drift_cents=9, tremolo=0.4, tremolo_hz=1.1)),
    replace(struck.CELESTA, room=2.2),
    replace(lasting.LEAD, motion=Motion(vibrato_cents=18, vibrato_hz=6.5), room=1.5),
)
_ETHNIC = (
    struck.SITAR,
    struck.BANJO,
    replace(
        struck.BANJO, envelope=Envelope(0.0015, ring_seconds=0.9, damping=0.1, release_seconds=0.12)
    ),
    replace(struck.STEEL, envelope=Envelope(0.0015, ring_seconds=3.2, damping=0.08), room=1.0),
    struck.KALIMBA,
    replace(
        lasting.REED_ORGAN, spectrum=Spectrum((-2, -1), (3000, 4500), 0.1), ensemble=Ensemble(3, 4)
    ),
    lasting.SOLO_STRING,
    replace(lasting.OBOE, motion=Motion(vibrato_cents=14, scoop_cents=-35)),
)
_PERCUSSIVE = (
    replace(struck.GLOCKENSPIEL, envelope=Envelope(0.001, ring_seconds=1.6, damping=0.2)),
    replace(struck.BELLS, envelope=Envelope(0.001, ring_seconds=0.7, damping=0.3)),
    struck.STEEL_DRUM,
    struck.WOODBLOCK,
    struck.TAIKO,
    replace(struck.TAIKO, noises=(Noise(-14, 300, 2, ring_seconds=0.06),)),
    replace(struck.TAIKO, partials=Partials((1, 2)), spectrum=Spectrum((-8, -4)), noises=()),
    replace(struck.hiss(6000, 3, 6, 0.0), envelope=Envelope(1.2, ring_seconds=6)),
)
_SOUNDS = (
    struck.hiss(2500, 1.2, 0.12, 0.0),
    struck.hiss(1800, 2.0, 0.5, 0.2),
    struck.hiss(700, 3.0, 8.0, 0.6),
    replace(
        lasting.WHISTLE, motion=Motion(vibrato_cents=80, vibrato_hz=14, vibrato_delay_seconds=0)
    ),
    replace(lasting.SQUARE_LEAD, motion=Motion(tremolo=1.0, tremolo_hz=20)),
    struck.hiss(200, 2.5, 8.0, 0.6),
    struck.hiss(1500, 2.5, 8.0, 0.5),
    struck.hiss(400, 4.0, 0.8, 0.0),
)

_TABLE: tuple[tuple[Tone, ...], ...] = (
    _KEYS, _CHROMATIC, _ORGANS, _GUITARS, _BASSES, _STRINGS, _ENSEMBLES, _BRASSES,
    _REEDS, _PIPES, _LEADS, _PADS, _EFFECTS, _ETHNIC, _PERCUSSIVE, _SOUNDS,
)  # fmt: skip


def tone_of(program: int) -> Tone:
    """Return the tone of a General MIDI program, 0..127."""
    return _TABLE[program // 8][program % 8]
