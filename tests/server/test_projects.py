from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from partimento import api
from partimento.cli.main import main

from support.serving import document, service_of


def test_a_project_with_its_tree(client: TestClient) -> None:
    project = client.post("/v1/projects", json={"name": "song"}).json()
    at = f"/v1/projects/{project['id']}"
    saved = []
    for pitch, parent in ((60, None), (62, 0), (64, 0)):
        body = {
            "document": document(pitch),
            "parent": None if parent is None else saved[parent]["id"],
            "label": f"edit {pitch}",
        }
        answer = client.post(f"{at}/versions", json=body)
        assert answer.status_code == 201
        saved.append(answer.json())
    shown = client.get(at).json()
    assert shown["head"] == saved[2]["id"]
    assert [v["label"] for v in shown["versions"]] == ["edit 60", "edit 62", "edit 64"]
    undone = client.patch(at, json={"head": saved[0]["id"]}).json()
    assert undone["head"] == saved[0]["id"]
    old = client.get(f"{at}/versions/{saved[1]['id']}").json()
    assert old["tracks"][0]["notes"][0][1] == 62
    marked = client.patch(f"{at}/versions/{saved[1]['id']}", json={"is_favourite": True}).json()
    assert [v["is_favourite"] for v in marked["versions"]] == [False, True, False]
    assert client.patch(at, json={"name": "other"}).json()["name"] == "other"


def test_deleting_and_bringing_back(client: TestClient) -> None:
    at = f"/v1/projects/{client.post('/v1/projects', json={'name': 'song'}).json()['id']}"
    client.post(f"{at}/versions", json={"document": document(60)})
    assert client.delete(at).status_code == 200
    assert client.get(at).status_code == 404
    assert client.delete(at).status_code == 404
    assert client.get("/v1/projects").json() == []
    back = client.post(f"{at}/restore").json()
    assert len(back["versions"]) == 1


def test_what_is_no_music_is_not_saved(client: TestClient) -> None:
    at = f"/v1/projects/{client.post('/v1/projects', json={'name': 'song'}).json()['id']}"
    bad = document(60) | {"chords": [[0, "H"]]}
    assert client.post(f"{at}/versions", json={"document": bad}).status_code == 422
    orphan = {"document": document(60), "parent": "nothing"}
    assert client.post(f"{at}/versions", json=orphan).status_code == 404
    assert client.patch(at, json={"head": "nothing"}).status_code == 404
    assert client.get(at).json()["versions"] == []


def test_a_full_disk_is_507(client: TestClient) -> None:
    at = f"/v1/projects/{client.post('/v1/projects', json={'name': 'song'}).json()['id']}"
    service_of(client).store._base.execute("PRAGMA max_page_count = 1")
    big = document(*(i % 128 for i in range(20_000)), bars=5000)
    answer = client.post(f"{at}/versions", json={"document": big})
    assert answer.status_code == 507
    assert "free some space" in answer.json()["message"]
    service_of(client).store._base.execute("PRAGMA max_page_count = 100000")
    assert client.post(f"{at}/versions", json={"document": big}).status_code == 201


def test_projects_are_written_out_as_files(
    client: TestClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = client.post("/v1/projects", json={"name": "../a song"}).json()
    at = f"/v1/projects/{project['id']}/versions"
    for pitch in (60, 62):
        client.post(at, json={"document": document(pitch), "label": "edit/1"})
    out, base = tmp_path / "out", tmp_path / "projects.sqlite3"
    assert main(["projects", "export", str(out), "--projects", str(base)]) == 0
    assert "2 versions of 1 project" in capsys.readouterr().out
    (folder,) = out.iterdir()
    files = sorted(file.name for file in folder.iterdir())
    assert files == ["0001 edit_1.mid", "0002 edit_1.mid", "head.mid"]
    assert [n.pitch for n in api.read_score(folder / "head.mid").notes] == [62]


def test_a_database_that_is_not_there_is_not_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = tmp_path / "none.sqlite3"
    assert main(["projects", "export", str(tmp_path / "out"), "--projects", str(base)]) == 1
    assert "none.sqlite3" in capsys.readouterr().err
    assert not base.exists()
