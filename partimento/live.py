"""Where a stream goes: loudspeakers, a pipe, or a file that is whole whenever it stops."""

from __future__ import annotations

import errno
import os
import struct
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import numpy.typing as npt
import soundfile

from partimento import files, sound
from partimento.errors import FileError, MissingExtra, NotSupported
from partimento.files.audio import replace_comment
from partimento.instrument import Instrument, Plan, bar_count
from partimento.music import Audio, Score, Timeline
from partimento.recipe import Recipe, parse_recipe
from partimento.result import Result

__all__ = [
    "Loudspeaker",
    "Outcome",
    "Sink",
    "SoundFile",
    "WavFile",
    "WavPipe",
    "perform_live",
    "recipe_of",
    "result_of",
    "save_again",
    "sink_of",
]

CHANNELS = 2
SAMPLE_RATE_HZ = 44100
_FRAME_BYTES = 2 * CHANNELS
_HEADER_BYTES = 44
_UNKNOWN = 0xFFFFFFFF  # the size of a WAV that has no end yet
_ROOM_FOR_STOP = 12  # the digits of a number of bars
_LEAD_SECONDS = 4.0  # how far an endless stream into a file may run ahead of the clock


class Sink(Protocol):
    """Takes sound bit by bit; ``close`` leaves something whole."""

    def take(self, samples: npt.NDArray[np.float32]) -> None:
        """Take samples (channels, frames)."""
        ...

    def close(self, recipe: str) -> None:
        """Finish; ``recipe`` is written where the format has room for it."""
        ...


def _pcm(samples: npt.NDArray[np.float32]) -> bytes:
    """Return samples (channels, frames) as interleaved 16-bit little-endian."""
    scaled = np.round(np.clip(samples.T, -1.0, 1.0) * 32767.0)
    return scaled.astype("<i2").tobytes()


def _wav_header(data_bytes: int, riff_bytes: int) -> bytes:
    rate = SAMPLE_RATE_HZ
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", min(riff_bytes, _UNKNOWN), b"WAVE", b"fmt ", 16, 1, CHANNELS),
        *(rate, rate * _FRAME_BYTES, _FRAME_BYTES, 16, b"data", min(data_bytes, _UNKNOWN)),
    )


class WavPipe:
    """WAV, or bare 16-bit samples, into a pipe that cannot go back."""

    def __init__(self, pipe: BinaryIO, is_raw: bool = False) -> None:
        self._pipe = pipe
        if not is_raw:
            pipe.write(_wav_header(_UNKNOWN, _UNKNOWN))

    def take(self, samples: npt.NDArray[np.float32]) -> None:
        """Write samples (channels, frames) at once."""
        self._pipe.write(_pcm(samples))
        self._pipe.flush()

    def close(self, recipe: str) -> None:
        """Leave the pipe to its owner."""
        self._pipe.flush()


