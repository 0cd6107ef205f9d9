"""Corpora: folders and zips of music, and the data pack's data sets by name.

``open_corpus`` only lists, looking into books of ABC alone; nothing is read until a piece is asked
for, and a file that cannot be read never stops the rest.
"""

from __future__ import annotations

import difflib
import os
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing import get_context
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import TypeVar

from partimento.errors import FileError, NotSupported, PartimentoError
from partimento.files.audio.magic import is_sound
from partimento.files.corpora.items import (
    CorpusItem,
    Loader,
    head_of_file,
    head_of_member,
    member_names,
    pieces_of_file,
    pieces_of_member,
)
from partimento.files.corpora.named import NAMED, named_items
from partimento.files.corpora.same_work import Shingles, no_shingles, shingles_of
from partimento.files.corpora.splits import SPLITS, content_hash, split_of
from partimento.files.formats import SCORE_SUFFIXES, SOUND_SUFFIXES
from partimento.files.unsupported import LeftOut
from partimento.messages import listed
from partimento.music import Audio, Piece, Timeline

__all__ = ["Corpus", "ItemOutcome", "Preflight", "corpus_names", "open_corpus"]

_T = TypeVar("_T")
_Progress = Callable[[int, int], None]  # (files done, files in all)
_CHUNK = 8
_SHOWN = 120  # characters of an error that no reader should raise
_Opener = Callable[[], list[tuple[str, Loader]]]  # the pieces in one file
_Found = tuple[str, _Opener, Callable[[], bytes]]  # its name, its pieces, its first bytes


@dataclass(frozen=True, slots=True)
class ItemOutcome:
    """What became of one item: its piece, or why there is none."""

    id: str
    piece: Piece | None
    problem: str = ""


@dataclass(frozen=True)
class Preflight:
    """What a look at every file of a corpus found.

    ``skipped`` holds (id, reason), ``duplicates`` (id, id of the piece that it repeats),
    ``left_out`` (id, what, how many) of usable pieces of which not everything is read. ``shingles``
    are those of the usable pieces, in their order. ``sounds`` counts usable files of sound by their
    endings (``".opus"``).
    """

    usable: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]
    duplicates: tuple[tuple[str, str], ...]
    notes: int
    seconds: float
    left_out: tuple[tuple[str, str, int], ...] = ()
    shingles: tuple[Shingles, ...] = field(default=(), repr=False, compare=False)
    sounds: tuple[tuple[str, int], ...] = ()

    def summary(self, shown: int = 3) -> str:
        """Return one line: ``"812 usable, 3 skipped: a.mid: truncated; ..."``."""
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.sounds)
        parts = [f"{len(self.usable)} usable" + (f" ({kinds})" if kinds else "")]
        if self.duplicates:
            parts.append(f"{len(self.duplicates)} duplicates")
        text = ", ".join([*parts, f"{len(self.skipped)} skipped"])
        if self.skipped:
            reasons = [f"{name}: {reason}" for name, reason in self.skipped[:shown]]
            more = len(self.skipped) - shown
            text += ": " + "; ".join([*reasons, *([f"and {more} more"] if more > 0 else [])])
        for what in sorted({what for _, what, _ in self.left_out}):
            counts = [count for _, each, count in self.left_out if each == what]
            pieces = "1 piece" if len(counts) == 1 else f"{len(counts)} pieces"
            text += f"; {sum(counts)} {what} left out (in {pieces})"
        return text


