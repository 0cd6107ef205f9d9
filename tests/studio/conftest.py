"""One server and one browser for all tests of the page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from support.browsing import CHROMIUM, Studio, browser, opened_page
from support.serving import running


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    base = tmp_path_factory.mktemp("studio") / "projects.sqlite3"
    with running(base, "--no-browser", verb="studio") as (address, _process):
        yield address


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    pytest.importorskip("playwright")
    if not CHROMIUM:
        pytest.skip("no chromium on this machine")
    with browser() as chromium:
        yield chromium


@pytest.fixture
def studio(chromium: Any, address: str) -> Iterator[Studio]:
    with opened_page(chromium, address) as studio:
        yield studio
        assert not studio.problems
