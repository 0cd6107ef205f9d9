"""MIDI files to scores and back.

What a file holds comes back: ticks, tempos, metres, keys, chord symbols, track names, programs,
drums (channel 10), velocities, sustain pedals (controller 64), volume (7), pan (10), lyrics, the
title, the written length and the recipe. ``playable`` says what MIDI cannot hold and what becomes
of it; ``read(write(s)) == playable(s)``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import chain, islice
from os import PathLike
from pathlib import Path

import numpy as np
import symusic

from partimento.errors import FileError, MusicError
from partimento.files.atomic import atomic_path
from partimento.files.midi import events as mm
from partimento.files.midi.layers import layers_granted, spread
from partimento.files.midi.unsupported import FromChunk, left_out_signs, parted_tracks
from partimento.files.names import default_name, names_as_read, told_apart, written_name
from partimento.files.unsupported import tell_left_out
from partimento.music import (
    Chord,
    ChordSymbol,
    Key,
    KeySignature,
    Lyric,
    Note,
    Pedal,
    Score,
    Tempo,
    TimeSignature,
    Track,
    parse_chord,
)

__all__ = ["midi_bytes", "playable", "read_midi", "require_notes", "score_of_midi", "write_midi"]

_RECIPE, _LENGTH, _CHORD = "partimento-recipe: ", "partimento-length: ", "chord: "
_LAYERS = "partimento-layers: "  # of a track whose notes of one pitch overlap: its channels
_DRUM_CHANNEL = 9
_MICROS = 60_000_000
_MAX_MICROS = 0xFFFFFF
_VOLUME, _PAN, _SUSTAIN = 7, 10, 64
_PITCHED_CHANNELS = [channel for channel in range(16) if channel != _DRUM_CHANNEL]


def read_midi(path: str | PathLike[str]) -> Score:
    """Return the score of a MIDI file of type 0 or 1; it may have no notes.

    Notes that are never switched off end with their track; notes of no length last one tick.
    A track that plays several channels or programs becomes several tracks, but one that was
    written here with layers is one.

    Raises:
        FileError: if it cannot be opened, is no MIDI file, is cut short, is of type 2, counts
            time in SMPTE frames, or has a tempo outside 4..4000 quarters a minute.
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
        return _score(data, path)
    except mm.MidiBytesError as error:
        raise FileError(path, str(error), "get a whole copy of the file") from error
    except MusicError as error:
        raise FileError(path, str(error), "open it in a MIDI editor and save it anew") from error
    except (RuntimeError, ValueError, UnicodeDecodeError) as error:
        problem = str(error).removeprefix("MiniMidi: ").splitlines()[0][:120]
        raise FileError(path, f"damaged MIDI: {problem}", "get a whole copy") from error


def _score(data: bytes, path: str | PathLike[str]) -> Score:
    kind, division, chunks = mm.split_file(data)
    if kind == 2:
        raise FileError(
            path, "MIDI type 2 (loose patterns) has no one order", "save it as type 0 or 1"
        )
    if division & 0x8000 or division == 0:
        raise FileError(
            path, "time is counted in SMPTE frames, not in beats", "save it with ticks per quarter"
        )
    tracks: list[Track] = []
    maps = _Maps(path)
    loose: list[Lyric] = []
    sources: list[FromChunk] = []
    for chunk in chunks:
        parsed = _parsed(chunk, division)
        maps.add(parsed)
        made = _tracks(chunk, parsed)
        if not made:
            loose.extend(_lyrics(chunk, parsed))
        sources.append(FromChunk(chunk, range(len(tracks), len(tracks) + len(made))))
        tracks.extend(made)
    if loose and tracks and not any(track.lyrics for track in tracks):
        tracks[0] = replace(tracks[0], lyrics=tuple(sorted(loose, key=_onset)))
    texts = _texts(chunks)
    score = Score(
        tuple(told_apart(tracks)),
        ticks_per_quarter=division,
        tempos=_last_of_each_tick(maps.tempos),
        time_signatures=_last_of_each_tick(maps.metres),
        key_signatures=_last_of_each_tick(maps.keys),
        chords=_last_of_each_tick(maps.chords),
        title=_title(kind, chunks),
        recipe=texts.get(_RECIPE, ""),
    )
    signs = left_out_signs(sources, maps.kept(score), lambda text: _chord_of(text) is not None)
    remarks = parted_tracks(sources, score.tracks, is_one_chunk=kind == 0)
    tell_left_out(path, {}, signs, remarks)
    length = int(texts.get(_LENGTH) or 0)
    if not length and _LENGTH not in texts and not chunks[0].has_notes:
        end = chunks[0].end_tick or 0
        length = end if end > score.end_ticks > 0 else 0
    return replace(score, written_length_ticks=length) if length else score


