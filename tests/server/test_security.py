from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from websockets.exceptions import InvalidStatus

from partimento.errors import NotSupported
from partimento.runtime.model_folder import ModelFolder
from partimento.server.settings import Settings

from support.serving import PORT, Served, document, opened, served

OWN = f"127.0.0.1:{PORT}"


@pytest.mark.parametrize("host", ["evil.example", f"evil.example:{PORT}", "127.0.0.1:1", ""])
def test_other_hosts_are_refused(client: TestClient, host: str) -> None:
    answer = client.get("/health", headers={"Host": host})
    assert answer.status_code == 421
    assert answer.json()["error"] == "Refused"


@pytest.mark.parametrize("host", [OWN, f"localhost:{PORT}", f"[::1]:{PORT}", "localhost"])
def test_own_hosts_are_served(client: TestClient, host: str) -> None:
    assert client.get("/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_other_origins_are_refused(client: TestClient, headers: dict[str, str]) -> None:
    assert client.post("/v1/projects", json={"name": "x"}, headers=headers).status_code == 403
    assert client.get("/v1/projects").json() == []


def test_the_own_origin_is_served(client: TestClient) -> None:
    assert client.get("/health", headers={"Origin": f"http://{OWN}"}).status_code == 200


def test_a_websocket_of_another_origin_is_refused(server: Served) -> None:
    for origin in ("http://evil.example", "null"):
        with (
            pytest.raises(InvalidStatus),
            server.line(additional_headers={"Origin": origin}),
        ):
            pass
    with server.line(additional_headers={"Origin": server.address}) as line:
        line.say({"type": "start"})
        assert line.next()["type"] == "bar"


def test_an_open_address_needs_a_token() -> None:
    with pytest.raises(NotSupported, match="--token"):
        Settings(host="0.0.0.0")


def test_a_token_is_asked_of_every_request(hum: ModelFolder, tmp_path: Path) -> None:
    with opened(tmp_path, token="sesame") as client:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic sesame"}):
            answer = client.get("/health", headers=headers)
            assert answer.status_code == 401
            assert "sesame" not in answer.text
        assert client.get("/health", headers={"Authorization": "Bearer sesame"}).is_success
        assert client.get("/health?token=sesame").is_success
        assert client.get("/health?token=s%C3%A9same").status_code == 401
    with served(tmp_path, token="sesame") as server:
        with pytest.raises(InvalidStatus), server.line():
            pass
        with server.line("/v1/stream?token=sesame") as line:
            line.say({"type": "start"})
            assert line.next()["type"] == "bar"


def test_bodies_that_are_too_large_are_refused(hum: ModelFolder, tmp_path: Path) -> None:
    with opened(tmp_path, upload_bytes=10_000) as client:
        whole = client.post("/v1/pieces", files={"file": ("a.mid", b"x" * 20_000)})
        assert whole.status_code == 413

        def chunks() -> Iterator[bytes]:
            for _ in range(20):
                yield b"x" * 1000

        kind = {"Content-Type": "application/json"}
        told = client.post("/v1/generate", content=chunks(), headers=kind)
        assert (told.status_code, told.json()["error"]) == (413, "Refused")
        assert client.get("/health").is_success


def test_a_zip_bomb_is_refused(client: TestClient) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("META-INF/container.xml", "<a/>")
        archive.writestr("score.musicxml", b"\0" * (300 << 20))
    assert len(packed.getvalue()) < 1 << 20
    answer = client.post("/v1/pieces", files={"file": ("a.mxl", packed.getvalue())})
    assert answer.status_code == 422
    assert answer.json()["error"] == "FileError"


@pytest.mark.parametrize(
    "path",
    ["/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/v1/models/..%2F..%2Fetc", "/..%5c..%5cx"],
)
def test_no_path_leaves_the_page(hum: ModelFolder, tmp_path: Path, path: str) -> None:
    page = tmp_path / "page"
    page.mkdir()
    (page / "index.html").write_text("the page")
    (tmp_path / "etc").write_text("secret")
    with opened(tmp_path, page=page) as client:
        assert client.get("/").text == "the page"
        answer = client.get(path)
        assert answer.status_code == 404
        assert set(answer.json()) == {"error", "message"}


def test_every_answer_carries_the_policy(client: TestClient) -> None:
    for path in ("/health", "/v1/nothing", "/docs"):
        headers = client.get(path).headers
        assert "default-src" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert "set-cookie" not in headers


def test_music_that_is_too_much_is_refused(client: TestClient) -> None:
    big = document(*([60] * 10))
    big["tracks"] = [{"name": "x", "notes": [[0, 60, 1, 1]] * 60_000}] * 2
    answer = client.post("/v1/pieces/document", json=big)
    assert answer.status_code == 422
    assert "100,000" in answer.json()["message"]
