"""Codes of sound at the command line: written, gone on from, kept when Ctrl-C comes."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from systems.test_jukebox import untrained

from partimento.cli.main import EXIT_INTERRUPTED, main
from partimento.runtime.audio_tokens.performer import CodesPerformer
from partimento.runtime.codes import Codes
from partimento.runtime.contract import Draft


def run(command: str) -> int:
    return main(shlex.split(command))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained(tmp_path_factory.mktemp("codes") / "tiny")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("signal.signal", lambda *_: None)


def test_codes_are_written_and_gone_on_from(model: Path) -> None:
    first = f"generate --model {model} --seconds 1 --seed 3 --codes a.npz -o a.wav"
    assert run(first) == 0
    assert {"level0", "level1"} <= set(Codes.load("a.npz").arrays)
    assert run(f"continue a.npz --model {model} --seconds 2 --seed 4 --codes b.npz -o b.wav") == 0
    assert soundfile.info("b.wav").frames == 88_200
    old, new = (Codes.load(name).arrays["level0"] for name in ("a.npz", "b.npz"))
    np.testing.assert_array_equal(new[: len(old)], old)


def test_the_top_level_alone_is_upsampled_later(model: Path) -> None:
    asked = f"generate --model {model} --seconds 1 --set levels=1 --codes top.npz -o draft.wav"
    assert run(asked) == 0
    assert "level0" not in Codes.load("top.npz").arrays
    assert run(f"continue top.npz --model {model} --codes whole.npz -o whole.wav") == 0
    assert "level0" in Codes.load("whole.npz").arrays
    # As long as its codes: a second and what is left of the last code.
    assert 44_100 <= soundfile.info("whole.wav").frames < 44_100 + 1024


def test_ctrl_c_between_levels_keeps_what_is_done(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    play = CodesPerformer.stream

    def stream(self: CodesPerformer, *given: Any) -> Iterator[Any]:
        for each in play(self, *given):
            yield each
            if isinstance(each, Draft):
                raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(CodesPerformer, "stream", stream)
        code = run(f"generate --model {model} --seconds 1 --seed 3 -o a.wav")
    assert code == EXIT_INTERRUPTED
    assert not Path("a.wav").exists()
    assert "partimento continue a.npz" in capsys.readouterr().err
    assert "level1" in Codes.load("a.npz").arrays
    assert run(f"continue a.npz --model {model} --seed 3 -o a.wav") == 0


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("generate --model {model} --seconds 1 --codes a.txt", "saved as .npz"),
        ("generate --model {model} --seconds 1 --num-samples 2 --codes a.npz", "one piece"),
        ("generate --seconds 1 --codes a.npz", "has no codes"),
        ("continue none.npz --model {model}", "none.npz"),
        ("generate --model {model} --seconds 1 --set artist=Nobody", "it knows: Ann, Bob"),
    ],
)
def test_what_cannot_be_is_refused(
    model: Path, command: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(command.format(model=model)) not in (0, EXIT_INTERRUPTED)
    told = capsys.readouterr().err
    assert words in told
    assert "Traceback" not in told


def test_codes_are_no_prompt_of_other_models(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(f"generate --model {model} --seconds 1 --codes a.npz -o a.wav") == 0
    for name in ("musika-chorales", "music-transformer-chorales"):
        assert run(f"continue a.npz --model {name} -o b.wav") != 0
        assert "codes" in capsys.readouterr().err
