"""Typed configs: one pydantic schema serves files, the shell and forms.

Unknown keys are errors that name their path (``training.recipe.lr_peak: unknown option``).
"""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from partimento.errors import ConfigError, FileError
from partimento.messages import listed, shown

__all__ = ["Config", "read_config", "validate_config"]


class Config(BaseModel):
    """Base of every config: frozen, and closed to unknown keys, NaN and infinities."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


C = TypeVar("C", bound=Config)
_SIGNS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}


def validate_config(
    schema: type[C], values: Mapping[str, Any], where: str = "config", *, strict: bool = False
) -> C:
    """Return ``values`` as ``schema``.

    ``strict`` takes JSON values as they are: no text for a number, no number for a flag. Fields
    that hold lists are tuples.

    Raises:
        ConfigError: for the first unknown key or wrong value, with its dotted path.
    """
    try:
        if strict:
            return schema.model_validate(_tuples(values), strict=True)
        return schema.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join([where, *_place(schema, first["loc"])])
        raise ConfigError(path, _problem(schema, first)) from None


def _tuples(value: Any) -> Any:
    """Return a JSON value with tuples for its lists, as a strict schema wants them."""
    if isinstance(value, Mapping):
        return {name: _tuples(each) for name, each in value.items()}
    return tuple(_tuples(each) for each in value) if isinstance(value, list) else value


def _place(schema: type[BaseModel], location: tuple[str | int, ...]) -> Iterator[str]:
    """Yield the parts of a path; the tag of a tagged union, which pydantic puts in, is left out."""
    tags: tuple[str, ...] = ()
    for part in location:
        if part in tags:
            tags = ()
            continue
        yield str(part)
        info = schema.model_fields.get(str(part))
        members = [] if info is None else _models(info.annotation)
        tags = tuple(_tag(member) for member in members) if len(members) > 1 else ()
        schema = members[0] if len(members) == 1 else schema


def _models(annotation: Any) -> list[type[BaseModel]]:
    """Return the config of a field, or those that its union may hold."""
    options = (annotation, *get_args(annotation))
    return [each for each in options if isinstance(each, type) and issubclass(each, BaseModel)]


def _tag(member: type[BaseModel]) -> str:
    """Return the ``kind`` of a member of a tagged union, "" where it has none."""
    info = member.model_fields.get("kind")
    return "" if info is None else str(info.default)


def _problem(schema: type[BaseModel], error: ErrorDetails) -> str:
    """Return what is wrong, with the options that are known or the bounds of the value."""
    place = error["loc"]
    inside = _model_at(schema, place[:-1])
    if error["type"] == "extra_forbidden":
        known = sorted(inside.model_fields) if inside is not None else []
        close = difflib.get_close_matches(str(place[-1]), known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        here = f"; known here: {listed(known, 12)}" if known else ""
        return f"unknown option{hint}{here}"
    bounds = "" if inside is None or not place else _bounds(inside, str(place[-1]))
    message = error["msg"]
    if bounds:
        kind = "an integer" if error["type"].startswith("int") else "a number"
        message = f"must be {kind} {bounds}"
    return f"{message}, not {shown(error['input'])}"


def _bounds(schema: type[BaseModel], name: str) -> str:
    """Return the bounds of a field, such as ``"> 0 and <= 5"``; empty where it has none."""
    field = schema.model_fields.get(name)
    limits = () if field is None else field.metadata
    return " and ".join(
        f"{sign} {getattr(limit, key)}"
        for limit in limits
        for key, sign in _SIGNS.items()
        if getattr(limit, key, None) is not None
    )


def _model_at(schema: type[BaseModel], place: tuple[str | int, ...]) -> type[BaseModel] | None:
    """Return the schema of a place inside a config; None where it is no config."""
    members = [schema]
    for name in place:
        tagged = [member for member in members if len(members) > 1 and _tag(member) == name]
        if tagged:
            members = tagged
            continue
        info = members[0].model_fields.get(str(name))
        members = [] if info is None else _models(info.annotation)
        if not members:
            return None
    return members[0]


def read_config(path: str | Path) -> dict[str, Any]:
    """Read a ``.toml`` or ``.json`` file into a plain mapping.

    Raises:
        FileError: if the file is missing, of another kind, or does not parse.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".toml":
            return tomllib.loads(text)
        if path.suffix == ".json":
            values = json.loads(text)
            if not isinstance(values, dict):
                raise FileError(path, "does not hold a table of options", "write {...} at the top")
            return values
    except OSError as error:
        raise FileError(path, f"cannot be read ({error.strerror})", "check the path") from None
    except (ValueError, RecursionError) as error:  # both formats' errors, and numbers too long
        raise FileError(path, f"does not parse ({error})", "correct that line") from None
    raise FileError(path, "is neither .toml nor .json", "rename it or convert it")