def _parsed(chunk: mm.Chunk, division: int) -> symusic.Score:
    """Return what symusic reads of one chunk alone; so its tracks are known to be of it."""
    body = mm.closed_chunk(chunk.data) if chunk.has_notes else chunk.data
    header = b"MThd\x00\x00\x00\x06\x00\x01\x00\x01" + division.to_bytes(2, "big")
    return symusic.Score.from_midi(
        header + b"MTrk" + len(body).to_bytes(4, "big") + body, sanitize_data=True
    )


class _Maps:
    """Tempos, metres, keys and chord symbols of all chunks."""

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = path
        self.tempos: list[Tempo] = []
        self.metres: list[TimeSignature] = []
        self.keys: list[KeySignature] = []
        self.chords: list[ChordSymbol] = []

    def add(self, parsed: symusic.Score) -> None:
        for tempo in parsed.tempos:
            if tempo.mspq < _MICROS / 4000:
                raise FileError(
                    self.path,
                    f"the tempo at tick {tempo.time} is {tempo.mspq} microseconds a quarter",
                    "set a tempo of 4..4000 quarters a minute in a MIDI editor",
                )
            self.tempos.append(Tempo(tempo.time, _MICROS / tempo.mspq))
        for metre in parsed.time_signatures:
            if 1 <= metre.numerator <= 64 and metre.denominator in (1, 2, 4, 8, 16, 32, 64):
                self.metres.append(TimeSignature(metre.time, metre.numerator, metre.denominator))
        for key in parsed.key_signatures:
            if -7 <= key.key <= 7:
                self.keys.append(KeySignature(key.time, Key(key.key, key.tonality == 1)))
        for marker in parsed.markers:
            chord = _chord_of(marker.text)
            if chord is not None:
                self.chords.append(ChordSymbol(marker.time, chord))

    def kept(self, score: Score) -> dict[str, int]:
        """Return how many of the events of each kind are in the score; the same twice is in it."""
        return {
            "lyrics": sum(len(track.lyrics) for track in score.tracks),
            "tempos": _told(self.tempos, score.tempos),
            "time signatures": _told(self.metres, score.time_signatures),
            "key signatures": _told(self.keys, score.key_signatures),
        }


def _told(read: Iterable[object], kept: Iterable[object]) -> int:
    known = set(kept)
    return sum(event in known for event in read)


def _chord_of(marker: str) -> Chord | None:
    """Return the chord of the text of one of our markers; None for any other."""
    if not marker.startswith(_CHORD):
        return None
    try:
        return parse_chord(marker.removeprefix(_CHORD))
    except MusicError:
        return None


def _onset(event: Lyric | Tempo | TimeSignature | KeySignature | ChordSymbol) -> int:
    return event.onset_ticks


def _last_of_each_tick(events: Iterable) -> tuple:  # type: ignore[type-arg]
    """Return the events in order; of several at one tick only the last counts."""
    return tuple({event.onset_ticks: event for event in sorted(events, key=_onset)}.values())


