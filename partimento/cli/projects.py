"""``partimento projects``: the studio's projects as files."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal

from partimento import api
from partimento.cli import show
from partimento.errors import FileError
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
    found = store.projects()
    written = sum(_export(store, project, folder) for project in found)
    store.close()
    show.say(f"{written} versions of {len(found)} project{'s' * (len(found) != 1)}: {folder}")
    return 0


def _export(store: Store, project: Project, folder: Path) -> int:
    """Write one project and return the number of its versions; ``head.mid`` is what is shown."""
    place = folder / f"{_name(project.name)} {project.id}"
    place.mkdir(parents=True, exist_ok=True)
    versions = store.versions(project.id)
    for number, version in enumerate(versions, 1):
        text = store.document(project.id, version.id) or "{}"
        score = score_of(ScoreDocument.model_validate_json(text))
        api.write(score, place / f"{number:04d} {_name(version.label)}.mid")
        if version.id == project.head:
            api.write(score, place / "head.mid")
    return len(versions)


def _name(text: str) -> str:
    return re.sub(r"[^\w .()+-]", "_", text).strip(" .")[:60] or "piece"