class WavFile:
    """A WAV file whose header is right after every write, so that it is whole if we are killed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._bytes = 0
        try:
            # Unbuffered, so that no byte waits for a disk that turns out to be full.
            self._file = path.open("w+b", buffering=0)
            self._put(0, _wav_header(0, 36))
        except OSError as error:
            raise FileError(path, f"cannot be written ({error.strerror})", "try another") from None

    def take(self, samples: npt.NDArray[np.float32]) -> None:
        """Append samples (channels, frames).

        Raises:
            FileError: if the disk is full; what was written stays whole.
        """
        data = _pcm(samples)
        try:
            self._put(_HEADER_BYTES + self._bytes, data)
            self._bytes += len(data)
            self._put(0, _wav_header(self._bytes, 36 + self._bytes))
        except OSError as error:
            raise FileError(self._path, f"cannot grow ({error.strerror})", "free space") from None

    def keep(self, frames: int) -> None:
        """Drop what lies after so many frames: of a bar that was not counted before a stop."""
        self._bytes = min(self._bytes, frames * _FRAME_BYTES)

    def close(self, recipe: str) -> None:
        """Add the recipe as the comment that sound programs show, and close.

        Raises:
            FileError: if the disk is full; the sound stays whole, without its recipe.
        """
        text = recipe.encode() + b"\0"
        text += b"\0" * (len(text) % 2)
        chunk = b"INFO" + b"ICMT" + struct.pack("<I", len(text)) + text
        end = _HEADER_BYTES + self._bytes
        try:
            self._file.truncate(end)  # a stop or a full disk may have left half a bar after it
            self._put(end, b"LIST" + struct.pack("<I", len(chunk)) + chunk)
            self._put(0, _wav_header(self._bytes, 36 + self._bytes + 8 + len(chunk)))
        except OSError as error:
            self._file.truncate(end)
            raise FileError(self._path, f"cannot grow ({error.strerror})", "free space") from None
        finally:
            self._file.close()

    def _put(self, at: int, data: bytes) -> None:
        """Write all of ``data`` at a place, or raise OSError."""
        self._file.seek(at)
        if self._file.write(data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class SoundFile:
    """FLAC, OGG or MP3, written beside its place and moved there when it is whole.

    These formats cannot be cut, so the last samples are held back until it is known whether they
    belong to a bar that counts; and their comment stands before the sound, so room is left in it
    for the place of a stop.
    """

    def __init__(self, path: Path, recipe: str) -> None:
        self._path, self._comment = path, _roomy(recipe, path)
        self._held: npt.NDArray[np.float32] | None = None
        self._frames = 0
        with ExitStack() as stack:
            self._temporary = stack.enter_context(files.atomic_path(path))
            self._file = soundfile.SoundFile(self._temporary, "w", SAMPLE_RATE_HZ, CHANNELS)
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
        try:
            self._file.write(np.clip(held.T, -1.0, 1.0))
        except soundfile.SoundFileError as error:
            raise FileError(self._path, f"cannot grow ({error})", "free space") from None
        self._frames += held.shape[1]

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
            with self._file:
                self._write_held()
            replace_comment(self._temporary, self._comment, recipe.ljust(len(self._comment)))


def _roomy(recipe: str, path: Path) -> str:
    """Return the recipe of a stream with room behind it for what is known at its end."""
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
                "the PortAudio library is missing: install it (Debian: libportaudio2), or use -o"
            ) from None
        try:
            self._stream: Any = sounddevice.OutputStream(SAMPLE_RATE_HZ, channels=CHANNELS)
            self._stream.start()
        except sounddevice.PortAudioError as error:
            raise NotSupported(f"no audio device plays here ({error}); use -o") from None

    def take(self, samples: npt.NDArray[np.float32]) -> None:
        """Play samples (channels, frames); waits while the device has enough."""
        self._stream.write(np.ascontiguousarray(samples.T))

    def close(self, recipe: str) -> None:
        """Play what is left and let the device go."""
        self._stream.stop()
        self._stream.close()


def sink_of(path: Path, recipe: str) -> Sink:
    """Return the sink of a sound file by its ending."""
    return WavFile(path) if path.suffix.lower() == ".wav" else SoundFile(path, recipe)


@dataclass
class Outcome:
    """What a stream made until it ended or was stopped."""

    pieces: list[Score] = field(default_factory=list)  # empty where they were not to be kept
    bars: int = 0
    seconds: float = 0.0
    frames: int = 0  # of sound, up to the end of the last whole bar
    first_note_at: float = 0.0  # on the clock of time.perf_counter
    is_stopped: bool = False


def perform_live(
    instrument: Instrument,
    plan: Plan,
    sinks: Sequence[Sink],
    *,
    is_paced: bool = False,
    keeps_pieces: bool = True,
    on_bar: Callable[[int, float], None] | None = None,
) -> Outcome:
    """Play a plan into the sinks, piece by piece, until it ends or Ctrl-C.

    Args:
        instrument: what plays.
        plan: what it plays; endless plans are stopped by KeyboardInterrupt.
        sinks: where the sound goes; they are closed whatever happens. None: nothing is rendered.
        is_paced: do not run ahead of the clock by more than a few seconds.
        keeps_pieces: hand the notes back as well; without, memory stays the same for ever.
        on_bar: told (bars so far, seconds of music so far) after each piece.
    """
    outcome = Outcome()
    renderer = sound.StreamRenderer(SAMPLE_RATE_HZ) if sinks else None
    state = renderer.start() if renderer is not None else None
    started = time.perf_counter()
    try:
        for piece in instrument.pieces(plan):
            frames = 0
            if renderer is not None and state is not None:
                heard, state = renderer.feed(state, piece)
                frames = heard.samples.shape[1]
                _give(sinks, heard)
            if keeps_pieces:
                outcome.pieces.append(piece)
            bars = outcome.bars + bar_count(piece)
            outcome.seconds += float(Timeline(piece).seconds(piece.written_length_ticks))
            outcome.bars, outcome.frames = bars, outcome.frames + frames
            outcome.first_note_at = outcome.first_note_at or time.perf_counter()
            if on_bar is not None:
                on_bar(outcome.bars, outcome.seconds)
            if is_paced:
                ahead = outcome.seconds - (time.perf_counter() - started) - _LEAD_SECONDS
                time.sleep(max(0.0, ahead))
        if renderer is not None and state is not None:
            _give(sinks, renderer.finish(state))
    except KeyboardInterrupt:
        outcome.is_stopped = True
    finally:
        recipe = recipe_of(plan, outcome).model_copy(update={"streamed": True})
        for sink in sinks:
            if outcome.is_stopped and isinstance(sink, WavFile | SoundFile):
                sink.keep(outcome.frames)  # so that it ends where the recipe says
            sink.close(recipe.to_json())
    return outcome


def save_again(pieces: Sequence[Score], recipe: Recipe, path: Path) -> Path:
    """Write the sound of a stream as ``perform_live`` wrote it, and return the path.

    Raises:
        FileError: if the place cannot be written.
    """
    text = recipe.to_json()
    with ExitStack() as stack:
        sink: Sink
        if path.suffix.lower() == ".wav":
            sink = WavFile(stack.enter_context(files.atomic_path(path)))
        else:
            sink = SoundFile(path, text)
        renderer = sound.StreamRenderer(SAMPLE_RATE_HZ)
        state = renderer.start()
        for piece in pieces:
            heard, state = renderer.feed(state, piece)
            sink.take(heard.samples)
        if recipe.stopped_after_bars is None:  # a stop leaves no time for the last notes' decay
            sink.take(renderer.finish(state).samples)
        sink.close(text)
    return path


def recipe_of(plan: Plan, outcome: Outcome) -> Recipe:
    """Return the recipe of what was made, the place where it was stopped in it."""
    if not outcome.is_stopped:
        return plan.recipe
    return plan.recipe.model_copy(update={"stopped_after_bars": outcome.bars})


def result_of(instrument: Instrument, plan: Plan, outcome: Outcome) -> Result:
    """Return all that a stream made as one piece, its prompt before it."""
    return instrument.result_of(outcome.pieces, replace(plan, recipe=recipe_of(plan, outcome)))


def _give(sinks: Sequence[Sink], heard: Audio) -> None:
    for sink in sinks:
        sink.take(heard.samples)
