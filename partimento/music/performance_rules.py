"""Rules that give a score the dynamics and timing of a performance; no weights, no learning.

Two of the rules are those of the KTH rule system for musical performance (A. Friberg, R. Bresin,
J. Sundberg, "Overview of the KTH rule system for musical performance", Advances in Cognitive
Psychology 2, 2006), with the constants of its program Director Musices (DM below):

- Phrase arch -> ``phrase_arch``: DM ``phrasearch.lsp``, at DM's default ``k = 1.5, amp = 2,
  turn = 0.3, power = 2``; levels relative to the loudest moment, durations to the fastest.
- High loud -> ``_levels``: DM ``frules2.lsp``, 1 dB for each 4 semitones above the track's mean.
- Final ritardando -> ``ritard_times``: A. Friberg, J. Sundberg, "Does music performance allude to
  locomotion?", JASA 105, 1999: tempo ``v(x) = (1 + (w^q - 1) x)^(1/q)`` over score position x.
- Melody lead -> ``_delays``: about 30 ms (W. Goebl, "Melody lead in piano performance", JASA 110,
  2001); inner notes of a chord lag behind outer ones (B. Repp, JASA 100, 1996).
- Level to velocity -> ``at_level``: amplitude grows with the square of the velocity (R. Dannenberg,
  "The interpretation of MIDI velocity", ICMC 2006).

Ours, and not published: metrical accents, the levels of the voices, all random deviations, the
length of the ritardando, and that drums and the last chord keep their times.

Notes start later or on time, never earlier, and end where they did; the highest of the notes that
start together is on time. So whatever sounded at a tick is, at most, missing for the first few
milliseconds, and no promise about pitch, chords, polyphony or silence can break.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
import numpy.typing as npt

from partimento.music.score import Note, Score, Tempo, Track
from partimento.music.timeline import DEFAULT_QUARTERS_PER_MINUTE, Timeline, strong_beats

__all__ = [
    "Performance",
    "Structure",
    "at_level",
    "end_tempo",
    "perform_score",
    "phrase_arch",
    "ritard_times",
]

# Of the phrase arch at amount 1: DM has durations .1 k, .2 k and levels .5 k amp, 1 k amp; k = 1.5.
_ARCH_START_LENGTHENING, _ARCH_END_LENGTHENING = 0.15, 0.3
_ARCH_START_DB, _ARCH_END_DB = 1.5, 3.0
_ARCH_TURN, _ARCH_POWER = 0.3, 2.0
_SEMITONES_PER_DB = 4.0  # high loud (DM: k = 1)
# Of the final ritardando: q of the runners' deceleration; w = 1 / (1 + 3 k) and 1.3 s as in DM.
_RITARD_CURVATURE, _RITARD_LEAST_SECONDS = 3.0, 1.3
_RITARD_QUANTITY = 0.5  # k at amount 1; DM has 1, for a faster kind of music (ours)
# Ours: levels in dB.
_DOWNBEAT_DB, _STRONG_DB, _BEAT_DB, _OFFBEAT_DB = 1.5, 1.0, 0.0, -1.0
_VOICE_DB = {"melody": 0.0, "bass": -1.5, "inner": -3.0, "drum": 0.0}
_DEVIATION_DB = 0.4
_LATE_MS = {"melody": 0.0, "bass": 15.0, "inner": 30.0, "drum": 0.0}
_DEVIATION_MS = 5.0  # ours
_MOST_OF_NOTE = 0.25  # ours: no note loses more than this share of its duration
_LEAST_CHANGE = 0.002  # of the tempo, that is worth an event

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Structure:
    """What the rules need to know of a score, in ticks.

    ``phrase_starts`` ascend. ``last_chord_ticks`` is where the last chord starts, to which a
    ritardando leads and from which on nothing is moved; None for a piece that does not close.
    """

    phrase_starts: tuple[int, ...]
    last_chord_ticks: int | None = None


@dataclass(frozen=True, slots=True)
class Performance:
    """A score as it is played, and as it is notated.

    ``played`` has onsets of its own for each note, and a tempo that follows the phrases.
    ``notated`` has the same velocities and the ritardando, with every note where it was written.
    """

    played: Score
    notated: Score


@dataclass(frozen=True, slots=True)
class _Table:
    """The notes of all tracks, one track after another, as columns (notes,)."""

    track: Ints
    onset: Ints
    end: Ints
    pitch: Ints
    velocity: Ints


def perform_score(
    score: Score, structure: Structure, amount: float, rng: np.random.Generator
) -> Performance:
    """Return a score as a player might play it.

    ``amount`` (0..1) scales every rule: 0 changes nothing, 1 is the rule system at its default
    quantities. Kept: pitches, ends of notes, the order of each track, the length in ticks.
    """
    if amount <= 0 or not any(track.notes for track in score.tracks):
        return Performance(score, score)
    table = _table(score)
    voices, is_leading = _voices(score, table)
    levels = amount * (
        _levels(score, table, structure, voices) + rng.normal(0.0, _DEVIATION_DB, len(table.onset))
    )
    velocities = at_level(table.velocity, levels - levels.mean())
    lateness = rng.normal(0.0, _DEVIATION_MS, len(table.onset))
    onsets = table.onset + _delays(score, table, voices, is_leading, lateness, structure, amount)
    notated = _with_notes(score, table.onset, velocities)
    played = _with_notes(score, onsets, velocities)
    quarter = score.ticks_per_quarter
    return Performance(
        replace(played, tempos=_tempos(score, structure, amount, max(1, quarter // 2))),
        replace(
            notated, tempos=_tempos(score, replace(structure, phrase_starts=()), amount, quarter)
        ),
    )


def at_level(velocities: Ints, levels_db: Floats) -> Ints:
    """Return velocities 1..127 that sound so many dB louder: ``v 10^(L / 40)``."""
    out: Ints = np.rint(velocities * 10.0 ** (levels_db / 40.0)).astype(np.int64)
    return np.clip(out, 1, 127)


def end_tempo(amount: float) -> float:
    """Return the tempo of the last chord as a share of the tempo before the ritardando."""
    return 1.0 / (1.0 + 3.0 * _RITARD_QUANTITY * amount)


def ritard_times(positions: Floats, end: float, curvature: float = _RITARD_CURVATURE) -> Floats:
    """Return when each score position 0..1 of a ritardando is reached, in units of its length.

    The integral of ``1 / v(x)``; ``end`` is the tempo at 1 as a share of that at 0.
    """
    k = end**curvature - 1.0
    power = (curvature - 1.0) / curvature
    return np.asarray(((1.0 + k * positions) ** power - 1.0) / (power * k))


def phrase_arch(positions: Floats, start: float, end: float) -> Floats:
    """Return an arch at positions 0..1: ``start`` at 0, 0 at the turn, ``end`` at 1."""
    before = np.clip(1.0 - positions / _ARCH_TURN, 0.0, 1.0)
    after = np.clip((positions - _ARCH_TURN) / (1.0 - _ARCH_TURN), 0.0, 1.0)
    return np.asarray(start * before**_ARCH_POWER + end * after**_ARCH_POWER)


def _table(score: Score) -> _Table:
    rows = [
        (index, note.onset_ticks, note.end_ticks, note.pitch, note.velocity)
        for index, track in enumerate(score.tracks)
        for note in track.notes
    ]
    return _Table(*np.array(rows, dtype=np.int64).T)


def _voices(score: Score, table: _Table) -> tuple[list[str], npt.NDArray[np.bool_]]:
    """Return what each note is among those that sound as it starts, and which lead their chord.

    The highest sounding note is melody, the lowest bass, others inner. Of the pitched notes that
    start together, the highest leads.
    """
    is_drum = np.array([track.is_drum for track in score.tracks])[table.track]
    voices = np.where(is_drum, "drum", "inner").astype(object)
    is_leading = is_drum.copy()
    order = [int(i) for i in np.lexsort((-table.pitch, table.onset)) if not is_drum[i]]
    sounding: list[int] = []
    for onset, group in groupby(order, key=lambda i: int(table.onset[i])):
        started = list(group)
        sounding = [i for i in sounding if table.end[i] > onset] + started
        pitches = [int(table.pitch[i]) for i in sounding]
        is_leading[started[0]] = True
        for i in started:
            if table.pitch[i] == max(pitches):
                voices[i] = "melody"
            elif table.pitch[i] == min(pitches):
                voices[i] = "bass"
    return list(voices), is_leading


def _levels(score: Score, table: _Table, structure: Structure, voices: list[str]) -> Floats:
    """Return the level of each note in dB at amount 1, without random deviations."""
    levels = np.array([_VOICE_DB[voice] for voice in voices])
    for index, track in enumerate(score.tracks):
        if track.notes and not track.is_drum:
            mine = table.track == index
            levels[mine] += (table.pitch[mine] - table.pitch[mine].mean()) / _SEMITONES_PER_DB
    for first, end in _phrases(structure, score.length_ticks):
        mine = (table.onset >= first) & (table.onset < end)
        if np.any(mine):
            last = max(int(table.onset[mine].max()), first + 1)
            where = (table.onset[mine] - first) / (last - first)
            levels[mine] -= phrase_arch(where, _ARCH_START_DB, _ARCH_END_DB)
    return levels + _accents(score, table)


def _accents(score: Score, table: _Table) -> Floats:
    """Return the metrical accent of each note in dB."""
    bars = Timeline(score).bars
    starts = np.array([bar.onset_ticks for bar in bars])
    index = np.searchsorted(starts, table.onset, side="right") - 1
    accents = np.full(len(table.onset), _OFFBEAT_DB)
    for i, (bar, onset) in enumerate(zip(index, table.onset, strict=True)):
        metre, place = bars[bar].time_signature, int(onset) - bars[bar].onset_ticks
        is_beat = place * metre.denominator % (4 * score.ticks_per_quarter) == 0
        if place == 0:
            accents[i] = _DOWNBEAT_DB
        elif place in strong_beats(metre, score.ticks_per_quarter):
            accents[i] = _STRONG_DB
        elif is_beat:
            accents[i] = _BEAT_DB
    return accents


def _delays(
    score: Score,
    table: _Table,
    voices: list[str],
    is_leading: npt.NDArray[np.bool_],
    deviations_ms: Floats,
    structure: Structure,
    amount: float,
) -> Ints:
    """Return how many ticks each note is late."""
    late_ms = np.array([_LATE_MS[voice] for voice in voices]) + deviations_ms
    timeline = Timeline(score)
    begins = timeline.seconds(table.onset)
    late = timeline.ticks(begins + amount * np.maximum(0.0, late_ms) / 1000.0) - table.onset
    late = np.minimum(late, _MOST_OF_NOTE * (table.end - table.onset))
    for index in range(len(score.tracks)):
        mine = table.track == index
        onsets = np.unique(table.onset[mine])
        after = np.append(onsets[1:], score.length_ticks)
        gap = after[np.searchsorted(onsets, table.onset[mine])] - table.onset[mine]
        late[mine] = np.minimum(late[mine], gap / 2)
    still = structure.last_chord_ticks
    is_still = is_leading if still is None else is_leading | (table.onset >= still)
    return np.where(is_still, 0, np.floor(np.maximum(0.0, late))).astype(np.int64)


def _with_notes(score: Score, onsets: Ints, velocities: Ints) -> Score:
    """Return the score with other onsets and velocities; ends stay, syllables go with notes."""
    tracks: list[Track] = []
    first = 0
    for track in score.tracks:
        span = slice(first, first + len(track.notes))
        moved: dict[int, int] = {}
        notes: list[Note] = []
        for note, onset, velocity in zip(
            track.notes, onsets[span].tolist(), velocities[span].tolist(), strict=True
        ):
            notes.append(Note(onset, note.pitch, note.end_ticks - onset, velocity))
            moved[note.onset_ticks] = min(onset, moved.get(note.onset_ticks, onset))
        lyrics = tuple(
            replace(each, onset_ticks=moved.get(each.onset_ticks, each.onset_ticks))
            for each in track.lyrics
        )
        tracks.append(replace(track, notes=tuple(sorted(notes)), lyrics=lyrics))
        first = span.stop
    return replace(score, tracks=tuple(tracks))


def _phrases(structure: Structure, length: int) -> list[tuple[int, int]]:
    starts = structure.phrase_starts
    return list(zip(starts, (*starts[1:], length)[: len(starts)], strict=True))


def _tempos(score: Score, structure: Structure, amount: float, step: int) -> tuple[Tempo, ...]:
    """Return the tempo map with the arches of the phrases and the final ritardando.

    The tempo of the score is the fastest: arches slow their ends, and their starts but for the
    first. With drums there are no arches. After the last chord the old tempo stands again, for
    what may be put after the piece.
    """
    base = score.tempos
    if not base or base[0].onset_ticks > 0:
        base = (Tempo(0, DEFAULT_QUARTERS_PER_MINUTE), *base)
    chord = structure.last_chord_ticks
    begin = None if not chord else _ritard_start(score, chord)
    until = score.length_ticks if begin is None else begin
    has_drums = any(track.is_drum and track.notes for track in score.tracks)
    shares = {} if has_drums else _arches(score, structure, amount, step, until)
    onsets = sorted({*shares, *(tempo.onset_ticks for tempo in base if tempo.onset_ticks < until)})
    tempos: list[Tempo] = []
    share = 1.0
    for onset in onsets:
        share = shares.get(onset, share)
        _add(tempos, onset, _ruling(base, onset) * share)
    if begin is not None and chord is not None:
        for onset, share in _ritard(begin, chord, end_tempo(amount), step):
            _add(tempos, onset, _ruling(base, begin) * share)
        if score.length_ticks > chord:
            _add(tempos, score.length_ticks, _ruling(base, score.length_ticks))
    return tuple(tempos)


def _arches(
    score: Score, structure: Structure, amount: float, step: int, until: int
) -> dict[int, float]:
    """Return the share of the tempo from each tick on, below ``until``."""
    shares: dict[int, float] = {}
    phrases = _phrases(structure, score.length_ticks)
    onsets = np.unique([n.onset_ticks for track in score.tracks for n in track.notes])
    for number, (first, end) in enumerate(phrases):
        mine = onsets[(onsets >= first) & (onsets < end)]
        last = max(first + 1, int(mine[-1]) if len(mine) else end)
        is_closing = number == len(phrases) - 1 and structure.last_chord_ticks is not None
        ticks = np.arange(first, max(first + 1, min(end, until)), step)
        where = np.clip((ticks + step / 2 - first) / (last - first), 0.0, 1.0)
        longer = phrase_arch(
            where,
            _ARCH_START_LENGTHENING if number else 0.0,
            0.0 if is_closing else _ARCH_END_LENGTHENING,
        )
        shares.update(zip(ticks.tolist(), (1.0 / (1.0 + amount * longer)).tolist(), strict=True))
    return {tick: share for tick, share in shares.items() if tick < until}


def _ritard_start(score: Score, chord: int) -> int:
    """Return where the ritardando starts: a bar before the last chord, or 1.3 s if that is more."""
    timeline = Timeline(score)
    begin = float(timeline.ticks(max(0.0, float(timeline.seconds(chord)) - _RITARD_LEAST_SECONDS)))
    bar = timeline.bar_at(max(0, chord - 1)).length_ticks
    return max(chord // 2, min(int(begin), chord - bar))


def _ritard(begin: int, chord: int, end: float, step: int) -> list[tuple[int, float]]:
    """Return (tick, share of the tempo) of a ritardando; each step lasts as long as the curve's."""
    ticks = np.append(np.arange(begin, chord, step), chord)
    where = (ticks - begin) / (chord - begin)
    shares = np.diff(where) / np.diff(ritard_times(where, end))
    return [*zip(ticks[:-1].tolist(), shares.tolist(), strict=True), (chord, end)]


def _ruling(base: tuple[Tempo, ...], tick: int) -> float:
    return next(t.quarters_per_minute for t in reversed(base) if t.onset_ticks <= tick)


def _add(tempos: list[Tempo], onset: int, quarters: float) -> None:
    """Add a tempo where it differs enough from the one before it."""
    before = tempos[-1].quarters_per_minute if tempos else 0.0
    if abs(quarters - before) > _LEAST_CHANGE * before:
        tempos.append(Tempo(onset, max(1.0, round(quarters, 2))))
