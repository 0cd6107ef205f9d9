"""The copy check: does a piece repeat runs of notes from the music that a model was trained on?

Each line of a piece (``notes.voices``: a track, or its skyline) becomes a chain of steps, a step
being the interval and the class of time (``notes.time_class``) from one note to the next. Neither
key nor tempo nor small shifts of time change it. A pitch that is struck again counts as one note,
since published grids cannot distinguish a repeated note from a held one. An *n-gram* is n notes in
a row; those with fewer than three different steps (scales in even notes, trills) are in all music
and count neither for nor against.

The index holds no notes: for each place a 16-bit fingerprint of the n - 1 notes from there, in
the order of the corpus. An n-gram is known where two neighbouring fingerprints agree, which by
chance befalls about one n-gram in 10^4 for a corpus of a thousand chorales, at two bytes a note.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from partimento.errors import FileError, MusicError
from partimento.metrics.hashing import hash_columns
from partimento.metrics.notes import NoteVoice, time_class, voices
from partimento.metrics.writing import write_whole
from partimento.music import Score

__all__ = ["DEFAULT_NOTES", "CopyIndex", "CopyRate", "CopyReport", "copy_rate"]

Ints = npt.NDArray[np.int64]
DEFAULT_NOTES = 8
_FORMAT = 1
_LEAST_KINDS = 3
_MOST_PLACES = 64  # of one n-gram: beyond these it is a common formula and says little
_MOST_BAR_STEP = 255
# What numpy, zipfile, zlib and json raise on files that are damaged or something else.
_DAMAGE = (
    ValueError,
    KeyError,
    TypeError,
    IndexError,
    AttributeError,
    EOFError,
    MemoryError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
    SyntaxError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True)
class CopyReport:
    """What of one piece stands in the index.

    - ``longest_notes``: the longest run of notes found in one line of one training piece; 0 if
      no n-gram is known. Repeated pitches count once.
    - ``longest_bar``, ``longest_voice``: where it starts in the piece that was checked, bars
      from 0; ``source``, ``source_bar``: the training piece and the bar there.
    - ``copied_share``, 0..1: the n-grams found anywhere in the index; ``ngrams``: out of how many.
    - ``nearest``: the training piece that holds the most of them, ``nearest_share`` their share.

    Names are empty and bars -1 where nothing was found.
    """

    longest_notes: int
    longest_bar: int
    longest_voice: str
    source: str
    source_bar: int
    copied_share: float
    ngrams: int
    nearest: str
    nearest_share: float


@dataclass(frozen=True)
class CopyRate:
    """The copy check over a set of pieces: means, the worst, and the report of each.

    ``share`` is the mean copied share over the pieces that hold any n-gram, NaN without such.
    """

    pieces: int
    share: float
    share_max: float
    longest_mean: float
    longest_max: int
    worst: str
    reports: Mapping[str, CopyReport]


@dataclass(frozen=True, eq=False)
class _Line:
    """One line as its steps: fingerprints (notes - n + 2,), bars of their first notes."""

    name: str
    prints: npt.NDArray[np.uint16]
    bars: Ints
    counts: npt.NDArray[np.bool_]  # per n-gram (len(prints) - 1,): has enough kinds of step


def _line(voice: NoteVoice, notes: int) -> _Line | None:
    """Return the line of a voice; None if it has no n-gram."""
    struck = np.ones(len(voice.pitch), dtype=bool)
    struck[1:] = voice.pitch[1:] != voice.pitch[:-1]
    pitch, onset, bar = voice.pitch[struck], voice.onset[struck], voice.bar[struck]
    if len(pitch) < notes:
        return None
    step = np.stack([np.diff(pitch), time_class(np.diff(onset))], axis=1)
    windows = np.lib.stride_tricks.sliding_window_view(step, notes - 2, axis=0)
    prints = hash_columns(windows.reshape(len(windows), -1)) >> np.uint64(48)
    kind = step[:, 0] * 64 + step[:, 1]
    grams = np.sort(np.lib.stride_tricks.sliding_window_view(kind, notes - 1), axis=1)
    enough = (np.diff(grams, axis=1) != 0).sum(axis=1) + 1 >= _LEAST_KINDS
    return _Line(voice.name, prints.astype(np.uint16), bar[: len(prints)], enough)


def _keys(prints: npt.NDArray[np.uint16]) -> Ints:
    wide = prints.astype(np.int64)
    return (wide[:-1] << 16) | wide[1:]


@dataclass(frozen=True, eq=False)
class CopyIndex:
    """The training music of a model as fingerprints; make it by ``build`` or ``load``.

    ``prints`` (places,) are laid line after line; ``line_lengths`` (lines,) and ``line_pieces``
    (lines,) say where each ends and of which of ``names`` it is; ``bars`` (places,) count from 0.
    """

    names: tuple[str, ...]
    notes: int
    prints: npt.NDArray[np.uint16]
    bars: Ints
    line_lengths: Ints
    line_pieces: Ints

    @classmethod
    def build(
        cls, pieces: Mapping[str, Score] | Iterable[tuple[str, Score]], notes: int = DEFAULT_NOTES
    ) -> CopyIndex:
        """Return the index of named pieces; an n-gram is ``notes`` notes long.

        Raises:
            MusicError: if ``notes`` is outside 4..64 or a name comes twice.
        """
        if not 4 <= notes <= 64:
            raise MusicError(f"a copied run is looked for in 4..64 notes at a time, not {notes}")
        names: list[str] = []
        lines: list[_Line] = []
        owners: list[int] = []
        for name, score in pieces.items() if isinstance(pieces, Mapping) else pieces:
            found = [line for v in voices(score) if (line := _line(v, notes)) is not None]
            lines += found
            owners += [len(names)] * len(found)
            names.append(name)
        if len(set(names)) < len(names):
            raise MusicError("two pieces of a copy index have one name; give each its own")
        return cls(
            tuple(names),
            notes,
            np.concatenate([np.zeros(0, np.uint16), *(line.prints for line in lines)]),
            np.concatenate([np.zeros(0, np.int64), *(line.bars for line in lines)]),
            np.array([len(line.prints) for line in lines], dtype=np.int64),
            np.array(owners, dtype=np.int64),
        )

    @cached_property
    def _line_of(self) -> Ints:
        return np.repeat(np.arange(len(self.line_lengths)), self.line_lengths)

    @cached_property
    def _sorted(self) -> tuple[Ints, Ints]:
        """Return (n-gram keys, sorted; their places)."""
        if len(self.prints) < 2:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        whole = np.flatnonzero(self._line_of[1:] == self._line_of[:-1])
        keys = _keys(self.prints)[whole]
        order = np.argsort(keys, kind="stable")
        return keys[order], whole[order]

    def _places(self, line: _Line, skip: int) -> tuple[Ints, Ints]:
        """Return pairs (n-gram of the line, place in the index) that agree, formulas left out."""
        keys, places = self._sorted
        asked = np.flatnonzero(line.counts)
        wanted = _keys(line.prints)[asked]
        first = np.searchsorted(keys, wanted, side="left")
        count = np.minimum(np.searchsorted(keys, wanted, side="right") - first, _MOST_PLACES)
        here = np.repeat(asked, count)
        offset = np.arange(len(here)) - np.repeat(np.cumsum(count) - count, count)
        there = places[np.repeat(first, count) + offset]
        keep = self.line_pieces[self._line_of[there]] != skip
        return here[keep], there[keep]

    def _longest(self, line: _Line, here: Ints, there: Ints) -> tuple[int, int, int]:
        """Return (n-grams, first in the line, first place) of the longest run of pairs."""
        if not len(here):
            return 0, 0, 0
        order = np.lexsort((here, there - here))
        here, there = here[order], there[order]
        breaks = np.flatnonzero((np.diff(here) != 1) | (np.diff(there) != 1)) + 1
        starts = np.concatenate([[0], breaks])
        lengths = np.diff(np.concatenate([starts, [len(here)]]))
        best = (0, 0, 0)
        for run in np.argsort(-lengths, kind="stable")[:32].tolist():
            first, place = int(here[starts[run]]), int(there[starts[run]])
            best = max(best, self._extended(line, first, place), key=lambda found: found[0])
        return best

    def _extended(self, line: _Line, first: int, place: int) -> tuple[int, int, int]:
        """Return the run through one pair, carried on through formulas on both sides."""
        mine, owner = line.prints, self._line_of[place]
        start = int(np.searchsorted(self._line_of, owner))
        end = start + int(self.line_lengths[owner])
        back = 0
        while first > back and place - back > start:
            if mine[first - back - 1] != self.prints[place - back - 1]:
                break
            back += 1
        ahead = 1
        while first + ahead < len(mine) and place + ahead < end:
            if mine[first + ahead] != self.prints[place + ahead]:
                break
            ahead += 1
        return back + ahead - 1, first - back, place - back

    def check(self, score: Score, exclude: str | None = None) -> CopyReport:
        """Return what of ``score`` stands in the index; ``exclude`` leaves one piece out of it."""
        skip = self.names.index(exclude) if exclude in self.names else -1
        lines = [line for v in voices(score) if (line := _line(v, self.notes)) is not None]
        best: tuple[int, int, int] = (0, 0, 0)
        where: _Line | None = None
        votes = np.zeros(len(self.names), dtype=np.int64)
        found = 0
        for line in lines:
            here, there = self._places(line, skip)
            found += len(np.unique(here))
            width = max(len(self.names), 1)
            pairs = np.unique(here * width + self.line_pieces[self._line_of[there]])
            votes += np.bincount(pairs % width, minlength=len(votes))[: len(votes)]
            run = self._longest(line, here, there)
            if run[0] > best[0]:
                best, where = run, line
        ngrams = int(sum(line.counts.sum() for line in lines))
        nearest = int(votes.argmax()) if found else -1
        owner = self.line_pieces[self._line_of[best[2]]] if where is not None else -1
        return CopyReport(
            longest_notes=best[0] + self.notes - 1 if best[0] else 0,
            longest_bar=int(where.bars[best[1]]) if where is not None else -1,
            longest_voice=where.name if where is not None else "",
            source=self.names[owner] if where is not None else "",
            source_bar=int(self.bars[best[2]]) if where is not None else -1,
            copied_share=found / ngrams if ngrams else 0.0,
            ngrams=ngrams,
            nearest=self.names[nearest] if found else "",
            nearest_share=int(votes[nearest]) / ngrams if found else 0.0,
        )

    def save(self, path: str | Path) -> None:
        """Write the index as one ``.npz`` file (whatever the name ends in), atomically.

        Raises:
            FileError: if it cannot be written.
        """
        starts = np.cumsum(self.line_lengths) - self.line_lengths
        steps = np.diff(self.bars, prepend=0)
        first_bars = self.bars[starts] if len(starts) else np.zeros(0, np.int64)
        steps[starts] = 0
        head = {"format": _FORMAT, "notes": self.notes, "names": list(self.names)}
        text = json.dumps(head, ensure_ascii=False, separators=(",", ":")).encode()
        content = io.BytesIO()
        np.savez_compressed(
            content,
            head=np.frombuffer(text, dtype=np.uint8),
            prints=self.prints,
            bar_steps=np.minimum(steps, _MOST_BAR_STEP).astype(np.uint8),
            first_bars=first_bars.astype(np.uint32),
            line_lengths=self.line_lengths.astype(np.uint32),
            line_pieces=self.line_pieces.astype(np.uint32),
        )
        write_whole(Path(path), content.getvalue())

    @classmethod
    def load(cls, path: str | Path) -> CopyIndex:
        """Read an index that ``save`` wrote.

        Raises:
            FileError: if it is missing, damaged or of another version.
        """
        remedy = "make it again with CopyIndex.build(...).save(path)"
        try:
            # From memory, since numpy leaves a damaged file open.
            content = io.BytesIO(Path(path).read_bytes())
            with np.load(content, allow_pickle=False) as held:
                table = {name: held[name] for name in held.files}
            head = json.loads(table["head"].tobytes())
            if head["format"] != _FORMAT:
                raise FileError(path, f"is a copy index of format {head['format']}", remedy)
            lengths = table["line_lengths"].astype(np.int64)
            pieces = table["line_pieces"].astype(np.int64)
            steps = table["bar_steps"].astype(np.int64)
            names = tuple(str(name) for name in head["names"])
            if not 4 <= int(head["notes"]) <= 64:
                raise ValueError("its n-grams have no length")
            whole = int(lengths.sum()) == len(table["prints"]) == len(steps)
            owned = len(pieces) == len(lengths) == len(table["first_bars"])
            if not (whole and owned and pieces.max(initial=-1) < len(names)):
                raise ValueError("its parts do not fit together")
            starts = np.cumsum(lengths) - lengths
            run = np.cumsum(steps)
            lead = table["first_bars"].astype(np.int64) - run[starts]
            return cls(
                names,
                int(head["notes"]),
                table["prints"].astype(np.uint16),
                run + np.repeat(lead, lengths),
                lengths,
                pieces,
            )
        except OSError as error:
            raise FileError(path, f"cannot be read ({error.strerror or error})", remedy) from None
        except _DAMAGE as error:
            text = " ".join(str(error).split())[:80]
            raise FileError(path, f"is no copy index ({text})", remedy) from None


def copy_rate(
    index: CopyIndex, pieces: Mapping[str, Score], leave_one_out: bool = False
) -> CopyRate:
    """Return the copy check over a set of pieces.

    Over held-out real pieces this is the base rate: what real music of the style has in common
    with the training music, and what a generated set is to be judged against. With
    ``leave_one_out`` a piece whose name is in the index is held against all others of it: for
    pieces of the training music itself.

    Raises:
        MusicError: if there are no pieces.
    """
    if not pieces:
        raise MusicError("a copy rate needs at least one piece")
    reports = {
        name: index.check(score, exclude=name if leave_one_out else None)
        for name, score in pieces.items()
    }
    shares = [report.copied_share for report in reports.values() if report.ngrams]
    longest = [report.longest_notes for report in reports.values()]
    worst = max(reports, key=lambda name: reports[name].longest_notes)
    return CopyRate(
        pieces=len(reports),
        share=float(np.mean(shares)) if shares else float("nan"),
        share_max=max(shares, default=float("nan")),
        longest_mean=float(np.mean(longest)),
        longest_max=max(longest),
        worst=worst if max(longest) else "",
        reports=reports,
    )
