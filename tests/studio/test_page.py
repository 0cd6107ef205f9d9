"""The page as a musician uses it, in Chromium."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from partimento import studio as studio_package

from support.browsing import Studio, opened_page

BASS = [(0, 48), (480, 53), (960, 55), (1440, 48), (1920, 45), (2400, 50), (2880, 43), (3360, 48)]
NOTES = "p.store.doc.tracks.reduce((sum, t) => sum + t.notes.length, 0)"


@pytest.fixture
def picture(tmp_path: Path) -> Any:
    """Return what writes a picture of the page; into the docs where PARTIMENTO_PICTURES says."""
    folder = Path(os.environ.get("PARTIMENTO_PICTURES") or tmp_path)

    def write(studio: Studio, name: str) -> None:
        studio.page.wait_for_timeout(300)
        studio.page.screenshot(path=folder / f"studio-{name}.png")

    return write


def test_draw_ask_hear_compare_keep_reload(studio: Studio, picture: Any) -> None:
    page = studio.page
    assert page.is_visible("#invite")
    studio.draw(*BASS)
    studio.saved()
    assert studio.value("p.store.doc.tracks[0].notes.map((n) => [n[0], n[1]])") == [
        list(each) for each in BASS
    ]
    picture(studio, "bass")
    studio.page.click("#accompany")
    studio.until("p.ask.alternatives.length === 4 && !p.ask.job")
    studio.page.hover(".card >> nth=1")
    assert studio.value("p.roll.ghost !== null")
    where = page.locator(".card >> nth=1").bounding_box()
    page.wait_for_timeout(700)
    assert page.locator(".card >> nth=1").bounding_box() == where
    picture(studio, "alternatives")
    page.click('[data-take="1"]')
    studio.until("p.store.doc.tracks.length === 4")
    studio.saved()
    page.wait_for_timeout(300)
    assert studio.value("p.roll.ghost") is None
    assert page.locator(".card").count() == 0
    page.click("#play")
    studio.until("p.sound.loudest > 0.01")
    studio.until("p.roll.head > 200")
    picture(studio, "four-parts")
    page.click("#play")
    assert studio.value("p.sound.dropouts") == 0
    before = studio.value("JSON.stringify(p.store.doc.tracks)")
    page.reload()
    page.wait_for_selector("body[data-ready]")
    assert studio.value("JSON.stringify(p.store.doc.tracks)") == before
    assert studio.value("p.store.versions.length") == len(BASS) + 1


def test_undo_redo_and_the_tree(studio: Studio) -> None:
    page = studio.page
    studio.draw((0, 60), (480, 62))
    studio.saved()
    page.keyboard.press("Control+z")
    studio.until(f"{NOTES} === 1")
    studio.draw((960, 64))
    studio.saved()
    assert studio.value("p.store.versions.map((v) => v.parent)") == [
        None,
        *[studio.value("p.store.versions[0].id")] * 2,
    ]
    page.keyboard.press("Control+z")
    studio.until(f"{NOTES} === 1")
    page.keyboard.press("Control+y")
    studio.until(f"{NOTES} === 2")
    assert studio.value("p.store.doc.tracks[0].notes[1][1]") == 64
    page.keyboard.press("f")
    studio.until("p.store.versions[2].is_favourite")


def test_edits_by_keyboard(studio: Studio) -> None:
    page = studio.page
    page.focus(".roll canvas >> nth=1")
    for key in ("Enter", "ArrowUp", "Enter", "Enter"):
        page.keyboard.press(key)
    assert studio.value("p.store.doc.tracks[0].notes.map((n) => n.slice(0, 2))") == [
        [0, 60],
        [120, 61],
        [240, 61],
    ]
    for key in ("Control+a", "Control+c", "Control+v"):
        page.keyboard.press(key)
    assert studio.value(NOTES) == 6
    page.keyboard.press("Delete")
    assert studio.value(NOTES) == 3
    page.keyboard.press("Control+a")
    page.keyboard.press("l")
    assert studio.value("p.ask.locks().length") == 3
    page.keyboard.press("?")
    assert page.is_visible("dialog")
    page.keyboard.press("Escape")
    studio.saved()


def test_rewriting_keeps_what_is_locked_and_what_is_outside(studio: Studio) -> None:
    page = studio.page
    page.keyboard.press("g")
    studio.until("p.store.doc.tracks.length >= 4 && !p.ask.job")
    studio.saved()
    studio.region(2, 3)
    page.keyboard.press("r")
    studio.until("p.ask.alternatives.length === 4 && !p.ask.job")
    outside = "JSON.stringify(p.store.doc.tracks.map((t) => t.notes.filter((n) => n[0] >= 5760)))"
    before = studio.value(outside)
    page.keyboard.press("1")
    studio.until("p.ask.alternatives.length === 0")
    assert studio.value(outside) == before
    studio.region(5, 6)
    page.keyboard.press("l")
    assert studio.value("p.ask.locks()") == ["5:6"]
    studio.saved()


def test_what_cannot_be_met_is_said_where_it_was_asked(studio: Studio) -> None:
    studio.draw((0, 48))
    studio.page.click("summary >> nth=0")
    studio.page.fill("#promise-key", "H sharp")
    studio.page.click("#accompany")
    studio.until("p.ask.problem")
    assert "H sharp" in studio.page.inner_text("[role=alert]")
    studio.saved()
    studio.problems.clear()  # the browser notes the answer 422


def test_metre_key_and_lyrics(studio: Studio) -> None:
    page = studio.page
    studio.draw((0, 60))
    page.fill("#piece-metre", "3/4")
    page.keyboard.press("Tab")
    page.fill("#piece-key", "A minor")
    page.keyboard.press("Tab")
    page.fill("#piece-lyric", "la")
    page.keyboard.press("Tab")
    studio.saved()
    doc = studio.value("p.store.doc")
    assert doc["time_signatures"] == [[0, 3, 4]]
    assert doc["key_signatures"] == [[0, "A minor"]]
    assert doc["tracks"][0]["lyrics"] == [[0, "la", 1]]


def test_endless_music_is_heard_steered_and_kept(studio: Studio) -> None:
    page = studio.page
    page.click("#live-start")
    studio.until("p.live.bar >= 2 && p.sound.loudest > 0.01")
    page.get_by_role("button", name="Am", exact=True).click()
    at = studio.value("p.live.bar")
    studio.until(f"p.live.bar >= {at + 3}")
    assert not studio.value("p.live.problem")
    page.click("#live-keep")
    studio.until("p.store.versions.length > 0")
    page.click("#live-stop")
    assert studio.value(NOTES) > 0
    studio.saved()


@pytest.mark.parametrize("kind", ["mid", "wav", "flac", "mp3", "musicxml", "png", "zip", "recipe"])
def test_exports(studio: Studio, kind: str) -> None:
    studio.draw((0, 60), (480, 64))
    studio.page.click("#export")
    with studio.page.expect_download() as waiting:
        studio.page.click(f'[data-format="{kind}"]')
    file = waiting.value
    assert file.suggested_filename == f"piece.{'json' if kind == 'recipe' else kind}"
    assert len(Path(file.path()).read_bytes()) >= 2
    studio.saved()


def test_files_are_opened(studio: Studio, tmp_path: Path) -> None:
    tune = tmp_path / "tune.abc"
    tune.write_text("X:1\nT:a\nM:3/4\nL:1/4\nK:G\nGAB|cde|\n")
    studio.page.set_input_files("#file", tune)
    studio.until(f"{NOTES} === 6")
    assert studio.value("p.store.doc.time_signatures[0].slice(1)") == [3, 4]
    bad = tmp_path / "bad.mid"
    bad.write_bytes(b"MThd, and then nothing")
    studio.page.set_input_files("#file", bad)
    studio.until("p.store.isProblem")
    assert "upload.mid" in studio.page.inner_text("#notice")
    studio.saved()
    studio.problems.clear()  # the browser notes the answer 422


def test_two_tabs_on_one_project(studio: Studio, address: str) -> None:
    studio.draw((0, 60))
    studio.saved()
    second = Studio(studio.page.context.new_page())
    second.open(address)
    assert second.value(NOTES) == 1
    studio.draw((480, 62))
    studio.saved()
    second.until(f"{NOTES} === 2")
    assert not second.problems


def test_a_save_that_fails_is_said_and_tried_again(studio: Studio) -> None:
    full = '{"error": "FileError", "message": "the disk is full"}'
    refuse = {"status": 507, "body": full, "content_type": "application/json"}
    studio.page.route("**/versions", lambda route: route.fulfill(**refuse))
    studio.draw((0, 60))
    studio.until("p.store.isUnsaved")
    assert "the disk is full" in studio.page.inner_text("#saved")
    assert studio.value(NOTES) == 1
    studio.page.unroute("**/versions")
    studio.saved()
    assert studio.value("p.store.versions.length") == 1
    studio.problems.clear()  # the browser notes the answers 507


def test_a_browser_without_audio_worklet_or_midi(chromium: Any, address: str) -> None:
    with chromium.new_context() as context:
        context.add_init_script(
            "Object.defineProperty(BaseAudioContext.prototype, 'audioWorklet', {value: undefined});"
            "Navigator.prototype.requestMIDIAccess = undefined;"
        )
        studio = Studio(context.new_page())
        studio.open(address)
        studio.draw((0, 60), (480, 64))
        studio.page.click("#play")
        studio.until("p.sound.loudest > 0.01 && p.roll.head > 0")
        studio.page.click("#live-start")
        studio.until("p.live.problem")
        studio.saved()
        assert not studio.problems


@pytest.mark.parametrize("width", [375, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_width_and_colour_is_accessible(
    chromium: Any, address: str, width: int, scheme: str, picture: Any
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    with opened_page(chromium, address, width, color_scheme=scheme, bypass_csp=True) as studio:
        studio.draw((0, 60), (480, 64))
        studio.saved()
        if width == 375 and scheme == "light":
            picture(studio, "phone")
        found = axe.Axe().run(studio.page).response["violations"]
        serious = [each for each in found if each["impact"] in ("serious", "critical")]
        assert not [(each["id"], [n["html"] for n in each["nodes"]][:3]) for each in serious]
        wide = "document.documentElement.scrollWidth"
        assert studio.value(wide) <= width
        for name in ("#play", "#undo", "#accompany", "#export"):
            assert studio.page.is_visible(name)
        assert not studio.problems


def test_the_page_is_small_and_needs_nobody_else() -> None:
    files = list(studio_package.PAGE.iterdir())
    assert sum(file.stat().st_size for file in files) < 250_000
    for file in files:
        text = file.read_text()
        assert len(text.splitlines()) <= 500
        assert "http://" not in text.replace("http://www.w3.org", "")
        assert "https://" not in text
