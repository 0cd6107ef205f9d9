"""Projects in SQLite: documents as trees of versions, in which nothing is ever overwritten."""

from __future__ import annotations

import secrets
import sqlite3
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from partimento.errors import FileError

__all__ = ["Project", "Store", "Version"]

_DAYS_DELETED = 30
_DOCUMENT_BYTES = 2**26  # the most that a document may take, unpacked
_SCHEMA = """
CREATE TABLE IF NOT EXISTS project (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, head TEXT, created REAL NOT NULL, deleted REAL
);
CREATE TABLE IF NOT EXISTS version (
    id TEXT PRIMARY KEY, project TEXT NOT NULL REFERENCES project(id), parent TEXT,
    label TEXT NOT NULL, document BLOB NOT NULL, is_favourite INTEGER NOT NULL DEFAULT 0,
    created REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS version_of_project ON version(project, created);
"""


@dataclass(frozen=True)
class Version:
    """One state of a document: what it was made from (``parent``) and what was done (``label``)."""

    id: str
    parent: str | None
    label: str
    is_favourite: bool
    created: float


@dataclass(frozen=True)
class Project:
    """A document with its tree of versions; ``head`` is the one that is shown."""

    id: str
    name: str
    head: str | None
    created: float


class Store:
    """The database. Every write is committed before it returns; several processes may use it.

    Raises:
        FileError: if the file cannot be opened or written (a full disk, say).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._base = sqlite3.connect(path, check_same_thread=False, timeout=10)
            with self._base:
                self._base.execute("PRAGMA journal_mode=WAL")
                self._base.execute("PRAGMA synchronous=FULL")
                self._base.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise FileError(path, f"cannot be opened ({error})", "name another") from None
        self.purge()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                with self._base:
                    yield self._base
            except sqlite3.Error as error:
                raise FileError(
                    self.path, f"cannot be written ({error})", "free some space and save again"
                ) from None

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._base
            except (sqlite3.Error, zlib.error, UnicodeError, TypeError) as error:
                raise FileError(self.path, f"is damaged ({error})", "take a copy of it") from None

    def purge(self) -> None:
        """Forget the projects that were deleted more than 30 days ago."""
        limit = time.time() - _DAYS_DELETED * 86_400
        gone = "SELECT id FROM project WHERE deleted < ?"
        with self._writing() as base:
            base.execute(f"DELETE FROM version WHERE project IN ({gone})", (limit,))
            base.execute("DELETE FROM project WHERE deleted < ?", (limit,))

    def create(self, name: str) -> Project:
        """Make an empty project."""
        project = Project(secrets.token_urlsafe(9), name, None, time.time())
        with self._writing() as base:
            base.execute(
                "INSERT INTO project (id, name, created) VALUES (?, ?, ?)",
                (project.id, name, project.created),
            )
        return project

    def projects(self) -> list[Project]:
        """Return the projects that are not deleted, the newest first."""
        with self._reading() as base:
            rows = base.execute(
                "SELECT id, name, head, created FROM project WHERE deleted IS NULL "
                "ORDER BY created DESC"
            ).fetchall()
        return [Project(*row) for row in rows]

    def project(self, project_id: str) -> Project | None:
        """Return a project; None where there is none."""
        with self._reading() as base:
            row = base.execute(
                "SELECT id, name, head, created FROM project WHERE id = ? AND deleted IS NULL",
                (project_id,),
            ).fetchone()
        return None if row is None else Project(*row)

    def save(self, project_id: str, document: str, parent: str | None, label: str) -> Version:
        """Add a version to a project and make it the head."""
        made = Version(secrets.token_urlsafe(9), parent, label, False, time.time())
        packed = zlib.compress(document.encode())
        with self._writing() as base:
            base.execute(
                "INSERT INTO version (id, project, parent, label, document, created) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (made.id, project_id, parent, label, packed, made.created),
            )
            base.execute("UPDATE project SET head = ? WHERE id = ?", (made.id, project_id))
        return made

    def versions(self, project_id: str) -> list[Version]:
        """Return the versions of a project, the oldest first."""
        with self._reading() as base:
            rows = base.execute(
                "SELECT id, parent, label, is_favourite, created FROM version "
                "WHERE project = ? ORDER BY created, rowid",
                (project_id,),
            ).fetchall()
        return [Version(i, parent, label, bool(f), at) for i, parent, label, f, at in rows]

    def document(self, project_id: str, version_id: str) -> str | None:
        """Return the document of a version; None where there is none in this project.

        Raises:
            FileError: if it is damaged, or takes more than 64 MiB.
        """
        with self._reading() as base:
            row = base.execute(
                "SELECT document FROM version WHERE project = ? AND id = ?",
                (project_id, version_id),
            ).fetchone()
            if row is None:
                return None
            unpacked = zlib.decompressobj()
            document = unpacked.decompress(row[0], _DOCUMENT_BYTES)
            if not unpacked.eof:
                raise zlib.error("a document that is cut short or takes over 64 MiB")
            return document.decode()

    def change(
        self,
        project_id: str,
        *,
        name: str | None = None,
        head: str | None = None,
        is_deleted: bool | None = None,
    ) -> None:
        """Rename a project, move its head (undo and redo), delete it or bring it back."""
        with self._writing() as base:
            if name is not None:
                base.execute("UPDATE project SET name = ? WHERE id = ?", (name, project_id))
            if head is not None:
                base.execute("UPDATE project SET head = ? WHERE id = ?", (head, project_id))
            if is_deleted is not None:
                at = time.time() if is_deleted else None
                base.execute("UPDATE project SET deleted = ? WHERE id = ?", (at, project_id))

    def mark(self, project_id: str, version_id: str, is_favourite: bool) -> None:
        """Make a version a favourite, or not."""
        with self._writing() as base:
            base.execute(
                "UPDATE version SET is_favourite = ? WHERE project = ? AND id = ?",
                (int(is_favourite), project_id, version_id),
            )

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._base.close()
