from __future__ import annotations

import ast
import hashlib
import re
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

import partimento
from partimento import catalog, errors

from support.doc_pages import PAGES, ROOT, name_of, prose, rows

SYSTEMS = catalog.systems()
APACHE_2_SHA256 = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"
# Parts of paths on somebody's machine, and words that mean nothing to a reader.
FORBIDDEN = (*(f"/{top}/" for top in ("work", "root", "tmp", "opt")), "issue #", "TODO", "FIXME")


def anchor(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def system_page(name: str) -> str:
    return (ROOT / "docs" / "systems" / f"{name}.md").read_text()


def assert_defined(file: Path, name: str) -> None:
    tree: ast.AST = ast.parse(file.read_text())
    for part in name.split("."):
        found = [
            node
            for node in ast.iter_child_nodes(tree)
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == part
        ]
        assert found, f"{file.name} defines no {name}"
        tree = found[0]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_inside_the_project_resolves(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page.read_text())):
        if re.match(r"https?://", target):
            continue
        path, _, fragment = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        assert linked.is_relative_to(ROOT), target
        if fragment:
            heads = re.findall(r"^#+ (.+)$", linked.read_text(), re.MULTILINE)
            assert fragment in {anchor(head) for head in heads}, target


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_pages_speak_of_the_project_alone(page):
    text = page.read_text()
    assert [word for word in FORBIDDEN if word in text] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_figure_is_left_to_be_filled_in(page):
    places = [line for line in page.read_text().splitlines() if "FIGURE" in line]
    assert places == []


def test_every_page_is_reached_from_the_index():
    index = ROOT / "docs" / "index.md"
    links = re.findall(r"\]\(([^)\s#]+)\)", index.read_text())
    linked = {(index.parent / link).resolve() for link in links}
    # A linked folder reaches its pages, so that a new system needs no line in the index.
    reached = linked | {page for page in PAGES if page.parent in linked}
    assert set(PAGES) - reached == {index}


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_system_has_a_page_with_paper_and_presets(name):
    text, card = system_page(name), catalog.find_card(name)
    assert card.paper.url in text
    assert re.sub(r"\s+", " ", card.paper.title) in re.sub(r"\s+", " ", text)
    presets = {row[0].strip("`") for row in rows(text) if row[0].strip("`") in card.presets}
    assert presets == set(card.presets)
    for control in card.controls.model_fields:
        assert f"`{control}`" in text


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_function_beside_an_equation_exists(name):
    cells = [row for row in rows(system_page(name)) if re.match(r"`partimento/.+\.py`", row[1])]
    assert cells
    for _, file, function in cells:
        assert_defined(ROOT / file.strip("`"), function.strip("`"))


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_sizes_of_presets_are_those_of_the_code(name):
    torch = pytest.importorskip("torch")
    make = import_module(f"partimento.systems.{name}.training").training_task
    told = {row[0].strip("`"): row[1] for row in rows(system_page(name))}
    for preset, values in catalog.find_card(name).presets.items():
        with torch.device("meta"):
            network = make(values).network
        count = sum(weight.numel() for weight in network.parameters())
        assert told[preset] == f"{count:,}", preset


def test_the_page_of_errors_is_the_tree():
    page = (ROOT / "docs" / "reference" / "errors.md").read_text()
    told = {row[0].strip("`") for row in rows(page) if row[0].strip("`").isidentifier()}
    assert told - {"error", "code"} == set(errors.__all__)


def test_files_and_functions_that_the_architecture_names_exist():
    text = (ROOT / "ARCHITECTURE.md").read_text()
    files = {"card.py", "networks.py", "training.py", "inference.py"}  # those of every system
    named = set(re.findall(r"`([a-z_/]+\.py)`", text)) - files
    package = ROOT / "partimento"
    assert [name for name in sorted(named) if not (package / name).is_file()] == []
    walk = re.findall(r"`([a-z_/]+\.py)`\s+`([\w.]+)`", text)
    assert len(walk) > 12
    for file, function in walk:
        assert_defined(package / file, function)


def test_every_extra_that_the_code_asks_for_is_in_the_pages():
    code = "".join(path.read_text() for path in (ROOT / "partimento").rglob("*.py"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = set(re.findall(r'MissingExtra\([^)]*"(\w+)"\)', code))
    assert asked
    assert asked <= set(project["optional-dependencies"])
    text = "".join(page.read_text() for page in PAGES)
    assert [extra for extra in sorted(asked) if f"[{extra}]" not in text] == []


def test_licence_and_changelog_are_those_of_this_version():
    assert hashlib.sha256((ROOT / "LICENSE").read_bytes()).hexdigest() == APACHE_2_SHA256
    assert f"\n## {partimento.__version__}\n" in (ROOT / "CHANGELOG.md").read_text()
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == (
        partimento.__version__
    )
    assert Path(partimento.__file__).parent.name == "partimento"
