"""Which file is read and written how: by its suffix."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import Any

from partimento.errors import FileError
from partimento.music import Audio, Piece, Score

__all__ = [
    "AUDIO_SUFFIXES",
    "PICTURE_SUFFIXES",
    "SCORE_SUFFIXES",
    "WRITABLE_SUFFIXES",
    "begin_spectrogram",
    "piece_of_bytes",
    "read",
    "read_audio",
    "read_audio_recipe",
    "read_score",
    "write",
    "write_audio",
    "write_score",
]

SCORE_SUFFIXES = (".abc", ".krn", ".mid", ".midi", ".musicxml", ".mxl", ".xml")
AUDIO_SUFFIXES = (".flac", ".mp3", ".ogg", ".wav")
PICTURE_SUFFIXES = (".png", ".svg")
# Suffix -> (module, function of (data, path)), loaded once a file of it is met, so that a program
# that only reads MIDI does not wait for libraries of sound and pictures.
_READERS = {
    ".abc": ("abc.reader", "score_of_abc"),
    ".krn": ("kern.reader", "score_of_kern"),
    ".mid": ("midi.reader", "score_of_midi"),
    ".midi": ("midi.reader", "score_of_midi"),
    ".musicxml": ("musicxml.reader", "score_of_musicxml"),
    ".mxl": ("musicxml.reader", "score_of_musicxml"),
    ".xml": ("musicxml.reader", "score_of_musicxml"),
    ".flac": ("audio.sound_files", "audio_of_bytes"),
    ".mp3": ("audio.sound_files", "audio_of_bytes"),
    ".ogg": ("audio.sound_files", "audio_of_bytes"),
    ".wav": ("audio.sound_files", "audio_of_bytes"),
}
# Suffix -> (module, function of (score, path)).
_WRITERS = {
    ".mid": ("midi.writer", "write_midi"),
    ".midi": ("midi.writer", "write_midi"),
    ".musicxml": ("musicxml.writer", "write_musicxml"),
    ".mxl": ("musicxml.writer", "write_musicxml"),
    ".xml": ("musicxml.writer", "write_musicxml"),
    ".png": ("pictures.piano_roll", "write_piano_roll"),
    ".svg": ("pictures.engraving", "write_svg"),
}
WRITABLE_SUFFIXES = (*_WRITERS, *AUDIO_SUFFIXES)


def _function(entry: tuple[str, str]) -> Callable[..., Any]:
    module, name = entry
    found: Callable[..., Any] = getattr(import_module(f"partimento.files.{module}"), name)
    return found


def piece_of_bytes(data: bytes, path: str | PathLike[str]) -> Piece:
    """Return the piece in the bytes of a file; ``path`` gives its suffix and its name in errors.

    Raises:
        FileError: if the suffix is unknown or the file is damaged.
        MissingExtra: if its format needs an extra that is not installed.
    """
    suffix = _suffix(path, (*SCORE_SUFFIXES, *AUDIO_SUFFIXES), "read")
    piece: Piece = _function(_READERS[suffix])(data, path)
    return piece


def _suffix(path: str | PathLike[str], known: tuple[str, ...], verb: str) -> str:
    suffix = Path(path).suffix.lower()
    if suffix not in known:
        shown = f"{suffix!r} files" if suffix else "files without a suffix"
        raise FileError(path, f"{shown} cannot be {verb}", f"known are {' '.join(known)}")
    return suffix


def _bytes(path: str | PathLike[str]) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError as error:
        raise FileError(path, "there is no such file", "check the name") from error
    except OSError as error:
        raise FileError(path, f"cannot be read: {error.strerror}", "check the name") from error


def read(path: str | PathLike[str]) -> Piece:
    """Return the score or the audio in a file, by its suffix.

    Raises:
        FileError: if the suffix is unknown, or the file is missing or damaged.
        MissingExtra: if its format needs an extra that is not installed.
    """
    suffix = _suffix(path, (*SCORE_SUFFIXES, *AUDIO_SUFFIXES), "read")
    piece: Piece = _function(_READERS[suffix])(_bytes(path), path)
    return piece


def read_score(path: str | PathLike[str]) -> Score:
    """Return the score in a file (``SCORE_SUFFIXES``).

    Raises:
        FileError: if the suffix is no score's, or the file is missing or damaged.
        MissingExtra: if its format needs an extra that is not installed.
    """
    suffix = _suffix(path, SCORE_SUFFIXES, "read as a score")
    score: Score = _function(_READERS[suffix])(_bytes(path), path)
    return score


def read_audio(path: str | PathLike[str]) -> Audio:
    """Return the audio in a file (``AUDIO_SUFFIXES``).

    Raises:
        FileError: if the suffix is no audio's, or the file is missing or damaged.
    """
    suffix = _suffix(path, AUDIO_SUFFIXES, "read as audio")
    audio: Audio = _function(_READERS[suffix])(_bytes(path), path)
    return audio


def read_audio_recipe(path: str | PathLike[str]) -> str:
    """Return the recipe in an audio file, empty if there is none; its sound is not read.

    Raises:
        FileError: if the file is missing or no audio.
    """
    recipe: str = _function(("audio.sound_files", "audio_recipe"))(path)
    return recipe


def begin_spectrogram(sample_rate_hz: int) -> Any:
    """Return a ``Spectrogram`` (``files/pictures/spectrogram.py``), which takes sound in blocks."""
    return _function(("pictures.spectrogram", "Spectrogram"))(sample_rate_hz)


def write(piece: Piece, path: str | PathLike[str]) -> None:
    """Write a score or audio, by the suffix of ``path``; whole or not at all.

    A score can also be written as a picture: ``.png`` is a piano roll, ``.svg`` engraved. The
    ``.png`` of audio is its spectrogram.

    Raises:
        FileError: if the suffix does not fit the piece or the file cannot be written.
        MissingExtra: if the format needs an extra that is not installed.
    """
    if isinstance(piece, Audio):
        write_audio(piece, path)
    else:
        write_score(piece, path)


def write_score(score: Score, path: str | PathLike[str]) -> None:
    """Write a score as MIDI, MusicXML, a piano roll (``.png``) or engraved (``.svg``).

    Raises:
        FileError: if the suffix is none of these or the file cannot be written.
        MissingExtra: for ``.svg`` without verovio.
    """
    suffix = Path(path).suffix.lower()
    if suffix in AUDIO_SUFFIXES:
        raise FileError(path, "a score has no sound of its own", "render it to audio first")
    suffix = _suffix(path, tuple(_WRITERS), "written")
    _function(_WRITERS[suffix])(score, path)


def write_audio(audio: Audio, path: str | PathLike[str]) -> None:
    """Write audio as WAV, FLAC, OGG or MP3, or its spectrogram as PNG, by the suffix.

    Raises:
        FileError: if the suffix is none of these, the audio does not fit the format, or the file
            cannot be written.
    """
    if Path(path).suffix.lower() == ".png":
        _function(("pictures.spectrogram", "write_spectrogram"))(audio, path)
        return
    if Path(path).suffix.lower() in (*SCORE_SUFFIXES, *PICTURE_SUFFIXES):
        raise FileError(path, "audio cannot be written as a score", "use .wav, .flac, .ogg, .mp3")
    _suffix(path, AUDIO_SUFFIXES, "written as audio")
    _function(("audio.sound_files", "write_audio"))(audio, path)
