"""Audio files through soundfile: WAV, FLAC, OGG (Vorbis) and MP3; resampling through soxr.

The recipe of a made file travels in its comment field (FLAC, OGG, MP3) or in an ``ICMT`` chunk
(WAV, where libsndfile drops the comment).
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from partimento.errors import FileError
from partimento.files.atomic import CheckedFile, atomic_path
from partimento.files.audio.ogg import settle_serial
from partimento.files.limits import MAX_SAMPLES
from partimento.music import Audio

__all__ = [
    "audio_blocks",
    "audio_of_bytes",
    "audio_recipe",
    "read_audio",
    "replace_comment",
    "resample",
    "riff_comment",
    "write_audio",
]

_FORMATS = {
    ".wav": ("WAV", "PCM_16"),
    ".flac": ("FLAC", "PCM_16"),
    ".ogg": ("OGG", "VORBIS"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
}
_MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_MAX_CHANNELS = {".wav": 1024, ".flac": 8, ".ogg": 255, ".mp3": 2}
_MAX_RATES = {".flac": 655_350, ".ogg": 200_000}
_LEAST_RATE, _MOST_RATE = 100, 2_000_000  # of sound that is read
_BLOCK = 2**20  # samples that are read at once
_OGG_BLOCK = 2**16
_HEAD = 2**18  # comments of FLAC and MP3 stand at the beginning of the file
_FULL_SCALE = 2**15
_MOST_CHUNKS, _FARTHEST, _LONGEST_INFO = 10_000, 2**62, 2**24  # of a WAV file, for its comment
_RIFFS = (b"RIFF", b"RF64")
# What soundfile raises on damaged files, and on headers whose numbers overflow.
_UNREADABLE = (soundfile.LibsndfileError, RuntimeError, ValueError, TypeError, OverflowError)
_LONG = 0xFFFFFFFF  # the size of data whose size stands elsewhere, in 64 bits


def read_audio(path: str | PathLike[str]) -> Audio:
    """Return the whole of an audio file as float32, (channels, frames).

    Raises:
        FileError: if it cannot be opened, is no audio that is known here, or has no samples.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise FileError(path, f"cannot be read: {error.strerror}", "check the name") from error
    return audio_of_bytes(data, path)


def audio_of_bytes(data: bytes, path: str | PathLike[str] = "audio data") -> Audio:
    """Return the audio in the bytes of a file; ``path`` names it in errors.

    Raises:
        FileError: as ``read_audio``.
    """
    if not data:
        raise FileError(path, "the file is empty", "get a whole copy of the file")
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            samples = _samples(file, path)
            rate, comment = file.samplerate, file.comment
    except _UNREADABLE as error:
        raise _no_audio(path, error) from error
    recipe = riff_comment(data) if data[:4] in _RIFFS else _unmangled(comment).rstrip()
    return Audio(samples, rate, recipe if recipe.startswith("{") else "")


