"""The studio in Chromium, for tests and for the pictures of the docs."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["CHROMIUM", "Studio", "browser", "opened_page"]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--autoplay-policy=no-user-gesture-required",
]


class Studio:
    """A page; what it does is asked for by key and pointer, as a user does."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.problems: list[str] = []
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", self._hear)

    def _hear(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(message.text)

    def open(self, address: str) -> None:
        """Load the page and wait until it may be used."""
        self.page.goto(address)
        self.page.wait_for_selector("body[data-ready]", timeout=60_000)

    def value(self, script: str) -> Any:
        """Return the value of an expression; ``p`` is the application."""
        return self.page.evaluate(f"(() => {{ const p = window.partimento; return {script}; }})()")

    def until(self, script: str, seconds: float = 90.0) -> None:
        """Wait until an expression is true (the policy of the page forbids others to poll)."""
        end = time.monotonic() + seconds
        while not self.value(script):
            assert time.monotonic() < end, f"{script} is still false; {self.problems}"
            self.page.wait_for_timeout(100)

    def draw(self, *notes: tuple[int, int]) -> None:
        """Draw notes of one beat: (tick, pitch)."""
        for tick, pitch in notes:
            x, y, width = self.value(
                f"(() => {{ const r = p.roll, b = r.over.getBoundingClientRect(); return "
                f"[b.x + r.x({tick}) + 3, b.y + r.y({pitch}) + r.rowHeight / 2,"
                " 480 * r.perTick]; })()"
            )
            self.page.mouse.move(x, y)
            self.page.mouse.down()
            self.page.mouse.move(x + width - 5, y, steps=3)
            self.page.mouse.up()

    def saved(self) -> None:
        """Wait until the server has everything."""
        self.until('p.store.status === "Saved"')

    def region(self, first: int, last: int) -> None:
        """Select bars by a drag in the ruler."""
        start, end, y = self.value(
            f"(() => {{ const r = p.roll, b = r.over.getBoundingClientRect(); return "
            f"[b.x + r.x({first - 1} * 1920) + 9, b.x + r.x({last} * 1920) - 9, b.y + 8]; }})()"
        )
        self.page.mouse.move(start, y)
        self.page.mouse.down()
        self.page.mouse.move(end, y, steps=4)
        self.page.mouse.up()


@contextmanager
def browser() -> Iterator[Any]:
    """Yield Debian's Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)
        yield launched
        launched.close()


@contextmanager
def opened_page(chromium: Any, address: str, width: int = 1440, **options: Any) -> Iterator[Studio]:
    """Yield the studio in a window of its own, with nothing remembered."""
    height = 900 if width > 800 else 740
    context = chromium.new_context(viewport={"width": width, "height": height}, **options)
    studio = Studio(context.new_page())
    studio.open(address)
    yield studio
    context.close()
