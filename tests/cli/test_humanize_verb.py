from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from partimento import api, catalog, files
from partimento.cli.main import main
from partimento.music import Note, Score, Track


def run(command: str) -> int:
    return main(shlex.split(command))


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Run in a folder with a score, where one untrained model humanizes."""
    torch = pytest.importorskip("torch")
    from partimento.systems.tts_gan import PRESETS
    from partimento.systems.tts_gan.training import training_task

    torch.manual_seed(0)
    training_task(PRESETS["tiny"]).export(tmp_path / "models" / "hand", {})
    monkeypatch.setenv(catalog.MODELS_VARIABLE, str(tmp_path / "models"))
    monkeypatch.setattr(catalog, "SHIPPED", tmp_path / "none")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    line = tuple(Note(240 * at, 60 + at % 5, 240) for at in range(32))
    files.write(Score((Track("Line", line),)), Path("in.mid"))
    files.write(Score(), Path("silent.mid"))
    return folder


def test_a_score_is_humanized_and_replayed(here, capsys):
    before = Path("in.mid").read_bytes()
    assert run("humanize in.mid -o out.mid --amount 0.7 --seed 3 --threads 1") == 0
    out, err = capsys.readouterr()
    assert "Humanized 32 notes with hand, amount 0.7, seed 3" in out
    assert "Wrote out.mid" in out
    assert err == ""
    assert Path("in.mid").read_bytes() == before
    assert api.read_score("out.mid").notes != api.read_score("in.mid").notes
    assert run("humanize in.mid -o two.mid --amount 0.7 --seed 3 --threads 1 --model hand") == 0
    assert Path("two.mid").read_bytes() == Path("out.mid").read_bytes()
    assert run("replay out.mid -o again.mid") == 0
    assert "the same bytes as out.mid" in capsys.readouterr().out
    assert Path("again.mid").read_bytes() == Path("out.mid").read_bytes()


def test_the_name_is_made_where_none_is_given(here):
    assert run("humanize in.mid --seed 1") == 0
    assert Path("in-humanized.mid").is_file()


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        ("humanize in.mid -o in.mid", 1, "is the piece that was read"),
        ("humanize in.mid -o ./in.mid", 1, "is the piece that was read"),
        ("humanize silent.mid -o out.mid", 1, "no notes to humanize"),
        ("humanize none.mid -o out.mid", 1, "none.mid"),
        ("humanize in.mid -o out.mid --amount 1.5", 1, "amount must be in 0..1, not 1.5"),
        ("humanize in.mid -o out.mid --amount -1", 1, "amount must be in 0..1, not -1"),
        (
            "humanize in.mid -o out.mid --seed -1",
            1,
            "seed must be in 0..9223372036854775807, not -1",
        ),
        ("humanize in.mid -o out.mid --seed 1.5", 2, "--seed: 1.5 is not a whole number"),
        ("humanize in.mid -o out.mid --threads 0", 1, "threads must be in 1..1024, not 0"),
        ("humanize in.mid -o out.mid --threads -3", 1, "threads must be in 1..1024, not -3"),
        ("humanize in.mid -o out.doc", 1, "cannot be written"),
        ("humanize in.mid -o out.mid --model nobody", 1, "no model is called 'nobody'"),
        ("generate --model hand -o out.mid", 1, "tts_gan cannot generate; it can humanize"),
        ("humanize", 2, "SCORE"),
    ],
)
def test_bad_input_is_one_line(here, capsys, command, code, message):
    assert run(command) == code
    err = capsys.readouterr().err
    assert err.startswith("partimento: error: ")
    assert err.count("\n") == 1
    assert message in err
    assert not Path("out.mid").exists()
