from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from support.doc_pages import blocks
from support.serving import served
from support.source import ROOT


def test_the_client_of_the_guide_runs(
    make_model: Callable[..., object],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_model()
    make_model("writing", system="filler")
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "guide" / "server.md").read_text()
    (client,) = (text for language, text in blocks(page) if language == "py")
    with served(tmp_path) as server:
        exec(client.replace("http://127.0.0.1:8421", server.address), {})
    assert "[" in capsys.readouterr().out
    assert (tmp_path / "piece.mid").read_bytes()[:4] == b"MThd"


def test_the_javascript_client_has_twenty_lines() -> None:
    page = (ROOT / "docs" / "guide" / "server.md").read_text()
    (client,) = (text for language, text in blocks(page) if language == "js")
    assert len(client.splitlines()) <= 20
