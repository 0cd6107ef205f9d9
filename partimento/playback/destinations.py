"""Where results go: names, endings and permissions, all checked before anything is made."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path

from partimento import files
from partimento.errors import FileError, MissingExtra
from partimento.runtime.contract import Kind

__all__ = ["check_new", "check_output", "check_source", "destinations"]

_DEFAULT_SUFFIXES = {"score": (".mid", ".wav"), "audio": (".wav",)}
_SOUND_SUFFIXES = (*files.AUDIO_SUFFIXES, ".png")


def check_output(path: str | Path, kind: Kind = "score") -> None:
    """Check that a result, notes or sound, can be written to ``path`` later.

    Raises:
        FileError: if the ending is unknown or does not fit the kind, the folder is missing, or it
            cannot be written.
        MissingExtra: if the format needs an extra that is not installed.
    """
    ending = Path(path).suffix.lower()
    if ending not in files.WRITABLE_SUFFIXES:
        shown = f"{ending!r} files" if ending else "files without a suffix"
        known = " ".join(files.WRITABLE_SUFFIXES)
        raise FileError(path, f"{shown} cannot be written", f"known are {known}")
    if kind == "audio" and ending not in _SOUND_SUFFIXES:
        known = " ".join(_SOUND_SUFFIXES)
        raise FileError(path, "this model makes sound, which has no notes", f"known are {known}")
    if ending == ".svg" and find_spec("verovio") is None:
        raise MissingExtra("engraving a score", "score")
    files.check_writable(path)


def check_new(paths: Iterable[str | Path], force: bool = False) -> None:
    """Check that no output exists yet, and that no two are one file.

    Args:
        paths: the files that are to be written.
        force: existing files may be replaced.

    Raises:
        FileError: for the first that exists, unless ``force``, or that is named twice.
    """
    seen: set[str] = set()
    for path in paths:
        place = os.path.realpath(path)
        if place in seen:
            raise FileError(path, "is named twice as an output", "name each file once")
        seen.add(place)
        if not force and os.path.lexists(path):
            raise FileError(path, "exists already", "choose another name, or replace it by --force")


def check_source(path: str | Path, source: str | Path) -> None:
    """Check that writing to ``path`` does not replace ``source``, the piece that was read.

    Raises:
        FileError: if they are one file.
    """
    target, read = Path(path), Path(source)
    try:
        is_same = target.samefile(read)
    except OSError:  # one of them does not exist
        is_same = target.resolve() == read.resolve()
    if is_same:
        raise FileError(path, "is the piece that was read, and is left alone", "name another file")


def destinations(
    out: Sequence[Path],
    seeds: Sequence[int],
    source: Path | None = None,
    kind: Kind = "score",
    force: bool = False,
) -> list[list[Path]]:
    """Return for each seed the files to write, and check that every one can be written.

    Without ``out``, or for a folder in it, the names are ``partimento-SEED.mid`` and ``.wav``
    there, or ``.wav`` alone for a model that makes sound. Where there are several seeds each name
    gets its seed: ``out.mid`` becomes ``out-7.mid``.

    Args:
        out: files and folders as the user named them.
        seeds: one for each sample, at least one.
        source: the piece that is read, which none of the files may be.
        kind: what is written.
        force: existing files may be replaced.

    Raises:
        FileError: if one cannot be written, or exists and may not be replaced.
        MissingExtra: if a format needs an extra that is not installed.
    """
    planned: list[list[Path]] = []
    for seed in seeds:
        paths: list[Path] = []
        for target in out or (Path("."),):
            if os.path.isdir(target):
                paths += [target / f"partimento-{seed}{s}" for s in _DEFAULT_SUFFIXES[kind]]
            elif len(seeds) > 1:
                paths.append(target.with_name(f"{target.stem}-{seed}{target.suffix}"))
            else:
                paths.append(target)
        for path in paths:
            check_output(path, kind)
            if source is not None:
                check_source(path, source)
        planned.append(paths)
    check_new((path for paths in planned for path in paths), force)
    return planned
