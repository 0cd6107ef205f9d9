from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from partimento.errors import FileError
from partimento.server import store as store_module
from partimento.server.store import Store

from support.source import ROOT

WRITER = """
import sys
from pathlib import Path
from partimento.server.store import Store

store = Store(Path(sys.argv[1]))
project = store.create("p")
print(project.id, flush=True)
parent = None
while True:
    parent = store.save(project.id, "x" * 5000, parent, "edit").id
    print(parent, flush=True)
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "deep" / "projects.sqlite3")


def test_versions_are_a_tree_and_nothing_is_overwritten(store: Store) -> None:
    project = store.create("song")
    root = store.save(project.id, "one", None, "drawn")
    left = store.save(project.id, "two", root.id, "rewrite")
    right = store.save(project.id, "three", root.id, "rewrite")
    assert [v.parent for v in store.versions(project.id)] == [None, root.id, root.id]
    assert [store.document(project.id, v.id) for v in (root, left, right)] == [
        "one",
        "two",
        "three",
    ]
    store.change(project.id, head=left.id)
    again = store.project(project.id)
    assert again is not None
    assert again.head == left.id


def test_a_version_belongs_to_its_project(store: Store) -> None:
    mine, other = store.create("mine"), store.create("other")
    version = store.save(mine.id, "text", None, "edit")
    assert store.document(other.id, version.id) is None


def test_deleting_is_undone_for_thirty_days(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    project = store.create("song")
    version = store.save(project.id, "text", None, "edit")
    store.change(project.id, is_deleted=True)
    assert store.project(project.id) is None
    assert store.projects() == []
    now = time.time()
    monkeypatch.setattr(store_module.time, "time", lambda: now + 29 * 86_400)
    store.purge()
    store.change(project.id, is_deleted=False)
    assert store.document(project.id, version.id) == "text"
    store.change(project.id, is_deleted=True)
    monkeypatch.setattr(store_module.time, "time", lambda: now + 61 * 86_400)
    store.purge()
    store.change(project.id, is_deleted=False)
    assert store.project(project.id) is None
    assert store.document(project.id, version.id) is None


def test_another_process_sees_what_was_saved(store: Store) -> None:
    project = store.create("song")
    version = store.save(project.id, "text", None, "edit")
    assert Store(store.path).document(project.id, version.id) == "text"


@pytest.mark.parametrize("moment", [0.01, 0.05, 0.2])
def test_nothing_that_was_acknowledged_is_lost_by_a_kill(tmp_path: Path, moment: float) -> None:
    path = tmp_path / "projects.sqlite3"
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert writer.stdout is not None
    project = writer.stdout.readline().strip()
    time.sleep(moment)
    writer.send_signal(signal.SIGKILL)
    acknowledged = writer.stdout.read().split()
    writer.stdout.close()
    writer.wait(10)
    store = Store(path)
    for version in acknowledged[:-1]:
        assert store.document(project, version) == "x" * 5000
    found = store.project(project)
    assert found is not None
    if found.head is not None:
        assert store.document(project, found.head) == "x" * 5000


def test_a_full_disk_is_said_and_the_save_can_be_tried_again(store: Store) -> None:
    project = store.create("song")
    pages = store._base.execute("PRAGMA page_count").fetchone()[0]
    store._base.execute(f"PRAGMA max_page_count = {pages}")
    big = np.random.default_rng(1).bytes(400_000).hex()
    with pytest.raises(FileError, match=r"cannot be written.*free some space"):
        store.save(project.id, big, None, "edit")
    assert store.versions(project.id) == []
    store._base.execute("PRAGMA max_page_count = 100000")
    saved = store.save(project.id, big, None, "edit")
    assert store.document(project.id, saved.id) == big


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "projects.sqlite3"
    path.write_text("not a database " * 100)
    with pytest.raises(FileError, match="name another"):
        Store(path)


def test_what_is_stored_is_a_plain_database(store: Store) -> None:
    store.create("song")
    with sqlite3.connect(store.path) as base:
        assert base.execute("SELECT name FROM project").fetchall() == [("song",)]
        assert base.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    base.close()