def _tracks(chunk: mm.Chunk, parsed: symusic.Score) -> list[Track]:
    """Return the tracks of one chunk: one, unless it mixes channels or programs."""
    name, program, volume, pan, channel = _leading(chunk)
    lyrics = _lyrics(chunk, parsed)
    if not chunk.has_notes:
        if channel is None:
            return []
        events = [e for e in chunk.events if e.status == 0xB0 | channel]
        changes = [(e.tick, e.data[1]) for e in events if e.data[0] == _SUSTAIN]
        pedals = _pedals(changes, chunk.end_tick or 0)
        is_drum = channel == _DRUM_CHANNEL
        shown, written = _names(name, program, is_drum)
        return [Track(shown, (), program, is_drum, pedals, lyrics, volume, pan, written)]
    found = [track for track in parsed.tracks if len(track.notes)]
    groups = [found] if _is_layered(chunk, found) else [[track] for track in found]
    tracks: list[Track] = []
    for group in groups:
        track = group[0]
        shown, written = _names(name, track.program, track.is_drum)
        if len(groups) > 1:  # none of them is what was called so
            shown, written = default_name(track.program, track.is_drum), None
        controls = {control.number: control.value for control in reversed(track.controls)}
        changes = [(c.time, c.value) for c in track.controls if c.number == _SUSTAIN]
        tracks.append(
            Track(
                shown,
                _notes(group),
                track.program,
                track.is_drum,
                _pedals(changes, max(each.end() for each in group)),
                lyrics if not tracks else (),
                min(127, controls.get(_VOLUME, 100)),
                min(127, controls.get(_PAN, 64)),
                written,
            )
        )
    return tracks


def _names(name: str, program: int, is_drum: bool) -> tuple[str, str | None]:
    """Return the name of a track and its written name, which is empty where there is none."""
    return (name, None) if name else (default_name(program, is_drum), "")


def _is_layered(chunk: mm.Chunk, found: list[symusic.Track]) -> bool:
    """Return whether the channels of a chunk are the layers of one track that was written here."""
    mark = _LAYERS.encode()
    is_marked = any(
        event.status == 0xFF and event.kind == mm.TEXT and event.data.startswith(mark)
        for event in chunk.events
    )
    return is_marked and len({(track.program, track.is_drum) for track in found}) == 1


def _notes(layers: list[symusic.Track]) -> tuple[Note, ...]:
    parts = [track.notes.numpy() for track in layers]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    onset = columns["time"].astype(np.int64)
    length = np.maximum(columns["duration"], 1).astype(np.int64)
    pitch, velocity = columns["pitch"].astype(np.int64), columns["velocity"].astype(np.int64)
    order = np.lexsort((velocity, length, pitch, onset))
    velocity = np.clip(velocity, 1, 127)
    rows = (onset[order].tolist(), pitch[order].tolist(), length[order].tolist())
    return tuple(map(Note, *rows, velocity[order].tolist()))


def _leading(chunk: mm.Chunk) -> tuple[str, int, int, int, int | None]:
    """Return (name, program, volume, pan, channel) as they stand before the first note."""
    program, volume, pan = 0, 100, 64
    channel: int | None = None
    for event in chunk.events:
        if event.status < 0xF0:
            channel = event.status & 0x0F if channel is None else channel
            if event.status & 0xF0 == 0xC0:
                program = event.data[0] & 0x7F
            elif event.status & 0xF0 == 0xB0 and event.data[0] == _VOLUME:
                volume = event.data[1] & 0x7F
            elif event.status & 0xF0 == 0xB0 and event.data[0] == _PAN:
                pan = event.data[1] & 0x7F
    return mm.track_name(chunk), program, volume, pan, channel


def _pedals(changes: Iterable[tuple[int, int]], end_tick: int) -> tuple[Pedal, ...]:
    """Return the pedals of (tick, value) changes; one that is never lifted ends at the end."""
    pedals: list[Pedal] = []
    down: int | None = None
    for tick, value in [*changes, (end_tick, 0)]:
        if value >= 64 and down is None:
            down = tick
        elif value < 64 and down is not None:
            if tick > down:
                pedals.append(Pedal(down, tick - down))
            down = None
    return tuple(pedals)


def _lyrics(chunk: mm.Chunk, parsed: symusic.Score) -> tuple[Lyric, ...]:
    found = [Lyric(x.time, x.text) for track in parsed.tracks for x in track.lyrics]
    if not chunk.has_notes or any("\ufffd" in lyric.text for lyric in found):
        # Latin-1 text, which symusic takes for broken UTF-8; or a track that it leaves out.
        events = chunk.events if not chunk.has_notes else mm.walk(chunk.data)
        found = [
            Lyric(event.tick, mm.decode_text(event.data))
            for event in events
            if event.status == 0xFF and event.kind == mm.LYRIC
        ]
    return tuple(sorted((x for x in found if x.text), key=_onset))


