"""One way down: imports point strictly down these tables; parts of one row do not know each other.

A part is a package or a module right under ``partimento``. Inside a package, ``INSIDE`` gives the
rows of its own parts; a package that is not named there only may not have cycles.
"""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

import pytest

from support.source import MODULES, Module, targets

LAYERS = (
    ("cli",),
    ("studio",),
    ("server",),
    ("api",),
    ("doctor", "evaluation"),
    ("generation",),
    ("playback", "training_runs"),
    ("recipe",),
    ("catalog",),
    ("systems",),
    ("training",),
    ("runtime",),
    ("samplers",),
    ("files", "metrics", "representations", "sound"),
    ("analysis",),
    ("config", "music", "seeds"),
    ("errors", "messages"),
)
INSIDE = {
    "generation": (
        ("loading", "streaming"),
        ("humanize", "instrument"),
        ("assemble", "ranking"),
        ("requests",),
        ("editing", "endings", "prompts", "result"),
        ("options",),
    ),
    "playback": (("sinks",), ("destinations",)),
    # Families stand beside each other: what two of them need lies in the rows below.
    "runtime": (
        ("audio_tokens",),  # over audio: its sound, its presets
        ("audio", "curves", "grids", "tokens"),
        ("decoders",),
        ("model_folder", "presets", "sessions"),
        ("contract", "onnx_files", "run_folder", "threads"),
        ("codes", "conditions"),
    ),
    "training": (
        ("policy_gradient",),
        ("audio_tokens",),
        ("audio", "curves", "grids", "tokens"),
        ("loop",),
        ("export",),
        ("nn", "objectives"),
        ("contract", "data", "device", "distributed"),
    ),
    "files": (
        ("recipes",),
        ("corpora",),
        ("formats",),
        ("pictures",),
        ("musicxml",),
        ("abc", "audio", "chord_charts", "kern", "midi"),
        ("notation",),
        ("barlines", "limits", "names", "unsupported"),
        ("atomic",),
    ),
}


def _heights(rows: tuple[tuple[str, ...], ...]) -> dict[str, int]:
    return {part: -row for row, parts in enumerate(rows) for part in parts}


HEIGHT = _heights(LAYERS)

# The package itself hands out what ``api`` has, when it is first asked for; the rest may ask it
# for its version alone.
FACADE = ("", "__main__")

# Optional extras: imported in the one function that needs them, which raises MissingExtra.
EXTRAS = (
    "matplotlib",
    "music21",
    "partimento.server.run",  # which needs the extra studio
    "sounddevice",
    "tensorboard",
    "torch.utils.tensorboard",
    "verovio",
)

# Where modules are found by name at run time, so that what is not asked for is not loaded: the
# facade, the catalogue (systems), training_runs (training, which needs torch), the table of file
# formats (each with a library of its own), and representations.
BY_NAME = (
    "__init__.py",
    "api.py",
    "catalog.py",
    "files/formats.py",
    "representations/registry.py",
    "training_runs.py",
)


def of(part: str) -> list[Module]:
    return [module for module in MODULES if module.part == part]


def test_every_part_has_its_row() -> None:
    parts = {module.part for module in MODULES} - set(FACADE)
    assert parts <= set(HEIGHT), "give a new part its row in LAYERS"
    for package, rows in INSIDE.items():
        inner = {[*module.name.split("."), ""][2] for module in of(package)} - {""}
        assert inner == set(_heights(rows)), f"the rows of {package}"


def test_imports_point_down() -> None:
    wrong = []
    for module in MODULES:
        if module.part in FACADE:
            continue
        for found in module.imports:
            for target in targets(found):
                there = [*target.split("."), ""][1]
                if there not in ("", module.part) and HEIGHT[there] >= HEIGHT[module.part]:
                    wrong.append(f"{module.place}:{found.line} imports {target}")
    assert not wrong


@pytest.mark.parametrize("package", sorted(INSIDE))
def test_imports_point_down_inside(package: str) -> None:
    heights, wrong = _heights(INSIDE[package]), []
    for module in of(package):
        here = [*module.name.split("."), ""][2]
        for found in module.imports:
            for target in targets(found):
                parts = [*target.split("."), "", ""]
                is_inner = here and parts[1] == package and parts[2] not in ("", here)
                if is_inner and heights[parts[2]] >= heights[here]:
                    wrong.append(f"{module.place}:{found.line} imports {target}")
    assert not wrong


# What faces the outside may use of the package, beside itself: the server what any program may, and
# the values that this hands out; the page's folder nothing.
OUTSIDE = {
    "server": ("partimento", "partimento.api", "partimento.errors", "partimento.music"),
    "studio": (),
}


@pytest.mark.parametrize("part", sorted(OUTSIDE))
def test_the_server_is_a_program_like_any_other(part: str) -> None:
    wrong = [
        f"{module.place}:{found.line} imports {target}"
        for module in of(part)
        for found in module.imports
        for target in targets(found)
        if not target.startswith(f"partimento.{part}")
        and target not in OUTSIDE[part]
        and not any(target.startswith(f"{each}.") for each in OUTSIDE[part][1:])
    ]
    assert not wrong


def test_the_package_itself_imports_nothing() -> None:
    (facade,) = of("")
    assert [found for found in facade.imports if targets(found) and not found.for_types] == []


def test_systems_do_not_know_each_other_nor_torch_where_they_play() -> None:
    wrong = []
    for module in of("systems"):
        own = ".".join(module.name.split(".")[:3])
        builds = module.path.name in ("networks.py", "published_codec.py", "training.py")
        for found in module.imports:
            for target in targets(found):
                if target.startswith("partimento.systems.") and not target.startswith(own):
                    wrong.append(f"{module.place}:{found.line} imports {target}")
                if target.startswith("partimento.training") and not builds:
                    wrong.append(f"{module.place}:{found.line} imports {target}")
                if target.endswith((".networks", ".training")) and not builds:
                    wrong.append(f"{module.place}:{found.line} imports {target}")
    assert not wrong


def test_there_are_no_cycles() -> None:
    graph = {
        module.name: {
            target
            for found in module.imports
            if not found.for_types
            for target in targets(found)
            if target not in (module.name, "partimento")
        }
        for module in MODULES
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_no_import_hides_in_a_function_but_those_of_extras() -> None:
    wrong = [
        f"{module.place}:{found.line} imports {found.module}"
        for module in MODULES
        for found in module.imports
        if found.in_function and not found.module.startswith(EXTRAS)
    ]
    assert not wrong


def test_extras_are_imported_in_functions_alone() -> None:
    wrong = [
        f"{module.place}:{found.line} imports {found.module}"
        for module in MODULES
        for found in module.imports
        if found.module.startswith(EXTRAS) and not (found.in_function or found.for_types)
    ]
    assert not wrong


def test_modules_are_imported_by_name_in_few_places_only() -> None:
    wrong = [
        f"{module.place}:{line} calls {name}"
        for module in MODULES
        for name, line in module.mentions
        if name.endswith(("import_module", "__import__")) and module.place not in BY_NAME
    ]
    assert not wrong
