"""Scores to MIDI files. ``playable`` says what MIDI cannot hold and what becomes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, islice
from os import PathLike

from partimento.errors import MusicError
from partimento.files.atomic import atomic_path
from partimento.files.midi import events as mm
from partimento.files.midi.layers import layers_granted, spread
from partimento.files.midi.maps import last_of_each_tick
from partimento.files.midi.texts import encode_text
from partimento.files.names import default_name, names_as_read, written_name
from partimento.music import (
    Lyric,
    Pedal,
    Score,
    Tempo,
    TimeSignature,
    Track,
)
from partimento.music.repeats import unfolded

__all__ = [
    "length_event",
    "map_events",
    "midi_bytes",
    "playable",
    "playable_track",
    "recipe_event",
    "tempo_micros",
    "track_chunk",
    "write_midi",
]

_MICROS = 60_000_000
_MAX_MICROS = 0xFFFFFF
_MAX_PORT = 0xFF


def playable(score: Score) -> Score:
    """Return the score as MIDI can hold it.

    - Notes of one pitch that overlap on a track are written on channels of their own. Where no
      channel is free, or on drums, a note is cut where the same pitch starts again; of two that
      start together the longer stays. (A key cannot be struck twice without being released.)
    - Tempos are whole microseconds a quarter, at most 16.777215 seconds.
    - A score that says no tempo or metre at tick 0 gets 120 and 4/4, which readers assume.
    - Of several tempos, metres, keys or chords at one tick the last stays.
    - Pedals that overlap are joined; pedals of no length and empty lyrics go.
    - Of the lyrics the first verse stays.
    - Tracks get names of their own: ``Piano``, ``Piano 2``; names that were read come back.
    """
    tempos = last_of_each_tick(score.tempos)
    metres = last_of_each_tick(score.time_signatures)
    if not tempos or tempos[0].onset_ticks > 0:
        tempos = (Tempo(0, 120.0), *tempos)
    if not metres or metres[0].onset_ticks > 0:
        metres = (TimeSignature(0, 4, 4), *metres)
    granted = layers_granted(score.tracks, len(mm.PITCHED_CHANNELS))
    tracks = [playable_track(*each) for each in zip(score.tracks, granted, strict=True)]
    return replace(
        score,
        tracks=tuple(names_as_read(tracks)),
        tempos=tuple(replace(t, quarters_per_minute=_MICROS / tempo_micros(t)) for t in tempos),
        time_signatures=metres,
        key_signatures=last_of_each_tick(score.key_signatures),
        chords=last_of_each_tick(score.chords),
    )


def tempo_micros(tempo: Tempo) -> int:
    """Return a tempo in microseconds a quarter, as MIDI holds it."""
    return min(_MAX_MICROS, round(_MICROS / tempo.quarters_per_minute))


def playable_track(track: Track, layers: int) -> Track:
    """Return a track as MIDI can hold it on so many channels."""
    pedals: list[Pedal] = []
    for pedal in sorted(p for p in track.pedals if p.duration_ticks > 0):
        end = pedal.onset_ticks + pedal.duration_ticks
        if pedals and pedal.onset_ticks < pedals[-1].onset_ticks + pedals[-1].duration_ticks:
            first = pedals.pop()
            start = first.onset_ticks
            pedals.append(Pedal(start, max(end, start + first.duration_ticks) - start))
        else:
            pedals.append(pedal)
    sung = (lyric for lyric in track.lyrics if lyric.text and lyric.verse == 1)
    return replace(
        track,
        name=track.name or default_name(track.program, track.is_drum),
        notes=tuple(sorted(chain.from_iterable(spread(track.notes, layers)))),
        pedals=tuple(pedals),
        lyrics=tuple(sorted(sung, key=_onset)),
    )


def midi_bytes(score: Score) -> bytes:
    """Return the bytes of a type 1 MIDI file: a conductor track, then one for each track.

    Repeats are played out, for MIDI has no marks for them.
    Drums are on channel 10 and nothing else is. The 16th pitched track and the second of drums are
    on the channels of another port. Layers of a track are on the channels that are left.

    Raises:
        MusicError: if a time step is longer than MIDI can say.
    """
    score = playable(unfolded(score))
    granted = layers_granted(score.tracks, len(mm.PITCHED_CHANNELS))
    pitched = drums = 0
    free = iter(mm.PITCHED_CHANNELS[sum(not track.is_drum for track in score.tracks) :])
    try:
        chunks = [_conductor(score)]
        for track, layers in zip(score.tracks, granted, strict=True):
            if track.is_drum:
                channel = (drums & _MAX_PORT) << 4 | mm.DRUM_CHANNEL
                drums += 1
            else:
                port, place = divmod(pitched, len(mm.PITCHED_CHANNELS))
                channel = (port & _MAX_PORT) << 4 | mm.PITCHED_CHANNELS[place]
                pitched += 1
            chunks.append(track_chunk(track, [channel, *islice(free, layers - 1)]))
        return mm.file_bytes(score.ticks_per_quarter, chunks)
    except mm.MidiBytesError as error:
        raise MusicError(str(error)) from error


def recipe_event(recipe: str) -> bytes:
    """Return the text event that holds a recipe."""
    return mm.meta(mm.TEXT, encode_text(mm.OUR_RECIPE + recipe))


def length_event(ticks: int) -> bytes:
    """Return the text event that states where a piece ends."""
    return mm.meta(mm.TEXT, f"{mm.OUR_LENGTH}{ticks}".encode())


def map_events(score: Score) -> list[tuple[int, bytes]]:
    """Return (tick, event) of the metres, keys, tempos and chord symbols of a score, by kind."""
    events: list[tuple[int, bytes]] = []
    for metre in score.time_signatures:
        data = bytes((metre.numerator, metre.denominator.bit_length() - 1, 24, 8))
        events.append((metre.onset_ticks, mm.meta(mm.METRE, data)))
    for key in score.key_signatures:
        data = bytes((key.key.fifths % 256, int(key.key.is_minor)))
        events.append((key.onset_ticks, mm.meta(mm.KEY, data)))
    for tempo in score.tempos:
        micros = tempo_micros(tempo).to_bytes(3, "big")
        events.append((tempo.onset_ticks, mm.meta(mm.TEMPO, micros)))
    for chord in score.chords:
        text = encode_text(mm.OUR_CHORD + chord.chord.name)
        events.append((chord.onset_ticks, mm.meta(mm.MARKER, text)))
    return events


def _conductor(score: Score) -> bytes:
    events: list[tuple[int, bytes]] = []
    if score.title:
        events.append((0, mm.meta(mm.TRACK_NAME, encode_text(score.title))))
    if score.recipe:
        events.append((0, recipe_event(score.recipe)))
    events.append((0, length_event(score.written_length_ticks)))
    events += map_events(score)
    events.sort(key=lambda event: event[0])
    return mm.track_bytes(events, score.length_ticks)


def track_chunk(track: Track, channels: Sequence[int]) -> bytes:
    """Return a track whose layers lie on the channels, each with the same program and controls.

    Args:
        track: as ``playable`` makes it.
        channels: ``port * 16 + channel`` of each layer, all of one port.

    Raises:
        MidiBytesError: if a time step is longer than MIDI can say.
    """
    events: list[tuple[int, int, bytes]] = []
    name = written_name(track)
    if name:
        events.append((0, 0, mm.meta(mm.TRACK_NAME, encode_text(name))))
    if channels[0] > 0x0F:
        events.append((0, 0, mm.meta(mm.PORT, bytes((channels[0] >> 4,)))))
    if len(channels) > 1:
        events.append((0, 0, mm.meta(mm.TEXT, f"{mm.OUR_LAYERS}{len(channels)}".encode())))
    # At one tick: what ends comes before what begins.
    for lyric in track.lyrics:
        events.append((lyric.onset_ticks, 2, mm.meta(mm.LYRIC, encode_text(lyric.text))))
    for layer, notes in zip(channels, spread(track.notes, len(channels)), strict=True):
        channel = layer & 0x0F
        events.append((0, 0, bytes((0xC0 | channel, track.program))))
        events.append((0, 0, bytes((0xB0 | channel, mm.VOLUME, track.volume))))
        events.append((0, 0, bytes((0xB0 | channel, mm.PAN, track.pan))))
        for pedal in track.pedals:
            events.append((pedal.onset_ticks, 3, bytes((0xB0 | channel, mm.SUSTAIN, 127))))
            end = pedal.onset_ticks + pedal.duration_ticks
            events.append((end, 1, bytes((0xB0 | channel, mm.SUSTAIN, 0))))
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


def _onset(lyric: Lyric) -> int:
    return lyric.onset_ticks
