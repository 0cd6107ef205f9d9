"""FluidSynth, where it is installed: any SF2 or SF3 soundfont instead of the built-in synthesiser.

The executable is run on a temporary MIDI file and writes raw samples; nothing is linked.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from partimento.errors import FileError, NotSupported
from partimento.messages import listed
from partimento.music import Score, Track
from partimento.music.timeline import DEFAULT_QUARTERS_PER_MINUTE

__all__ = ["chosen_soundfont", "find_soundfont", "midi_bytes", "render_with_fluidsynth"]

SOUNDFONT_VARIABLE = "PARTIMENTO_SOUNDFONT"
_SUFFIXES = (".sf2", ".sf3")
_FOLDERS = (
    # Debian and Ubuntu; Fedora and Arch
    "/usr/share/sounds/sf2",
    "/usr/share/sounds/sf3",
    "/usr/share/soundfonts",
    "/usr/local/share/soundfonts",
    # Homebrew on Apple silicon, on Intel, and where it says itself
    "/opt/homebrew/share/soundfonts",
    "/opt/homebrew/share/fluid-synth/sf2",
    "/usr/local/share/fluid-synth/sf2",
    "$HOMEBREW_PREFIX/share/soundfonts",
    "$HOMEBREW_PREFIX/share/fluid-synth/sf2",
    "~/Library/Audio/Sounds/Banks",
    "/Library/Audio/Sounds/Banks",
    # Windows, where FluidSynth looks first in C:/soundfonts
    "C:/soundfonts",
    "$PROGRAMDATA/soundfonts",
    "$LOCALAPPDATA/soundfonts",
    # a user's own
    "~/.local/share/soundfonts",
    "~/.local/share/sounds",
    "~/soundfonts",
)
_PREFERRED = ("default", "fluidr3_gm", "generaluser", "timgm6mb")
_INSTALL = "on Debian or Ubuntu: apt install fluidsynth fluid-soundfont-gm"
_DRUM_CHANNEL = 9

F32 = npt.NDArray[np.float32]


def find_soundfont() -> Path | None:
    """Return the soundfont to use, or None.

    ``PARTIMENTO_SOUNDFONT`` wins; otherwise the usual folders are searched, well-known General
    MIDI fonts first, then by name.

    Raises:
        FileError: if ``PARTIMENTO_SOUNDFONT`` names none.
    """
    chosen = chosen_soundfont(None)
    if chosen is not None:
        return chosen
    found = (min(fonts, key=_preference) for fonts in _installed() if fonts)
    return next(found, None)


def chosen_soundfont(named: str | Path | None) -> Path | None:
    """Return the file of the soundfont to play through; None for the built-in synthesiser.

    Args:
        named: a file, or the name of an installed soundfont with or without its ending, such as
            ``"FluidR3_GM"``; None takes what ``PARTIMENTO_SOUNDFONT`` names.

    Raises:
        FileError: if there is no such file or name; lists the names that are installed.
    """
    text = str(named) if named is not None else os.environ.get(SOUNDFONT_VARIABLE, "")
    if not text:
        return None
    path = Path(text).expanduser()
    if os.path.isfile(path):
        return path
    known = [font for fonts in _installed() for font in sorted(fonts)]
    wanted = text.lower()
    for font in known:
        if wanted in (font.name.lower(), font.stem.lower()):
            return font
    remedy = f"installed are {listed(font.stem for font in known)}" if known else _INSTALL
    whose = "" if named is not None else f" (in {SOUNDFONT_VARIABLE})"
    raise FileError(text, f"is no soundfont{whose}", f"name an .sf2 or .sf3 file; {remedy}")


def _installed() -> Iterator[list[Path]]:
    """Yield the soundfonts of each of the usual folders."""
    for folder in _FOLDERS:
        here = Path(os.path.expandvars(folder)).expanduser()
        if here.is_absolute() and here.is_dir():
            yield [path for path in here.rglob("*") if path.suffix.lower() in _SUFFIXES]


def _preference(path: Path) -> tuple[int, str]:
    name = path.stem.lower()
    for rank, wanted in enumerate(_PREFERRED):
        if name.startswith(wanted):
            return rank, name
    return len(_PREFERRED), name


def render_with_fluidsynth(score: Score, soundfont: str | Path, sample_rate_hz: int) -> F32:
    """Return the score played by FluidSynth, (2, frames), not normalised.

    Raises:
        NotSupported: if the ``fluidsynth`` executable is not on the path.
        FileError: if the soundfont does not exist or FluidSynth cannot play it.
    """
    font = chosen_soundfont(soundfont)
    assert font is not None
    program = shutil.which("fluidsynth")
    if program is None:
        raise NotSupported(f"a soundfont needs FluidSynth, which is not installed; {_INSTALL}")
    with tempfile.TemporaryDirectory() as folder:
        midi, raw = Path(folder, "score.mid"), Path(folder, "score.raw")
        midi.write_bytes(midi_bytes(score))
        command = [
            program, "-n", "-i", "-q", "-g", "0.5", "-r", str(sample_rate_hz), "-T", "raw",
            "-O", "float", "-E", "little", "-F", str(raw), str(font), str(midi),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0 or not raw.is_file() or raw.stat().st_size == 0:
            said = (done.stderr.strip().splitlines() or ["no sound came out"])[-1]
            raise FileError(font, f"FluidSynth cannot play it ({said})", "try another soundfont")
        flat = np.fromfile(raw, dtype="<f4")
    if not np.any(flat):
        raise FileError(font, "gives no sound", "try another soundfont")
    return np.ascontiguousarray(flat[: len(flat) // 2 * 2].reshape(-1, 2).T)


def midi_bytes(score: Score) -> bytes:
    """Return the score as a MIDI file that holds what is heard: notes, tempo, pedal, mix.

    Pitched tracks take the 15 pitched channels in turn; beyond 15 they share them.
    """
    tempos = {tempo.onset_ticks: tempo.quarters_per_minute for tempo in score.tempos}
    tempos.setdefault(0, DEFAULT_QUARTERS_PER_MINUTE)
    conductor = [
        (tick, 0, b"\xff\x51\x03" + min(round(60e6 / tempo), 0xFFFFFF).to_bytes(3, "big"))
        for tick, tempo in tempos.items()
    ]
    chunks = [_chunk(conductor, score.length_ticks)]
    pitched = 0
    for track in score.tracks:
        channel = _DRUM_CHANNEL
        if not track.is_drum:
            channel = (*range(9), *range(10, 16))[pitched % 15]
            pitched += 1
        chunks.append(_chunk(_events(track, channel), score.length_ticks))
    head = struct.pack(">4sIHHH", b"MThd", 6, 1, len(chunks), score.ticks_per_quarter)
    return head + b"".join(chunks)


def _events(track: Track, channel: int) -> list[tuple[int, int, bytes]]:
    """Return (tick, order inside the tick, message) of one track."""
    control = 0xB0 | channel
    events = [
        (0, 0, bytes((control, 7, track.volume))),
        (0, 0, bytes((control, 10, track.pan))),
        (0, 0, bytes((0xC0 | channel, 0 if track.is_drum else track.program))),
    ]
    for pedal in track.pedals:
        events.append((pedal.onset_ticks, 2, bytes((control, 64, 127))))
        events.append((pedal.onset_ticks + pedal.duration_ticks, 1, bytes((control, 64, 0))))
    for note in track.notes:
        events.append((note.onset_ticks, 4, bytes((0x90 | channel, note.pitch, note.velocity))))
        events.append((note.end_ticks, 3, bytes((0x80 | channel, note.pitch, 64))))
    return events


def _chunk(events: list[tuple[int, int, bytes]], length_ticks: int) -> bytes:
    """Return a track chunk, its end not before ``length_ticks``."""
    data, now = bytearray(), 0
    for tick, _, message in sorted(events):
        data += _variable_length(tick - now) + message
        now = tick
    data += _variable_length(max(0, length_ticks - now)) + b"\xff\x2f\x00"
    return struct.pack(">4sI", b"MTrk", len(data)) + bytes(data)


def _variable_length(value: int) -> bytes:
    out = [value & 0x7F]
    while value := value >> 7:
        out.append(0x80 | (value & 0x7F))
    return bytes(reversed(out))
