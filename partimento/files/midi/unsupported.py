"""What a MIDI file says that a score does not keep, counted, and tracks that are parted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from partimento.files.midi.chunks import TrackChunk
from partimento.files.midi.events import (
    KEY,
    LYRIC,
    MARKER,
    METRE,
    PAN,
    PORT,
    SUSTAIN,
    TEMPO,
    TEXT,
    TRACK_NAME,
    VOLUME,
    Event,
)
from partimento.files.midi.parts import TrackPart
from partimento.music import Track

__all__ = ["left_out_signs", "parted_tracks"]

_NO_BEND = b"\x00\x40"
_OUR_TEXT = b"partimento-"
_KINDS = {  # of meta events
    TEXT: "texts",
    0x02: "copyright notices",
    0x04: "instrument names",
    LYRIC: "lyrics",
    MARKER: "markers",
    0x07: "cue points",
    0x08: "texts",
    0x09: "texts",
    TEMPO: "tempos",
    METRE: "time signatures",
    KEY: "key signatures",
}


def left_out_signs(
    chunks: Sequence[TrackChunk],
    kept: Mapping[str, int],
    named: Collection[int],
    levels: Mapping[tuple[int, int], Collection[int]],
    kept_markers: Collection[bytes],
) -> dict[str, int]:
    """Return how many events of each kind a file holds that the score does not.

    Args:
        chunks: the tracks of the file.
        kept: of kinds that are merged over all tracks, how many are in the score.
        named: the places of those chunks whose name is in the score.
        levels: by channel and controller, the volumes and pans that are in the score.
        kept_markers: the markers that are read as something else.
    """
    counts: Counter[str] = Counter()
    for number, chunk in enumerate(chunks):
        has_name = number not in named
        for event in chunk.messages:
            counts[_of_channel(event, levels)] += 1
        for event in chunk.events:
            if event.status != 0xFF:
                counts["system messages"] += 1
            elif event.kind == TRACK_NAME and event.data.rstrip(b"\0"):
                counts["track names"] += has_name
                has_name = True
            elif event.data and event.kind not in (TRACK_NAME, PORT):
                is_ours = event.kind == TEXT and event.data.startswith(_OUR_TEXT)
                is_kept = event.kind == MARKER and event.data in kept_markers
                counts[_KINDS.get(event.kind, "other events")] += not (is_ours or is_kept)
        counts["damaged messages"] += chunk.damaged
    counts.pop("", None)
    return {what: count - kept.get(what, 0) for what, count in counts.items()}


def _of_channel(event: Event, levels: Mapping[tuple[int, int], Collection[int]]) -> str:
    """Return what is lost of a channel message; empty if nothing is."""
    family = event.status & 0xF0
    if family in (0xA0, 0xD0):
        return "key pressures"
    if family == 0xB0:
        number, value = event.data
        if number == SUSTAIN:
            return "pedal depths" if value not in (0, 127) else ""
        if number in (VOLUME, PAN):
            kept = levels.get((event.channel, number))  # None where nothing plays the channel
            return "" if kept is None or value in kept else "control changes"
        return "control changes"
    if family == 0xE0:
        return "pitch bends" if event.data != _NO_BEND else ""
    return ""


def parted_tracks(
    parts: Sequence[TrackPart], tracks: Sequence[Track], names: Sequence[str], is_one_chunk: bool
) -> list[str]:
    """Return a remark on each track of a file that became several of the score.

    In a file of type 0 (``is_one_chunk``) that is so by nature, unless a channel changes its
    program.

    Args:
        parts: where the tracks come from, one for each.
        tracks: those of the score.
        names: of the tracks of the file.
        is_one_chunk: whether the file is of type 0.
    """
    made: dict[int, list[str]] = {}
    for part, track in zip(parts, tracks, strict=True):
        if not (is_one_chunk and part.is_drum):
            key = part.channel if is_one_chunk else part.chunk
            made.setdefault(key, []).append(track.name)
    remarks = []
    for place, into in sorted(made.items()):
        if len(into) > 1:
            what = f"channel {place % 16 + 1}" if is_one_chunk else f"track {place + 1}"
            if not is_one_chunk and names[place]:
                what = f"track {names[place]!r}"
            remarks.append(
                f"{what} is read as {len(into)} tracks, one for each program and channel: "
                f"{', '.join(map(repr, into))}"
            )
    return remarks
