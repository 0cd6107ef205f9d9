"""Typed configs: one pydantic schema serves files, the shell and forms.

Unknown keys are errors that name their path (``training.recipe.lr_peak: unknown option``).
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from partimento.errors import ConfigError, FileError

__all__ = ["Config", "read_config", "validate_config"]


class Config(BaseModel):
    """Base of every config: frozen, closed to unknown keys, NaN and infinities."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


C = TypeVar("C", bound=Config)
_LONGEST_SHOWN = 80  # characters of a wrong value in a message


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
        if first["type"] == "extra_forbidden":
            known = _fields_at(schema, first["loc"][:-1])
            here = f"; known here: {', '.join(sorted(known))}" if known else ""
            raise ConfigError(path, f"unknown option{here}") from None
        got = repr(first["input"])
        shown = got if len(got) <= _LONGEST_SHOWN else f"{got[:_LONGEST_SHOWN]}..."
        raise ConfigError(path, f"{first['msg']} (got {shown})") from None


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


def _fields_at(schema: type[BaseModel], place: tuple[str | int, ...]) -> tuple[str, ...]:
    """Return the options known at a place inside a config; none where it is no config."""
    members = [schema]
    for name in place:
        tagged = [member for member in members if len(members) > 1 and _tag(member) == name]
        if tagged:
            members = tagged
            continue
        info = members[0].model_fields.get(str(name))
        members = [] if info is None else _models(info.annotation)
        if not members:
            return ()
    return tuple(members[0].model_fields)


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
    except (tomllib.TOMLDecodeError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise FileError(path, f"does not parse ({error})", "mend that line") from None
    raise FileError(path, "is neither .toml nor .json", "rename it or convert it")
