"""docs/reference/http.md is what the OpenAPI schema says.

``python tests/docs/test_http_reference.py`` writes it; the test fails where it is not current.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "http.md"
HEAD = """# HTTP

Made from the server's OpenAPI schema by `python tests/docs/test_http_reference.py`. How to use it
is in [the guide](../guide/server.md), with the messages of `WS /v1/stream`. Every error is
`{"error": name, "message": what to do}`, with status 401 (token), 403 (origin), 404, 413 (too
large), 421 (host), 422 (cannot be served or read), 429 (busy; `Retry-After`), 501 (an extra is not
installed) or 507 (a full disk).
"""


def kind_of(schema: dict[str, Any]) -> str:
    """Return the type of a field in a word or two."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name.startswith("Body_"):
            return "a form with the `file`"
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(kind_of(each) for each in schema["anyOf"] if each.get("type") != "null")
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array" and "items" in schema:
        return f"list of {kind_of(schema['items'])}"
    low, high = schema.get("minimum", schema.get("exclusiveMinimum")), schema.get("maximum")
    bounds = (
        ""
        if low is None and high is None
        else f" {low:g}.." + ("" if high is None else f"{high:g}")
    )
    return f"{schema.get('type', 'any')}{bounds}"


def page(schema: dict[str, Any]) -> str:
    """Return the reference in Markdown."""
    out = [HEAD]
    for path, verbs in sorted(schema["paths"].items()):
        for verb, route in verbs.items():
            out.append(f"\n## {verb.upper()} {path}\n\n{route.get('description', '').strip()}\n")
            for each in route.get("parameters", ()):
                told = each.get("description") or each["schema"].get("description", "")
                kind = kind_of(each["schema"])
                out.append(f"- `{each['name']}` ({each['in']}, {kind}){': ' * bool(told)}{told}")
            bodies = route.get("requestBody", {}).get("content", {})
            kinds = [
                kind_of(body["schema"]) for body in bodies.values() if "$ref" in body["schema"]
            ]
            if kinds or bodies:
                out.append(f"- body: {' or '.join(kinds or ['a file'])}")
            if "multipart/form-data" in bodies and kinds:
                out.append("- or a form: the piece as `file`, the rest as JSON in `request`")
            answers = route["responses"].get("200", route["responses"].get("201", {}))
            answer = answers.get("content", {}).get("application/json", {}).get("schema")
            if answer:
                out.append(f"- answer: {kind_of(answer)}")
    out.append("\n# Bodies and answers\n")
    for name, body in sorted(schema["components"]["schemas"].items()):
        if name.startswith(("Body_", "HTTPValidationError", "ValidationError")):
            continue
        out.append(f"\n## {name}\n\n{body.get('description', '').strip()}\n")
        for field, of in body.get("properties", {}).items():
            default = f", default `{json.dumps(of['default'])}`" if of.get("default") else ""
            told = of.get("description", "")
            out.append(f"- `{field}` ({kind_of(of)}{default}){': ' * bool(told)}{told}")
    return "\n".join(out) + "\n"


def current() -> str:
    """Return what the page must be."""
    from partimento.server.app import create_app
    from partimento.server.settings import Settings

    with tempfile.TemporaryDirectory() as folder:
        guard = create_app(Settings(projects=Path(folder) / "projects.sqlite3"))
        schema = guard.app.openapi()
        guard.app.state.service.close()
        return page(schema)


def test_the_reference_is_current() -> None:
    assert PAGE.read_text() == current()


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    PAGE.write_text(current())