def _samples(file: soundfile.SoundFile, path: str | PathLike[str]) -> npt.NDArray[np.float32]:
    """Return all samples of an open file, (channels, frames); as many as there are.

    They are read in blocks, since a header may claim any number.

    Raises:
        FileError: if there are none or too many, some are no numbers, or the rate cannot be.
    """
    if not _LEAST_RATE <= file.samplerate <= _MOST_RATE:
        problem = f"has a sample rate of {file.samplerate:,} Hz"
        raise FileError(path, problem, f"use {_LEAST_RATE:,}..{_MOST_RATE:,} Hz")
    most = MAX_SAMPLES // file.channels
    blocks: list[npt.NDArray[np.float32]] = []
    frames = 0
    while frames <= most:
        block = file.read(max(1, _BLOCK // file.channels), dtype="float32", always_2d=True)
        if not len(block):
            break
        if not np.isfinite(block).all():
            raise FileError(path, "has samples that are not numbers", "export it again")
        blocks.append(block)
        frames += len(block)
    if not frames:
        raise FileError(path, "there are no samples in it", "choose a file with sound")
    if frames > most:
        minutes = most / file.samplerate / 60
        raise FileError(path, f"is longer than {minutes:.0f} minutes", "cut it into parts")
    samples = np.empty((file.channels, frames), dtype=np.float32)
    at = frames
    while blocks:  # each block is freed once it is copied, so that nothing is held twice
        block = blocks.pop()
        at -= len(block)
        samples[:, at : at + len(block)] = block.T
    return samples


def _no_audio(path: str | PathLike[str], error: Exception) -> FileError:
    problem = f"no audio that can be read ({_reason(error)})"
    return FileError(path, problem, "use WAV, FLAC, OGG or MP3")


def _unmangled(text: str) -> str:
    """Return a comment whose UTF-8 an MP3 header took for Latin-1 as it was written."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def _reason(error: Exception) -> str:
    return str(error).rpartition(": ")[2].strip(" .") or type(error).__name__


def audio_blocks(
    path: str | PathLike[str], block_seconds: float = 10.0, overlap_seconds: float = 0.0
) -> Iterator[Audio]:
    """Yield an audio file in blocks, each (channels, frames); only one is in memory at a time.

    Raises:
        FileError: if it cannot be opened or is no audio that is known here.
    """
    try:
        with soundfile.SoundFile(str(path)) as file:
            frames = max(1, round(block_seconds * file.samplerate))
            overlap = min(frames - 1, round(overlap_seconds * file.samplerate))
            blocks = file.blocks(frames, overlap=overlap, dtype="float32", always_2d=True)
            for block in blocks:
                yield Audio(np.ascontiguousarray(block.T), file.samplerate)
    except _UNREADABLE as error:
        raise _no_audio(path, error) from error


def resample(audio: Audio, sample_rate_hz: int) -> Audio:
    """Return the audio at another sample rate (soxr, high quality)."""
    if sample_rate_hz == audio.sample_rate_hz:
        return audio
    out = soxr.resample(audio.samples.T, audio.sample_rate_hz, sample_rate_hz, quality="HQ")
    samples = np.ascontiguousarray(np.asarray(out, dtype=np.float32).T)
    return Audio(samples, sample_rate_hz, audio.recipe)


def write_audio(audio: Audio, path: str | PathLike[str], subtype: str | None = None) -> None:
    """Write audio in the format of the suffix; WAV and FLAC as 16-bit PCM unless stated otherwise.

    Samples beyond full scale are clipped. ``subtype`` is libsndfile's, e.g. ``"PCM_24"``,
    ``"FLOAT"``.

    Raises:
        FileError: if the suffix, the sample rate or the number of channels does not fit the
            format, there are no samples, some are not numbers, or it cannot be written.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in _FORMATS:
        raise FileError(path, "this is no audio format", f"use one of {' '.join(_FORMATS)}")
    _check(audio, path, suffix)
    container, default = _FORMATS[suffix]
    chosen = subtype or default
    if not soundfile.check_format(container, chosen):
        raise FileError(path, f"{container} holds no {chosen}", f"leave it out for {default}")
    samples: npt.NDArray[Any] = audio.samples.T
    if chosen == "PCM_16":
        # Rounded here: libsndfile cuts off towards zero, which is a little noisier.
        scaled = np.clip(np.round(samples * _FULL_SCALE), -_FULL_SCALE, _FULL_SCALE - 1)
        samples = scaled.astype(np.int16)
    elif chosen not in ("FLOAT", "DOUBLE"):
        samples = np.clip(samples, -1.0, 1.0)
    channels = samples.shape[1]
    rate = audio.sample_rate_hz
    with atomic_path(path) as temporary:
        with temporary.open("w+b", buffering=0) as raw:
            checked = CheckedFile(raw, path)
            with soundfile.SoundFile(
                checked, "w", rate, channels, chosen, format=container
            ) as file:
                if audio.recipe and suffix != ".wav":
                    file.comment = audio.recipe
                # libsndfile's Vorbis encoder overflows the stack on very long writes.
                for start in range(0, len(samples), _OGG_BLOCK):
                    file.write(samples[start : start + _OGG_BLOCK])
            checked.check()
        if suffix == ".ogg":
            settle_serial(temporary)
        if audio.recipe and suffix == ".wav":
            _add_riff_comment(temporary, audio.recipe)


def replace_comment(path: Path, old: str, new: str) -> None:
    """Put another comment of the same length in the place of that of a FLAC, OGG or MP3 file.

    So a file may say at its end what was not known when it was begun. A comment too long to stand
    in one piece stays as it is. The serial number of an OGG file is settled as well.

    Raises:
        ValueError: if the comments are not of one length.
    """
    before, after = old.encode(), new.encode()
    if len(before) != len(after):
        raise ValueError("a comment is replaced by one of the same length")
    if path.suffix.lower() == ".ogg":
        settle_serial(path, before, after)
        return
    with path.open("r+b") as file:
        at = file.read(_HEAD).find(before)
        if at >= 0:
            file.seek(at)
            file.write(after)


def _check(audio: Audio, path: str | PathLike[str], suffix: str) -> None:
    channels, frames = audio.samples.shape
    rate = audio.sample_rate_hz
    if not frames:
        raise FileError(path, "there is no sound to write", "make it at least one sample long")
    if not np.isfinite(audio.samples).all():
        raise FileError(path, "the sound has samples that are not numbers", "report how it came")
    if not 1 <= channels <= _MAX_CHANNELS[suffix]:
        most = _MAX_CHANNELS[suffix]
        raise FileError(path, f"{suffix} holds 1..{most} channels, not {channels}", "mix them")
    if suffix == ".mp3" and rate not in _MP3_RATES:
        rates = ", ".join(map(str, _MP3_RATES))
        raise FileError(path, f"MP3 holds no {rate} Hz", f"resample to one of {rates}")
    most = _MAX_RATES.get(suffix, 2**31 - 1)
    if rate > most:
        raise FileError(path, f"{suffix} holds at most {most} Hz, not {rate}", "resample it")


def _add_riff_comment(path: Path, text: str) -> None:
    """Append a LIST INFO chunk with an ICMT to a WAV file."""
    body = text.encode() + b"\0"
    body += b"\0" * (len(body) % 2)
    chunk = b"INFOICMT" + struct.pack("<I", len(body)) + body
    with path.open("r+b") as file:
        file.seek(0, 2)
        file.write(b"\0" * (file.tell() % 2) + b"LIST" + struct.pack("<I", len(chunk)) + chunk)
        size = file.tell() - 8
        file.seek(4)
        file.write(struct.pack("<I", size))


def riff_comment(data: bytes) -> str:
    """Return the ICMT comment of the bytes of a WAV file, empty if there is none."""
    return _riff_comment(io.BytesIO(data))


def audio_recipe(path: str | PathLike[str]) -> str:
    """Return the recipe in an audio file, empty if there is none; its sound is not read.

    Raises:
        FileError: if it cannot be opened or is no audio that is known here.
    """
    try:
        with Path(path).open("rb") as file:
            if file.read(4) in _RIFFS:
                comment = _riff_comment(file)
            else:
                with soundfile.SoundFile(str(path)) as sound:
                    comment = _unmangled(sound.comment).rstrip()
    except OSError as error:
        raise FileError(path, f"cannot be read: {error.strerror}", "check the name") from error
    except _UNREADABLE as error:
        raise _no_audio(path, error) from error
    return comment if comment.startswith("{") else ""


def _riff_comment(file: BinaryIO) -> str:
    """Return the ICMT comment of a WAV file, whose sizes may have 64 bits (RF64)."""
    at, long_size = 12, 0
    for _ in range(_MOST_CHUNKS):
        if at >= _FARTHEST:
            break
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            return ""
        name, (size,) = head[:4], struct.unpack_from("<I", head, 4)
        if name == b"ds64":
            (long_size,) = struct.unpack_from("<Q", file.read(16).ljust(16, b"\0"), 8)
        elif name == b"data" and size == _LONG:
            size = long_size or size
        elif name == b"LIST" and file.read(4) == b"INFO":
            found = _info_comment(file.read(min(max(0, size - 4), _LONGEST_INFO)))
            if found is not None:
                return found
        at += 8 + size + size % 2
    return ""


def _info_comment(entries: bytes) -> str | None:
    """Return the ICMT among the entries of a LIST INFO chunk."""
    at = 0
    while at + 8 <= len(entries):
        (length,) = struct.unpack_from("<I", entries, at + 4)
        if entries[at : at + 4] == b"ICMT":
            text = entries[at + 8 : at + 8 + length]
            return text.rstrip(b"\0").decode("utf-8", errors="replace")
        at += 8 + length + length % 2
    return None
