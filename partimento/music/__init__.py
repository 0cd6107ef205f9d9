"""What music is: scores in ticks, keys, chords, promises, audio. Nothing here knows a file."""

from partimento.music.audio import Audio
from partimento.music.chords import Chord, parse_chord, parse_chords
from partimento.music.keys import Key, parse_key
from partimento.music.promises import PitchRange, Promises
from partimento.music.score import (
    ChordSymbol,
    KeySignature,
    Lyric,
    Note,
    Pedal,
    RepeatMark,
    Score,
    Tempo,
    TimeSignature,
    Track,
)
from partimento.music.timeline import Timeline

Piece = Score | Audio

__all__ = [
    "Audio",
    "Chord",
    "ChordSymbol",
    "Key",
    "KeySignature",
    "Lyric",
    "Note",
    "Pedal",
    "Piece",
    "PitchRange",
    "Promises",
    "RepeatMark",
    "Score",
    "Tempo",
    "TimeSignature",
    "Timeline",
    "Track",
    "parse_chord",
    "parse_chords",
    "parse_key",
]
