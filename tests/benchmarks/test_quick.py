"""Benchmarks run with ``--quick`` on composed music, and all have targets that can fail."""

from __future__ import annotations

import ast
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import rivals
from benchmarks.harness import Options

from support.source import ROOT
from support.tiny_pack import tiny_pack

# Module: options of its own, and keys that must be there.
QUICK: dict[str, tuple[dict[str, str], set[str]]] = {
    "jsb": ({}, {"nll_test", "nll_test_int8", "nll_absolute", "nll_relative_384", "int8_cost"}),
    "harmonise": ({"only": "copyist,ngram"}, {"copyist", "ngram", "bach"}),
    "decode": ({}, {"tokens_per_s_b1", "fp32_tokens_per_s_b16", "shipped_floor_ratio_b1"}),
    "seqgan_oracle": ({}, {"gain", "belief_r", "nll_cooler"}),
    "musika_training": ({}, {"stages"}),
    "graphs": ({}, {"difference", "ratio_b1"}),
    "melody_control": ({}, {"chords", "chords_ceiling", "tempo_r", "density_r", "words"}),
    "melody_speed": ({}, {"realtime_factor", "first_sound_s", "memory_ratio", "eager_ratio"}),
    "batching": ({}, {"gain", "first_of_batch", "same", "same_again", "holds"}),
    "performance_rules": ({}, {"tried", "refused", "broken", "not_kept_as_written"}),
    "humanize": ({}, {"js_velocity", "js_offset", "judge", "jitter"}),
    "vae_or_vq": ({}, {"gaussian", "vq", "fsq", "same_bits"}),
    "jukebox_codec": ({}, {"level0", "opus", "griffin_lim", "trained"}),
    "jukebox_quality": ({}, {"generated", "bound_0", "shuffled", "untrained", "nll", "style"}),
    "jukebox_speed": ({}, {"seconds_20s", "first_preview_s", "levels", "eager_ratio"}),
}


def started() -> dict[str, ast.Call]:
    """Return the call of ``start`` of each benchmark."""
    found = {}
    for path in sorted((ROOT / "benchmarks").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            if is_call and node.func.id == "start":  # type: ignore[union-attr]
                found[path.stem] = node
    return found


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_pack(tmp_path_factory.mktemp("data"))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", sorted(QUICK))
def test_quick(name: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARTIMENTO_DATA", str(data))
    monkeypatch.setattr(rivals, "RUNS", tmp_path)  # no trained rival is there
    more, keys = QUICK[name]
    module = import_module(f"benchmarks.{name}")
    threads = torch.get_num_threads()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            figures: dict[str, Any] = module.run(Options(str(data), quick=True, more=more))
    finally:
        torch.set_num_threads(threads)
    assert keys <= figures.keys()
    targets = getattr(module, "TARGETS", {})
    for key in targets.keys() & figures.keys():
        assert targets[key](figures[key]) in (True, False)


def test_a_rival_that_is_not_there_is_told_with_its_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(rivals, "RUNS", tmp_path / "runs")
    assert rivals.found("jsb-lstm") is None
    told = capsys.readouterr().err
    assert "train performance_rnn jsb_chorales --preset chorales -o runs/jsb-lstm" in told


def test_every_benchmark_has_targets() -> None:
    calls = started()
    assert len(calls) > 20
    without = [
        name
        for name, call in calls.items()
        if len(call.args) < 3 and "targets" not in {each.arg for each in call.keywords}
    ]
    assert without == []


def test_a_quick_seed_is_never_taken_for_a_full_one(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARTIMENTO_DATA", str(data))
    table = import_module("benchmarks.seqgan_table")
    one = {"bleu": 0.5, "self_bleu": 0.5, "mse": 1.0}
    names = ("mle", "mle_t0.9", "seqgan", "mle_equal")
    asked: list[tuple[bool, int]] = []

    class Task:
        def __init__(self, quick: bool) -> None:
            self.quick = quick

        def seed(self, seed: int) -> dict[str, dict[str, float]]:
            asked.append((self.quick, seed))
            return {name: {**one, "bleu": 0.5 + 0.01 * seed} for name in names}

    monkeypatch.setattr(table, "Task", Task)
    more = {"cache": str(tmp_path), "seeds": "2"}
    for quick in (True, False, False):
        table.run(Options(str(data), quick, more))
    assert asked == [(True, 0), (True, 1), (False, 0), (False, 1)]


def test_kept_models_are_small() -> None:
    sizes = [path.stat().st_size for path in (ROOT / "benchmarks" / "models").rglob("*.*")]
    assert sum(sizes) <= 8 * 2**20
