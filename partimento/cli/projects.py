"""``partimento projects``: the studio's projects as files."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from partimento import api
from partimento.cli import show
from partimento.errors import FileError, PartimentoError
from partimento.files.atomic import write_error
from partimento.server.documents import ScoreDocument, score_of
from partimento.server.settings import projects_file
from partimento.server.store import Project, Store

__all__ = ["projects"]


def projects(action: Literal["export"], folder: Path, /, *, projects: Path | None = None) -> int:
    """Write all projects of the studio as files: a folder for each, a MIDI file a version.

    Parameters
    ----------
    action
        ``export``.
    folder
        Where the files go; it is made if it is not there.
    projects
        The database of projects; by default in your data folder.
    """
    path = projects or projects_file()
    if not os.path.isfile(path):
        raise FileError(path, "is not there", "name the database with --projects")
    store = Store(path)
    try:
        found = store.projects()
        counts = [_export(store, project, folder) for project in found]
    finally:
        store.close()
    written, damaged = (sum(each) for each in zip((0, 0), *counts, strict=True))
    show.say(f"{written} versions of {len(found)} project{'s' * (len(found) != 1)}: {folder}")
    if damaged:
        show.note(f"{damaged} damaged version{'s' * (damaged != 1)} left out")
    return 1 if damaged else 0


def _export(store: Store, project: Project, folder: Path) -> tuple[int, int]:
    """Write one project; return how many versions were written, and how many are damaged.

    ``head.mid`` is what is shown. Names and ids are made safe: they come from the database.
    """
    place = folder / f"{_name(project.name)} {_name(project.id)}"
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(place, error) from error
    versions = store.versions(project.id)
    damaged = 0
    for number, version in enumerate(versions, 1):
        try:
            text = store.document(project.id, version.id) or "{}"
            score = score_of(ScoreDocument.model_validate_json(text))
        except (PartimentoError, ValidationError):  # one bad version does not stop the others
            damaged += 1
            continue
        api.write(score, place / f"{number:04d} {_name(version.label)}.mid")
        if version.id == project.head:
            api.write(score, place / "head.mid")
    return len(versions) - damaged, damaged


def _name(text: object) -> str:
    return re.sub(r"[^\w .()+-]", "_", str(text)).strip(" .")[:60] or "piece"
