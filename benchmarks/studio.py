"""The page in headless Chromium: frames a second over 20,000 notes, time to the first sound, bytes.

``frames_per_second`` counts the frames that the browser shows while the roll scrolls through the
piece; ``paint_ms`` is the median time that one takes to draw. ``first_sound_ms`` runs from the
request of the page to the first sample that is not silence, of a piece that is there already.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from benchmarks.harness import Options, say, start
from benchmarks.serving import ask, serving
from partimento.studio import PAGE

_FLAGS = ["--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required"]
_SCROLL = """([seconds]) => new Promise((done) => {
  const roll = window.partimento.roll, began = performance.now();
  let frames = 0;
  const step = () => {
    frames++; roll.left += 12; roll.draw();
    const spent = (performance.now() - began) / 1000;
    if (spent < seconds) requestAnimationFrame(step); else done([frames / spent, roll.frames]);
  };
  requestAnimationFrame(step);
})"""


def document(notes: int) -> dict[str, Any]:
    """Return a piece of four tracks with so many notes."""
    tracks = []
    for track in range(4):
        rows = [[120 * i, 36 + 12 * track + (i * 7) % 12, 110, 80] for i in range(notes // 4)]
        tracks.append({"name": f"Part {track + 1}", "notes": rows})
    return {"tracks": tracks}


def run(options: Options) -> dict[str, Any]:
    """Measure the page."""
    size = sum(file.stat().st_size for file in PAGE.iterdir())
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder) / "projects.sqlite3", "studio", "--no-browser") as server,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium, args=_FLAGS)
        page = browser.new_page(viewport={"width": 1440, "height": 900})

        def opened(notes: int) -> float:
            project = ask(server.address, "/v1/projects", {"name": "piece"})["id"]
            versions = f"/v1/projects/{project}/versions"
            ask(server.address, versions, {"document": document(notes)})
            page.goto(server.address)
            page.evaluate(f"localStorage.setItem('partimento-project', '{project}')")
            began = time.perf_counter()
            page.goto(server.address)
            page.wait_for_selector("body[data-ready]", timeout=60_000)
            return began

        began = opened(400)
        page.click("#play")
        while not page.evaluate("window.partimento.sound.loudest > 0"):
            page.wait_for_timeout(10)
        sound = (time.perf_counter() - began) * 1000
        say(f"first sound after {sound:.0f} ms")
        opened(2_000 if options.quick else 20_000)
        rate, times = page.evaluate(_SCROLL, [0.5 if options.quick else 8.0])
        browser.close()
    return {
        "frames_per_second": round(rate, 1),
        "paint_ms": round(sorted(times)[len(times) // 2], 2),
        "first_sound_ms": round(sound),
        "page_bytes": size,
    }


TARGETS: dict[str, Callable[[Any], bool]] = {
    "frames_per_second": lambda rate: rate >= 55,
    "first_sound_ms": lambda ms: ms > 0,
    "page_bytes": lambda size: size < 250_000,
}

if __name__ == "__main__":
    start(__doc__, run, TARGETS)
