"""MIDI files to scores.

What a file holds comes back: ticks, tempos, metres, keys, chord symbols, track names, programs,
drums (channel 10), velocities, sustain pedals (controller 64), volume (7), pan (10), lyrics, the
title, the written length and the recipe. ``read(write(s)) == playable(s)`` (``writer.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from operator import add
from os import PathLike
from pathlib import Path

from partimento.errors import FileError, MusicError
from partimento.files.midi.bounds import MAX_TRACKS, require_bounded, silence_is_short
from partimento.files.midi.chunks import MidiFile, TrackChunk, parse
from partimento.files.midi.events import (
    OUR_LENGTH,
    OUR_RECIPE,
    PAN,
    TEXT,
    TRACK_NAME,
    VOLUME,
    MidiBytesError,
)
from partimento.files.midi.lyrics import with_words, words_of
from partimento.files.midi.maps import Maps, last_of_each_tick
from partimento.files.midi.parts import Channels, TrackPart, parts_of
from partimento.files.midi.texts import TextCoding
from partimento.files.midi.unsupported import left_out_signs, parted_tracks
from partimento.files.names import default_name, told_apart
from partimento.files.unsupported import tell_left_out
from partimento.music import Score, Track
from partimento.music.score import notes_of_columns

__all__ = ["coding_of", "read_midi", "require_notes", "score_of_midi"]

_MOST_DIGITS = 12  # of a written length; more are longer than any piece


def read_midi(path: str | PathLike[str]) -> Score:
    """Return the score of a MIDI file of type 0 or 1; it may have no notes.

    Notes that are never switched off end with their track; notes of no length last one tick.
    A track that plays several channels or programs becomes several tracks, but one that was
    written here with layers is one.

    Raises:
        FileError: if it cannot be opened, is no MIDI file, is cut short, is of type 2, counts
            time in SMPTE frames, has a tempo outside 4..4000 quarters a minute, or is larger or
            longer than the limits in docs/reference/formats.md.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise FileError(path, f"cannot be read: {error.strerror}", "check the name") from error
    return score_of_midi(data, path)


def require_notes(score: Score, path: str | PathLike[str]) -> Score:
    """Return ``score``.

    Raises:
        FileError: if it has no notes.
    """
    if not any(track.notes for track in score.tracks):
        raise FileError(path, "there are no notes in it", "choose a file with music")
    return score


def score_of_midi(data: bytes, path: str | PathLike[str] = "MIDI data") -> Score:
    """Return the score of the bytes of a MIDI file; ``path`` names it in errors.

    Raises:
        FileError: as ``read_midi``.
    """
    try:
        return _score(parse(data), path)
    except MidiBytesError as error:
        raise FileError(path, str(error), "get a whole copy of the file") from error
    except MusicError as error:
        raise FileError(path, str(error), "open it in a MIDI editor and save it again") from error


def _score(file: MidiFile, path: str | PathLike[str]) -> Score:
    if file.kind == 2:
        raise FileError(
            path, "MIDI type 2 (loose patterns) has no one order", "save it as type 0 or 1"
        )
    if file.division & 0x8000 or file.division == 0:
        raise FileError(
            path, "time is counted in SMPTE frames, not in beats", "save it with ticks per quarter"
        )
    channels = Channels(file.chunks)
    parts = parts_of(file, channels)
    if len(parts) > MAX_TRACKS:
        raise FileError(path, f"it has more than {MAX_TRACKS:,} tracks", "keep those with music")
    coding = coding_of(file)
    maps = Maps(path, coding)
    for chunk in file.chunks:
        maps.add(chunk.events)
    names = [_name(chunk, coding) for chunk in file.chunks]
    tracks, end = _tracks(file, parts, channels, names)
    words = words_of(file.chunks, coding)
    tracks = with_words(tracks, parts, words)
    first = file.chunks[0]
    is_titled = file.kind == 0 or all(part.chunk for part in parts)
    score = Score(
        tuple(told_apart(tracks)),
        ticks_per_quarter=file.division,
        tempos=last_of_each_tick(maps.tempos),
        time_signatures=last_of_each_tick(maps.metres),
        key_signatures=last_of_each_tick(maps.keys),
        chords=last_of_each_tick(maps.chords),
        title=words.title or (names[0] if is_titled else ""),
        recipe=_our_text(first, OUR_RECIPE, coding),
    )
    require_bounded(score, end, path)
    remarks = [*file.remarks, *filter(None, [coding.remark])]
    remarks += parted_tracks(parts, score.tracks, names, is_one_chunk=file.kind == 0)
    length = _written_length(first, end, coding)
    if length and not silence_is_short(score, end, length):
        remarks.append(f"the silence after its last note, up to tick {length}, is left out")
        length = 0
    signs = left_out_signs(
        file.chunks,
        {**maps.kept(score), **words.kept(score.tracks)},
        {0, *(part.chunk for part in parts)},
        _levels(parts, tracks),
        maps.chord_markers,
    )
    tell_left_out(path, {}, signs, remarks)
    return replace(score, written_length_ticks=length) if length else score


