from __future__ import annotations

from pathlib import Path

import pytest

from partimento import api, sound
from partimento.generation import result as module
from partimento.music import Audio
from partimento.recipe import parse_recipe


@pytest.fixture
def instrument(hum):
    return api.load("humming")


def test_a_result_is_shown_in_two_lines(instrument):
    made = instrument.generate(bars=2, seed=1, humanize=0)
    first, second = repr(made).splitlines()
    assert first == "<Result: 2 bars (2.4 s), 1 track, 8 notes, by humming, seed 1"
    assert ".save(path)" in second


def test_a_continuation_says_what_it_added(instrument):
    made = instrument.generate(bars=2, seed=1)
    longer = instrument.continue_(made, bars=8, seed=2)
    assert longer.added_bar_count == 8
    assert longer.summary().startswith("Added 8 bars to 2 bars ")
    assert "(9.6 s of music) with humming, seed 2, composed in " in longer.summary()
    assert "x real time)" in longer.summary()
    assert instrument.continue_(made, bars=1, seed=2).summary().startswith("Added 1 bar to 2 bars")


def test_the_soundfont_of_the_environment_is_heard_and_recorded(
    instrument, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    font = tmp_path / "grand.sf2"
    font.write_bytes(b"RIFF")
    plain = instrument.generate(bars=1, seed=1)
    played: list[str | None] = []
    render = sound.render

    def heard(score, *, soundfont=None, **_more) -> Audio:
        played.append(soundfont)
        return render(score)

    monkeypatch.setattr(module.sound, "render", heard)
    monkeypatch.setenv("PARTIMENTO_SOUNDFONT", str(font))
    made = instrument.generate(bars=1, seed=1)
    assert made.score == plain.score  # notes do not depend on it, nor does their recipe
    made.save(tmp_path / "a.wav")
    again = api.replay(tmp_path / "a.wav")
    assert parse_recipe(made.audio.recipe, "a").soundfont == str(font)
    monkeypatch.delenv("PARTIMENTO_SOUNDFONT")
    assert again.is_same()  # through the same soundfont
    assert played == [str(font), str(font)]
    monkeypatch.setenv("PARTIMENTO_SOUNDFONT", str(font))
    plain.save(tmp_path / "b.wav")
    assert played[2:] == [None]  # as it was planned, without one