def _texts(chunks: list[mm.Chunk]) -> dict[str, str]:
    """Return our own text events by their prefix."""
    found: dict[str, str] = {}
    for event in chunks[0].events:
        if event.status == 0xFF and event.kind == mm.TEXT:
            text = mm.decode_text(event.data)
            for prefix in (_RECIPE, _LENGTH):
                if text.startswith(prefix):
                    found.setdefault(prefix, text.removeprefix(prefix))
    if not found.get(_LENGTH, "0").isdecimal():
        del found[_LENGTH]
    return found


def _title(kind: int, chunks: list[mm.Chunk]) -> str:
    """Return the name of the conductor track, or of a type 0 file's only track."""
    if kind == 1 and (chunks[0].has_notes or _leading(chunks[0])[4] is not None):
        return ""
    return _leading(chunks[0])[0]


def playable(score: Score) -> Score:
    """Return the score as MIDI can hold it.

    - Notes of one pitch that overlap on a track are written on channels of their own. Where no
      channel is free, or on drums, a note is cut where the same pitch starts anew; of two that
      start together the longer stays. (A key cannot be struck twice without being released.)
    - Tempos are whole microseconds a quarter, at most 16.777215 seconds.
    - A score that says no tempo or metre at tick 0 gets 120 and 4/4, which readers assume.
    - Of several tempos, metres, keys or chords at one tick the last stays.
    - Pedals that overlap are joined; pedals of no length and empty lyrics go.
    - Of the lyrics the first verse stays.
    - Tracks get names of their own: ``Piano``, ``Piano 2``; names that were read come back.
    """
    tempos = _last_of_each_tick(score.tempos)
    metres = _last_of_each_tick(score.time_signatures)
    if not tempos or tempos[0].onset_ticks > 0:
        tempos = (Tempo(0, 120.0), *tempos)
    if not metres or metres[0].onset_ticks > 0:
        metres = (TimeSignature(0, 4, 4), *metres)
    granted = layers_granted(score.tracks, len(_PITCHED_CHANNELS))
    tracks = [_playable_track(*each) for each in zip(score.tracks, granted, strict=True)]
    return replace(
        score,
        tracks=tuple(names_as_read(tracks)),
        tempos=tuple(replace(t, quarters_per_minute=_MICROS / _micros(t)) for t in tempos),
        time_signatures=metres,
        key_signatures=_last_of_each_tick(score.key_signatures),
        chords=_last_of_each_tick(score.chords),
    )


def _micros(tempo: Tempo) -> int:
    return min(_MAX_MICROS, round(_MICROS / tempo.quarters_per_minute))


def _playable_track(track: Track, layers: int) -> Track:
    pedals: list[Pedal] = []
    for pedal in sorted(p for p in track.pedals if p.duration_ticks > 0):
        end = pedal.onset_ticks + pedal.duration_ticks
        if pedals and pedal.onset_ticks < pedals[-1].onset_ticks + pedals[-1].duration_ticks:
            first = pedals.pop()
            start = first.onset_ticks
            pedals.append(Pedal(start, max(end, start + first.duration_ticks) - start))
        else:
            pedals.append(pedal)
    return replace(
        track,
        name=track.name or default_name(track.program, track.is_drum),
        notes=tuple(sorted(chain.from_iterable(spread(track.notes, layers)))),
        pedals=tuple(pedals),
        lyrics=tuple(sorted((x for x in track.lyrics if x.text and x.verse == 1), key=_onset)),
    )


