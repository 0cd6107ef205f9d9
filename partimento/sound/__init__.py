"""Score to sound: a built-in synthesiser, FluidSynth when present; mix, stems and streams."""

from partimento.sound.fluidsynth import chosen_soundfont, find_soundfont
from partimento.sound.player import PlayState
from partimento.sound.render import SAMPLE_RATE_HZ, mix, render, render_stems
from partimento.sound.stream import StreamRenderer

__all__ = [
    "SAMPLE_RATE_HZ",
    "PlayState",
    "StreamRenderer",
    "chosen_soundfont",
    "find_soundfont",
    "mix",
    "render",
    "render_stems",
]
