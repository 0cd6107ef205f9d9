"""Draw the package's layers and the imports between its parts: ``docs/images/architecture.svg``.

    python -m benchmarks.architecture_picture [--check]

Parts are the packages and modules right under ``partimento/``; an arrow goes from the part that
imports to the part that is imported. Rows come from the imports too: a part stands as low as what
it imports allows. An arrow that a path of other arrows already says is left out. ``--check`` writes
nothing and exits with 1 where the picture is not that of the imports.

The last line is JSON: parts, imports between them, rows, and ``upward``, imports of parts that do
not stand lower (0; parts that import each other in a circle are an error).
"""

from __future__ import annotations

import argparse
import ast
import json
import sys
from graphlib import TopologicalSorter
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "partimento"
PICTURE = ROOT / "docs" / "images" / "architecture.svg"
_OUTSIDE = ("__init__", "__main__")  # the facade: it imports by name when it is asked
_WIDTH, _ROW, _BOX, _GAP, _TEXT, _LETTER = 860, 66, 30, 18, 14, 8.6

Parts = dict[str, set[str]]


def parts_of(package: Path = PACKAGE) -> Parts:
    """Return what each part of the package imports of the others.

    Imports for types alone count as well: they are knowledge of a part all the same.
    """
    found: Parts = {}
    for path in sorted(package.rglob("*.py")):
        part = path.relative_to(package).parts[0].removesuffix(".py")
        if part in _OUTSIDE:
            continue
        found.setdefault(part, set())
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                inner = node.module == package.name
                names = [f"{node.module}.{a.name}" if inner else node.module for a in node.names]
            else:
                continue
            for name in names:
                top, _, rest = name.partition(".")
                target = rest.split(".")[0]
                if top == package.name and target and not target.startswith("_"):
                    found[part].add(target)
    return {
        part: {each for each in names if each in found} - {part} for part, names in found.items()
    }


def rows_of(parts: Parts) -> list[list[str]]:
    """Return the parts in rows, top first: a part stands one above the highest that it imports.

    Raises:
        graphlib.CycleError: if parts import each other in a circle.
    """
    height: dict[str, int] = {}
    for part in TopologicalSorter(parts).static_order():
        height[part] = 1 + max((height[each] for each in parts[part]), default=-1)
    top = max(height.values())
    rows = [sorted(part for part in parts if height[part] == top - row) for row in range(top + 1)]
    return [_ordered(row, parts) for row in rows]


def _ordered(row: list[str], parts: Parts) -> list[str]:
    """Put the part with most arrows in the middle of its row, where its arrows are short."""
    weight = {p: len(parts[p]) + sum(p in names for names in parts.values()) for p in row}
    out: list[str] = []
    for index, part in enumerate(sorted(row, key=lambda p: (-weight[p], p))):
        out.insert(0 if index % 2 else len(out), part)
    return out


def shown(parts: Parts) -> list[tuple[str, str]]:
    """Return the arrows that no longer path of arrows says already (the transitive reduction)."""
    below: Parts = {}
    for part in TopologicalSorter(parts).static_order():
        below[part] = parts[part].union(*(below[each] for each in parts[part]))
    return sorted(
        (part, target)
        for part, names in parts.items()
        for target in names
        if not any(target in below[other] for other in names)
    )


def svg_of(parts: Parts) -> str:
    """Return the picture."""
    rows = rows_of(parts)
    boxes: dict[str, tuple[float, float, float]] = {}  # middle, top, width
    for index, row in enumerate(rows):
        widths = [_LETTER * len(part) + 2 * _TEXT for part in row]
        gap = 2 * _GAP + _ROW
        x = (_WIDTH - sum(widths) - gap * (len(row) - 1)) / 2
        # A row of one part stands a little aside by turns, so that arrows pass it.
        x += 0 if len(row) > 1 else (-1) ** index * 90
        for part, width in zip(row, widths, strict=True):
            boxes[part] = (x + width / 2, _GAP + index * _ROW, width)
            x += width + gap
    height = 2 * _GAP + (len(rows) - 1) * _ROW + _BOX
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'width="{_WIDTH}" height="{height}" font-family="monospace" font-size="{_TEXT}">',
        "<title>The parts of partimento and their imports, every arrow downward</title>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z" fill="#47536b"/></marker></defs>',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    for part, target in shown(parts):
        out.append(_arrow(boxes[part], boxes[target]))
    for part, (middle, top, width) in sorted(boxes.items()):
        out.append(
            f'<rect x="{middle - width / 2:.1f}" y="{top}" width="{width:.1f}" height="{_BOX}" '
            'rx="5" fill="#eef2fa" stroke="#47536b"/>'
        )
        out.append(
            f'<text x="{middle:.1f}" y="{top + 20}" text-anchor="middle" fill="#10182b">'
            f"{escape(part)}</text>"
        )
    return "\n".join([*out, "</svg>", ""])


def _arrow(start: tuple[float, float, float], end: tuple[float, float, float]) -> str:
    """Return a curve from under one box to above another; long ones bend outward."""
    (x1, y1, _), (x2, y2, width) = start, end
    y1 += _BOX
    x2 += max(-width / 3, min(width / 3, (x1 - x2) / 6))
    rows = (y2 - y1) / _ROW
    side = 1 if x1 + x2 >= _WIDTH else -1
    bend = side * 46 * max(0.0, rows - 1)
    third = (y2 - y1) / 3
    return (
        f'<path d="M{x1:.1f} {y1} C{x1 + bend:.1f} {y1 + third:.1f} {x2 + bend:.1f} '
        f'{y2 - third:.1f} {x2:.1f} {y2}" fill="none" stroke="#47536b" stroke-opacity="0.75" '
        'marker-end="url(#tip)"/>'
    )


def main() -> int:
    """Draw, or check that what is drawn is current."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if not current")
    check = parser.parse_args().check
    parts = parts_of()
    picture, rows = svg_of(parts), rows_of(parts)
    if check:
        is_current = PICTURE.exists() and PICTURE.read_text(encoding="utf-8") == picture
    else:
        PICTURE.write_text(picture, encoding="utf-8")
        is_current = True
    level = {part: index for index, row in enumerate(rows) for part in row}
    upward = sum(level[each] <= level[part] for part, names in parts.items() for each in names)
    imports = sum(map(len, parts.values()))
    figures = {"parts": len(parts), "imports": imports, "rows": len(rows), "upward": upward}
    print(json.dumps({**figures, "is_current": is_current}))
    return 0 if is_current and not upward else 1


if __name__ == "__main__":
    sys.exit(main())
