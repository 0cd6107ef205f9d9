"""Deterministic splits, and what makes two pieces the same."""

from __future__ import annotations

import hashlib

from partimento.music import Audio, Piece

__all__ = ["SPLITS", "content_hash", "split_of"]

SPLITS = ("train", "valid", "test")
_GRID = 960  # steps a quarter in which onsets are compared
_HEX_DIGITS = 12


def split_of(dataset: str, group: str) -> str:
    """Return ``"train"``, ``"valid"`` or ``"test"`` of a group of pieces; 80, 10 and 10 per cent.

    The rule of the data pack: the first 12 hex digits of sha256 of ``split-v1|dataset|group``, as
    a fraction of 16**12; below 0.1 is valid, below 0.2 test.
    """
    digest = hashlib.sha256(f"split-v1|{dataset}|{group}".encode()).hexdigest()
    fraction = int(digest[:_HEX_DIGITS], 16) / 16**_HEX_DIGITS
    return "valid" if fraction < 0.1 else "test" if fraction < 0.2 else "train"


def content_hash(piece: Piece) -> str:
    """Return a hash of what sounds: equal for files that differ in form alone.

    Scores: onsets, pitches and lengths of all notes in quarters, and the chord symbols; tracks,
    velocities, tempo and names do not count. Audio: samples and rate.
    """
    if isinstance(piece, Audio):
        return hashlib.sha256(
            f"{piece.sample_rate_hz}|".encode() + piece.samples.tobytes()
        ).hexdigest()
    ticks = piece.ticks_per_quarter
    rows = sorted(
        (
            round(note.onset_ticks * _GRID / ticks),
            note.pitch,
            round(note.duration_ticks * _GRID / ticks),
            track.is_drum,
        )
        for track in piece.tracks
        for note in track.notes
    )
    chords = [(round(c.onset_ticks * _GRID / ticks), c.chord.name) for c in piece.chords]
    return hashlib.sha256(repr((rows, chords)).encode()).hexdigest()
