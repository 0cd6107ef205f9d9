"""What stands in the pages of the project: code blocks, commands, tables."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "guide"
PAGES = (
    ROOT / "README.md",
    ROOT / "ARCHITECTURE.md",
    ROOT / "CHANGELOG.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
)
SHELL = ("", "sh", "bash", "console")


def name_of(page: Path) -> str:
    """Return the path of a page inside the project."""
    return page.relative_to(ROOT).as_posix()


def blocks(text: str) -> list[tuple[str, str]]:
    """Return (language, content) of every fenced block."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def prose(text: str) -> str:
    """Return a page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def commands(text: str) -> list[list[str]]:
    """Return the arguments of every call of ``partimento`` in a page's shell blocks and words."""
    lines = [
        line
        for language, content in blocks(text)
        if language in SHELL
        for line in content.replace("\\\n", " ").splitlines()
    ]
    spans = re.findall(r"`(partimento [^`]+)`", prose(text).replace("\n", " "))
    lines += [span for span in spans if not re.search(r"\b[A-Z]{4,}", span)]
    found = []
    for line in lines:
        for words in _simple_commands(line):
            arguments = _arguments(words)
            if arguments is not None:
                found.append(arguments)
    return found


def _simple_commands(line: str) -> list[list[str]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;")
    lexer.whitespace_split = True
    found: list[list[str]] = [[]]
    for word in lexer:
        if set(word) <= set("|&;"):
            found.append([])
        else:
            found[-1].append(word)
    return found


def _arguments(words: list[str]) -> list[str] | None:
    """Return what follows ``partimento`` or ``-m partimento``; None for another program."""
    if words[:1] == ["partimento"]:
        return words[1:]
    for at, word in enumerate(words[:-1]):
        if word == "-m" and words[at + 1] == "partimento":
            return words[at + 2 :]
    return None


def rows(text: str) -> list[list[str]]:
    """Return the cells of every table row, without the lines under the heads."""
    found = []
    for line in prose(text).splitlines():
        if line.startswith("|") and not re.fullmatch(r"[|\s:-]+", line):
            found.append([cell.strip() for cell in line.strip("|").split("|")])
    return found