def midi_bytes(score: Score) -> bytes:
    """Return the bytes of a type 1 MIDI file: a conductor track, then one for each track.

    Drums are on channel 10 and nothing else is; the 16th pitched track shares channel 1. Layers
    of a track are on the channels that are left.

    Raises:
        MusicError: if a time step is longer than MIDI can say.
    """
    score = playable(score)
    granted = layers_granted(score.tracks, len(_PITCHED_CHANNELS))
    pitched = 0
    free = iter(_PITCHED_CHANNELS[sum(not track.is_drum for track in score.tracks) :])
    try:
        chunks = [_conductor(score)]
        for track, layers in zip(score.tracks, granted, strict=True):
            channel = _DRUM_CHANNEL
            if not track.is_drum:
                channel = _PITCHED_CHANNELS[pitched % len(_PITCHED_CHANNELS)]
                pitched += 1
            chunks.append(_track_chunk(track, [channel, *islice(free, layers - 1)]))
        return mm.file_bytes(score.ticks_per_quarter, chunks)
    except mm.MidiBytesError as error:
        raise MusicError(str(error)) from error


def _conductor(score: Score) -> bytes:
    events: list[tuple[int, bytes]] = []
    if score.title:
        events.append((0, mm.meta(mm.TRACK_NAME, mm.encode_text(score.title))))
    if score.recipe:
        events.append((0, mm.meta(mm.TEXT, mm.encode_text(_RECIPE + score.recipe))))
    events.append((0, mm.meta(mm.TEXT, f"{_LENGTH}{score.written_length_ticks}".encode())))
    for metre in score.time_signatures:
        power = metre.denominator.bit_length() - 1
        data = bytes((metre.numerator, power, 24, 8))
        events.append((metre.onset_ticks, mm.meta(mm.METRE, data)))
    for key in score.key_signatures:
        data = bytes((key.key.fifths % 256, int(key.key.is_minor)))
        events.append((key.onset_ticks, mm.meta(mm.KEY, data)))
    for tempo in score.tempos:
        events.append((tempo.onset_ticks, mm.meta(mm.TEMPO, _micros(tempo).to_bytes(3, "big"))))
    for chord in score.chords:
        text = mm.encode_text(_CHORD + chord.chord.name)
        events.append((chord.onset_ticks, mm.meta(mm.MARKER, text)))
    events.sort(key=lambda event: event[0])
    return mm.track_bytes(events, score.length_ticks)


def _track_chunk(track: Track, channels: list[int]) -> bytes:
    """Return a track whose layers lie on the channels, each with the same program and controls."""
    events: list[tuple[int, int, bytes]] = []
    name = written_name(track)
    if name:
        events.append((0, 0, mm.meta(mm.TRACK_NAME, mm.encode_text(name))))
    if len(channels) > 1:
        events.append((0, 0, mm.meta(mm.TEXT, f"{_LAYERS}{len(channels)}".encode())))
    # At one tick: what ends comes before what begins.
    for lyric in track.lyrics:
        events.append((lyric.onset_ticks, 2, mm.meta(mm.LYRIC, mm.encode_text(lyric.text))))
    for channel, notes in zip(channels, spread(track.notes, len(channels)), strict=True):
        events.append((0, 0, bytes((0xC0 | channel, track.program))))
        events.append((0, 0, bytes((0xB0 | channel, _VOLUME, track.volume))))
        events.append((0, 0, bytes((0xB0 | channel, _PAN, track.pan))))
        for pedal in track.pedals:
            events.append((pedal.onset_ticks, 3, bytes((0xB0 | channel, _SUSTAIN, 127))))
            end = pedal.onset_ticks + pedal.duration_ticks
            events.append((end, 1, bytes((0xB0 | channel, _SUSTAIN, 0))))
        for note in notes:
            at = note.onset_ticks
            events.append((at, 4, bytes((0x90 | channel, note.pitch, note.velocity))))
            events.append((note.end_ticks, 1, bytes((0x80 | channel, note.pitch, 64))))
    events.sort(key=lambda event: event[:2])
    return mm.track_bytes((tick, data) for tick, _, data in events)


def write_midi(score: Score, path: str | PathLike[str]) -> None:
    """Write ``playable(score)`` as a type 1 MIDI file, whole or not at all.

    Raises:
        FileError: if it cannot be written.
        MusicError: if a time step is longer than MIDI can say.
    """
    data = midi_bytes(score)
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)
