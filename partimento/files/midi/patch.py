"""Edits of a MIDI file that leave the rest of it as it is.

What differs between two scores, the one that was read from a file and the one that is wanted, is
applied to the events of the file: notes are taken out and put in, and tracks, bars, tempos and the
like are added. Every other event keeps its bytes, its tick and its place among its neighbours.
"""

from __future__ import annotations

import warnings
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from partimento.errors import FileError, NotSupported
from partimento.files.midi import events as mm
from partimento.files.midi.chunks import MidiFile, Strike, TrackChunk, parse, spans
from partimento.files.midi.events import Event
from partimento.files.midi.lyrics import words_of
from partimento.files.midi.parts import Channels, TrackPart, parts_of
from partimento.files.midi.reader import coding_of, score_of_midi
from partimento.files.midi.texts import encode_text
from partimento.files.midi.writer import (
    length_event,
    map_events,
    playable_track,
    recipe_event,
    track_chunk,
)
from partimento.files.unsupported import LeftOut
from partimento.music import Note, Score, Track
from partimento.music.transform import rescale

__all__ = ["patched"]

# Where a new event stands among those that the file has at its tick.
_BEFORE, _THERE, _AFTER = 0, 1, 2
_OUR_RECIPE, _OUR_LENGTH = mm.OUR_RECIPE.encode(), mm.OUR_LENGTH.encode()


def patched(data: bytes, before: Score, after: Score) -> bytes:
    """Return the bytes of a MIDI file with the changes that lead from one score to the other.

    Args:
        data: the file. A RIFF around it is left out.
        before: the score as it was read from ``data``.
        after: the score that is wanted: other notes, more tracks, more pedals and words, maps with
            more events, another recipe or length; on the grid of ``before`` or a multiple of it.

    Raises:
        NotSupported: if the difference cannot be said by such edits; then a new file is needed.
    """
    try:
        # A length that the file states is stated again where the piece becomes longer.
        whole = rescale(before, after.ticks_per_quarter).length_ticks
        states = _OUR_LENGTH in data and whole != after.length_ticks
        made = _Patch(parse(data), before, after).encoded(with_length=states)
        if _read(made).length_ticks != after.length_ticks:
            made = _Patch(parse(data), before, after).encoded(with_length=True)
        _check_equal(_read(made), after)
    except (mm.MidiBytesError, FileError) as error:
        raise NotSupported(f"the file cannot be edited in place: {error}") from error
    return made


def _read(data: bytes) -> Score:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LeftOut)
        return score_of_midi(data)


def _check_equal(made: Score, wanted: Score) -> None:
    """Raise NotSupported unless a patched file reads as the score that is wanted.

    Its tracks may have another order, since a new one never stands before the first of the file.
    """
    missing = Counter(map(_heard, wanted.tracks)) - Counter(map(_heard, made.tracks))
    if missing or len(made.tracks) != len(wanted.tracks):
        names = [track.name for track in wanted.tracks if _heard(track) in missing]
        raise NotSupported(f"the notes of {', '.join(names) or 'a track'} cannot be put in place")
    if _words(made) != _words(wanted):
        raise NotSupported("the words cannot be put in place")
    if set(map_events(wanted)) != set(map_events(made)):
        raise NotSupported("the tempos, metres, keys or chords cannot be put in place")
    if made.length_ticks != wanted.length_ticks:
        raise NotSupported("the length of the piece cannot be put in place")


def _heard(track: Track) -> tuple[object, ...]:
    # When a pedal that is never lifted ends depends on the notes.
    downs = tuple(sorted({pedal.onset_ticks for pedal in track.pedals}))
    program = 0 if track.is_drum else track.program
    return (track.notes, program, track.is_drum, track.volume, track.pan, downs)


def _words(score: Score) -> Counter[tuple[int, str]]:
    return Counter((x.onset_ticks, x.text) for track in score.tracks for x in track.lyrics)


