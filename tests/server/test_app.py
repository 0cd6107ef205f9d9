from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from partimento import api, catalog
from partimento.server import app as app_module

from support.serving import document, opened, service_of


def midi_of(client: TestClient) -> bytes:
    answer = client.post("/v1/render", json={"document": document(60, 64, 67), "format": "mid"})
    assert answer.status_code == 200
    return answer.content


def test_health_and_models(client: TestClient) -> None:
    health = client.get("/health").json()
    assert (health["status"], health["models"]) == ("ok", 1)
    (model,) = client.get("/v1/models").json()
    assert (model["name"], model["makes"], model["is_default"]) == ("humming", "score", True)
    one = client.get("/v1/models/humming").json()
    assert one["card"]
    loudness = one["controls"]["properties"]["loudness"]
    assert (loudness["minimum"], loudness["maximum"]) == (1, 127)
    assert loudness["description"]


def test_generates_at_once_and_repeats_by_seed(client: TestClient) -> None:
    ask = {"options": {"bars": 3, "key": "A minor"}, "seed": 5}
    first, second = (client.post("/v1/generate", json=ask).json() for _ in range(2))
    (piece,) = first["results"]
    assert first["state"] == "done"
    assert len(piece["document"]["bars"]) == 3
    assert piece["seed"] == 5
    assert piece["document"]["tracks"] == second["results"][0]["document"]["tracks"]


def test_continues_a_document_a_piece_and_a_file(client: TestClient) -> None:
    told = {"options": {"bars": 2}}
    kept = client.post("/v1/pieces/document", json=document(60, 62)).json()
    form = {"file": ("a.mid", midi_of(client))}
    for answer in (
        client.post("/v1/continue", json={**told, "document": document(60, 62)}),
        client.post("/v1/continue", json={**told, "piece": kept["id"]}),
        client.post("/v1/continue", files=form, data={"request": '{"options": {"bars": 2}}'}),
    ):
        assert answer.status_code == 200, answer.text
        made = answer.json()["results"][0]["document"]
        assert made["tracks"][0]["notes"][0][:2] == [0, 60]
        assert len(made["bars"]) == 4


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"data": {"request": "{}"}, "files": {"other": b"x"}}, "file"),
        ({"data": {"request": "no"}, "files": {"file": ("a.mid", b"x")}}, "JSON"),
        ({"data": {"request": "[]"}, "files": {"file": ("a.mid", b"x")}}, "object"),
        ({"files": {"file": ("a.mid", b"MThd damaged")}}, "upload.mid"),
        ({"files": {"file": ("a.exe", b"MZ")}}, "upload.exe"),
    ],
)
def test_bad_forms_are_refused(client: TestClient, form: dict[str, Any], said: str) -> None:
    answer = client.post("/v1/continue", **form)
    assert answer.status_code == 422
    assert said in answer.json()["message"]
    assert "Traceback" not in answer.text


def test_an_answer_in_any_format(client: TestClient) -> None:
    ask = {"options": {"bars": 1}, "seed": 1}
    midi = client.post("/v1/generate", json=ask, headers={"Accept": "audio/midi"})
    assert midi.headers["content-type"] == "audio/midi"
    assert midi.content[:4] == b"MThd"
    wav = client.post("/v1/generate?format=wav", json=ask)
    assert wav.content[:4] == b"RIFF"
    choice = "text/html, audio/midi;q=0.3, audio/flac;q=0.8"
    assert client.post("/v1/generate", json=ask, headers={"Accept": choice}).content[:4] == b"fLaC"
    bad = client.post("/v1/generate?format=exe", json=ask)
    assert (bad.status_code, bad.json()["error"]) == (422, "NotSupported")


@pytest.mark.parametrize(
    "kind", ["mid", "musicxml", "wav", "flac", "ogg", "mp3", "png", "zip", "json"]
)
def test_a_piece_in_each_format(client: TestClient, kind: str) -> None:
    kept = client.post("/v1/pieces", files={"file": ("my.mid", midi_of(client))}).json()
    assert [note[1] for note in kept["document"]["tracks"][0]["notes"]] == [60, 64, 67]
    answer = client.get(f"/v1/pieces/{kept['id']}", params={"format": kind})
    assert answer.status_code == 200
    assert len(answer.content) > 100


