"""Which file is read, written and edited how: by its suffix; MIDI and sound by content too."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import Any

from partimento.errors import FileError, NotSupported
from partimento.files.atomic import atomic_path
from partimento.files.audio.magic import SOUND_HEAD_BYTES, is_sound
from partimento.files.unsupported import LeftOut
from partimento.music import Audio, Piece, Score

__all__ = [
    "AUDIO_SUFFIXES",
    "NOTATION_SUFFIXES",
    "PICTURE_SUFFIXES",
    "SCORE_SUFFIXES",
    "SOUND_SUFFIXES",
    "WRITABLE_SUFFIXES",
    "Source",
    "begin_spectrogram",
    "font_samples",
    "patch",
    "piece_of_bytes",
    "read",
    "read_audio",
    "read_audio_recipe",
    "read_font_sample",
    "read_score",
    "read_with_source",
    "write",
    "write_audio",
    "write_score",
]

SCORE_SUFFIXES = (".abc", ".kar", ".krn", ".mid", ".midi", ".musicxml", ".mxl", ".rmi", ".xml")
AUDIO_SUFFIXES = (".flac", ".mp3", ".ogg", ".wav")  # of sound that is written, and read
# Of all sound that is read; libsndfile recognises the kind by the content.
SOUND_SUFFIXES = (
    *AUDIO_SUFFIXES, ".aif", ".aifc", ".aiff", ".au", ".caf", ".oga", ".opus", ".rf64", ".snd",
    ".voc", ".w64", ".wave",
)  # fmt: skip
_SOUND = ".wav"  # stands for all kinds of sound
PICTURE_SUFFIXES = (".png", ".svg")
NOTATION_SUFFIXES = (".musicxml", ".mxl", ".svg", ".xml")  # of note values, not of times
# Suffix -> (module, function of (data, path)), loaded once a file of it is met, so that a program
# that only reads MIDI does not wait for libraries of sound and pictures.
_READERS = {
    ".abc": ("abc.reader", "score_of_abc"),
    ".kar": ("midi.reader", "score_of_midi"),
    ".krn": ("kern.reader", "score_of_kern"),
    ".mid": ("midi.reader", "score_of_midi"),
    ".midi": ("midi.reader", "score_of_midi"),
    ".musicxml": ("musicxml.reader", "score_of_musicxml"),
    ".mxl": ("musicxml.reader", "score_of_musicxml"),
    ".rmi": ("midi.reader", "score_of_midi"),
    ".xml": ("musicxml.reader", "score_of_musicxml"),
    _SOUND: ("audio.sound_files", "audio_of_bytes"),
}
# Suffix -> (module, function of (score, path)).
_WRITERS = {
    ".kar": ("midi.writer", "write_midi"),
    ".mid": ("midi.writer", "write_midi"),
    ".midi": ("midi.writer", "write_midi"),
    ".musicxml": ("musicxml.writer", "write_musicxml"),
    ".mxl": ("musicxml.writer", "write_musicxml"),
    ".xml": ("musicxml.writer", "write_musicxml"),
    ".png": ("pictures.piano_roll", "write_piano_roll"),
    ".svg": ("pictures.engraving", "write_svg"),
}
WRITABLE_SUFFIXES = (*_WRITERS, *AUDIO_SUFFIXES)
# Suffixes of formats in which an edit can be put into the file that was read -> function of (its
# bytes, the score as read, the score wanted), which returns bytes of the same kind.
_MIDI = ("midi.patch", "patched")
_MUSICXML = ("musicxml.patch", "patched")
_PATCHERS = {
    frozenset({".kar", ".mid", ".midi", ".rmi"}): _MIDI,
    frozenset({".musicxml", ".xml"}): _MUSICXML,
    frozenset({".mxl"}): _MUSICXML,
}
_MIDI_MARKS = ((0, b"MThd"), (8, b"RMID"))  # (place, bytes) by which MIDI is known


@dataclass(frozen=True)
class Source:
    """A file of notes as it was read, into which an edit can be written.

    Attributes:
        path: where it was.
        data: its bytes.
        score: what was read from them.
        left_out: what the score does not hold, None for nothing; an edit keeps it.
    """

    path: str
    data: bytes
    score: Score
    left_out: LeftOut | None = None


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
    piece: Piece = _read(data, path, (*SCORE_SUFFIXES, *SOUND_SUFFIXES), "read")
    return piece


def _read(data: bytes, path: str | PathLike[str], known: tuple[str, ...], verb: str) -> Any:
    return _function(_READERS[_format(data, path, known, verb)])(data, path)


def _format(data: bytes, path: str | PathLike[str], known: tuple[str, ...], verb: str) -> str:
    """Return the suffix that belongs to the (first) bytes of a file, ``.wav`` for all sound."""
    suffix = Path(path).suffix.lower()
    is_midi = any(data.startswith(mark, place) for place, mark in _MIDI_MARKS)
    if is_midi and ".mid" in known and suffix not in (".kar", ".rmi"):
        return ".mid"
    if _SOUND in known and (
        suffix in SOUND_SUFFIXES
        or (suffix not in SCORE_SUFFIXES and is_sound(data[:SOUND_HEAD_BYTES]))
    ):
        return _SOUND
    return _suffix(path, known, verb)


def _suffix(path: str | PathLike[str], known: tuple[str, ...], verb: str) -> str:
    suffix = Path(path).suffix.lower()
    if suffix not in known:
        shown = f"{suffix!r} files" if suffix else "files without a suffix"
        raise FileError(path, f"{shown} cannot be {verb}", f"known are {' '.join(known)}")
    return suffix


def _bytes_of(path: str | PathLike[str], known: tuple[str, ...], verb: str) -> bytes:
    """Return the bytes of a file, whole only if something here reads them.

    Raises:
        FileError: if the file is missing, or is none of the ``known`` ones.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(SOUND_HEAD_BYTES)
            _format(head, path, known, verb)
            return head + file.read()
    except FileNotFoundError as error:
        _suffix(path, known, verb)
        raise FileError(path, "there is no such file", "check the name") from error
    except OSError as error:
        raise FileError(path, f"cannot be read: {error.strerror}", "check the name") from error
    except ValueError as error:  # a zero byte, or what no file system can spell
        raise FileError(path, "is no name that a file can have", "check the name") from error


