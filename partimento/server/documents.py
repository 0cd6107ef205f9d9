"""Pieces as JSON, and in every format that the project writes."""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from partimento import api
from partimento.errors import FileError, MusicError, NotSupported
from partimento.music import (
    Audio,
    ChordSymbol,
    KeySignature,
    Lyric,
    Note,
    Pedal,
    Piece,
    Score,
    Tempo,
    Timeline,
    TimeSignature,
    Track,
    parse_chord,
    parse_key,
)

__all__ = [
    "MEDIA_TYPES",
    "ScoreDocument",
    "TrackDocument",
    "document_of",
    "piece_of_upload",
    "rendered",
    "score_of",
]

MEDIA_TYPES = {
    "mid": "audio/midi",
    "musicxml": "application/vnd.recordare.musicxml+xml",
    "mxl": "application/vnd.recordare.musicxml",
    "wav": "audio/wav",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "mp3": "audio/mpeg",
    "png": "image/png",
    "svg": "image/svg+xml",
    "zip": "application/zip",
}
_MOST_NOTES = 100_000
_MOST_TICKS = 1 << 26

Tick = Annotated[int, Field(ge=0, le=_MOST_TICKS)]
Pitch = Annotated[int, Field(ge=0, le=127)]
NoteRow = tuple[Tick, Pitch, Annotated[int, Field(ge=1, le=_MOST_TICKS)], Pitch]


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")


class TrackDocument(_Document):
    """A track; its notes are rows of onset, pitch, duration (ticks) and velocity."""

    name: str = Field(max_length=200)
    notes: list[NoteRow] = Field(default_factory=list, max_length=_MOST_NOTES)
    program: int = Field(0, ge=0, le=127)
    is_drum: bool = False
    volume: int = Field(100, ge=0, le=127)
    pan: int = Field(64, ge=0, le=127)
    pedals: list[tuple[Tick, Tick]] = Field(default_factory=list, max_length=_MOST_NOTES)
    lyrics: list[tuple[Tick, str, Annotated[int, Field(ge=1, le=99)]]] = Field(
        default_factory=list, max_length=_MOST_NOTES
    )


class ScoreDocument(_Document):
    """A score; every event starts with its onset in ticks."""

    ticks_per_quarter: int = Field(480, ge=1, le=32767)
    length_ticks: int = Field(0, ge=0, le=_MOST_TICKS)
    title: str = Field("", max_length=1000)
    tracks: list[TrackDocument] = Field(default_factory=list, max_length=256)
    tempos: list[tuple[Tick, Annotated[float, Field(ge=4, le=4000)]]] = Field(
        default_factory=list, max_length=10_000
    )
    time_signatures: list[
        tuple[Tick, Annotated[int, Field(ge=1, le=64)], Annotated[int, Field(ge=1, le=64)]]
    ] = Field(default_factory=list, max_length=10_000)
    key_signatures: list[tuple[Tick, str]] = Field(default_factory=list, max_length=10_000)
    chords: list[tuple[Tick, str]] = Field(default_factory=list, max_length=10_000)
    recipe: str = Field("", max_length=1 << 20)
    bars: list[tuple[int, int]] = Field(
        default_factory=list, description="onset and length of each bar; ignored when sent"
    )
    duration_seconds: float = Field(0.0, description="ignored when sent")


def document_of(score: Score) -> ScoreDocument:
    """Return a score as JSON values."""
    timeline = Timeline(score)
    return ScoreDocument(
        ticks_per_quarter=score.ticks_per_quarter,
        length_ticks=score.length_ticks,
        title=score.title,
        tracks=[_track_document(track) for track in score.tracks],
        tempos=[(t.onset_ticks, t.quarters_per_minute) for t in score.tempos],
        time_signatures=[
            (t.onset_ticks, t.numerator, t.denominator) for t in score.time_signatures
        ],
        key_signatures=[(k.onset_ticks, str(k.key)) for k in score.key_signatures],
        chords=[(c.onset_ticks, c.chord.name) for c in score.chords],
        recipe=score.recipe,
        bars=[(bar.onset_ticks, bar.length_ticks) for bar in timeline.bars],
        duration_seconds=float(timeline.seconds(score.length_ticks)),
    )