def coding_of(file: MidiFile) -> TextCoding:
    """Return the coding of the texts of a file."""
    events = (event for chunk in file.chunks for event in chunk.events if event.status == 0xFF)
    return TextCoding(event.data for event in events if 0x01 <= event.kind <= 0x0F)


def _name(chunk: TrackChunk, coding: TextCoding) -> str:
    """Return the first name of a track of the file; empty for none."""
    for event in chunk.events:
        if event.status == 0xFF and event.kind == TRACK_NAME:
            name = coding.decode(event.data).rstrip("\0")
            if name:
                return name
    return ""


def _tracks(
    file: MidiFile, parts: Sequence[TrackPart], channels: Channels, names: Sequence[str]
) -> tuple[list[Track], int]:
    """Return the tracks of a score without their lyrics, and when the last note ends."""
    counts = [0] * len(file.chunks)
    for part in parts:
        counts[part.chunk] += 1
    tracks, last = [], 0
    for part in parts:
        # None of several tracks of one chunk is what the chunk is called.
        name = names[part.chunk] if counts[part.chunk] == 1 else ""
        written = None if name else ("" if counts[part.chunk] == 1 else None)
        strikes = sorted(part.all_strikes())
        onsets, pitches, lengths, velocities = [*zip(*strikes, strict=True)][:4] or ([], [], [], [])
        end = max(map(add, onsets, lengths), default=file.chunks[part.chunk].end_tick)
        last = max(last, end) if strikes else last
        tracks.append(
            Track(
                name or default_name(part.program, part.is_drum),
                notes_of_columns(onsets, pitches, lengths, velocities),
                part.program,
                part.is_drum,
                channels.pedals(part.channel, end),
                (),
                channels.level(part.channel, VOLUME, onsets, 100),
                channels.level(part.channel, PAN, onsets, 64),
                written,
            )
        )
    return tracks, last


def _levels(parts: Sequence[TrackPart], tracks: Sequence[Track]) -> dict[tuple[int, int], set[int]]:
    """Return the volumes and pans that are kept, by channel and controller."""
    kept: dict[tuple[int, int], set[int]] = {}
    for part, track in zip(parts, tracks, strict=True):
        for channel in part.strikes:
            kept.setdefault((channel, VOLUME), set()).add(track.volume)
            kept.setdefault((channel, PAN), set()).add(track.pan)
    return kept


def _our_text(chunk: TrackChunk, prefix: str, coding: TextCoding) -> str:
    """Return the text behind ``prefix`` in the first of our own text events; empty for none."""
    start = prefix.encode()
    for event in chunk.events:
        if event.status == 0xFF and event.kind == TEXT and event.data.startswith(start):
            return coding.decode(event.data).removeprefix(prefix)
    return ""


def _written_length(chunk: TrackChunk, end_ticks: int, coding: TextCoding) -> int:
    """Return the length that the file states, or that of a track that holds no notes; else 0."""
    text = _our_text(chunk, OUR_LENGTH, coding)
    if text.isdecimal():
        return int(text) if len(text) <= _MOST_DIGITS else 10**_MOST_DIGITS
    is_end = not chunk.strikes and chunk.end_tick > end_ticks > 0
    return chunk.end_tick if is_end else 0