@dataclass(frozen=True)
class Corpus:
    """A list of pieces that are read when asked for."""

    name: str
    licence: str
    items: tuple[CorpusItem, ...] = field(repr=False)

    def __len__(self) -> int:
        return len(self.items)

    def of_split(self, split: str | None) -> tuple[CorpusItem, ...]:
        """Return the items of ``"train"``, ``"valid"`` or ``"test"``; of all for None.

        Raises:
            NotSupported: if there is no such split.
        """
        if split is None:
            return self.items
        if split not in SPLITS:
            raise NotSupported(f"there is no split {split!r}; it is one of {', '.join(SPLITS)}")
        return tuple(item for item in self.items if item.split == split)

    def outcomes(
        self, split: str | None = None, progress: _Progress | None = None, workers: int = 1
    ) -> Iterator[ItemOutcome]:
        """Yield what became of each item, in order; ``workers`` processes read at once."""
        items = self.of_split(split)
        for done, outcome in enumerate(_mapped(_outcome, items, workers), 1):
            if progress is not None:
                progress(done, len(items))
            yield outcome

    def pieces(
        self, split: str | None = None, progress: _Progress | None = None, workers: int = 1
    ) -> Iterator[tuple[str, Piece]]:
        """Yield (id, piece) of every item that can be read, in order."""
        for outcome in self.outcomes(split, progress, workers):
            if outcome.piece is not None:
                yield outcome.id, outcome.piece

    def preflight(
        self, split: str | None = None, progress: _Progress | None = None, workers: int = 1
    ) -> Preflight:
        """Read every item once and say what is usable; empty and repeated pieces are not."""
        items = self.of_split(split)
        first: dict[str, str] = {}
        usable, skipped, duplicates, left_out, shingles = [], [], [], [], []
        notes, seconds = 0, 0.0
        sounds: Counter[str] = Counter()
        for done, look in enumerate(_mapped(_look, items, workers), 1):
            if progress is not None:
                progress(done, len(items))
            if look.problem:
                skipped.append((look.id, look.problem))
            elif look.hash in first:
                duplicates.append((look.id, first[look.hash]))
            else:
                first[look.hash] = look.id
                usable.append(look.id)
                shingles.append(look.shingles)
                if look.is_sound:
                    sounds[_suffix_of(look.id) or "without an ending"] += 1
                left_out += [(look.id, what, count) for what, count in look.left_out]
                notes += look.notes
                seconds += look.seconds
        return Preflight(
            tuple(usable),
            tuple(skipped),
            tuple(duplicates),
            notes,
            seconds,
            tuple(left_out),
            tuple(shingles),
            tuple(sorted(sounds.items())),
        )

    def only(self, ids: tuple[str, ...]) -> Corpus:
        """Return the corpus with these items alone, e.g. ``corpus.only(preflight.usable)``."""
        kept = set(ids)
        return replace(self, items=tuple(item for item in self.items if item.id in kept))


@dataclass(frozen=True, slots=True)
class _Look:
    id: str
    problem: str
    hash: str = ""
    notes: int = 0
    seconds: float = 0.0
    left_out: tuple[tuple[str, int], ...] = ()  # (what, how many)
    shingles: Shingles = field(default_factory=no_shingles)
    is_sound: bool = False


def _outcome(item: CorpusItem) -> ItemOutcome:
    return _loaded(item, item.load)


def _loaded(item: CorpusItem, load: Loader) -> ItemOutcome:
    try:
        return ItemOutcome(item.id, load())
    except FileError as error:
        return ItemOutcome(item.id, None, error.problem)
    except PartimentoError as error:
        return ItemOutcome(item.id, None, str(error))
    except Exception as error:  # one bad file never stops the rest, whatever it raises
        return ItemOutcome(item.id, None, _surprise(error))


def _surprise(error: Exception) -> str:
    """Return in words what no reader should raise."""
    words = " ".join(str(error).split())[:_SHOWN]
    return f"cannot be read ({type(error).__name__}{': ' if words else ''}{words})"


def _look(item: CorpusItem) -> _Look:
    try:
        return _looked(item)
    except Exception as error:  # of hashing and timing; as above
        return _Look(item.id, _surprise(error))


def _looked(item: CorpusItem) -> _Look:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", LeftOut)
        outcome = _loaded(item, item.loader)
    messages = [each.message for each in caught]
    left_out = tuple(
        item for each in messages if isinstance(each, LeftOut) for item in each.notes.items()
    )
    piece = outcome.piece
    if piece is None:
        return _Look(item.id, outcome.problem)
    if isinstance(piece, Audio):
        return _Look(item.id, "", content_hash(piece), 0, piece.duration_seconds, is_sound=True)
    notes = sum(len(track.notes) for track in piece.tracks)
    if not notes and not piece.chords:
        return _Look(item.id, "there are no notes in it")
    seconds = float(Timeline(piece).seconds(piece.length_ticks))
    shingles = shingles_of(piece)
    return _Look(item.id, "", content_hash(piece), notes, seconds, left_out, shingles)


def _mapped(
    function: Callable[[CorpusItem], _T], items: tuple[CorpusItem, ...], workers: int
) -> Iterator[_T]:
    if workers <= 1 or len(items) < 2 * _CHUNK:
        yield from map(function, items)
        return
    # Forking a process that runs threads (as onnxruntime does) can deadlock; spawning cannot.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(function, items, chunksize=_CHUNK)


