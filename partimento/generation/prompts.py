"""Prompts: read, extended to their next bar line, and their tracks matched with the new ones."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import gcd
from pathlib import Path
from typing import Protocol

import numpy as np

from partimento import files
from partimento.errors import FileError, MusicError
from partimento.files.audio.sound_files import resample
from partimento.messages import shown
from partimento.music import Audio, Piece, Score, Timeline, TimeSignature, Track
from partimento.music.channels import stereo
from partimento.music.score import MAX_TICKS_PER_QUARTER
from partimento.music.timeline import DEFAULT_QUARTERS_PER_MINUTE
from partimento.music.transform import rescale
from partimento.recipe import PromptRecord, file_sha256
from partimento.runtime.codes import Codes
from partimento.runtime.contract import AUDIO_CHANNELS, AUDIO_RATE_HZ

__all__ = [
    "CODES_SUFFIX",
    "AnyPrompt",
    "CodesPrompt",
    "HasPiece",
    "Prompt",
    "Sketch",
    "SoundPrompt",
    "piece_of",
    "places",
    "read_prompt",
    "read_sketch",
    "ready_prompt",
    "ready_sound",
]

CODES_SUFFIX = ".npz"
_SIXTEENTHS = 4  # a prompt's tick grid must be able to hold at least these


@dataclass(frozen=True)
class Prompt:
    """The notes of a prompt, and what the recipe says of it."""

    score: Score
    record: PromptRecord
    source: files.Source | None = None  # its file, into which an edit can be written

    @property
    def piece(self) -> Score:
        """The notes."""
        return self.score


@dataclass(frozen=True)
class SoundPrompt:
    """The sound of a prompt, stereo at 44,100 Hz, and what the recipe says of it."""

    audio: Audio
    record: PromptRecord

    @property
    def piece(self) -> Audio:
        """The sound."""
        return self.audio


@dataclass(frozen=True)
class CodesPrompt:
    """The codes of an earlier answer, and what the recipe says of them."""

    codes: Codes
    record: PromptRecord

    @property
    def piece(self) -> Audio:
        """No sound: it is made of the codes by the model whose they are."""
        return Audio(np.zeros((AUDIO_CHANNELS, 0), dtype=np.float32), AUDIO_RATE_HZ)


AnyPrompt = Prompt | SoundPrompt | CodesPrompt


class HasPiece(Protocol):
    """What holds a piece: a ``Result`` or a prompt that is already read."""

    @property
    def piece(self) -> Piece:
        """The notes or the sound."""
        ...


Sketch = Score | Audio | str | Path | HasPiece  # what a piece may be given as


def piece_of(given: Sketch) -> Piece:
    """Return the notes or the sound of a path, a score, sound or a result.

    Raises:
        FileError: if a file cannot be read.
        MusicError: if it is none of these.
    """
    if isinstance(given, str | Path):
        return files.read(given)
    piece = getattr(given, "piece", given)
    if isinstance(piece, Score | Audio):
        return piece
    raise MusicError(f"a piece is a path, a Score, an Audio or a Result, not {shown(given)}")


def read_sketch(prompt: Sketch) -> AnyPrompt:
    """Return a prompt of notes, of sound or of codes, read from its file where a path is given.

    Raises:
        FileError: if its file cannot be read.
        MusicError: if it is sound without samples, or no piece.
    """
    if isinstance(prompt, Prompt | SoundPrompt | CodesPrompt):
        return prompt
    if isinstance(prompt, str | Path) and Path(prompt).suffix.lower() == CODES_SUFFIX:
        codes = Codes.load(prompt)
        return CodesPrompt(codes, PromptRecord(sha256=file_sha256(prompt), path=str(prompt)))
    source = None
    if isinstance(prompt, str | Path):
        piece, source = files.read_with_source(prompt)
        record = PromptRecord(sha256=file_sha256(prompt), path=str(prompt))
    else:
        piece = piece_of(prompt)
        record = PromptRecord(sha256=_digest(piece))
    if isinstance(piece, Audio):
        return SoundPrompt(ready_sound(piece), record)
    return Prompt(piece, record, source)


def _digest(piece: Piece) -> str:
    """Return the SHA-256 of a piece in memory, its recipe left out."""
    if isinstance(piece, Audio):
        return hashlib.sha256(piece.samples.tobytes()).hexdigest()
    return hashlib.sha256(repr(replace(piece, recipe="")).encode()).hexdigest()


def read_prompt(prompt: Sketch) -> Prompt:
    """Return a prompt of notes, read from its file where a path is given.

    Raises:
        FileError: if its file cannot be read or is sound.
        MusicError: if it is sound in memory.
    """
    given = read_sketch(prompt)
    if isinstance(given, Prompt):
        return given
    what = "sound" if isinstance(given, SoundPrompt) else "codes of sound"
    remedy = "this needs notes: MIDI, MusicXML or ABC"
    if not given.record.path:
        raise MusicError(f"the prompt is {what}; {remedy}")
    raise FileError(given.record.path, f"is {what}", remedy)


def ready_sound(audio: Audio) -> Audio:
    """Return sound of any rate and number of channels as stereo at 44,100 Hz.

    Raises:
        MusicError: if there are no samples.
    """
    if not audio.samples.shape[1]:
        raise MusicError("the prompt has no samples to continue; use generate instead")
    return resample(Audio(stereo(audio.samples), audio.sample_rate_hz), AUDIO_RATE_HZ)


def ready_prompt(prompt: Score) -> tuple[Score, int, TimeSignature, float]:
    """Return the prompt extended to its next bar line, that tick, and the metre and tempo there.

    Raises:
        MusicError: if the prompt has no notes.
    """
    if not prompt.notes:
        raise MusicError("the prompt has no notes to continue; use generate instead")
    factor = _SIXTEENTHS // gcd(_SIXTEENTHS, prompt.ticks_per_quarter)
    # A finer grid on which every note of the prompt stays where it is; one that is fine already
    # holds sixteenths to half a tick.
    if 1 < factor <= MAX_TICKS_PER_QUARTER // prompt.ticks_per_quarter:
        prompt = rescale(prompt, prompt.ticks_per_quarter * factor)
    last = Timeline(prompt).bars[-1]
    at = last.end_ticks
    tempos = [tempo for tempo in prompt.tempos if tempo.onset_ticks <= at]
    ruling = tempos[-1].quarters_per_minute if tempos else DEFAULT_QUARTERS_PER_MINUTE
    metre = replace(last.time_signature, onset_ticks=0)
    return replace(prompt, written_length_ticks=at), at, metre, ruling


def places(prompt: Score, made: Score) -> list[int | None]:
    """Return for each new track the index of the prompt's track that it continues, or None.

    Tracks are matched by name where every pitched track of the prompt finds its name; otherwise in
    order. A single new track continues the track of its name, or else of its program; where the
    prompt has several tracks and none matches, it is added.
    """
    pitched = [i for i, t in enumerate(prompt.tracks) if t.notes and not t.is_drum]
    names = [prompt.tracks[i].name for i in pitched]
    made_names = [track.name for track in made.tracks]
    if len(set(names)) == len(names) and set(names) <= set(made_names):
        by_name = dict(zip(names, pitched, strict=True))
        return [by_name.get(name) for name in made_names]
    free = list(pitched)
    drums = [i for i, t in enumerate(prompt.tracks) if t.is_drum]
    chosen: list[int | None] = []
    for track in made.tracks:
        pool = drums if track.is_drum else free
        place = next(iter(pool), None)
        if len(made.tracks) == 1 and len(pool) > 1:
            place = _alike(prompt, pool, track)
        if place is not None:
            pool.remove(place)
        chosen.append(place)
    return chosen


def _alike(prompt: Score, pool: Sequence[int], track: Track) -> int | None:
    """Return the first track of the pool that has the name, or else the program, of ``track``."""
    for name in ("name", "program"):
        for place in pool:
            if getattr(prompt.tracks[place], name) == getattr(track, name):
                return place
    return pool[0] if track.is_drum else None  # drums have no program to distinguish them
