"""The package as source: every module parsed once."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "partimento"


@dataclass(frozen=True)
class Import:
    """One import: the module it names, the names taken from it, its line, and where it stands."""

    module: str
    names: tuple[str, ...]
    line: int
    in_function: bool
    for_types: bool  # under ``if TYPE_CHECKING``


@dataclass(frozen=True)
class Module:
    """One source file."""

    path: Path

    @property
    def place(self) -> str:
        """The path inside the package, for messages and lists: ``training/loop/trainer.py``."""
        return self.path.relative_to(PACKAGE).as_posix()

    @property
    def name(self) -> str:
        """The dotted name."""
        parts = ("partimento", *self.path.relative_to(PACKAGE).with_suffix("").parts)
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def part(self) -> str:
        """The first name under the package; empty for the package itself."""
        return [*self.name.split("."), ""][1]

    @cached_property
    def text(self) -> str:
        """The source."""
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        """The parsed source."""
        return ast.parse(self.text, self.place)

    @cached_property
    def imports(self) -> tuple[Import, ...]:
        """Every import, wherever it stands."""
        return tuple(_imports(self.tree, False, False))

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """Every node of the tree."""
        return tuple(ast.walk(self.tree))

    @cached_property
    def mentions(self) -> tuple[tuple[str, int], ...]:
        """(Dotted name, line) of every attribute or name that the code mentions."""
        return tuple(_mentions(self.nodes))


def _mentions(nodes: tuple[ast.AST, ...]) -> Iterator[tuple[str, int]]:
    for node in nodes:
        if isinstance(node, ast.Name):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute):
            parts = [node.attr]
            inner = node.value
            while isinstance(inner, ast.Attribute):
                parts.append(inner.attr)
                inner = inner.value
            parts.append(inner.id if isinstance(inner, ast.Name) else "")
            yield ".".join(reversed(parts)), node.lineno


def _imports(node: ast.AST, in_function: bool, for_types: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(alias.name, (), child.lineno, in_function, for_types)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "imports are absolute"
            names = tuple(alias.name for alias in child.names)
            yield Import(str(child.module), names, child.lineno, in_function, for_types)
        inside = in_function or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
        typing = for_types or (
            isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
        )
        yield from _imports(child, inside, typing)


MODULES = tuple(Module(path) for path in sorted(PACKAGE.rglob("*.py")))
NAMES = {module.name for module in MODULES}


def targets(found: Import) -> set[str]:
    """Return the modules of ours that an import loads by name."""
    if found.module.split(".")[0] != "partimento":
        return set()
    inner = {f"{found.module}.{name}" for name in found.names} & NAMES
    whole = {name for name in found.names if f"{found.module}.{name}" not in NAMES}
    return inner if inner and not whole else inner | {found.module}