def test_music_of_each_kind_is_taken(client: TestClient) -> None:
    abc = b"X:1\nT:a\nM:4/4\nL:1/4\nK:C\nCDEF|GABc|\n"
    kern = b"**kern\n*M4/4\n4c\n4d\n4e\n4f\n*-\n"
    wav = client.post("/v1/render", json={"document": document(60)}).content
    xml = client.post("/v1/render", json={"document": document(60, 62), "format": "musicxml"})
    for name, data in (("a.abc", abc), ("a.krn", kern), ("a.musicxml", xml.content)):
        taken = client.post("/v1/pieces", files={"file": (name, data)})
        assert taken.status_code == 200, taken.text
        assert taken.json()["document"]["tracks"][0]["notes"]
    sound = client.post("/v1/pieces", files={"file": ("../../a.wav", wav)}).json()
    assert sound["kind"] == "audio"
    assert sound["duration_seconds"] > 1
    no_notes = client.get(f"/v1/pieces/{sound['id']}?format=mid")
    assert (no_notes.status_code, no_notes.json()["error"]) == (422, "NotSupported")


def test_evaluates_promises(client: TestClient) -> None:
    ask = {"document": document(60, 61), "options": {"key": "C", "bars": 2}}
    verdicts = client.post("/v1/evaluate", json=ask).json()
    assert verdicts["bars"] is None
    assert verdicts["key"]


def test_what_cannot_be_served_says_so(client: TestClient) -> None:
    ends = {"documents": [document(60), document(62)]}
    for path, body, status in (
        ("/v1/interpolate", ends, 422),
        ("/v1/interpolate", {}, 422),
        ("/v1/infill", {"document": document(60)}, 422),
        ("/v1/generate", {"model": "nobody"}, 404),
        ("/v1/generate", {"model": "../../etc"}, 404),
        ("/v1/generate", {"controls": {"loud": 1}}, 422),
        ("/v1/generate", {"options": {"key": "H"}}, 422),
        ("/v1/generate", {"options": {"barz": 1}}, 422),
        ("/v1/continue", {}, 422),
        ("/v1/continue", {"piece": "unknown"}, 422),
        ("/v1/jobs/nothing", None, 404),
        ("/v1/pieces/nothing", None, 404),
        ("/v1/nothing", None, 404),
        ("/v1/models/nobody", None, 404),
        ("/v1/models/hum", None, 404),
        ("/v1/humanize", {"document": document(60), "model": "../../etc"}, 404),
        ("/v1/humanize", {"document": document(60), "num_samples": 2}, 422),
    ):
        answer = client.get(path) if body is None else client.post(path, json=body)
        assert answer.status_code == status, (path, body, answer.text)
        assert set(answer.json()) == {"error", "message"}
        assert "Traceback" not in answer.text
    assert client.get("/v1/generate").status_code == 405


def test_a_fault_is_an_answer_without_a_traceback(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(api, "models", broken)
    answer = client.get("/v1/models")
    assert answer.status_code == 500
    assert answer.json()["error"] == "Fault"
    told = capsys.readouterr()
    assert "RuntimeError at" in told.err
    assert "secret" not in answer.text + told.err + told.out


def test_docs_are_a_page_without_scripts(client: TestClient) -> None:
    page = client.get("/docs")
    assert "/v1/generate" in page.text
    assert "<script" not in page.text
    schema = client.get("/openapi.json").json()
    infill = schema["paths"]["/v1/infill"]["post"]["requestBody"]["content"]
    assert set(infill) == {"application/json", "multipart/form-data"}


def test_a_model_that_is_removed_is_no_longer_there(client: TestClient) -> None:
    service = service_of(client)
    assert client.post("/v1/generate", json={"options": {"bars": 1}}).status_code == 200
    assert service.engine.loaded == ("humming",)
    for file in (catalog.SHIPPED / "humming").iterdir():
        file.unlink()
    (catalog.SHIPPED / "humming").rmdir()
    still = client.post("/v1/generate", json={"options": {"bars": 1}, "model": "humming"})
    assert still.status_code in (200, 404)
    gone = client.post("/v1/generate", json={"options": {"bars": 1}})
    assert (gone.status_code, gone.json()["error"]) == (404, "ModelError")
    assert client.get("/health").status_code == 200


def test_idle_models_are_unloaded_while_it_serves(
    hum: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_module, "_TIDY_SECONDS", 0.05)
    with opened(tmp_path, idle_seconds=0.0) as client:
        client.post("/v1/generate", json={"options": {"bars": 1}})
        for _ in range(200):
            if not client.get("/health").json()["loaded"]:
                return
        raise AssertionError("the model stays in memory")


def test_a_path_of_a_client_is_never_opened(client: TestClient) -> None:
    folder = str(catalog.SHIPPED / "humming")
    assert client.post("/v1/generate", json={"model": folder}).status_code == 404
