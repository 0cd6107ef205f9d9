"""Sounds made once and kept: blocks of tones and whole drum hits, within a bound of memory."""

from __future__ import annotations

import threading
from collections import OrderedDict

import numpy as np
import numpy.typing as npt

from partimento.sound.drum_kit import hit_of, render_hit
from partimento.sound.programs import tone_of
from partimento.sound.tone import Tone
from partimento.sound.voice import BLOCK, LAYERS, InstrumentVoice, NoiseBands

__all__ = ["DRUM_KIT", "Bank"]

DRUM_KIT = 128  # stands where a program would
_MAX_BLOCKS = 512  # 67 MB of sound
_MAX_VOICES = 160  # some 25 MB of tables

F32 = npt.NDArray[np.float32]
Key = tuple[int, int, int]


class Bank:
    """Every sound of the synthesiser at one sample rate.

    What it returns depends on the arguments alone; what it keeps only saves time, and threads may
    share it.
    """

    def __init__(self, sample_rate_hz: int, max_blocks: int = _MAX_BLOCKS) -> None:
        self.sample_rate_hz = sample_rate_hz
        self._bands = NoiseBands(sample_rate_hz)
        self._max_blocks = max_blocks
        self._voices: OrderedDict[Key, InstrumentVoice | F32] = OrderedDict()
        self._blocks: OrderedDict[tuple[int, int, int, int], F32] = OrderedDict()
        self._lengths: dict[Key, int | None] = {}
        self._lock = threading.Lock()

    @staticmethod
    def tone(program: int) -> Tone:
        """Return the tone of a program."""
        return tone_of(program)

    def _voice(self, key: Key) -> InstrumentVoice | F32:
        if key not in self._voices:
            program, pitch, layer = key
            if program == DRUM_KIT:
                made: InstrumentVoice | F32 = render_hit(
                    pitch, (layer + 0.5) / LAYERS, self.sample_rate_hz
                )
            else:
                tone = tone_of(program)
                made = InstrumentVoice(
                    tone, program, pitch, layer, self._bands, self.sample_rate_hz
                )
            self._voices[key] = made
            while len(self._voices) > _MAX_VOICES:
                self._voices.popitem(last=False)
        self._voices.move_to_end(key)
        return self._voices[key]

    def length(self, program: int, pitch: int, layer: int) -> int | None:
        """Return after how many samples the sound is over by itself; None if never."""
        key = self._key(program, pitch, layer)
        with self._lock:
            if key not in self._lengths:
                voice = self._voice(key)
                self._lengths[key] = (
                    voice.length if isinstance(voice, InstrumentVoice) else voice.shape[1]
                )
            return self._lengths[key]

    def block(self, program: int, pitch: int, layer: int, index: int) -> F32:
        """Return block ``index`` of a sound, (2, BLOCK)."""
        key = (*self._key(program, pitch, layer), index)
        with self._lock:
            if key not in self._blocks:
                voice = self._voice(key[:3])
                if isinstance(voice, InstrumentVoice):
                    made = voice.block(index)
                else:
                    part = voice[:, index * BLOCK : (index + 1) * BLOCK]
                    made = np.pad(part, ((0, 0), (0, BLOCK - part.shape[1])))
                self._blocks[key] = made
                while len(self._blocks) > self._max_blocks:
                    self._blocks.popitem(last=False)
            self._blocks.move_to_end(key)
            return self._blocks[key]

    @staticmethod
    def _key(program: int, pitch: int, layer: int) -> Key:
        return program, hit_of(pitch)[0] if program == DRUM_KIT else pitch, layer
