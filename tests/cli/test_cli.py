from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from partimento import api, files
from partimento import evaluation as measuring
from partimento.cli.main import VERBS, main
from partimento.errors import MissingExtra
from partimento.music import Score, Timeline

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "guide" / "cli.md"


def run(command: str) -> int:
    return main(shlex.split(command))


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Run each test in a folder of its own."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("PARTIMENTO_DEBUG", raising=False)
    return folder


def made() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


def test_generate_alone_writes_notes_and_sound_and_says_so(hum, capsys):
    assert run("generate") == 0
    names = made()
    assert [Path(name).suffix for name in names] == [".mid", ".wav"]
    out, err = capsys.readouterr()
    assert err == ""
    assert "Made 4 bars" in out
    assert "with humming, seed" in out
    assert all(name in out for name in names)


def test_generate_takes_all_its_options(hum, capsys):
    command = (
        "generate --bars 4 --tempo 100 --key Am --time-signature 3/4 --range C3-C5 "
        "--range Hum=C3-C6 --polyphony 4 --max-silence 2 --seed 7 --temperature 0.8 --top-p 0.9 "
        "--top-k 5 --min-p 0.1 --humanize 0 --set loudness=44 --model humming --precision fp32 "
        "--threads 1 -o a.mid --out a.png --chords 'Am E'"
    )
    assert run(command) == 0
    assert made() == ["a.mid", "a.png"]
    score = api.read_score("a.mid")
    recipe = json.loads(score.recipe)
    assert len(Timeline(score).bars) == 4
    assert {n.velocity for n in score.notes} == {44}
    assert recipe["controls"] == {
        "temperature": 0.8,
        "top_p": 0.9,
        "top_k": 5,
        "min_p": 0.1,
        "loudness": 44,
    }
    assert recipe["promises"]["ranges"] == {"*": "48-72", "Hum": "48-84"}
    assert (recipe["precision"], recipe["threads"], recipe["seed"]) == ("fp32", 1, 7)


def test_several_samples_bear_their_seeds(hum):
    assert run("generate --bars 1 --seed 3 --num-samples 2 -o x.mid") == 0
    assert made() == ["x-3.mid", "x-4.mid"]


