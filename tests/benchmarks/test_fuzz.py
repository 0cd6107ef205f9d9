from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.fuzz_formats import FORMATS
from benchmarks.mutations import mutated, mutated_config, mutated_zip
from partimento.seeds import generator

from support.source import ROOT


def test_readers_are_total_for_a_few_seconds(tmp_path: Path) -> None:
    names = ("abc", "kern", "chart", "soundfont")
    command = [
        sys.executable, "-m", "benchmarks.fuzz", "--quick", "--formats", ",".join(names),
        "--out", str(tmp_path / "found"),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    figures = json.loads(done.stdout.splitlines()[-1])
    for name in names:
        assert figures[name]["tried"] > 0
        assert [figures[name][kind] for kind in ("foreign", "slow", "big")] == [0, 0, 0], (
            done.stderr[-2000:]
        )


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"model_folder"}))
def test_the_seeds_are_valid(name: str) -> None:
    seeds = FORMATS[name].make()
    assert 0 < len(seeds) <= 4
    assert max(map(len, seeds)) < 200_000


@given(st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_an_input_is_its_number(seed: int) -> None:
    seeds = [b"X:1\nK:C\nCDEF|\n" * 9, b"another 12 of 34"]
    one = mutated(seeds, generator(seed))
    assert one == mutated(seeds, generator(seed))
    assert len(one) <= 2**18
    config = mutated_config('{"a": {"b": [1, 2]}, "c": ""}', generator(seed))
    assert config == mutated_config('{"a": {"b": [1, 2]}, "c": ""}', generator(seed))


def test_archives_are_spoilt_inside_too(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("a.abc", b"X:1\nK:C\nC|\n")
    data = path.read_bytes()
    made = [mutated_zip([data], generator(seed)) for seed in range(30)]
    for number, each in enumerate(made):
        (tmp_path / str(number)).write_bytes(each)
    assert sum(zipfile.is_zipfile(tmp_path / str(n)) for n in range(30)) > 10
    assert len(set(made)) > 25
