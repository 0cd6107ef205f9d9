"""A tone at one pitch and one strength of touch, rendered block by block.

Every tone is a sum of partials whose amplitude and phase move slowly. The slow part is computed
once every ``HOP`` samples as a complex envelope, and the fast part, the sines, comes out of one
matrix product a block::

    x[bL + k] = Re sum_p ((1 - k/L) C_p[b] + k/L C_p[b+1]) e^(i theta_p[b]) e^(i omega_p k)

where ``C_p`` holds the amplitude, the vibrato and all the players of an ensemble together, so
that ten violins cost little more than one. A block depends on nothing but the tone, the pitch,
the layer and its own index; hence the same bytes in whatever order blocks are asked for.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from partimento.seeds import generator
from partimento.sound.tone import Noise, Spectrum, Tone

__all__ = [
    "BLOCK",
    "FRAMES",
    "HOP",
    "LAYERS",
    "InstrumentVoice",
    "NoiseBands",
    "pitch_hz",
    "weighting",
]

HOP = 64
FRAMES = 256
BLOCK = HOP * FRAMES
LAYERS = 8  # strengths of touch that sound different; loudness itself is continuous
NOISE_LENGTH = 2 * BLOCK
_MAX_BANDS = 48
_ROWS = 16
_SEED = 1685
_REFERENCE_RMS = 0.11  # of a note at full velocity, weighted by hearing, both channels together
_FLOOR = 2e-4  # a partial this far below the tone (-74 dB) is dropped
_LOUDNESS_SECONDS = 0.18
_NYQUIST_SHARE = 0.45
_MOST_SWING = 0.8  # radians of vibrato; beyond 1.4 the sidebands outweigh the note
_MOST_DRIFT = 0.7
_LEADER_CALM = 0.5  # the first player moves less than the rest, and holds the pitch

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]


def pitch_hz(pitch: float) -> float:
    """Return the frequency of a MIDI pitch, A4 (69) being 440 Hz."""
    return float(440.0 * 2.0 ** ((pitch - 69) / 12))


def weighting(hz: F64) -> F64:
    """Return how strongly the ear counts each frequency (amplitude, 1 at 1 kHz).

    The A curve (IEC 61672) to the power of a half: full A-weighting would make basses thunder.
    """
    f = np.asarray(hz, dtype=np.float64) ** 2
    curve = (12194.0**2 * f**2) / (
        (f + 20.6**2) * (f + 12194.0**2) * np.sqrt((f + 107.7**2) * (f + 737.9**2))
    )
    out: F64 = np.sqrt(curve * 1.2589)
    return out


class NoiseBands:
    """Bands of stereo noise, ``NOISE_LENGTH`` samples that repeat without a seam, RMS 1."""

    def __init__(self, sample_rate_hz: int) -> None:
        self._hz = np.fft.rfftfreq(NOISE_LENGTH, 1 / sample_rate_hz)
        rng = generator(_SEED)
        draws = rng.standard_normal((2, 2, len(self._hz)))
        self._spectrum = (draws[0] + 1j * draws[1]).astype(np.complex64)
        self._bands: dict[tuple[int, int], F32] = {}

    def band(self, centre_hz: float, octaves: float) -> F32:
        """Return (2, NOISE_LENGTH) of noise around a centre (to the nearest third of an octave)."""
        third = round(3 * np.log2(max(centre_hz, 20.0) / 1000.0))
        key = (third, round(octaves * 10))
        if key not in self._bands:
            away = np.log2(np.maximum(self._hz, 1.0) / (1000.0 * 2 ** (third / 3)))
            shape = np.exp(-0.5 * (2.0 * away / octaves) ** 2) / np.sqrt(np.maximum(self._hz, 20.0))
            shape[self._hz < 20.0] = 0.0
            noise = np.fft.irfft(self._spectrum * shape.astype(np.float32), axis=1)
            noise /= np.sqrt(np.mean(noise**2)) + 1e-30
            if len(self._bands) >= _MAX_BANDS:
                del self._bands[next(iter(self._bands))]
            self._bands[key] = noise.astype(np.float32)
        return self._bands[key]


def _levels(spectrum: Spectrum, ratios: F64, hz: F64, touch: float) -> F64:
    """Return the amplitude of each partial before loudness is made equal."""

    def between(pair: tuple[float, float]) -> float:
        return pair[0] + (pair[1] - pair[0]) * touch

    level_db = between(spectrum.slope_db) * np.log2(np.maximum(ratios, 1.0))
    own = np.full(len(ratios), -90.0 if spectrum.levels_db else 0.0)
    own[: len(spectrum.levels_db)] = spectrum.levels_db[: len(ratios)]
    level_db = level_db + own
    if spectrum.even_db:
        level_db = level_db + np.where(np.round(ratios) % 2 == 0, spectrum.even_db, 0.0)
    low, high = spectrum.corner_hz
    corner = low * (high / low) ** touch * (hz[0] / 261.6) ** spectrum.corner_follows
    amplitude: F64 = 10 ** (level_db / 20) / (1 + (hz / max(corner, hz[0])) ** 2)
    if spectrum.pluck:
        amplitude = amplitude * (0.04 + np.abs(np.sin(np.pi * ratios * spectrum.pluck)))
    if spectrum.formants:
        shape = np.full(len(hz), 10 ** (spectrum.formant_floor_db / 20))
        for formant in spectrum.formants:
            away = (hz - formant.centre_hz) / (formant.width_hz / 2)
            shape = shape + 10 ** (formant.level_db / 20) / np.sqrt(1 + away**2)
        amplitude = amplitude * shape
    return amplitude


class InstrumentVoice:
    """A tone at a pitch and a layer of touch (0..``LAYERS`` - 1)."""

    def __init__(
        self, tone: Tone, program: int, pitch: int, layer: int, bands: NoiseBands, rate: int
    ) -> None:
        self._tone, self._rate, self._bands = tone, rate, bands
        self._fundamental = pitch_hz(pitch + tone.transpose)
        rng = generator(_SEED, program, pitch)
        self._choose_partials((layer + 0.5) / LAYERS)
        self._choose_decays()
        self._choose_players(rng, pitch)
        self._equalise()
        self._make_basis()
        self.length = self._length()
        self._noises = [(noise, self._noise_band(noise)) for noise in tone.noises]

    def _choose_partials(self, touch: float) -> None:
        """Set ratios, frequencies and amplitudes of the partials that can be heard."""
        partials = self._tone.partials
        if partials.ratios:
            ratios = np.array(partials.ratios)
        else:
            index = np.arange(1, partials.count + 1)
            # A piano's strings are stiffest at both ends of the keyboard.
            octave = np.log2(self._fundamental / 261.6)
            stiff = partials.stiffness * 2 ** (1.2 * octave if octave > 0 else 0.4 * octave)
            ratios = index * np.sqrt((1 + stiff * index**2) / (1 + stiff))
        hz = self._fundamental * ratios
        amplitude = _levels(self._tone.spectrum, ratios, hz, touch)
        amplitude[hz > _NYQUIST_SHARE * self._rate] = 0.0
        heard = amplitude * weighting(hz)
        keep = (heard > 4e-4 * heard.max(initial=1e-9)) & (amplitude > 0)
        keep[0] = True  # a tone above the limit of the rate keeps its (silent) fundamental
        self._ratios, self._hz, self._amplitude = ratios[keep], hz[keep], amplitude[keep]

    def _choose_decays(self) -> None:
        """Set the decay of each partial in nepers a second (60 dB are 6.9), 0 for sustained."""
        envelope = self._tone.envelope
        if not envelope.ring_seconds:
            self._decay = np.zeros(len(self._hz))
            return
        octave = np.log2(self._fundamental / 261.6)
        ring = envelope.ring_seconds * envelope.ring_follows**octave
        self._decay = 6.9 / ring * (1 + envelope.damping * (self._ratios - 1))
        self._decay += self._hz**2 * 6e-8  # air and felt take the very highest at once

    def _choose_players(self, rng: np.random.Generator, pitch: int) -> None:
        """Set detune, vibrato and drift of each player, and the weights (2, players, partials)."""
        ensemble, motion = self._tone.ensemble, self._tone.motion
        count, partials = ensemble.players, len(self._hz)
        # The first player is exactly in tune and the strongest, the others lie around it.
        others = np.linspace(-1, 1, count - 1) if count > 2 else np.ones(count - 1)
        spread = np.concatenate([[0.0], others * rng.uniform(0.9, 1.1, count - 1)])
        # In the bass a few cents are beats slower than a note is long; players there keep closer.
        closer = float(np.clip((self._fundamental / 261.6) ** 0.5, 0.4, 1))
        cents = ensemble.detune_cents * closer * spread
        self._detune = 2 * np.pi * self._fundamental * (2 ** (cents / 1200) - 1)
        self._vibrato_hz = motion.vibrato_hz * rng.uniform(0.93, 1.07, count)
        self._vibrato_phase = rng.uniform(0, 2 * np.pi, count)
        self._drift_hz = rng.uniform(0.4, 1.3, (count, 2))
        self._drift_phase = rng.uniform(0, 2 * np.pi, (count, 2))
        places = np.linspace(-1, 1, count) if count > 1 else np.zeros(1)
        places = np.roll(places, (count + 1) // 2)  # the first player sits in the middle
        towards = np.clip((pitch - 62) / 40, -1, 1) * ensemble.pitch_pan
        angle = np.pi / 4 * (1 + np.clip(places * ensemble.width + towards, -1, 1))
        gains = np.stack([np.cos(angle), np.sin(angle)])[:, :, None]
        uneven = rng.uniform(-1, 1, (2, count, partials)) * 8 * ensemble.width
        uneven[:, 0] *= 0.25  # whoever leads is heard in every partial, and in the first most
        uneven *= np.clip(np.log2(self._ratios) / 2, 0.1, 1)
        gains = gains * 10 ** (uneven / 20)
        gains[:, 1:] *= 10 ** (ensemble.others_db / 20)
        phases = rng.uniform(-np.pi, np.pi, (count, partials))
        if self._tone.envelope.ring_seconds:
            phases[:] = -np.pi / 2  # a blow starts all partials together
        self._weights = gains * self._amplitude * np.exp(1j * phases)

    def _equalise(self) -> None:
        """Scale the weights so that all tones are equally loud when they begin."""
        span = np.maximum(2 * self._decay * _LOUDNESS_SECONDS, 1e-6)
        mean = (1 - np.exp(-span)) / span
        envelope = self._tone.envelope
        settled = 2 * np.log(max(1 - 0.7 * envelope.accent, 0.1))
        mean *= np.exp(settled * (1 + envelope.bloom * np.log2(np.maximum(self._ratios, 1))))
        power = (np.abs(self._weights) ** 2).sum(axis=(0, 1)) / 2 * mean
        loudness = np.sqrt((power * weighting(self._hz) ** 2).sum()) + 1e-12
        gain = _REFERENCE_RMS * 10 ** (self._tone.trim_db / 20) / loudness
        if self._hz[0] > _NYQUIST_SHARE * self._rate:
            gain = 0.0
        self._weights = (self._weights * gain).astype(np.complex64)
        self._strength = np.abs(self._weights).sum(axis=(0, 1))
        self._noise_gain = _REFERENCE_RMS * 10 ** (self._tone.trim_db / 20)

    def _make_basis(self) -> None:
        """Precompute the sines inside a hop and the carriers' turn from hop to hop."""
        turn = 2 * np.pi * self._hz / self._rate
        angle = turn[:, None] * np.arange(HOP)
        parts = np.stack([np.cos(angle), -np.sin(angle)], axis=1)  # Re(Dz) = ReD Rez - ImD Imz
        rise = np.arange(HOP) / HOP
        self._basis = np.stack([parts * (1 - rise), parts * rise]).astype(np.float32)
        angle = np.remainder(np.outer(np.arange(FRAMES), turn * HOP), 2 * np.pi)
        self._carrier = np.empty(angle.shape, dtype=np.complex64)
        self._carrier.real, self._carrier.imag = np.cos(angle), np.sin(angle)
        self._turn = turn

    def _length(self) -> int | None:
        """Return after how many samples nothing is left; None where a tone lasts for ever."""
        if not self._tone.envelope.ring_seconds:
            return None
        slow = self._decay * (0.25 if self._tone.envelope.afterglow else 1.0)
        level = np.maximum(self._strength, 1e-12) / (_FLOOR * self._strength.max(initial=1e-9))
        seconds = float(np.max(np.log(np.maximum(level, 1.0)) / slow, initial=0.05))
        return int(min(seconds, 30.0) * self._rate) + HOP

    def _noise_band(self, noise: Noise) -> F32:
        centre = noise.centre * (self._fundamental if noise.follows else 1.0)
        return self._bands.band(min(centre, 0.4 * self._rate), noise.octaves)

    def block(self, index: int) -> F32:
        """Return block ``index`` of the sound, (2, BLOCK), from the note's start on."""
        frames = np.arange(index * FRAMES, (index + 1) * FRAMES + 1, dtype=np.float64)
        seconds = frames * (HOP / self._rate)
        envelope = self._envelope(seconds)
        loud = envelope.max(axis=0) * self._strength
        keep = np.flatnonzero(loud > _FLOOR * self._strength.max(initial=1e-9))
        if len(keep):
            out = self._sines(self._control(seconds, keep) * envelope[:, keep], index, keep)
        else:
            out = np.zeros((2, BLOCK), dtype=np.float32)
        for noise, band in self._noises:
            self._add_noise(out, noise, band, seconds, index)
        return out

    def _envelope(self, seconds: F64) -> F32:
        """Return (frames + 1, partials): attack, bloom, decay, accent and tremolo."""
        shape, motion = self._tone.envelope, self._tone.motion
        rise = np.clip(seconds / max(shape.attack_seconds, HOP / self._rate), 0, 1)
        attack = (0.5 - 0.5 * np.cos(np.pi * rise)).astype(np.float32)
        if shape.accent:
            attack *= 1 - shape.accent * (1 - np.exp(-seconds / 0.12)).astype(np.float32)
        if motion.tremolo:
            swing = 0.5 - 0.5 * np.cos(2 * np.pi * motion.tremolo_hz * seconds)
            attack *= (1 - motion.tremolo * swing).astype(np.float32)
        if shape.bloom and (shape.accent or seconds[0] < shape.attack_seconds):
            power = 1 + shape.bloom * np.log2(np.maximum(self._ratios, 1)).astype(np.float32)
            out: F32 = np.exp(np.log(np.maximum(attack, 1e-9))[:, None] * power)
        else:
            out = np.repeat(attack[:, None], len(self._hz), axis=1)
        if shape.ring_seconds:
            slow = np.exp(np.outer(seconds, -0.25 * self._decay).astype(np.float32))
            decay = np.square(np.square(slow))
            if shape.afterglow:
                decay = (1 - shape.afterglow) * decay + shape.afterglow * slow
            out *= decay
        return out

    def _control(self, seconds: F64, keep: npt.NDArray[np.intp]) -> npt.NDArray[np.complex64]:
        """Return (2, frames + 1, partials): all players' phases and gains around the carriers."""
        ratios = self._ratios[keep].astype(np.float32)
        weights = self._weights[:, :, keep]
        motion = self._tone.motion
        moves = motion.vibrato_cents or motion.drift_cents or motion.scoop_cents
        if not moves and len(self._detune) == 1:
            return np.broadcast_to(weights, (2, len(seconds), len(keep)))
        shape = (len(seconds), len(keep))
        out = np.zeros((2, *shape), dtype=np.complex64)
        share = np.empty((2, *shape), dtype=np.complex64)
        turned = np.empty(shape, dtype=np.complex64)
        angle = np.empty(shape, dtype=np.float32)
        wander = self._wander(seconds).astype(np.float32)
        for player in range(len(wander)):
            np.multiply(wander[player, :, None], ratios, out=angle)
            np.cos(angle, out=turned.real)
            np.sin(angle, out=turned.imag)
            np.multiply(weights[:, player, None], turned, out=share)
            out += share
        return out

    def _wander(self, seconds: F64) -> F64:
        """Return (players, frames + 1): radians of each fundamental away from the carrier."""
        motion = self._tone.motion
        angle: F64 = self._detune[:, None] * seconds
        cent = 2 * np.pi * self._fundamental * (np.log(2) / 1200)
        if motion.vibrato_cents:
            rate = 2 * np.pi * self._vibrato_hz[:, None]
            # High notes swing less, so that the note itself stays the strongest line.
            depth = np.minimum(cent * motion.vibrato_cents / rate, _MOST_SWING)
            grow = np.clip((seconds - motion.vibrato_delay_seconds) / 0.4, 0, 1)
            angle += depth * grow * np.sin(rate * seconds + self._vibrato_phase[:, None])
        if motion.drift_cents:
            for which in range(2):
                rate = 2 * np.pi * self._drift_hz[:, which, None]
                depth = np.minimum(cent * motion.drift_cents / rate, _MOST_DRIFT)
                angle += depth * np.sin(rate * seconds + self._drift_phase[:, which, None])
        angle[0] *= _LEADER_CALM
        if motion.scoop_cents:
            angle += cent * motion.scoop_cents * 0.03 * np.exp(-seconds / 0.03)
        return angle

    def _sines(
        self, control: npt.NDArray[np.complex64], index: int, keep: npt.NDArray[np.intp]
    ) -> F32:
        """Return (2, BLOCK) from the complex envelopes (2, frames + 1, partials)."""
        start = np.exp(1j * np.remainder(self._turn[keep] * (index * BLOCK), 2 * np.pi))
        carrier = self._carrier[:, keep] * start.astype(np.complex64)
        left = np.empty((2, FRAMES, 2, len(keep)), dtype=np.complex64)
        np.multiply(control[:, :-1], carrier, out=left[:, :, 0])
        np.multiply(control[:, 1:], carrier, out=left[:, :, 1])
        basis = self._basis[:, keep].reshape(-1, HOP)
        # Many small products: BLAS keeps those on one thread, so that neither the bytes nor the
        # speed depend on how many cores there are, or on what else they are doing.
        rows = left.view(np.float32).reshape(-1, _ROWS, basis.shape[0])
        out: F32 = rows @ basis
        return out.reshape(2, BLOCK)

    def _add_noise(self, out: F32, noise: Noise, band: F32, seconds: F64, index: int) -> None:
        if not noise.sustain and seconds[0] > 1.4 * noise.ring_seconds:
            return
        fall = np.exp(-6.9 * seconds / noise.ring_seconds)
        level = noise.sustain + (1 - noise.sustain) * fall
        level *= np.clip(seconds / max(noise.attack_seconds, HOP / self._rate), 0, 1)
        level *= self._noise_gain * 10 ** (noise.level_db / 20)
        samples = np.interp(np.arange(BLOCK) / HOP, np.arange(FRAMES + 1), level)
        first = index * BLOCK % NOISE_LENGTH
        out += band[:, first : first + BLOCK] * samples.astype(np.float32)
