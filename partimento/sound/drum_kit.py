"""The drum kit: the General MIDI percussion keys 35..81, each a recipe of a few parts.

A hit is a sum of skins (a sine that may fall in pitch), bars (fixed inharmonic partials), metal
(a dense cluster of partials) and bands of noise, each dying at its own pace.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from partimento.seeds import generator

__all__ = ["CHOKED_BY", "Hit", "hit_of", "render_hit"]

_SEED = 1759
_LEVEL = 0.62  # peak of a hit at full velocity with trim 0

_CLUSTER = 48
_HOP = 64
_ROWS = 16

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

# A closed or pedalled hi-hat silences the open one; likewise the mute triangle and cuica.
CHOKED_BY: dict[int, frozenset[int]] = {
    46: frozenset((42, 44, 46)),
    81: frozenset((80, 81)),
    79: frozenset((78, 79)),
    74: frozenset((73, 74)),
    72: frozenset((71, 72)),
}


@dataclass(frozen=True, slots=True)
class Hit:
    """One drum. Parts are (hertz, ..., seconds to fall by 60 dB, level in dB) tuples.

    ``skins``: (hz, fall in octaves, seconds of the fall, ring, dB). ``bars``: (hz, ring, dB).
    ``metal``: (lowest hz, highest hz, ring, dB), 48 partials between. ``noises``: (lowest hz,
    highest hz, ring, dB). ``bursts``: onsets in seconds at which the noises strike again.
    """

    skins: tuple[tuple[float, float, float, float, float], ...] = ()
    bars: tuple[tuple[float, float, float], ...] = ()
    metal: tuple[tuple[float, float, float, float], ...] = ()
    noises: tuple[tuple[float, float, float, float], ...] = ()
    bursts: tuple[float, ...] = (0.0,)
    pan: float = 0.0
    trim_db: float = 0.0
    attack_seconds: float = 0.0006


def _tom(hz: float, pan: float) -> Hit:
    return Hit(
        skins=((hz, 0.45, 0.05, 0.55, 0), (hz * 1.59, 0.3, 0.04, 0.25, -10)),
        noises=((300, 3500, 0.06, -15), (100, 700, 0.25, -20)),
        pan=pan,
        trim_db=-4,
    )


def _conga(hz: float, ring: float, slap_db: float, pan: float) -> Hit:
    return Hit(
        skins=((hz, 0.12, 0.02, ring, 0), (hz * 1.5, 0.1, 0.02, ring * 0.4, -12)),
        noises=((900, 4500, 0.035, slap_db),),
        pan=pan,
        trim_db=-6,
    )


def _cymbal(low: float, ring: float, wash_db: float, pan: float, trim: float) -> Hit:
    return Hit(
        metal=((low, 9500, ring, -4), (low * 0.6, 3500, ring * 0.5, -10)),
        noises=((3500, 14000, ring * 0.7, wash_db), (900, 5000, 0.3, wash_db - 6)),
        pan=pan,
        trim_db=trim,
        attack_seconds=0.002,
    )


_KICK = Hit(
    skins=((48, 1.9, 0.03, 0.42, 0), (95, 1.2, 0.015, 0.12, -10)),
    noises=((1500, 5000, 0.018, -19), (60, 400, 0.05, -16)),
    trim_db=1.0,
)
_SNARE = Hit(
    skins=((186, 0.35, 0.02, 0.2, -3), (331, 0.2, 0.02, 0.13, -8)),
    noises=((1800, 9000, 0.26, -3), (500, 2500, 0.12, -8)),
    trim_db=-2.0,
)
_BELL_RIDE = ((2900.0, 1.4, -14.0), (4370.0, 1.1, -16.0), (5610.0, 0.9, -18.0))

_KIT: dict[int, Hit] = {
    35: Hit(_KICK.skins[:1], noises=((700, 2500, 0.015, -25),), trim_db=1.0),
    36: _KICK,
    37: Hit(bars=((1720, 0.06, 0), (2480, 0.05, -3), (480, 0.05, -6)),
            noises=((1500, 6000, 0.02, -8),), pan=-0.1, trim_db=-8),
    38: _SNARE,
    39: Hit(noises=((800, 2600, 0.16, 0), (2000, 7000, 0.05, -6)),
            bursts=(0.0, 0.011, 0.022, 0.034), trim_db=-5),
    40: Hit(skins=((215, 0.25, 0.015, 0.14, -4), (410, 0.15, 0.02, 0.1, -8)),
            noises=((2500, 11000, 0.19, -3),), trim_db=-2.5),
    41: _tom(73, 0.45), 43: _tom(87, 0.32), 45: _tom(106, 0.15),
    47: _tom(129, -0.05), 48: _tom(155, -0.2), 50: _tom(188, -0.35),
    42: Hit(metal=((5200, 13000, 0.07, -3),), noises=((6500, 15000, 0.06, -3),),
            pan=-0.25, trim_db=-14),
    44: Hit(metal=((3800, 9000, 0.06, -4),), noises=((3000, 9000, 0.05, -6),),
            pan=-0.25, trim_db=-15, attack_seconds=0.003),
    46: Hit(metal=((5000, 13000, 0.75, -3),), noises=((6000, 15000, 0.65, -3),),
            pan=-0.25, trim_db=-14),
    49: _cymbal(520, 2.4, -1, -0.35, -9),
    51: Hit(bars=_BELL_RIDE, metal=((3000, 11000, 1.3, -7),), noises=((5500, 12000, 0.5, -15),),
            pan=0.3, trim_db=-13),
    52: _cymbal(370, 1.5, 0, 0.35, -10),
    53: Hit(bars=((2650, 1.3, 0), (3980, 1.0, -5), (5290, 0.8, -8)),
            metal=((4000, 9000, 0.8, -22),), pan=0.3, trim_db=-13),
    54: Hit(metal=((5500, 12000, 0.18, -3),), noises=((5000, 13000, 0.13, -8),),
            bursts=(0.0, 0.03), pan=0.2, trim_db=-13),
    55: _cymbal(900, 0.8, 0, -0.2, -11),
    56: Hit(bars=((562, 0.32, 0), (845, 0.28, -2), (1690, 0.15, -10), (2530, 0.1, -14)),
            pan=0.15, trim_db=-12),
    57: _cymbal(450, 2.1, -1, 0.4, -9),
    58: Hit(metal=((1800, 5500, 0.6, -3),), noises=((2000, 5500, 0.5, -10),),
            bursts=tuple(0.024 * i for i in range(18)), trim_db=-13),
    59: Hit(bars=((3300, 1.2, -14), (4810, 1.0, -16)), metal=((2600, 10000, 1.1, -6),),
            noises=((4500, 11000, 0.5, -13),), pan=0.4, trim_db=-13),
    60: _conga(392, 0.16, -14, -0.2), 61: _conga(262, 0.2, -15, 0.2),
    62: _conga(245, 0.09, -8, -0.3), 63: _conga(233, 0.32, -14, -0.3),
    64: _conga(165, 0.38, -16, 0.3),
    65: Hit(skins=((392, 0.15, 0.02, 0.3, 0), (640, 0.1, 0.02, 0.3, -5), (1010, 0, 0.1, 0.2, -9)),
            noises=((1500, 6000, 0.05, -14),), pan=-0.2, trim_db=-7),
    66: Hit(skins=((277, 0.15, 0.02, 0.35, 0), (450, 0.1, 0.02, 0.3, -5), (715, 0, 0.1, 0.2, -9)),
            noises=((1500, 6000, 0.05, -15),), pan=0.2, trim_db=-7),
    67: Hit(bars=((905, 0.5, 0), (2310, 0.3, -6), (3720, 0.2, -12)), pan=0.25, trim_db=-14),
    68: Hit(bars=((675, 0.55, 0), (1720, 0.3, -6), (2770, 0.2, -12)), pan=0.25, trim_db=-14),
    69: Hit(noises=((4500, 12000, 0.07, 0),), bursts=(0.0, 0.02), trim_db=-16, attack_seconds=0.01),
    70: Hit(noises=((5500, 13000, 0.045, 0),), trim_db=-16, attack_seconds=0.006),
    71: Hit(bars=((2180, 0.35, 0), (2290, 0.35, -6)), noises=((1900, 2600, 0.3, -12),),
            trim_db=-16, attack_seconds=0.02),
    72: Hit(bars=((2180, 1.5, 0), (2290, 1.5, -6)), noises=((1900, 2600, 1.2, -12),),
            trim_db=-16, attack_seconds=0.03),
    73: Hit(noises=((2200, 6000, 0.02, 0),), bursts=tuple(0.011 * i for i in range(9)),
            trim_db=-14),
    74: Hit(noises=((2200, 6000, 0.025, 0),), bursts=tuple(0.017 * i for i in range(24)),
            trim_db=-14),
    75: Hit(bars=((2480, 0.09, 0), (5150, 0.04, -14)), trim_db=-14),
    76: Hit(bars=((1130, 0.1, 0), (2750, 0.05, -8)), noises=((800, 3000, 0.015, -12),),
            pan=-0.2, trim_db=-11),
    77: Hit(bars=((790, 0.12, 0), (1960, 0.06, -8)), noises=((600, 2500, 0.015, -12),),
            pan=0.2, trim_db=-11),
    78: Hit(skins=((620, -0.4, 0.06, 0.18, 0), (1240, -0.4, 0.06, 0.12, -8)), trim_db=-11,
            attack_seconds=0.015),
    79: Hit(skins=((400, -0.8, 0.12, 0.5, 0), (800, -0.8, 0.12, 0.3, -8)), trim_db=-11,
            attack_seconds=0.02),
    80: Hit(bars=((4210, 0.09, 0), (6780, 0.08, -3), (9150, 0.06, -6)), pan=-0.3, trim_db=-18),
    81: Hit(bars=((4210, 2.2, 0), (4228, 2.2, -6), (6780, 1.6, -4), (9150, 1.1, -8)),
            pan=-0.3, trim_db=-18),
}  # fmt: skip


def hit_of(pitch: int) -> tuple[int, Hit]:
    """Return the recipe of a key and the key it belongs to.

    Keys beyond the standard's 35..81 borrow the nearest one's: 27..34 sticks and clicks the side
    stick, lower the bass drum, higher the open triangle.
    """
    if pitch in _KIT:
        return pitch, _KIT[pitch]
    key = 81 if pitch > 81 else 37 if pitch >= 27 else 35
    return key, _KIT[key]


def _band(noise: F32, low: float, high: float, rate: int) -> F32:
    """Return the noise between two frequencies with soft shoulders, RMS 1."""
    size = noise.shape[-1]
    hz = np.fft.rfftfreq(size, 1 / rate)
    shape = 1 / np.sqrt(1 + (low / np.maximum(hz, 1.0)) ** 8) / np.sqrt(1 + (hz / high) ** 8)
    banded = np.fft.irfft(np.fft.rfft(noise) * shape.astype(np.float32), size)
    out: F32 = banded.astype(np.float32)
    out /= np.sqrt(np.mean(out**2)) + 1e-12
    return out


def render_hit(pitch: int, touch: float, rate: int) -> F32:
    """Return (2, frames) of one hit; ``touch`` 0..1 makes it brighter and a little longer."""
    key, hit = hit_of(pitch)
    rng = generator(_SEED, key)
    rings = [part[-2] for part in (*hit.skins, *hit.bars, *hit.metal, *hit.noises)]
    seconds = (max(rings) * 1.25 + hit.bursts[-1]) * (0.85 + 0.15 * touch) + 0.02
    count = int(seconds * rate)
    time = np.arange(count) / rate
    soft_db = -9.0 * (1 - touch)  # what a soft blow takes from the bright parts

    def fall(ring: float, after: float = 0.0) -> F64:
        late = time - after
        decay = np.exp(-6.9 * np.maximum(late, 0) / (ring * (0.85 + 0.15 * touch)))
        out: F64 = np.where(late >= 0, decay, 0.0)
        return out

    def gain(level_db: float, hz: float = 0.0) -> float:
        return float(10 ** ((level_db + (soft_db if hz > 900 else 0.0)) / 20))

    mid = np.zeros(count)
    for hz, octaves, span, ring, level_db in hit.skins:
        phase = np.cumsum(hz * 2 ** (octaves * np.exp(-time / span))) / rate
        mid += gain(level_db) * fall(ring) * np.sin(2 * np.pi * phase)
    for hz, ring, level_db in hit.bars:
        mid += gain(level_db, hz) * fall(ring) * np.sin(2 * np.pi * hz * time) * (hz < 0.45 * rate)
    out = np.stack([mid, mid])
    for low, high, ring, level_db in hit.metal:
        out += gain(level_db, low) * fall(ring) * _metal(rng, low, high, count, rate)
    size = 1 << (count - 1).bit_length()
    for low, high, ring, level_db in hit.noises:
        noise = _band(
            rng.standard_normal((2, size), dtype=np.float32), low, min(high, 0.45 * rate), rate
        )
        level = np.max([fall(ring, at) for at in hit.bursts], axis=0)
        out += 0.35 * gain(level_db, low) * level * noise[:, :count]
    return _finish(out, hit, touch, rate)


def _metal(rng: np.random.Generator, low: float, high: float, count: int, rate: int) -> F32:
    """Return (2, count) of a cluster of 48 partials spread in log frequency, RMS 0.35."""
    hz = low * (min(high, 0.45 * rate) / low) ** rng.uniform(0, 1, _CLUSTER)
    phases = rng.uniform(0, 2 * np.pi, (2, _CLUSTER))
    sides = rng.uniform(0.5, 1.0, (2, _CLUSTER))
    # As in a voice: the start of each hop times the sines inside it, in products of few rows.
    turn = 2 * np.pi * hz / rate
    hops = -(-count // (_HOP * _ROWS)) * _ROWS
    angle = np.outer(np.arange(hops) * _HOP, turn) + phases[:, None]
    angle = np.remainder(angle, 2 * np.pi).astype(np.float32)
    weights = sides[:, None].astype(np.float32)
    left = np.concatenate([weights * np.cos(angle), weights * np.sin(angle)], axis=2)
    inside = (turn[:, None] * np.arange(_HOP)).astype(np.float32)
    right = np.concatenate([np.cos(inside), -np.sin(inside)])
    out: F32 = (left.reshape(-1, _ROWS, 2 * _CLUSTER) @ right).reshape(2, -1)[:, :count]
    out *= 0.35 / np.sqrt(np.mean(out**2))
    return out


def _finish(out: F64, hit: Hit, touch: float, rate: int) -> F32:
    """Shape the first and last moments, set level and place."""
    count = out.shape[1]
    time = np.arange(count) / rate
    out *= np.clip(time / hit.attack_seconds, 0, 1)
    out *= np.clip((count - np.arange(count)) / (0.01 * rate), 0, 1)
    out -= np.mean(out, axis=1, keepdims=True) * np.hanning(count) * 2
    angle = np.pi / 4 * (1 + hit.pan)
    out *= np.sqrt(2) * np.array([[np.cos(angle)], [np.sin(angle)]])
    out *= _LEVEL * 10 ** (hit.trim_db / 20) / (np.max(np.abs(out)) + 1e-12)
    return out.astype(np.float32)
