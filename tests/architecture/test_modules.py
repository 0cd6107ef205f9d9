"""What every module keeps: its public names, its budget, and what it does not use."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from support.source import MODULES, PACKAGE, ROOT, Module

MAX_LINES, MAX_FUNCTION, MAX_PARAMETERS = 500, 60, 10
BUILDS = re.compile(r"training/.*|systems/\w+/(networks|published_codec|training)\.py")
TORCH = ("onnx", "safetensors", "torch")
DEVICE_FILES = ("training/device.py", "training/distributed.py")
GENERATORS = ("BitGenerator", "Generator", "PCG64", "SeedSequence", "default_rng")
MACHINES = re.compile(r"(?<![\w.:/-])/(?:work|root|tmp|home|mnt)\b|\bissues? #?\d")
SYSTEM_FILES = [
    "__init__.py",
    "card.py",
    "inference.py",
    "networks.py",
    "published_codec.py",
    "training.py",
]


def listed(module: Module) -> list[str] | None:
    """Return ``__all__``, or None where there is none."""
    for node in module.tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    return None


def bound(nodes: list[ast.stmt]) -> Iterator[str]:
    """Yield the names that statements at the top of a module bind."""
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                yield (alias.asname or alias.name).split(".")[0]
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                yield from (n.id for n in ast.walk(target) if isinstance(n, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id
        elif isinstance(node, ast.If | ast.Try):
            yield from bound(node.body)


def order(name: str) -> tuple[int, str]:
    """Return the key by which ``__all__`` is sorted: constants, classes, functions."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


def _public(module: Module) -> set[str]:
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    names = {node.name for node in module.tree.body if isinstance(node, kinds)}
    return {name for name in names if not name.startswith("_")}


def test_all_is_sorted_and_exact() -> None:
    wrong = []
    for module in MODULES:
        names = listed(module) or []
        if names != sorted(set(names), key=order):
            wrong.append(f"{module.place}: __all__ is not sorted")
        lacks, knows_not = _public(module) - set(names), set(names) - set(bound(module.tree.body))
        wrong += [f"{module.place}: {name} is not in __all__" for name in sorted(lacks)]
        wrong += [f"{module.place}: there is no {name}" for name in sorted(knows_not)]
    assert not wrong


def test_budgets() -> None:
    wrong = []
    for module in MODULES:
        lines = len(module.text.splitlines())
        if lines > MAX_LINES:
            wrong.append(f"{module.place}: {lines} lines")
        for node in module.nodes:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                if length > MAX_FUNCTION:
                    wrong.append(f"{module.place}:{node.lineno} {node.name}: {length} lines")
                given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                if node.name == "__init__" and len(given) - 1 > MAX_PARAMETERS:
                    wrong.append(f"{module.place}:{node.lineno}: {len(given) - 1} parameters")
    assert not wrong


def test_no_global_luck_no_pickle_no_device() -> None:
    wrong = [
        f"{module.place}:{found.line} imports {found.module}"
        for module in MODULES
        for found in module.imports
        if found.module.split(".")[0] in ("pickle", "random", "shelve", "dill", "joblib")
    ]
    for module in MODULES:
        for name, line in module.mentions:
            drawn = re.fullmatch(r"(?:np|numpy)\.random\.(\w+)", name)
            if (
                (drawn and drawn[1] not in GENERATORS)
                or (name.endswith("torch.manual_seed") and module.part != "training")
                or (re.search(r"\.cuda\b", name) and module.place not in DEVICE_FILES)
            ):
                wrong.append(f"{module.place}:{line} {name}")
        if re.search(r"allow_pickle\s*=\s*True", module.text):
            wrong.append(f"{module.place}: allow_pickle")
    assert not wrong


def test_torch_stays_in_training() -> None:
    wrong = [
        f"{module.place}:{found.line} imports {found.module}"
        for module in MODULES
        for found in module.imports
        if found.module.split(".")[0] in TORCH and not BUILDS.fullmatch(module.place)
    ]
    assert not wrong


def test_graphs_are_opened_in_one_place() -> None:
    """There session options make int8 products exact; the exporter quantises, and opens none."""
    wrong = [
        f"{module.place}:{found.line} imports {found.module}"
        for module in MODULES
        for found in module.imports
        if found.module.split(".")[0] == "onnxruntime"
        and module.place != "runtime/sessions.py"
        and not found.module.startswith("onnxruntime.quantization")
    ]
    assert not wrong


def test_no_class_name_has_two_meanings() -> None:
    places: dict[str, list[str]] = {}
    for module in MODULES:
        for node in module.nodes:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(f"{module.place}:{node.lineno}")
    assert not {name: where for name, where in places.items() if len(where) > 1}


def test_families_are_folders() -> None:
    """A module that belongs to a family stands in its folder and does not bear its name."""
    wrong = [
        module.place
        for module in MODULES
        if module.part in ("runtime", "training")
        and re.match(r"(audio|grid|roll|series|token)s?_", module.path.stem)
        and module.place not in ("training/export/grid_graph.py",)
    ]
    assert not wrong


def test_docstrings_and_names() -> None:
    silent = [module.place for module in MODULES if not ast.get_docstring(module.tree)]
    assert not silent
    vague = ("common", "helpers", "misc", "util", "utils")
    assert not [module.place for module in MODULES if module.path.stem in vague]


def test_a_system_is_a_few_short_files() -> None:
    for folder in sorted((PACKAGE / "systems").iterdir()):
        if folder.is_dir() and folder.name != "__pycache__":
            files = [path.name for path in sorted(folder.iterdir()) if path.name != "__pycache__"]
            assert {"__init__.py", "card.py", "training.py"} <= set(files), folder.name
            assert [name for name in files if name not in SYSTEM_FILES] == [], folder.name
            for path in folder.glob("*.py"):
                assert len(path.read_text(encoding="utf-8").splitlines()) <= 250, path


def test_a_system_is_named_in_its_own_places_only() -> None:
    """Adding a system touches no list: its name stands in its folder, and in models' names."""
    systems = (PACKAGE / "systems").iterdir()
    # A melody is a word of music as well, and stands in many lists of features and parts.
    names = [p.name for p in systems if (p / "card.py").exists() and p.name != "melody"]
    wrong = [
        f"{module.place}:{node.lineno} names {node.value}"
        for module in MODULES
        if module.part != "systems"
        for node in module.nodes
        if isinstance(node, ast.Constant) and node.value in names
    ]
    assert not wrong


def test_the_project_speaks_of_itself_alone() -> None:
    """No paths of one machine and no numbers of a tracker stand in what is published."""
    files = [
        *PACKAGE.rglob("*.py"),
        *PACKAGE.rglob("*.md"),
        *ROOT.glob("*.md"),
        ROOT / "pyproject.toml",
    ]
    for folder in ("docs", "benchmarks"):
        files += [*(ROOT / folder).rglob("*.md"), *(ROOT / folder).rglob("*.py")]
    wrong = [
        f"{path.relative_to(ROOT)}:{number} {found.group()}"
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if (found := MACHINES.search(line))
    ]
    assert not wrong
