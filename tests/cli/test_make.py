from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from partimento import api
from partimento.cli import hearing
from partimento.cli.main import main
from partimento.playback import sinks


def run(command: str) -> int:
    return main(shlex.split(command))


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


class Speaker:
    """A loudspeaker that counts what it plays."""

    def __init__(self) -> None:
        self.frames: list[int] = []
        self.is_stopped = False

    def take_all(self, samples) -> None:
        if self.is_stopped:
            raise KeyboardInterrupt
        self.frames.append(samples.shape[1])

    def close(self, _recipe: str) -> None:
        pass


@pytest.fixture
def speaker(monkeypatch):
    made = Speaker()
    for module in (api, hearing):
        monkeypatch.setattr(module, "Loudspeaker", lambda: made)
    return made


@pytest.mark.parametrize(
    "command",
    [
        "generate --bars 1 -o out.mid",
        "continue in.mid --bars 1 -o out.mid",
        "infill in.mid --model filling --bars 1 -o out.mid",
        "accompany in.mid --model filling --tracks Viola -o out.mid",
        "render in.mid -o out.mid",
        "replay in.mid -o out.mid",
        "stream --bars 1 -o out.mid",
    ],
)
def test_an_existing_output_is_refused_unless_forced(hum, make_model, capsys, command):
    make_model("filling", system="filler")
    assert run("generate --bars 2 --seed 1 -o in.mid --model humming") == 0
    Path("out.mid").write_bytes(b"mine")
    capsys.readouterr()
    assert run(command) == 1
    assert "out.mid: exists already; choose another name, or replace it by --force" in (
        capsys.readouterr().err
    )
    assert Path("out.mid").read_bytes() == b"mine"
    assert run(f"{command} --force") == 0
    assert api.read_score("out.mid").notes


@pytest.mark.parametrize("verb", ["render", "replay", "continue", "infill --bars 1"])
def test_the_source_is_never_replaced(hum, capsys, verb):
    assert run("generate --bars 2 --seed 1 -o in.mid") == 0
    before = Path("in.mid").read_bytes()
    Path("link.mid").symlink_to("in.mid")
    for name in ("in.mid", "./in.mid", "link.mid"):
        assert run(f"{verb} in.mid -o {name} --force") == 1
        assert "is the piece that was read" in capsys.readouterr().err
    assert Path("in.mid").read_bytes() == before


def test_stems_are_refused_where_they_exist(hum, capsys):
    assert run("generate --bars 1 --seed 1 -o in.mid") == 0
    assert run("render in.mid --stems parts") == 0
    assert run("render in.mid --stems parts") == 1
    assert "in_Hum.wav: exists already" in capsys.readouterr().err
    assert run("render in.mid --stems parts --force") == 0


def test_continue_says_what_it_added(hum, capsys):
    assert run("generate --bars 2 --seed 1 -o in.mid") == 0
    capsys.readouterr()
    assert run("continue in.mid --bars 8 --seed 2 -o out.mid") == 0
    assert capsys.readouterr().out.startswith("Added 8 bars to 2 bars ")


@pytest.mark.parametrize("suffix", ["mid", "musicxml"])
def test_what_was_continued_twice_is_as_long_as_its_bars_and_plays(hum, suffix):
    assert run(f"generate --bars 2 --seed 1 -o a.{suffix}") == 0
    assert run(f"continue a.{suffix} --bars 3 --seed 2 -o b.{suffix}") == 0
    assert run(f"continue b.{suffix} --bars 1 --seed 3 -o c.{suffix}") == 0
    score = api.read_score(f"c.{suffix}")
    assert score.written_length_ticks == score.length_ticks == 6 * 4 * score.ticks_per_quarter
    assert run(f"render c.{suffix} -o c.wav") == 0


def test_results_are_reported_one_by_one(hum, capsys, monkeypatch):
    perform = api.Instrument.perform
    made: list[int] = []

    def stop(self, plan, progress):
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(plan.recipe.seed)
        return perform(self, plan, progress)

    monkeypatch.setattr(api.Instrument, "perform", stop)
    assert run("generate --bars 1 --seed 3 --num-samples 5 -o x.mid") == 130
    out, err = capsys.readouterr()
    assert [line for line in out.splitlines() if line.startswith("Wrote")] == [
        "Wrote x-3.mid; to hear it: partimento play x-3.mid",
        "Wrote x-4.mid; to hear it: partimento play x-4.mid",
    ]
    assert err == "Stopped after 2 of 5 pieces\n"


def test_play_plays_notes_and_sound(hum, speaker):
    assert run("generate --bars 1 --seed 1 -o in.mid -o in.wav --play") == 0
    assert run("play in.wav") == 0
    assert run("play in.mid") == 0
    assert len(set(speaker.frames)) == 1
    assert len(speaker.frames) == 3
    assert run("render in.mid -o again.wav --play") == 0
    assert len(speaker.frames) == 4


def test_ctrl_c_stops_the_playing_alone(hum, speaker, capsys):
    assert run("generate --bars 1 --seed 1 -o in.mid") == 0
    speaker.is_stopped = True
    capsys.readouterr()
    assert run("play in.mid") == 0
    assert capsys.readouterr().err == "Stopped playing\n"


def test_without_the_extra_nothing_is_made(hum, capsys, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sounddevice", None)
    assert run("generate --bars 1 --seed 1 -o in.mid --play") == 1
    assert "pip install 'partimento[live]'" in capsys.readouterr().err
    assert not Path("in.mid").exists()
    assert sinks.Loudspeaker is hearing.Loudspeaker
