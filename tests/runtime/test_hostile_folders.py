"""Whatever a config says, a model folder plays or is refused; and one bad folder stops no other."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from partimento import api, catalog
from partimento.catalog import SHIPPED
from partimento.cli.main import main
from partimento.errors import ModelError, PartimentoError

from support.hostile_configs import GONE, WRONG, hostile_copy, mutated, places, play_a_little

TOKENS, GRID = "music-transformer-chorales", "getmusic-four-voices"
SOUND, CURVES = "musika-chorales", "tts-gan-groove"
KNOWN: list[tuple[str, tuple[str | int, ...], Any]] = [
    *((TOKENS, ("network", "window"), value) for value in (-5, 2, 10**6, "768", 768.0, GONE)),
    *((TOKENS, ("network", name), 0) for name in ("layers", "kv_heads", "head_width")),
    (TOKENS, ("network", "kv_heads"), 4096),
    (TOKENS, ("network", "kind"), "recurrent"),
    (TOKENS, ("network", "vocabulary"), 49),
    (TOKENS, ("network", "local_width"), 15),
    (TOKENS, ("representation", "base", "steps_per_bar"), 10**9),
    (TOKENS, ("representation", "base"), {"name": "countdown"}),
    (TOKENS, ("defaults", "temperature"), "hot"),
    (TOKENS, ("defaults", "bars"), 10**9),
    (TOKENS, ("system",), "os.path"),
    (GRID, ("network", "window"), -1),
    (GRID, ("network", "ensembles"), []),
    (GRID, ("representation", "tracks", 0, "voices"), 8),
    (GRID, ("defaults", "infill"), 3),
    (SOUND, ("network", "codec", "decoder_blocks"), [1, 1, 1]),
    (SOUND, ("network", "codec", "size"), 2**30),
    (SOUND, ("network", "codec", "hop"), 2048),
    (SOUND, ("network", "game", "conditions"), 4),
    (SOUND, ("network", "conditions", "tempo"), [float("nan"), 1.0]),
    (CURVES, ("network", "latent"), 33),
    (CURVES, ("network", "level"), 1e300),
    (CURVES, ("representation", "steps"), 16),
]


@pytest.mark.parametrize("case", KNOWN, ids=[str(at) for at in range(len(KNOWN))])
def test_a_wrong_value_is_refused_before_anything_plays(
    tmp_path: Path, case: tuple[str, tuple[str | int, ...], Any]
) -> None:
    model, place, value = case
    config = hostile_copy(model, tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(mutated(config, place, value)))
    with pytest.raises(PartimentoError) as caught:
        play_a_little(tmp_path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
    if place != ("system",):
        assert isinstance(caught.value, ModelError)


@pytest.mark.parametrize("model", [TOKENS, GRID, SOUND, CURVES, "music-transformer-piano"])
def test_any_change_of_a_config_plays_or_is_refused(tmp_path: Path, model: str) -> None:
    config = hostile_copy(model, tmp_path)
    draw = np.random.default_rng(3)
    somewhere = list(places(config))
    for at in draw.permutation(len(somewhere))[:10]:
        wrong = WRONG[int(draw.integers(len(WRONG)))]
        changed = json.dumps(mutated(config, somewhere[at], wrong))
        (tmp_path / "config.json").write_text(changed)
        started = time.process_time()
        with contextlib.suppress(PartimentoError):
            play_a_little(tmp_path)
        assert time.process_time() - started < 10


def test_one_bad_folder_stops_no_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in {
        "empty": "", "text": '"x"', "number": "[" * 100_000, "keys": '{"format": 2}',
        "escape": '{"format": 2, "name": "\\u001b[2J"}',
    }.items():  # fmt: skip
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(text)
    shutil.copytree(SHIPPED / CURVES, tmp_path / "altered")
    (tmp_path / "altered" / "config.json").write_text(
        (SHIPPED / CURVES / "config.json").read_text().replace("decoder.fp32", "../decoder.fp32")
    )
    monkeypatch.setenv(catalog.MODELS_VARIABLE, str(tmp_path))
    names = {info.name for info in api.models()}
    assert {TOKENS, GRID, SOUND, CURVES} <= names
    assert {each.path.name for each in api.skipped_models()} == {
        "empty", "text", "number", "keys", "escape", "altered",
    }  # fmt: skip
    assert main(["models"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("Left out:") == 6
    assert "\x1b" not in shown
    assert main(["describe", TOKENS]) == 0
    assert main(["describe", "keys"]) == 1
    assert "config.json" in capsys.readouterr().err
    target = tmp_path / "out.mid"
    assert main(["generate", "--bars", "1", "--seed", "1", "-o", str(target)]) == 0
    assert target.exists()