def test_a_config_file_stands_behind_the_command_line(hum):
    Path("o.toml").write_text('bars = 2\n"time-signature" = "3/4"\nseed = 5\nout = ["y.mid"]\n')
    assert run("generate --config o.toml --bars 3") == 0
    score = api.read_score("y.mid")
    assert len(Timeline(score).bars) == 3
    assert str(score.time_signatures[0]) == "3/4"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("[set]\npitch = 3\n", "o.toml.set.pitch: unknown option; known here: loudness"),
        (
            "[set]\nloudness = 300\n",
            "o.toml.set.loudness: must be a number >= 1 and <= 127, not 300",
        ),
        ("temperature = -1\n", "o.toml.temperature: must be a number > 0 and <= 5, not -1"),
        ("bars = 0\n", "bars must be in 1..4096"),
    ],
)
def test_a_wrong_control_in_a_config_file_is_told_by_its_place(hum, capsys, options, message):
    Path("o.toml").write_text(options)
    for verb in ("generate", "stream"):
        assert run(f"{verb} --config o.toml -o x.mid") == 1
        assert message in capsys.readouterr().err
    # What the command line says is not told by the file.
    if "loudness" in options:
        assert run("generate --config o.toml --set loudness=0 -o x.mid") == 1
        assert "error: controls.loudness: must be a number >= 1" in capsys.readouterr().err
        assert run("generate --config o.toml --set loudness=9 --bars 1 -o x.mid") == 0


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        ("generate --bars 0", 1, "bars must be in 1..4096, not 0"),
        ("generate --bars 10000", 1, "bars must be in 1..4096"),
        ("generate --key H", 1, "'H' is no key"),
        ("generate --time-signature 4:4", 1, "is no metre"),
        ("generate --chords Hx", 1, "is no chord"),
        ("generate --num-samples 0", 1, "num_samples must be in 1..10000, not 0"),
        ("generate --set loudness", 1, "is not NAME=VALUE"),
        ("generate --set pitch=3", 1, "controls.pitch: unknown option"),
        ("generate -o missing/x.mid", 1, "there is no folder missing; make it first"),
        ("generate -o x.doc", 1, "cannot be written; known are"),
        ("generate --model hummin", 1, "did you mean 'humming'"),
        ("generate --config none.toml", 1, "none.toml: cannot be read"),
        ("generate --config bad.toml", 1, "bad.toml.temprature: unknown option"),
        ("generate --bars many", 2, "many"),
        ("generate --bars 2.5", 2, "--bars: 2.5 is not a whole number"),
        ("generate --num-samples 1.0", 2, "--num-samples: 1.0 is not a whole number"),
        ("generate --threads 0", 1, "threads must be in 1..1024, not 0"),
        ("doctor --threads -1", 1, "threads must be in 1..1024, not -1"),
        ("generate --modell x", 2, "--modell"),
        ("generat", 2, "did you mean 'generate'?"),
        ("continue", 2, "PROMPT"),
        ("continue none.mid", 1, "there is no such file"),
        ("continue noise.mid", 1, "noise.mid"),
        ("render none.mid", 1, "there is no such file"),
        ("render silent.mid", 1, "silent.mid: has no notes"),
        ("continue silent.mid", 1, "the prompt has no notes to continue"),
        ("replay none.mid", 1, "none.mid"),
        ("replay noise.mid", 1, "noise.mid"),
        ("describe nothing", 1, "no system or model is called 'nothing'"),
        ("export nothing -o out", 1, "no model is called 'nothing'"),
        ("stream --bars 1 -o x.mid --raw", 1, "--raw is for -o -"),
        ("train hum -o out", 2, "train needs DATA; only --resume does without"),
        ("train -o out", 2, "train needs SYSTEM and DATA"),
        ("train hum . -o out --threads 0", 1, "threads must be in 1..1024, not 0"),
        ("train --resume -o out", 1, "out holds no run to resume; start without --resume"),
        ("train nothing . -o out", 1, "no system is called 'nothing'"),
    ],
)
def test_bad_input_is_one_line_that_says_what_to_do(hum, capsys, command, code, message):
    Path("bad.toml").write_text("temprature = 1\n")
    Path("noise.mid").write_bytes(bytes(range(200)))
    files.write(Score(), Path("silent.mid"))
    before = made()
    assert run(command) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("partimento: error: ")
    assert err.count("\n") == 1
    assert message in err
    assert made() == before


def test_a_write_protected_folder_is_found_before_anything_is_made(hum, capsys, monkeypatch):
    monkeypatch.setattr("os.access", lambda *_: False)
    assert run("generate -o x.mid") == 1
    assert "the folder cannot be written" in capsys.readouterr().err


def test_an_altered_model_is_refused(hum, capsys):
    (hum.path / "fp32.onnx").write_bytes(b"other")
    assert run("generate") == 1
    assert "fp32.onnx is not the file it was" in capsys.readouterr().err


def test_unexpected_errors_are_one_line_too(hum, capsys, monkeypatch):
    def broken(*_args, **_options):
        raise RuntimeError("out\nof luck")

    monkeypatch.setattr(api, "load", broken)
    assert run("generate") == 1
    err = capsys.readouterr().err
    assert (
        err == "partimento: error: RuntimeError: out of luck; set PARTIMENTO_DEBUG=1 to see where\n"
    )
    monkeypatch.setenv("PARTIMENTO_DEBUG", "1")
    assert run("generate") == 1
    assert "Traceback" in capsys.readouterr().err


