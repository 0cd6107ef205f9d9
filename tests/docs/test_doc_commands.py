from __future__ import annotations

import os
import re
import subprocess

import pytest

from partimento.cli.main import VERBS, main, make_app

from support.doc_pages import GUIDE, PAGES, ROOT, blocks, commands, name_of

CALLS = [
    pytest.param(call, id=f"{name_of(page)}-{' '.join(call)}")
    for page in PAGES
    for call in commands(page.read_text())
]
README_COMMANDS = (
    "pip install . && partimento generate --bars 16 --seed 7 -o first.wav",
    "pip install '.[dev]' && pytest",
)


@pytest.mark.parametrize("call", CALLS)
def test_every_command_in_the_pages_parses(call):
    verb = call[:1] if call != ["--help"] else []
    assert all(word in VERBS for word in verb)
    if call[1:] not in ([], ["--help"]):  # a verb alone is a mention
        make_app().parse_args(call, exit_on_error=False, print_error=False)


def test_the_pages_call_every_verb():
    assert {call.values[0][0] for call in CALLS} >= set(VERBS)


def test_ci_takes_the_two_commands_from_the_readme():
    lines = [
        line for _, text in blocks((ROOT / "README.md").read_text()) for line in text.split("\n")
    ]
    assert [line for line in lines if line in README_COMMANDS] == list(README_COMMANDS)
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    told = subprocess.run([script, "--commands"], capture_output=True, text=True, check=True)
    assert told.stdout.splitlines() == list(README_COMMANDS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_of_a_verb_is_in_the_guide(verb, capsys):
    assert main([verb, "--help"]) == 0
    options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", capsys.readouterr().out)) - {"--help"}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", (GUIDE / "cli.md").read_text()))
    assert options - named == set()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_benchmark_that_is_named_exists(page):
    for name in re.findall(r"python -m benchmarks\.(\w+)", page.read_text()):
        assert (ROOT / "benchmarks" / f"{name}.py").is_file()
