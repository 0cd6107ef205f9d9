"""The recorded notes of a sound font: SoundFont 2.04, with 16-bit samples or Vorbis (``.sf3``).

A font is a RIFF file: ``LIST sdta`` holds the samples of all notes one after another in a chunk
``smpl``, ``LIST pdta`` a table of them, ``shdr``, of 46 bytes each.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, replace
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import BinaryIO

import numpy as np

from partimento.errors import FileError
from partimento.files.audio.sound_files import audio_of_bytes
from partimento.files.limits import MAX_SAMPLES
from partimento.music import Audio

__all__ = ["FontSample", "font_samples", "load_sample"]

_RECORD = struct.Struct("<20sIIIIIBbHH")
_VORBIS, _ROM = 0x10, 0x8000  # flags of a record's type
_MAX_RECORDS = 2**16
_MAX_CHUNKS = 256
_FULL_SCALE = 2**15
_NOTE_NAME = re.compile(r"[_-]|\s+[A-G][#b]?-?\d|\d|\s*\(")


@dataclass(frozen=True, slots=True)
class FontSample:
    """One recorded note: its name, MIDI pitch and rate, and where in the file it lies, in bytes."""

    name: str
    pitch: int
    sample_rate_hz: int
    start: int
    end: int
    is_vorbis: bool

    @property
    def instrument(self) -> str:
        """The name up to the note: ``"Jazz Guitar"`` of ``Jazz Guitar C#4(L)``."""
        return _NOTE_NAME.split(self.name)[0].strip() or self.name


def font_samples(path: str | PathLike[str]) -> tuple[FontSample, ...]:
    """Return the recorded notes of a font, each under a name of its own.

    Raises:
        FileError: if it cannot be opened or is no SoundFont.
    """
    try:
        status = Path(path).stat()
        return _samples(str(path), status.st_mtime_ns, status.st_size)
    except OSError as error:
        raise FileError(path, f"cannot be read: {error.strerror}", "check the name") from error


@lru_cache(maxsize=4)
def _samples(path: str, mtime_ns: int, size: int) -> tuple[FontSample, ...]:
    del mtime_ns  # only there to make a changed file another key
    with Path(path).open("rb") as file:
        head = file.read(12)
        places: dict[bytes, tuple[int, int]] = {}
        if head[:4] == b"RIFF" and head[8:] == b"sfbk":
            _find_chunks(file, 12, size, places)
        if b"smpl" not in places or b"shdr" not in places:
            raise FileError(path, "is no SoundFont 2", "choose an .sf2 or .sf3 file")
        begin, length = places[b"smpl"]
        at, table = places[b"shdr"]
        file.seek(at)
        records = file.read(min(table, _MAX_RECORDS * _RECORD.size))
    out: list[FontSample] = []
    taken: dict[str, int] = {}
    whole = len(records) // _RECORD.size * _RECORD.size
    for name, start, end, _, _, rate, pitch, _, _, kind in _RECORD.iter_unpack(records[:whole]):
        unit = 1 if kind & _VORBIS else 2
        if kind & _ROM or not 0 <= start < end <= length // unit or not 1000 <= rate <= 192_000:
            continue  # the mark at the end of the table, or a sample that is not in the file
        called = name.split(b"\0")[0].decode("latin-1").strip() or "unnamed"
        taken[called] = taken.get(called, 0) + 1
        numbered = called if taken[called] == 1 else f"{called} ({taken[called]})"
        bounds = begin + unit * start, begin + unit * end
        out.append(FontSample(numbered, min(pitch, 127), rate, *bounds, bool(kind & _VORBIS)))
    return tuple(out)


def _find_chunks(file: BinaryIO, at: int, end: int, places: dict[bytes, tuple[int, int]]) -> None:
    """Note where chunks lie, (first byte, bytes); lists of samples and of tables are entered."""
    for _ in range(_MAX_CHUNKS):
        if at + 8 > end:
            return
        file.seek(at)
        head = file.read(12)
        (size,) = struct.unpack_from("<I", head, 4)
        size = min(size, end - at - 8)
        if head[:4] == b"LIST" and head[8:] in (b"sdta", b"pdta"):
            _find_chunks(file, at + 12, at + 8 + size, places)
        places.setdefault(head[:4], (at + 8, size))
        at += 8 + size + size % 2


def load_sample(path: str, name: str) -> Audio:
    """Return a recorded note of a font by its name, mono.

    Raises:
        FileError: if there is none, or it is damaged.
    """
    where = f"{path}/{name}"
    found = next((sample for sample in font_samples(path) if sample.name == name), None)
    if found is None:
        raise FileError(where, "there is no such note in the font", "check the name")
    if found.end - found.start > 2 * MAX_SAMPLES:
        raise FileError(where, "is too long", "leave it out")
    with Path(path).open("rb") as file:
        file.seek(found.start)
        data = file.read(found.end - found.start)
    if found.is_vorbis:
        return replace(audio_of_bytes(data, where), recipe="")
    samples = np.frombuffer(data[: len(data) // 2 * 2], dtype="<i2").astype(np.float32)
    return Audio(samples[None] / np.float32(_FULL_SCALE), found.sample_rate_hz)