def test_ctrl_c_stops_with_nothing_written(hum, capsys, monkeypatch):
    def stopped(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(api.Instrument, "perform", stopped)
    assert run("generate") == 130
    assert capsys.readouterr().err == "partimento: stopped; nothing was written\n"
    assert made() == []


def test_continue_keeps_the_prompt_and_adds_the_bars(hum, capsys):
    assert run("generate --bars 3 --seed 1 -o in.mid") == 0
    assert run("continue in.mid --bars 8 --seed 2 -o out.mid") == 0
    before, after = api.read_score("in.mid"), api.read_score("out.mid")
    assert len(Timeline(after).bars) == 11
    assert set(before.notes) <= set(after.notes)
    assert run("continue in.mid --seed 2 -o eight.mid") == 0
    assert len(Timeline(api.read_score("eight.mid")).bars) == 11


@pytest.mark.parametrize("suffix", [".mid", ".wav"])
def test_replay_says_whether_the_bytes_are_the_same(hum, capsys, suffix):
    run(f"generate --bars 2 --seed 9 -o a{suffix}")
    capsys.readouterr()
    assert run(f"replay a{suffix}") == 0
    assert f"the same bytes as a{suffix}" in capsys.readouterr().out
    assert Path(f"a-replay{suffix}").read_bytes() == Path(f"a{suffix}").read_bytes()


def test_render_makes_sound_pictures_notation_and_stems(hum):
    run("generate --bars 1 --seed 9 -o a.mid")
    assert run("render a.mid -o a.flac -o a.musicxml -o a.png --stems parts") == 0
    assert run("render a.mid") == 0
    assert made() == ["a.flac", "a.mid", "a.musicxml", "a.png", "a.wav", "parts"]
    assert [path.name for path in Path("parts").iterdir()] == ["a_Hum.wav"]


def test_models_describe_and_doctor_answer_in_words_and_json(hum, capsys):
    assert run("models") == 0
    assert "humming *" in capsys.readouterr().out
    assert run("models --json") == 0
    assert json.loads(capsys.readouterr().out)[0]["name"] == "humming"
    assert run("describe humming") == 0
    out = capsys.readouterr().out
    assert "A model that hums" in out
    assert "loudness" in out
    assert run("describe hum --json") == 0
    assert json.loads(capsys.readouterr().out)["system"] == "hum"
    assert run("doctor --bars 1") == 0
    assert "Advice: " in capsys.readouterr().out
    assert run("doctor --bars 1 --json") == 0
    assert json.loads(capsys.readouterr().out)["models"][0]["name"] == "humming"


def test_export_makes_a_folder_that_plays(hum):
    assert run("export humming -o mine --precision int8") == 0
    assert run("generate --bars 1 --model mine -o a.mid") == 0


def test_help_names_every_verb_and_imports_no_numpy():
    code = (
        "import sys; from partimento.cli.main import main; main(['--help']); "
        "bad = {'numpy', 'onnxruntime', 'symusic', 'PIL', 'pydantic', 'torch'} & set(sys.modules); "
        "print('heavy', sorted(bad))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.endswith("heavy []\n")
    assert all(verb in done.stdout for verb in VERBS)


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_option_stands_in_the_guide_or_in_the_help(verb, capsys):
    assert run(f"{verb} --help") == 0
    assert "Usage" in capsys.readouterr().out
    assert f"`{verb}" in GUIDE.read_text()


def test_options_that_scripts_rely_on_are_in_the_guide():
    text = GUIDE.read_text()
    names = "bars seconds tempo key time-signature chords range polyphony seed temperature top-p"
    for name in [*names.split(), "top-k", "num-samples", "model"]:
        assert f"`--{name}" in text


def test_files_that_are_written_can_be_read(hum):
    run("generate --bars 1 --seed 1 -o a.wav -o a.mid")
    assert files.read_recipe("a.wav") == files.read_recipe("a.mid") != ""


def test_evaluate_prints_a_table_and_saves_plots(hum, capsys, monkeypatch):
    for folder, seed in (("made", 1), ("real", 20)):
        Path(folder).mkdir()
        command = f"generate --bars 4 --seed {seed} --num-samples 4 -o {folder}/x.mid"
        assert run(command) == 0
    capsys.readouterr()
    assert run("evaluate made --reference real --json --no-plots") == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["generated"]) == len(found["reference"]) == 4
    assert found["copies_from"].startswith("real")
    assert not Path("made/evaluation").exists()
    drawn = []
    monkeypatch.setattr(measuring, "save_plots", lambda _report, folder: drawn.append(folder))
    assert run("evaluate made --reference real --training real") == 0
    out, err = capsys.readouterr()
    assert "overlapped area" in out
    assert "made/evaluation" in err
    assert drawn == [Path("made/evaluation")]

    def without(*_args):
        raise MissingExtra("drawing plots", "plots")

    monkeypatch.setattr(measuring, "save_plots", without)
    assert run("evaluate made --reference real --plots p") == 0
    assert "partimento[plots]" in capsys.readouterr().err


def test_evaluate_wants_pieces_and_likelihoods(hum, capsys):
    Path("made").mkdir()
    assert run("evaluate made --reference made") == 1
    assert "made: " in capsys.readouterr().err
    assert run("generate --bars 1 -o made/a.mid") == 0
    assert run("evaluate made --reference made --model humming") == 1
    assert "has no likelihoods" in capsys.readouterr().err