def corpus_names() -> tuple[str, ...]:
    """Return the names of the data pack's corpora, sorted."""
    return tuple(sorted(NAMED))


def open_corpus(
    name_or_path: str | PathLike[str],
    data_dir: str | PathLike[str] | None = None,
    *,
    pd_world: bool = False,
    one_edition: bool = False,
    part: str = "all",
    fetched: str | PathLike[str] | None = None,
    tier: str = "A",
) -> Corpus:
    """Return a corpus of the data pack by name, or any folder or zip of music.

    Folders are searched to the bottom; where they hold scores, their audio is left aside. Of a
    book of ABC each tune is a piece, ``book.abc#3``. Splits follow
    ``split_of(folder name, path without suffix)``.

    Args:
        name_or_path: one of ``corpus_names()``, a folder, a zip, or one file of music. A folder
            that has the name of a corpus is reached as ``./nottingham`` or by a ``Path``.
        data_dir: where the data pack is; else PARTIMENTO_DATA, else ``../shared/data``.
        pd_world: of ``openewld_pd``, only what is in the public domain everywhere.
        one_edition: of ``chopin_first_editions``, one edition of each work.
        part: of songs and chamber music with piano ``"piano"`` (as one track), ``"voice"``
            (what is not piano) or ``"all"``.
        fetched: of sets that are a list and a script, where the script has put the sound.
        tier: of ``free_game_music``, ``"A"`` (free to publish) or ``"AB"`` (CC BY-SA too).

    Raises:
        FileError: if there is no such corpus, folder or zip, or no music in it.
        NotSupported: for an option that this corpus does not take.
    """
    name = str(name_or_path)
    path = Path(name)
    if isinstance(name_or_path, str) and name in NAMED:
        items = named_items(name, data_dir, pd_world, one_edition, part, fetched, tier)
        return Corpus(name, NAMED[name].licence, items)
    if (pd_world, one_edition, part, fetched, tier) != (False, False, "all", None, "A"):
        raise NotSupported(f"{name} is no corpus of the data pack and takes no options")
    found: list[_Found]
    if os.path.isdir(path):  # unlike Path.is_dir, False for a name that is too long
        files = sorted(p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file())
        found = [
            (name, partial(pieces_of_file, path / name), partial(head_of_file, path / name))
            for name in files
        ]
    elif os.path.isfile(path) and zipfile.is_zipfile(path) and path.suffix.lower() != ".mxl":
        found = [
            (member, partial(pieces_of_member, name, member), partial(head_of_member, name, member))
            for member in member_names(path)
        ]
    elif os.path.isfile(path):
        found = [(path.name, partial(pieces_of_file, path), partial(head_of_file, path))]
    else:
        raise _unknown(name)
    items = _items(path.resolve().name if path.is_dir() else path.stem, found)
    if not items:
        known = " ".join((*SCORE_SUFFIXES, *SOUND_SUFFIXES))
        raise FileError(name, "there is no music in it", f"known files are {known}")
    return Corpus(path.resolve().stem, "", items)


def _unknown(name: str) -> FileError:
    close = difflib.get_close_matches(name, NAMED, n=1, cutoff=0.6)
    hint = f"did you mean {close[0]}? " if close else ""
    return FileError(
        name,
        "there is no such corpus or folder",
        f"{hint}known corpora: {listed(sorted(NAMED))}",
    )


def _items(dataset: str, found: list[_Found]) -> tuple[CorpusItem, ...]:
    """Return the items of the scores among the files, or of the sound where there are none."""
    visible = [each for each in found if not _is_hidden(PurePosixPath(each[0]))]
    chosen = [each for each in visible if _suffix_of(each[0]) in SCORE_SUFFIXES]
    if not chosen:
        chosen = [
            (n, o, h) for n, o, h in visible if _suffix_of(n) in SOUND_SUFFIXES or is_sound(h())
        ]
    items = []
    for member, opener, _ in chosen:
        for tune, loader in opener():
            group = PurePosixPath(member).with_suffix("").as_posix() + tune
            items.append(CorpusItem(member + tune, split_of(dataset, group), group, loader))
    return tuple(items)


def _suffix_of(member: str) -> str:
    return PurePosixPath(member).suffix.lower()


def _is_hidden(path: PurePosixPath) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
