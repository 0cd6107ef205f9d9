"""A score: notes in ticks on named tracks, with a map of tempo, metre, key, chords and lyrics.

Everything here is frozen. Time is in ticks; ``ticks_per_quarter`` says how long a tick is, and
``partimento.music.timeline`` turns ticks into bars, beats and seconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise, repeat
from operator import attrgetter, gt

from partimento.errors import MusicError
from partimento.music.chords import Chord
from partimento.music.keys import Key

__all__ = [
    "MAX_TICKS_PER_QUARTER",
    "TICKS_PER_QUARTER",
    "ChordSymbol",
    "KeySignature",
    "Lyric",
    "Note",
    "Pedal",
    "RepeatMark",
    "Score",
    "Tempo",
    "TimeSignature",
    "Track",
    "notes_of_columns",
]

TICKS_PER_QUARTER = 480
MAX_TICKS_PER_QUARTER = 32_767  # as the header of a MIDI file can say
_NOTE_KEY = attrgetter("onset_ticks", "pitch", "duration_ticks", "velocity")


@dataclass(frozen=True, slots=True, order=True)
class Note:
    """A note; sorts by onset, then pitch, then duration. ``velocity`` is 1..127."""

    onset_ticks: int
    pitch: int
    duration_ticks: int
    velocity: int = 80

    def __post_init__(self) -> None:
        if self.onset_ticks < 0 or self.duration_ticks < 1:
            raise MusicError(
                f"a note starts at tick 0 or later and lasts at least one tick, not {self}"
            )
        if not 0 <= self.pitch <= 127 or not 1 <= self.velocity <= 127:
            raise MusicError(f"pitch is 0..127 and velocity 1..127, not {self}")

    @property
    def end_ticks(self) -> int:
        """The tick at which the note has ended."""
        return self.onset_ticks + self.duration_ticks


def notes_of_columns(
    onset_ticks: Sequence[int],
    pitch: Sequence[int],
    duration_ticks: Sequence[int],
    velocity: Sequence[int],
) -> tuple[Note, ...]:
    """Return the notes of four equally long columns: about four times faster than one by one.

    Raises:
        MusicError: if a value is out of range, as ``Note`` does.
    """
    columns = (onset_ticks, pitch, duration_ticks, velocity)
    if not onset_ticks:
        return ()
    is_sound = min(onset_ticks) >= 0 and min(duration_ticks) >= 1
    is_heard = min(pitch) >= 0 and max(pitch) <= 127 and min(velocity) >= 1 and max(velocity) <= 127
    if not (is_sound and is_heard):
        return tuple(map(Note, *columns))
    made = tuple(map(object.__new__, repeat(Note, len(onset_ticks))))
    # The slots are set by their descriptors, in C; the class itself is frozen.
    for slot, column in zip(Note.__slots__, columns, strict=True):
        deque(map(getattr(Note, slot).__set__, made, column), maxlen=0)
    return made


@dataclass(frozen=True, slots=True, order=True)
class Pedal:
    """The sustain pedal held down from ``onset_ticks`` for ``duration_ticks``."""

    onset_ticks: int
    duration_ticks: int


@dataclass(frozen=True, slots=True, order=True)
class Lyric:
    """A syllable sung at a tick, as a format holds it (``"Hal-"``, ``"le-"``); verses from 1."""

    onset_ticks: int
    text: str
    verse: int = 1


@dataclass(frozen=True, slots=True, order=True)
class Tempo:
    """Quarter notes a minute from this tick on."""

    onset_ticks: int
    quarters_per_minute: float

    def __post_init__(self) -> None:
        if not 1.0 <= self.quarters_per_minute <= 4000.0:
            raise MusicError(
                f"tempo is 1..4000 quarters a minute, not {self.quarters_per_minute:g}"
            )


@dataclass(frozen=True, slots=True, order=True)
class TimeSignature:
    """The metre from this tick on: ``numerator / denominator``; 6/8 is 6 and 8."""

    onset_ticks: int
    numerator: int
    denominator: int

    def __post_init__(self) -> None:
        if not 1 <= self.numerator <= 64 or self.denominator not in (1, 2, 4, 8, 16, 32, 64):
            raise MusicError(
                f"a metre is 1..64 over 1, 2, 4, ... 64, not {self.numerator}/{self.denominator}"
            )

    @property
    def quarters_per_bar(self) -> Fraction:
        """The length of a bar in quarter notes (3 for 6/8)."""
        return Fraction(4 * self.numerator, self.denominator)

    def __str__(self) -> str:
        return f"{self.numerator}/{self.denominator}"


@dataclass(frozen=True, slots=True)
class KeySignature:
    """The key from this tick on."""

    onset_ticks: int
    key: Key


@dataclass(frozen=True, slots=True)
class ChordSymbol:
    """A chord symbol that rules from this tick to the next symbol."""

    onset_ticks: int
    chord: Chord


_REPEAT_KINDS = (
    "forward", "backward", "ending", "segno", "coda", "tocoda", "dacapo", "dalsegno", "fine",
)  # fmt: skip


@dataclass(frozen=True, slots=True, order=True)
class RepeatMark:
    """A sign that says in which order bars are played; it stands at a bar line.

    ``forward``, ``ending`` (a volta), ``segno`` and ``coda`` stand where their bar starts;
    ``backward``, ``tocoda``, ``dacapo``, ``dalsegno`` and ``fine`` where their bar ends.
    ``passes`` are the passes in which an ending is played, from 1, and ``end_ticks`` is where it
    ends; ``times`` is how often what a ``backward`` closes is played in all.
    """

    onset_ticks: int
    kind: str
    passes: tuple[int, ...] = ()
    end_ticks: int = 0
    times: int = 2

    def __post_init__(self) -> None:
        if self.kind not in _REPEAT_KINDS:
            raise MusicError(f"a repeat mark is {', '.join(_REPEAT_KINDS)}, not {self.kind!r}")
        if not 1 <= self.times <= 99 or any(not 1 <= number <= 99 for number in self.passes):
            raise MusicError("bars are repeated 1..99 times")


@dataclass(frozen=True, slots=True)
class Track:
    """A named part. ``program`` is General MIDI 0..127; drums ignore it.

    ``volume`` (0..127) and ``pan`` (0 left, 64 centre, 127 right) are MIDI controllers 7 and 10.
    ``written_name`` is the name in a file that gave it to several tracks, or to none (empty): there
    ``name`` distinguishes the tracks, and writing gives back what stood there.
    """

    name: str
    notes: tuple[Note, ...] = ()
    program: int = 0
    is_drum: bool = False
    pedals: tuple[Pedal, ...] = ()
    lyrics: tuple[Lyric, ...] = ()
    volume: int = 100
    pan: int = 64
    written_name: str | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if not 0 <= self.program <= 127:
            raise MusicError(f"a General MIDI program is 0..127, not {self.program}")
        keys = list(map(_NOTE_KEY, self.notes))
        if any(map(gt, keys, keys[1:])):
            object.__setattr__(self, "notes", tuple(sorted(self.notes)))

    @property
    def end_ticks(self) -> int:
        """The tick at which the last note has ended; 0 without notes."""
        return max((note.end_ticks for note in self.notes), default=0)

    @property
    def mean_pitch(self) -> float:
        """The mean pitch of the notes; 0 without notes."""
        return sum(note.pitch for note in self.notes) / max(1, len(self.notes))


@dataclass(frozen=True, slots=True)
class Score:
    """A whole piece.

    ``length_ticks`` is where the piece ends, silence included: the written length when given,
    otherwise the end of the last note. ``recipe`` is how a generated piece was made (JSON text),
    empty for all others; it travels as a text event in MIDI. ``repeats`` are marks: the notes stand
    as they are written, once, and ``partimento.music.repeats`` plays them out.
    """

    tracks: tuple[Track, ...] = ()
    ticks_per_quarter: int = TICKS_PER_QUARTER
    tempos: tuple[Tempo, ...] = ()
    time_signatures: tuple[TimeSignature, ...] = ()
    key_signatures: tuple[KeySignature, ...] = ()
    chords: tuple[ChordSymbol, ...] = ()
    title: str = ""
    recipe: str = field(default="", compare=False)
    written_length_ticks: int = 0
    repeats: tuple[RepeatMark, ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.ticks_per_quarter <= MAX_TICKS_PER_QUARTER:
            raise MusicError(
                f"ticks a quarter are 1..{MAX_TICKS_PER_QUARTER}, not {self.ticks_per_quarter}"
            )
        for name in ("tempos", "time_signatures", "key_signatures", "chords", "repeats"):
            events = getattr(self, name)
            if any(a.onset_ticks > b.onset_ticks for a, b in pairwise(events)):
                ordered = tuple(sorted(events, key=lambda event: event.onset_ticks))
                object.__setattr__(self, name, ordered)

    @property
    def notes(self) -> tuple[Note, ...]:
        """All notes of all tracks, sorted."""
        return tuple(sorted(note for track in self.tracks for note in track.notes))

    @property
    def end_ticks(self) -> int:
        """The tick at which the last note has ended; 0 without notes."""
        return max((track.end_ticks for track in self.tracks), default=0)

    @property
    def length_ticks(self) -> int:
        """Where the piece ends: the written length, or the last note's end if that is later."""
        return max(self.written_length_ticks, self.end_ticks)

    def track(self, name: str) -> Track:
        """Return the track called ``name``.

        Raises:
            MusicError: if there is none; the message lists those that exist.
        """
        for track in self.tracks:
            if track.name == name:
                return track
        names = ", ".join(track.name for track in self.tracks) or "none"
        raise MusicError(f"no track is called {name!r}; this score has: {names}")

    def with_tracks(self, tracks: Iterable[Track]) -> Score:
        """Return this score with other tracks and all else kept."""
        return replace(self, tracks=tuple(tracks))
