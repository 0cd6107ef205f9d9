"""The whole program as a process of its own: pipes, full devices and signals."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from partimento import api, files
from partimento.cli.main import VERBS, main
from partimento.recipe import parse_recipe

ROOT = Path(__file__).parents[2]
MODEL = "music-transformer-chorales"

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and /dev/full are POSIX")


def start(command: str, folder: Path, **more) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "partimento", *shlex.split(command)]
    path = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(words, cwd=folder, env=path, stderr=subprocess.PIPE, **more)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("command", ["--help", "models", "stream --bars 1 -o - --seed 1"])
def test_a_full_device_is_said(tmp_path, command):
    with Path("/dev/full").open("wb") as full:
        program = start(command, tmp_path, stdout=full)
        err = program.communicate(timeout=120)[1].decode()
    assert program.returncode == 1
    assert "standard output" in err
    assert "no space left on device" in err or "the disk is full" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("how", ["SIGHUP", "SIGTERM", "pipe"])
def test_whatever_stops_a_stream_leaves_whole_files(tmp_path, how):
    pipe = "-o -" if how == "pipe" else ""
    command = f"stream --seed 1 --model {MODEL} -o s.flac -o s.wav -o s.mid --verbose {pipe}"
    program = start(command, tmp_path, stdout=subprocess.PIPE)
    assert program.stderr is not None
    assert program.stdout is not None
    if how == "pipe":
        assert program.stdout.read(1_200_000)  # two bars and a little
        program.stdout.close()
        program.stdout = None
    else:
        for line in program.stderr:
            if line.startswith(b"bar 2"):
                break
        program.send_signal(getattr(signal, how))
    err = program.communicate(timeout=120)[1].decode()
    assert program.returncode == (1 if how == "pipe" else 0)
    assert "wrote s.flac, s.wav, s.mid" in err
    recipes = [parse_recipe(files.read_recipe(tmp_path / f"s{e}"), e) for e in (".flac", ".wav")]
    bars = recipes[0].stopped_after_bars
    assert bars is not None
    assert bars >= 2
    assert recipes[1].stopped_after_bars == bars
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.flac", "s.mid", "s.wav"]
    assert api.replay(tmp_path / "s.wav").is_same()


def test_a_disk_limit_leaves_the_older_file(tmp_path):
    (tmp_path / "s.flac").write_bytes(b"old")
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000)); "
        "from partimento.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    command = f"stream --bars 4 --seed 1 --model {MODEL} -o s.flac --force"
    done = subprocess.run(
        [sys.executable, "-c", code, *shlex.split(command)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert "s.flac: cannot be written: the file is too large for this disk" in done.stderr
    assert (tmp_path / "s.flac").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["s.flac"]


def test_sigterm_leaves_nothing_half_written(tmp_path):
    program = start(f"generate --bars 400 --model {MODEL} -o a.wav", tmp_path)
    time.sleep(3)
    program.send_signal(signal.SIGTERM)
    err = program.communicate(timeout=60)[1].decode()
    assert program.returncode == 130
    assert "stopped; nothing was written" in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_help_shows_examples(verb, capsys):
    assert main([verb, "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for example in VERBS[verb][3]:
        assert example in shown
        assert example.startswith(f"partimento {verb}")


def test_messages_are_short(capsys):
    assert main(["generate", "--bars", "1" * 5000]) == 2
    assert len(capsys.readouterr().err) < 500
    assert main(["x" * 5000]) == 2
    assert len(capsys.readouterr().err) < 500