def read(path: str | PathLike[str]) -> Piece:
    """Return the score or the audio in a file, as ``piece_of_bytes``.

    Raises:
        FileError: if the suffix is unknown, or the file is missing or damaged.
        MissingExtra: if its format needs an extra that is not installed.
    """
    known = (*SCORE_SUFFIXES, *SOUND_SUFFIXES)
    piece: Piece = _read(_bytes_of(path, known, "read"), path, known, "read")
    return piece


def read_with_source(path: str | PathLike[str]) -> tuple[Piece, Source | None]:
    """Return the piece in a file, and of notes their source, for ``patch``.

    What the notes do not hold is not yet lost, so that no warning reports it; ``left_out`` does.

    Raises:
        FileError, MissingExtra: as ``read``.
    """
    known = (*SCORE_SUFFIXES, *SOUND_SUFFIXES)
    data = _bytes_of(path, known, "read")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        piece: Piece = _read(data, path, known, "read")
    left_out: LeftOut | None = None
    for each in caught:
        if isinstance(each.message, LeftOut):
            left_out = each.message
            if not left_out.remarks:
                continue
            warnings.warn(LeftOut(path, {}, {}, left_out.remarks), stacklevel=2)
        else:
            warnings.warn(each.message, stacklevel=2)
    if isinstance(piece, Audio):
        return piece, None
    return piece, Source(str(path), data, piece, left_out)


def patch(source: Source, score: Score, path: str | PathLike[str]) -> None:
    """Write the file that was read with the changes that lead to ``score``, and nothing else.

    Raises:
        NotSupported: if ``path`` is of another format, or the format cannot say the changes.
        FileError: if it cannot be written.
    """
    suffix = Path(path).suffix.lower()
    own = _format(source.data, source.path, SCORE_SUFFIXES, "read")
    entry = next((e for known, e in _PATCHERS.items() if {own, suffix} <= known), None)
    if entry is None:
        raise NotSupported(f"{own} cannot be edited as {suffix}")
    made: bytes = _function(entry)(source.data, source.score, score)
    with atomic_path(path) as temporary:
        temporary.write_bytes(made)


def read_score(path: str | PathLike[str]) -> Score:
    """Return the score in a file (``SCORE_SUFFIXES``).

    Raises:
        FileError: if the suffix is no score's, or the file is missing or damaged.
        MissingExtra: if its format needs an extra that is not installed.
    """
    verb = "read as a score"
    data = _bytes_of(path, SCORE_SUFFIXES, verb)
    score: Score = _read(data, path, SCORE_SUFFIXES, verb)
    return score


def read_audio(path: str | PathLike[str]) -> Audio:
    """Return the audio in a file (``SOUND_SUFFIXES``, or sound by its content).

    Raises:
        FileError: if it is no audio, or missing or damaged.
    """
    verb = "read as audio"
    data = _bytes_of(path, SOUND_SUFFIXES, verb)
    audio: Audio = _read(data, path, SOUND_SUFFIXES, verb)
    return audio


def read_audio_recipe(path: str | PathLike[str]) -> str:
    """Return the recipe in an audio file, empty if there is none; its sound is not read.

    Raises:
        FileError: if the file is missing or no audio.
    """
    recipe: str = _function(("audio.sound_files", "audio_recipe"))(path)
    return recipe


def font_samples(path: str | PathLike[str]) -> Any:
    """Return the recorded notes of a sound font; see ``files/audio/sound_fonts.py``.

    Raises:
        FileError: if it cannot be opened or is no SoundFont.
    """
    return _function(("audio.sound_fonts", "font_samples"))(path)


def read_font_sample(path: str, name: str) -> Audio:
    """Return a recorded note of a sound font by its name.

    Raises:
        FileError: if there is none, or it is damaged.
    """
    audio: Audio = _function(("audio.sound_fonts", "load_sample"))(path, name)
    return audio


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
