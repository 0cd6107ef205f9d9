"""Health, the models that are here, and the reference page."""

from __future__ import annotations

import html
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse

import partimento
from partimento import api
from partimento.server.routes.shared import PROBLEMS, ServiceOf, missing
from partimento.server.schemas import Health, ModelAnswer

__all__ = ["docs", "health", "model", "models", "router"]

router = APIRouter(tags=["models"])


@router.get("/health", summary="Is the server up?")
async def health(service: ServiceOf) -> Health:
    """Answer at once, whatever the workers do."""
    return Health(
        version=partimento.__version__,
        models=len(api.models()),
        loaded=list(service.engine.loaded),
        upload_bytes=service.settings.upload_bytes,
    )


@router.get("/v1/models", summary="The installed models", responses=PROBLEMS)
def models() -> list[ModelAnswer]:
    """Return every model, the default first; their cards are at /v1/models/{name}."""
    found = [_model(info.name) for info in api.models()]
    return sorted(found, key=lambda model: not model.is_default)


@router.get("/v1/models/{name}", summary="One model, with its card", responses=PROBLEMS)
def model(name: Annotated[str, Path(max_length=200)]) -> ModelAnswer:
    """Return what a model does, and its controls as JSON Schema with units, bounds and defaults."""
    return _model(name, with_card=True)


def _model(name: str, with_card: bool = False) -> ModelAnswer:
    info = next((each for each in api.models() if each.name == name), None)
    if info is None:
        raise missing("model")
    found = api.describe(name)
    return ModelAnswer(
        name=name,
        system=found.system,
        makes=found.makes,
        tasks=list(found.tasks),
        summary=found.summary,
        is_default=info.is_default,
        licence=info.licence,
        controls=dict(found.schema),
        defaults=dict(found.defaults),
        card=found.text if with_card else "",
    )


@router.get("/docs", include_in_schema=False)
def docs(request: Request) -> HTMLResponse:
    """Return the reference as one page without scripts; the schema itself is /openapi.json."""
    schema = request.app.openapi()
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><title>Partimento HTTP</title>",
        "<style>body{font:16px/1.5 system-ui;max-width:60rem;margin:2rem auto;padding:0 1rem}"
        "code{background:#8882;padding:.1em .3em}h2{margin-top:2rem}</style>",
        f"<h1>Partimento {html.escape(schema['info']['version'])}</h1>",
        "<p>The OpenAPI schema is at <a href=/openapi.json>/openapi.json</a>.</p>",
    ]
    for path, verbs in schema["paths"].items():
        for verb, route in verbs.items():
            parts += _route(path, verb, route)
    return HTMLResponse("".join(parts))


def _route(path: str, verb: str, route: dict[str, Any]) -> list[str]:
    about = html.escape(route.get("description") or route.get("summary", ""))
    out = [f"<h2><code>{verb.upper()} {html.escape(path)}</code></h2><p>{about}</p>"]
    for each in route.get("parameters", ()):
        text = html.escape(each.get("description", ""))
        out.append(f"<p><code>{html.escape(each['name'])}</code> ({each['in']}) {text}</p>")
    return out
