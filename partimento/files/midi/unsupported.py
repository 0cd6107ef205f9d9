"""What a MIDI file says that a score does not keep, counted, and tracks that are parted."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from partimento.files.midi import events as mm
from partimento.music import Track

__all__ = ["FromChunk", "left_out_signs", "parted_tracks"]

_DELTA = rb"[\x80-\xff]{0,3}[\x00-\x7f]"
_USUAL_EVENTS = (  # (status, data) of those that are kept whole
    (rb"[\x80-\x9f]", rb"[\x00-\x7f]{2}"),  # few instruments hear how fast a key rises
    (rb"[\xb0-\xbf]", rb"\x40[\x00\x7f]"),  # the pedal up or down
)
# A stretch of such events, in runs of one status; behind it a status stands. It is passed over at
# once, since files hold little else. (Groups that capture go wrong here in Python 3.11.)
_USUAL = re.compile(
    rb"(?:(?:%b)(?=%b[\x80-\xff]))++"
    % (
        b"|".join(
            b"%b%b%b(?:%b%b)*+" % (_DELTA, status, data, _DELTA, data)
            for status, data in _USUAL_EVENTS
        ),
        _DELTA,
    ),
    re.DOTALL,
)
_VOLUME, _PAN, _SUSTAIN = 7, 10, 64
_NO_BEND = b"\x00\x40"
_OUR_TEXT = b"partimento-"
_KINDS = {  # of meta events
    mm.TEXT: "texts",
    0x02: "copyright notices",
    0x04: "instrument names",
    mm.LYRIC: "lyrics",
    mm.MARKER: "markers",
    0x07: "cue points",
    0x08: "texts",
    0x09: "texts",
    mm.TEMPO: "tempos",
    mm.METRE: "time signatures",
    mm.KEY: "key signatures",
}


@dataclass
class FromChunk:
    """The tracks that a chunk of a file became, by their places in the score."""

    chunk: mm.Chunk
    places: range
    programs: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))  # by channel


def left_out_signs(
    sources: Sequence[FromChunk], kept: Mapping[str, int], is_kept_marker: Callable[[str], bool]
) -> dict[str, int]:
    """Return how many events of each kind the chunks hold that the score does not.

    Args:
        sources: the chunks; the programs that they set are noted in them.
        kept: of kinds that are merged over all chunks, how many are in the score.
        is_kept_marker: says whether the text of a marker is read as something else.
    """
    counts: Counter[str] = Counter()
    for number, source in enumerate(sources):
        has_name = number > 0 and not source.places
        first_controls: dict[tuple[int, int], int] = {}
        for status, kind, data in _unusual(source.chunk.data):
            if status != 0xFF:
                counts[_of_channel(status, data, first_controls)] += 1
                if status & 0xF0 == 0xC0:
                    source.programs[status & 0x0F].add(data[0])
            elif kind == mm.TRACK_NAME and data.rstrip(b"\0"):
                counts["track names"] += has_name
                has_name = True
            elif data and kind not in (mm.TRACK_NAME, mm.END_OF_TRACK):
                is_ours = kind == mm.TEXT and data.startswith(_OUR_TEXT)
                is_kept = kind == mm.MARKER and is_kept_marker(mm.decode_text(data))
                counts[_KINDS.get(kind, "other events")] += not (is_ours or is_kept)
    del counts[""]
    return {what: count - kept.get(what, 0) for what, count in counts.items()}


def _of_channel(status: int, data: bytes, first_controls: dict[tuple[int, int], int]) -> str:
    """Return what is lost of an event that is no meta event; empty if nothing is."""
    kind = status & 0xF0
    if kind in (0xA0, 0xD0):
        return "key pressures"
    if kind == 0xB0:
        number, value = data[0], data[1]
        if number == _SUSTAIN:
            return "pedal depths" if value not in (0, 127) else ""
        if number in (_VOLUME, _PAN):  # the first is kept
            is_first = first_controls.setdefault((status, number), value) == value
            return "" if is_first else "control changes"
        return "control changes"
    if kind == 0xE0:
        return "pitch bends" if data != _NO_BEND else ""
    return "system messages" if kind == 0xF0 else ""


def _unusual(body: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield (status, kind, data) of the events of a track chunk that may not be kept whole."""
    at, running, size = 0, 0, len(body)
    try:
        while at < size:
            stretch = _USUAL.match(body, at)
            if stretch is not None:
                at = stretch.end()
            _, at = mm.variable(body, at)
            status, at = (body[at], at + 1) if body[at] >= 0x80 else (running, at)
            kind = 0
            if status >= 0xF0:
                if status == 0xFF:
                    kind, at = body[at], at + 1
                length, at = mm.variable(body, at)
            else:
                running = status
                length = 1 if status & 0xF0 in (0xC0, 0xD0) else 2
            if not status or at + length > size:
                return
            yield status, kind, body[at : at + length]
            at += length
            if kind == mm.END_OF_TRACK:
                return
    except IndexError:
        return


def parted_tracks(
    sources: Sequence[FromChunk], tracks: Sequence[Track], is_one_chunk: bool
) -> list[str]:
    """Return a remark on each track of a file that became several of the score.

    In a file of type 0 (``is_one_chunk``) that is so by nature, unless a channel changes its
    program.
    """
    remarks = []
    for number, source in enumerate(sources):
        made = [tracks[place] for place in source.places]
        if not is_one_chunk and len(made) > 1:
            name = mm.track_name(source.chunk)
            remarks.append(_parted(f"track {name!r}" if name else f"track {number + 1}", made))
        elif is_one_chunk:
            for channel, programs in sorted(source.programs.items()):
                own = [t for t in made if not t.is_drum and t.program in programs]
                if len(programs) > 1 and len(own) > 1:
                    remarks.append(_parted(f"channel {channel + 1}", own))
    return remarks


def _parted(what: str, tracks: Collection[Track]) -> str:
    names = ", ".join(repr(track.name) for track in tracks)
    return f"{what} is read as {len(tracks)} tracks, one for each program and channel: {names}"