@dataclass
class _Edits:
    """What is taken from a chunk (places in the file) and put into it."""

    removed: set[int] = field(default_factory=set)
    added: list[tuple[int, int, bytes]] = field(default_factory=list)  # (tick, where, event)

    def add(self, tick: int, where: int, *events: bytes) -> None:
        self.added += [(tick, where, event) for event in events]


class _Patch:
    """The edits of one file."""

    def __init__(self, file: MidiFile, before: Score, after: Score) -> None:
        self.file = file
        self.factor, rest = divmod(after.ticks_per_quarter, file.division)
        if rest or not self.factor or before.ticks_per_quarter != file.division:
            raise NotSupported(
                f"a grid of {after.ticks_per_quarter} ticks a quarter is no multiple of that of "
                f"the file, {file.division}"
            )
        self.before = rescale(before, after.ticks_per_quarter)
        self.after = after
        self.channels = Channels(file.chunks)
        self.parts = parts_of(file, self.channels)
        if [len(track.notes) for track in before.tracks] != [_count(p) for p in self.parts]:
            raise NotSupported("the score before the edit is not that of the file")
        self.releases: dict[tuple[int, int, int], list[tuple[int, int]]] = defaultdict(list)
        for number, chunk in enumerate(file.chunks):
            for tick, channel, pitch, place in chunk.releases:
                self.releases[number, channel, pitch].append((tick, place))
        self.sung = self._sung()
        self.edits = [_Edits() for _ in file.chunks]
        self.new_chunks: dict[int, list[bytes]] = defaultdict(list)  # by the chunk before them
        self._edit_tracks()
        self._edit_maps()

    def encoded(self, with_length: bool) -> bytes:
        """Return the bytes of the patched file; ``with_length`` states where it ends."""
        if self.after.recipe:
            self._replace_text(_OUR_RECIPE, recipe_event(self.after.recipe))
        if with_length:
            self._replace_text(_OUR_LENGTH, length_event(self.after.length_ticks))
        data, pieces, end = self.file.data, [], 0
        for number, (chunk, edits) in enumerate(zip(self.file.chunks, self.edits, strict=True)):
            gap = data[end : chunk.start - 8] if number else b""  # chunks of other programs
            pieces += [gap, self._chunk(chunk, edits), *self.new_chunks[number]]
            end = chunk.following
        added = sum(map(len, self.new_chunks.values()))
        head = mm.file_bytes(
            self.after.ticks_per_quarter,
            [b""] * (len(self.file.chunks) + added),
            1 if added else self.file.kind,
        )
        return b"".join([head, *pieces, data[end:]])

    def _chunk(self, chunk: TrackChunk, edits: _Edits) -> bytes:
        data, factor = self.file.data, self.factor
        if factor == 1 and not (edits.removed or edits.added):
            body = data[chunk.start : chunk.stop]
            return b"MTrk" + len(body).to_bytes(4, "big") + body
        events: list[tuple[int, int, int, bytes]] = [
            (tick * factor, _THERE, place, event)
            for tick, place, event in spans(data, chunk)
            if place not in edits.removed
        ]
        end = chunk.end_tick * factor
        if edits.added and max(tick for tick, _, _ in edits.added) > end:
            events += [(end, _BEFORE, -1, off) for off in self._offs_of_hanging(chunk, edits)]
        events += [
            (tick, where, number, event) for number, (tick, where, event) in enumerate(edits.added)
        ]
        events.sort(key=lambda row: row[:3])
        return mm.track_bytes(((tick, event) for tick, _, _, event in events), end)

    def _offs_of_hanging(self, chunk: TrackChunk, edits: _Edits) -> Iterable[bytes]:
        """Yield what ends the notes that end with their track, before that becomes longer."""
        for channel, strikes in chunk.strikes.items():
            for tick, pitch, ticks, _, on_at, off_at in strikes:
                is_last = tick + ticks == chunk.end_tick
                if off_at < 0 and is_last and on_at not in edits.removed:
                    yield _off(channel, pitch)

    def _edit_tracks(self) -> None:
        """Match the tracks by their names, in order; those that are left are new."""
        places = {track.name: place for place, track in enumerate(self.before.tracks)}
        used = {channel for chunk in self.file.chunks for channel in chunk.strikes}
        used |= {message.channel for chunk in self.file.chunks for message in chunk.messages}
        number = 0
        for track in self.after.tracks:
            place = places.pop(track.name, None)
            if place is None:
                channel = _free_channel(track.is_drum, used)
                used.add(channel)
                made = track_chunk(playable_track(track, 1), [channel])
                self.new_chunks[number].append(made)
            else:
                number = self.parts[place].chunk
                self._edit_track(self.parts[place], self.before.tracks[place], track)
        if places:
            raise NotSupported(f"track {next(iter(places))!r} is not to be there any more")

    def _edit_track(self, part: TrackPart, old: Track, new: Track) -> None:
        if old is new:
            return
        if _fixed(old) != _fixed(new):
            raise NotSupported(f"track {old.name!r} is to have another program, volume or pan")
        edits = self.edits[part.chunk]
        found: dict[Note, list[tuple[int, Strike]]] = defaultdict(list)
        for channel, strikes in part.strikes.items():
            for strike in strikes:
                found[self._note(strike)].append((channel, strike))
        for note, count in (Counter(old.notes) - Counter(new.notes)).items():
            for _ in range(count):
                _, strike = found[note].pop()
                edits.removed |= {place for place in strike[4:] if place >= 0}
        busy: dict[tuple[int, int], list[Note]] = defaultdict(list)
        for note, sounding in found.items():
            for channel, _ in sounding:
                busy[channel, note.pitch].append(note)
        added = Counter(new.notes) - Counter(old.notes)
        for note in sorted(added.elements()):
            channel = _channel_for(note, sorted(part.strikes), busy)
            busy[channel, note.pitch].append(note)
            self._add_note(part, channel, note)
        self._add_pedals(part, old, new)
        self._edit_words(part, old, new)

    def _sung(self) -> dict[tuple[int, str], list[tuple[int, Event]]]:
        """Return the events (chunk, event) of the words of the file by tick and text."""
        words = words_of(self.file.chunks, coding_of(self.file))
        found: dict[tuple[int, str], list[tuple[int, Event]]] = defaultdict(list)
        for number, chunk in enumerate(self.file.chunks):
            events = {event.at: event for event in chunk.events}
            for lyric, place in zip(words.lyrics[number], words.places[number], strict=True):
                key = (lyric.onset_ticks * self.factor, lyric.text)
                found[key].append((number, events[place]))
        return found

    def _note(self, strike: Strike) -> Note:
        tick, pitch, ticks, velocity = strike[:4]
        return Note(tick * self.factor, pitch, ticks * self.factor, velocity)

    def _add_note(self, part: TrackPart, channel: int, note: Note) -> None:
        edits = self.edits[part.chunk]
        for tick, place in self.releases.get((part.chunk, channel, note.pitch), ()):
            if note.onset_ticks < tick * self.factor < note.end_ticks:  # would end it too early
                edits.removed.add(place)
        on = [bytes((0x90 | channel & 0x0F, note.pitch, note.velocity))]
        ruling = self._program(part, channel, note.onset_ticks)
        if ruling != part.program:
            own, back = (bytes((0xC0 | channel & 0x0F, p)) for p in (part.program, ruling))
            on = [own, *on, back]
        edits.add(note.onset_ticks, _AFTER, *on)
        edits.add(note.end_ticks, _BEFORE, _off(channel, note.pitch))

    def _program(self, part: TrackPart, channel: int, tick: int) -> int:
        starts, programs = self.channels.programs(channel, part.chunk)
        place = bisect_right([onset * self.factor for onset, _ in starts], tick)
        return programs[place - 1] if place else 0

    def _add_pedals(self, part: TrackPart, old: Track, new: Track) -> None:
        """Add pedals; those that are there stay."""
        edits = self.edits[part.chunk]
        pedals = Counter(new.pedals) - Counter(old.pedals)
        if Counter(old.pedals) - Counter(new.pedals):
            raise NotSupported(f"track {old.name!r} is to lose pedals")
        lifts = {pedal.onset_ticks + pedal.duration_ticks for pedal in pedals}
        if old.end_ticks != new.end_ticks and self.channels.is_pedal_held(part.channel):
            lifts.add(old.end_ticks)  # it stays as long as it was
        for channel in part.strikes:
            status = 0xB0 | channel & 0x0F
            for tick in sorted(lifts):
                edits.add(tick, _BEFORE, bytes((status, mm.SUSTAIN, 0)))
            for pedal in sorted(pedals):
                edits.add(pedal.onset_ticks, _AFTER, bytes((status, mm.SUSTAIN, 127)))

    def _edit_words(self, part: TrackPart, old: Track, new: Track) -> None:
        """Take out the events of words, and put them in where the words have moved to."""
        taken: dict[str, list[tuple[int, Event]]] = defaultdict(list)
        for lyric in sorted((Counter(old.lyrics) - Counter(new.lyrics)).elements()):
            events = self.sung[lyric.onset_ticks, lyric.text]
            if not events:
                raise NotSupported(f"the word {lyric.text!r} is not in the file")
            number, event = events.pop(0)
            self.edits[number].removed.add(event.at)
            taken[lyric.text].append((number, event))
        for lyric in sorted((Counter(new.lyrics) - Counter(old.lyrics)).elements()):
            number, text = part.chunk, mm.meta(mm.LYRIC, encode_text(lyric.text))
            if taken[lyric.text]:  # the same event, in its own track
                number, event = taken[lyric.text].pop(0)
                text = event.encoded()
            self.edits[number].add(lyric.onset_ticks, _AFTER, text)

    def _edit_maps(self) -> None:
        """Add tempos, metres, keys and chords to the first track."""
        old, new = map_events(self.before), map_events(self.after)
        there = set(old)
        added = [event for event in new if event not in there]
        replaced = {(tick, event[1]) for tick, event in added}
        if any((tick, event[1]) not in replaced for tick, event in there - set(new)):
            raise NotSupported("a tempo, metre, key or chord of the file is not to be there")
        for tick, event in added:
            self.edits[0].add(tick, _AFTER, event)

    def _replace_text(self, prefix: bytes, text: bytes) -> None:
        """Put one of our texts at the start, for what the file has of its kind."""
        edits = self.edits[0]
        for event in self.file.chunks[0].events:
            if event.kind == mm.TEXT and event.data.startswith(prefix):
                edits.removed.add(event.at)
        edits.add(0, _AFTER, text)


def _count(part: TrackPart) -> int:
    return sum(map(len, part.strikes.values()))


def _fixed(track: Track) -> tuple[int, bool, int, int]:
    return track.program, track.is_drum, track.volume, track.pan


def _off(channel: int, pitch: int) -> bytes:
    return bytes((0x80 | channel & 0x0F, pitch, 64))


def _channel_for(
    note: Note, channels: Sequence[int], busy: Mapping[tuple[int, int], Sequence[Note]]
) -> int:
    """Return the first channel of a track on which the pitch of a note is free."""
    for channel in channels[: len(channels) if len(channels) > 1 else 0]:
        others = busy.get((channel, note.pitch), ())
        if all(o.end_ticks <= note.onset_ticks or note.end_ticks <= o.onset_ticks for o in others):
            return channel
    return channels[0]


def _free_channel(is_drum: bool, used: set[int]) -> int:
    """Return the first channel that nothing uses, on a port of its own where all are taken."""
    places = (mm.DRUM_CHANNEL,) if is_drum else mm.PITCHED_CHANNELS
    for port in range(0x100):
        for place in places:
            if port << 4 | place not in used:
                return port << 4 | place
    raise NotSupported("all channels of all ports are taken")
