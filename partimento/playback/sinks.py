"""Where sound goes while it is made: loudspeakers, a pipe, or files that are whole or absent."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from io import FileIO
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import numpy.typing as npt
import soundfile

from partimento import files
from partimento.errors import MissingExtra, NotSupported
from partimento.files.audio.sound_files import replace_comment
from partimento.recipe import Recipe, parse_recipe

__all__ = [
    "CHANNELS",
    "RENDERED",
    "SAMPLE_RATE_HZ",
    "SOUND",
    "EvenSoundFile",
    "FileSink",
    "LongWavFile",
    "Loudspeaker",
    "Picture",
    "Sink",
    "SoundFile",
    "WavFile",
    "WavPipe",
    "save_sound",
    "sink_of",
    "sound_sink",
    "whole_sinks",
]

CHANNELS = 2
SAMPLE_RATE_HZ = 44100
RENDERED, SOUND = (
    32767.0,
    32768.0,
)  # full scale in 16 bits; with the second, what was read comes back
_FRAME_BYTES = 2 * CHANNELS
_HEADER_BYTES = 44
_LONG_HEADER_BYTES = 80  # with room for sizes of 64 bits
_UNKNOWN = 0xFFFFFFFF  # the size of a WAV that has no end yet
_MOST_BYTES = _UNKNOWN - 2**20  # of sound in a usual WAV, its recipe behind it
_CANNOT_GROW = "cannot grow, and is whole up to here"
_ROOM_FOR_STOP = 12  # the digits of a number of bars
_MOST_FRAMES = 10**13  # that a stream can be stopped after: seven years
_BLOCK_FRAMES = 2**14  # encoders get as many at once, so that they make the same of any pieces

F32 = npt.NDArray[np.float32]


class Sink(Protocol):
    """Takes sound block by block; ``close`` leaves a whole file or none."""

    def take(self, samples: npt.NDArray[np.float32]) -> None:
        """Take samples (channels, frames).

        Raises:
            FileError: if they cannot be written; ``close`` is still to be called.
        """
        ...

    def close(self, recipe: str) -> None:
        """Finish; ``recipe`` is written where the format has room for it."""
        ...


def _integers(samples: F32, full_scale: float) -> npt.NDArray[np.int16]:
    """Return samples (channels, frames) as (frames, channels) in 16 bits, clipped."""
    scaled = np.multiply(samples.T, np.float32(full_scale), order="C")
    np.round(scaled, out=scaled)
    np.clip(scaled, -full_scale, 32767.0, out=scaled)
    return scaled.astype("<i2")


def _pcm(samples: F32, full_scale: float) -> bytes:
    """Return samples (channels, frames) as interleaved 16-bit little-endian."""
    return _integers(samples, full_scale).tobytes()


def _wav_header(data_bytes: int, riff_bytes: int) -> bytes:
    rate = SAMPLE_RATE_HZ
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", min(riff_bytes, _UNKNOWN), b"WAVE", b"fmt ", 16, 1, CHANNELS),
        *(rate, rate * _FRAME_BYTES, _FRAME_BYTES, 16, b"data", min(data_bytes, _UNKNOWN)),
    )


def _long_wav_header(data_bytes: int, riff_bytes: int) -> bytes:
    """Return a header of 80 bytes: RIFF, from 4 GiB on RF64 with sizes of 64 bits (EBU 3306)."""
    usual = _wav_header(data_bytes, riff_bytes)
    if riff_bytes < _UNKNOWN:
        return usual[:12] + struct.pack("<4sI28x", b"JUNK", 28) + usual[12:]
    sizes = struct.pack(
        "<4sIQQQI", b"ds64", 28, riff_bytes, data_bytes, data_bytes // _FRAME_BYTES, 0
    )
    return b"RF64" + usual[4:12] + sizes + usual[12:40] + struct.pack("<I", _UNKNOWN)


class WavPipe:
    """WAV, or bare 16-bit samples, into a pipe, whose header cannot be corrected later."""

    def __init__(self, pipe: BinaryIO, is_raw: bool = False, full_scale: float = RENDERED) -> None:
        self._pipe, self._full_scale = pipe, full_scale
        self._head = b"" if is_raw else _wav_header(_UNKNOWN, _UNKNOWN)

    def take(self, samples: npt.NDArray[np.float32]) -> None:
        """Write samples (channels, frames) at once.

        Raises:
            BrokenPipeError: if the program that reads them has ended.
            FileError: if they cannot be written for another reason.
        """
        data, self._head = self._head + _pcm(samples, self._full_scale), b""
        try:
            self._pipe.write(data)
            self._pipe.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise files.write_error("standard output", error) from None

    def close(self, recipe: str) -> None:
        """Leave the pipe to its owner; ``take`` has written everything."""


class WavFile:
    """A WAV file whose header is correct after every write, so that it is whole if we are killed.

    It comes to its place, whole, when its first samples are written: an older file stays until
    then, and two programs that write one name do not mix their sound.
    """

    header_bytes = _HEADER_BYTES

    def __init__(self, path: Path, full_scale: float = RENDERED, name: Path | None = None) -> None:
        self._path, self._name, self._full_scale = path, name or path, full_scale
        self._bytes = 0
        self._file: FileIO | None = None  # open from the first samples on
        files.check_writable(path)

    def take(self, samples: npt.NDArray[np.float32]) -> None:
        """Append samples (channels, frames).

        Raises:
            FileError: if they cannot be written; what was written before stays whole.
        """
        data = _pcm(samples, self._full_scale)
        if self._file is None:
            self._file = self._begin(data)
            return
        try:
            self._put(self.header_bytes + self._bytes, data)
            self._bytes += len(data)
            self._write_header(0)
        except OSError as error:
            raise files.write_error(self._name, error, _CANNOT_GROW) from None

    def _begin(self, data: bytes) -> FileIO:
        with files.atomic_path(self._path) as temporary:
            # Unbuffered, so that no byte waits for a disk that turns out to be full.
            file = self._file = temporary.open("w+b", buffering=0)
            try:
                self._put(self.header_bytes, data)
                self._bytes = len(data)
                self._write_header(0)
            except BaseException:
                file.close()
                self._file, self._bytes = None, 0
                raise
            if os.name == "nt":  # Windows moves no file that is open
                file.close()
        return self._path.open("r+b", buffering=0) if file.closed else file

    def keep(self, frames: int) -> None:
        """Drop what lies after so many frames: part of a bar that was not counted before a stop."""
        self._bytes = min(self._bytes, frames * _FRAME_BYTES)

    def close(self, recipe: str) -> None:
        """Add the recipe as the comment that sound programs show, and close.

        Raises:
            FileError: if the disk is full; the sound stays whole, without its recipe.
        """
        if self._file is None:
            return
        text = recipe.encode() + b"\0"
        text += b"\0" * (len(text) % 2)
        chunk = b"INFO" + b"ICMT" + struct.pack("<I", len(text)) + text
        end = self.header_bytes + self._bytes
        try:
            self._file.truncate(end)  # a stop or a full disk may have left half a bar after it
            self._put(end, b"LIST" + struct.pack("<I", len(chunk)) + chunk)
            self._write_header(8 + len(chunk))
        except OSError as error:
            self._file.truncate(end)
            raise files.write_error(self._name, error, _CANNOT_GROW) from None
        finally:
            self._file.close()

    def _write_header(self, more: int) -> None:
        """Write the header of what is there and of so many bytes behind the sound."""
        riff = self.header_bytes - 8 + self._bytes + more
        self._put(0, self._header(self._bytes, riff))

    def _header(self, data_bytes: int, riff_bytes: int) -> bytes:
        return _wav_header(data_bytes, riff_bytes)

    def _put(self, at: int, data: bytes) -> None:
        """Write all of ``data`` at a place, or raise OSError."""
        assert self._file is not None
        self._file.seek(at)
        if self._file.write(data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class LongWavFile(WavFile):
    """A WAV file that may grow beyond 4 GiB, and is then an RF64 file."""

    header_bytes = _LONG_HEADER_BYTES

    def _header(self, data_bytes: int, riff_bytes: int) -> bytes:
        return _long_wav_header(data_bytes, riff_bytes)


class SoundFile:
    """FLAC, OGG or MP3, written beside its place and moved there when it is whole.

    These formats cannot be cut, so the last samples are held back until it is known whether they
    belong to a bar that counts. Their comment precedes the sound, so room is left in it for the
    place of a stop. After an error of writing nothing is moved: an older file stays.
    """

    def __init__(self, path: Path, comment: str, name: Path | None = None) -> None:
        self._path, self._comment = name or path, comment  # errors show the name
        self._held: npt.NDArray[np.float32] | None = None
        self._frames = 0
        with ExitStack() as stack:
            self._temporary = stack.enter_context(files.atomic_path(path))
            raw = stack.enter_context(self._temporary.open("w+b", buffering=0))
            self._checked = files.CheckedFile(raw, self._path)
            self._file = soundfile.SoundFile(
                self._checked, "w", SAMPLE_RATE_HZ, CHANNELS, format=path.suffix[1:].upper()
            )
            self._file.comment = self._comment
            # Ctrl-C interrupts the main thread alone: what is written here is also counted.
            self._worker = ThreadPoolExecutor(1)
            self._place = stack.pop_all()  # closed, it moves the file to its place

    def take(self, samples: npt.NDArray[np.float32]) -> None:
        """Append samples (channels, frames).

        Raises:
            FileError: if the disk is full.
        """
        self._worker.submit(self._accept, samples).result()

    def _accept(self, samples: npt.NDArray[np.float32]) -> None:
        self._write_held()
        self._held = samples

    def _write_held(self) -> None:
        held, self._held = self._held, None
        if held is None:
            return
        self._file.write(np.clip(held.T, -1.0, 1.0))
        self._checked.check()
        self._frames += held.shape[1]

    def _write_last(self) -> None:
        self._write_held()

    def keep(self, frames: int) -> None:
        """Drop what lies after so many frames: of a bar that was not counted before a stop."""
        self._worker.shutdown()
        if self._held is not None and self._frames + self._held.shape[1] > frames:
            self._held = None

    def close(self, recipe: str) -> None:
        """Finish the file and move it to its place.

        Raises:
            FileError: if the disk is full.
        """
        self._worker.shutdown()
        with self._place:
            try:
                self._checked.check()
                self._write_last()
            finally:
                self._file.close()
            self._checked.check()
            replace_comment(self._temporary, self._comment, recipe.ljust(len(self._comment)))


class EvenSoundFile(SoundFile):
    """FLAC, OGG or MP3 of sound: in whatever pieces it comes, the file is the same."""

    def __init__(self, path: Path, comment: str, name: Path | None = None) -> None:
        self._rest: F32 = np.zeros((CHANNELS, 0), dtype=np.float32)  # taken, not yet a block
        super().__init__(path, comment, name)

    def _write_held(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            self._rest = np.concatenate([self._rest, held], axis=1)
        at = 0
        while self._rest.shape[1] - at >= _BLOCK_FRAMES:
            self._write(self._rest[:, at : at + _BLOCK_FRAMES])
            at += _BLOCK_FRAMES
        self._rest = self._rest[:, at:]

    def _write(self, samples: F32) -> None:
        is_exact = self._path.suffix.lower() == ".flac"
        heard: Any = _integers(samples, SOUND) if is_exact else np.clip(samples.T, -1.0, 1.0)
        self._file.write(heard)
        self._checked.check()
        self._frames += samples.shape[1]

    def keep(self, frames: int) -> None:
        """Drop what lies after so many frames: of a piece that was not counted before a stop."""
        self._worker.shutdown()
        left = frames - self._frames - self._rest.shape[1]
        if self._held is not None:
            self._held = self._held[:, : max(0, left)]

    def _write_last(self) -> None:
        self._write_held()
        if self._rest.shape[1]:
            self._write(self._rest)


class Picture:
    """A spectrogram of sound."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._drawn = files.begin_spectrogram(SAMPLE_RATE_HZ)
        self._held: F32 | None = None
        self._frames = 0  # that are drawn

    def take(self, samples: F32) -> None:
        """Add samples (channels, frames) to the picture."""
        self._draw_held()
        self._held = samples

    def _draw_held(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            self._drawn.take(held)
            self._frames += held.shape[1]

    def keep(self, frames: int) -> None:
        """Drop what lies after so many frames: of a piece that was not counted before a stop."""
        if self._held is not None:
            self._held = self._held[:, : max(0, frames - self._frames)]

    def close(self, recipe: str) -> None:
        """Draw and write it.

        Raises:
            FileError: if it cannot be written.
        """
        self._draw_held()
        self._drawn.save(self._path, recipe)


FileSink = WavFile | SoundFile | Picture


def _roomy(recipe: str, path: Path) -> str:
    """Return the recipe of a stream, padded for what is known only at its end."""
    begun = {"streamed": True, "stopped_after_bars": None}
    text = parse_recipe(recipe, path).model_copy(update=begun).to_json()
    return text + " " * _ROOM_FOR_STOP


class Loudspeaker:
    """The default audio device, through sounddevice."""

    def __init__(self) -> None:
        try:
            import sounddevice
        except ImportError:
            raise MissingExtra("playing through loudspeakers", "live") from None
        except OSError:
            raise NotSupported(
                "the PortAudio library is missing: install it (Debian: libportaudio2), or write a "
                "file instead"
            ) from None
        try:
            self._stream: Any = sounddevice.OutputStream(SAMPLE_RATE_HZ, channels=CHANNELS)
            self._stream.start()
        except sounddevice.PortAudioError as error:
            raise NotSupported(
                f"there is no audio device ({error}); write a file instead"
            ) from None

    def take(self, samples: npt.NDArray[np.float32]) -> None:
        """Play samples (channels, frames); waits while the device has enough."""
        self._stream.write(np.ascontiguousarray(samples.T))

    def take_all(self, samples: F32) -> None:
        """Play samples (channels, frames) in short blocks, so that it can be interrupted."""
        for at in range(0, samples.shape[1], _BLOCK_FRAMES):
            self.take(samples[:, at : at + _BLOCK_FRAMES])

    def close(self, recipe: str) -> None:
        """Play what is left and release the device."""
        self._stream.stop()
        self._stream.close()


def sink_of(path: Path, recipe: str) -> Sink:
    """Return the sink of a sound file for rendered notes, by its ending."""
    is_wav = path.suffix.lower() == ".wav"
    return WavFile(path) if is_wav else SoundFile(path, _roomy(recipe, path))


def sound_sink(
    path: Path, recipe: Recipe, frames: int | None, name: Path | None = None
) -> FileSink:
    """Return the sink of a file, or of a picture, for a model that makes sound.

    ``frames`` is the length if it is not stopped; None where it is unknown. ``name`` is the name
    that errors show, where ``path`` is a temporary one.
    """
    ending = path.suffix.lower()
    if ending == ".png":
        return Picture(path)
    if ending == ".wav":
        is_long = frames is None or frames * _FRAME_BYTES > _MOST_BYTES
        return (LongWavFile if is_long else WavFile)(path, SOUND, name)
    longest = recipe.model_copy(update={"stopped_after_frames": _MOST_FRAMES}).to_json()
    return EvenSoundFile(path, recipe.to_json().ljust(len(longest)), name)


@contextmanager
def whole_sinks(
    paths: Sequence[Path], recipe: Recipe, frames: int | None
) -> Iterator[Callable[[], list[Sink]]]:
    """Yield a function that opens sinks of files, to be moved into place when the block ends.

    If the block raises, the files are removed, and what was there before stays.
    """
    with ExitStack() as stack:

        def open_sinks() -> list[Sink]:
            places = [stack.enter_context(files.atomic_path(path)) for path in paths]
            return [
                sound_sink(place, recipe, frames, path)
                for place, path in zip(places, paths, strict=True)
            ]

        yield open_sinks


def save_sound(pieces: Iterable[F32], recipe: Recipe, path: Path, frames: int | None) -> Path:
    """Write sound that a model made, whole or not at all, and return the path.

    Raises:
        FileError: if the place cannot be written.
    """
    with whole_sinks([path], recipe, frames) as open_sinks:
        (sink,) = open_sinks()
        for samples in pieces:
            sink.take(samples)
        sink.close(recipe.to_json())
    return path
