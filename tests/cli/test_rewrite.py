from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from partimento import api, files
from partimento.cli.main import main
from partimento.generation import prompts
from partimento.music import Note, Score, Track

VOICES = [{"name": n, "program": 52} for n in ("Soprano", "Alto", "Tenor", "Bass")]


def run(command: str) -> int:
    return main(shlex.split(command))


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch, make_model):
    """Run each test in a folder of its own, beside a melody and a quartet."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    make_model("filling", system="filler", defaults={}, tracks=VOICES)
    line = tuple(Note(480 * i, 67 + i % 5, 480, 72) for i in range(24))
    files.write(Score((Track("Soprano", line),)), folder / "melody.mid")
    names = ("Violin", "Viola", "Cello")
    parts = tuple(Track(name, line, 40 + i) for i, name in enumerate(names))
    files.write(Score(parts), folder / "in.mid")


def made() -> list[str]:
    return sorted(p.name for p in Path().iterdir() if p.name not in ("in.mid", "melody.mid"))


def test_accompany_adds_the_parts(capsys):
    assert run("accompany melody.mid --tracks Alto,Tenor,Bass --seed 3 -o out.mid") == 0
    score = api.read_score("out.mid")
    assert [track.name for track in score.tracks] == ["Soprano", "Alto", "Tenor", "Bass"]
    assert score.tracks[0] == api.read_score("melody.mid").tracks[0]
    out = capsys.readouterr().out
    assert "Added Alto, Tenor, Bass to 6 bars with filling, seed 3" in out
    assert "Wrote out.mid" in out
    assert run("replay out.mid -o again.mid") == 0
    assert "the same bytes as out.mid" in capsys.readouterr().out


@pytest.mark.filterwarnings("default")
def test_what_a_prompt_loses_is_told_on_stderr(capsys):
    data = Path("in.mid").read_bytes()
    bend = bytes((0x00, 0xE0, 0x01, 0x01))
    start = data.rindex(b"MTrk") + 8
    size = len(data) - start + len(bend)
    bent = data[: start - 4] + size.to_bytes(4, "big") + bend + data[start:]
    Path("bent.mid").write_bytes(bent)
    assert run("infill bent.mid --bars 2 --tracks Viola --seed 1 -o out.mid") == 0
    assert "warning" not in capsys.readouterr().err  # it is still there
    assert bend in Path("out.mid").read_bytes()
    assert run("infill bent.mid --bars 2 --tracks Viola --seed 1 -o out.musicxml") == 0
    told = capsys.readouterr().err.splitlines()
    assert [line for line in told if "warning" in line] == [
        "partimento: warning: bent.mid: 1 pitch bend left out"
    ]


def test_infill_takes_all_its_options(capsys):
    before = Path("in.mid").read_bytes()
    command = (
        "infill in.mid --bars 2:3 --bars 5 --tracks viola,3 --lock Cello:3 --lock 'Viola 2.1 B4' "
        "--key C --chords 'C F' --range C3-C6 --range Viola=C3-C6 --polyphony 6 --seed 5 "
        "--steps 7 --temperature 0.8 --set loudness=44 --model filling --precision fp32 "
        "--threads 1 -o out.mid --out out.png"
    )
    assert run(command) == 0
    assert made() == ["out.mid", "out.png"]
    assert Path("in.mid").read_bytes() == before
    recipe = api.read_score("out.mid").recipe
    for part in ('"bars": "2:3,5"', '"steps": 7', '"loudness": 44', '"tracks": ["viola", "3"]'):
        assert part in recipe
    score, old = api.read_score("out.mid"), api.read_score("in.mid")
    assert score.tracks[0] == old.tracks[0]
    assert [n for n in score.tracks[2].notes if 3840 <= n.onset_ticks < 5760] == [
        n for n in old.tracks[2].notes if 3840 <= n.onset_ticks < 5760
    ]


def test_alternatives_are_written_in_the_order_of_their_ranks(capsys):
    assert run("infill in.mid --bars 2:4 --num-samples 3 --seed 5 -o x.mid") == 0
    assert made() == ["x-1.mid", "x-2.mid", "x-3.mid"]
    out = capsys.readouterr().out
    rows = [line.split("│") for line in out.splitlines() if "x-" in line]
    assert [row[2].strip() for row in rows] == made()
    seeds = [int(row[3]) for row in rows]
    assert sorted(seeds) == [5, 6, 7]
    assert "likeliest to the model" in out
    assert run(f"infill in.mid --bars 2:4 --seed {seeds[0]} -o y.mid") == 0
    assert Path("y.mid").read_bytes() == Path("x-1.mid").read_bytes()


def test_a_config_file_stands_behind_the_command_line():
    Path("o.toml").write_text(
        'bars = 2\ntracks = ["Viola"]\nlock = "Cello"\nseed = 5\nsteps = 3\nout = "y.mid"\n'
    )
    assert run("infill in.mid --config o.toml --tracks Violin") == 0
    recipe = api.read_score("y.mid").recipe
    assert '"rewrite": {"bars": "2", "locks": ["Cello"], "tracks": ["Violin"]}' in recipe


def test_a_prompt_is_read_once(monkeypatch):
    read: list[str] = []
    real = prompts.files.read_with_source
    monkeypatch.setattr(
        prompts.files, "read_with_source", lambda path: read.append(str(path)) or real(path)
    )
    assert run("infill in.mid --bars 2 --num-samples 2 --seed 5 -o x.mid") == 0
    assert read == ["in.mid"]


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        ("infill in.mid --bars 2 -o in.mid", 1, "in.mid: is the piece that was read, and is left"),
        ("accompany melody.mid -o ./melody.mid", 1, "is the piece that was read"),
        ("infill in.mid", 1, "name the bars or the tracks to regenerate"),
        ("infill in.mid --bars 5:9 -o x.mid", 1, "there is no bar 9; this piece has 6 bars"),
        ("infill in.mid --tracks Oboe", 1, "this score has: Violin, Viola, Cello"),
        ("infill in.mid --bars 2 --lock 2", 1, "the locks cover all"),
        ("infill in.mid --bars 2 --lock Oboe", 1, "no track is called 'Oboe'"),
        ("infill in.mid --bars 2 --set pitch=3", 1, "controls.pitch: unknown option"),
        ("infill in.mid --bars 2 --num-samples 0", 1, "num_samples must be in 1..10000, not 0"),
        ("infill in.mid --bars 2 --config bad.toml", 1, "bad.toml.tempo: unknown option"),
        ("infill none.mid --bars 2", 1, "there is no such file"),
        ("infill silent.mid --bars 1", 1, "the prompt has no notes"),
        ("infill in.mid --bars 2 --model filing", 1, "did you mean 'filling'"),
        ("infill", 2, "PROMPT"),
        ("accompany melody.mid --bars 2", 2, "--bars"),
        ("accompany melody.mid --tracks Altoo", 1, "the model can add: Soprano, Alto"),
    ],
)
def test_bad_input_is_one_line_that_says_what_to_do(capsys, command, code, message):
    Path("bad.toml").write_text("tempo = 90\n")
    files.write(Score((Track("Soprano"),)), "silent.mid")
    before = Path("in.mid").read_bytes(), Path("melody.mid").read_bytes()
    assert run(command) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.startswith("partimento: error: ")
    assert err.count("\n") == 1
    assert made() == ["bad.toml", "silent.mid"]
    assert (Path("in.mid").read_bytes(), Path("melody.mid").read_bytes()) == before