def _track_document(track: Track) -> TrackDocument:
    return TrackDocument(
        name=track.name,
        notes=[(n.onset_ticks, n.pitch, n.duration_ticks, n.velocity) for n in track.notes],
        program=track.program,
        is_drum=track.is_drum,
        volume=track.volume,
        pan=track.pan,
        pedals=[(p.onset_ticks, p.duration_ticks) for p in track.pedals],
        lyrics=[(word.onset_ticks, word.text, word.verse) for word in track.lyrics],
    )


def score_of(document: ScoreDocument) -> Score:
    """Return the score of a document.

    Raises:
        MusicError: if it is no music (more than 100,000 notes, unknown keys or chords).
    """
    if sum(len(track.notes) for track in document.tracks) > _MOST_NOTES:
        raise MusicError(f"a document has at most {_MOST_NOTES:,} notes; send fewer")
    try:
        return Score(
            tuple(_track_of(track) for track in document.tracks),
            ticks_per_quarter=document.ticks_per_quarter,
            tempos=tuple(Tempo(at, tempo) for at, tempo in sorted(document.tempos)),
            time_signatures=tuple(
                TimeSignature(*each) for each in sorted(document.time_signatures)
            ),
            key_signatures=tuple(
                KeySignature(at, parse_key(key)) for at, key in sorted(document.key_signatures)
            ),
            chords=tuple(ChordSymbol(at, parse_chord(c)) for at, c in sorted(document.chords)),
            title=document.title,
            recipe=document.recipe,
            written_length_ticks=document.length_ticks,
        )
    except ValueError as error:
        raise MusicError(f"this document is no score: {error}") from None


def _track_of(track: TrackDocument) -> Track:
    return Track(
        track.name,
        tuple(Note(*row) for row in sorted(track.notes)),
        program=track.program,
        is_drum=track.is_drum,
        volume=track.volume,
        pan=track.pan,
        pedals=tuple(Pedal(*row) for row in sorted(track.pedals)),
        lyrics=tuple(Lyric(*row) for row in sorted(track.lyrics)),
    )


def piece_of_upload(name: str, data: bytes) -> Piece:
    """Return the piece in an uploaded file; only the ending of ``name`` is looked at.

    Raises:
        FileError: if it is of no known kind or damaged.
    """
    suffix = Path(name.replace("\\", "/")).suffix.lower()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"upload{suffix if suffix[1:].isalnum() else ''}"
        path.write_bytes(data)
        try:
            return api.read(path)
        except FileError as error:
            raise FileError("upload" + suffix, error.problem, error.remedy) from None


def rendered(piece: Piece, kind: str) -> bytes:
    """Return a piece in a format of ``MEDIA_TYPES``; ``zip`` holds the sound of each track.

    Raises:
        NotSupported: for another format, or sound that is asked for as notes.
        MissingExtra: for an engraved score without the extra.
    """
    if kind not in MEDIA_TYPES:
        raise NotSupported(f"no format is called {kind!r}; choose json, {', '.join(MEDIA_TYPES)}")
    if isinstance(piece, Audio) and kind in ("mid", "musicxml", "mxl", "svg", "zip"):
        raise NotSupported(f"sound cannot be written as {kind}; choose wav, flac, ogg, mp3 or png")
    with tempfile.TemporaryDirectory() as folder:
        if isinstance(piece, Score) and kind == "zip":
            return _packed(api.write_stems(piece, folder, "piece"))
        path = api.write(piece, Path(folder) / f"piece.{kind}")
        return path.read_bytes()


def _packed(paths: Iterable[Path]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in paths:
            archive.write(path, path.name)
    return packed.getvalue()
