"""Typed configs: one pydantic schema serves files, the shell and forms.

Unknown keys are errors that name their path (``training.recipe.lr_peak: unknown option``).
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from partimento.errors import ConfigError, FileError

__all__ = ["Config", "read_config", "validate_config"]


class Config(BaseModel):
    """Base of every config: frozen, closed to unknown keys, NaN and infinities."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


C = TypeVar("C", bound=Config)


def validate_config(schema: type[C], values: Mapping[str, Any], where: str = "config") -> C:
    """Return ``values`` as ``schema``.

    Raises:
        ConfigError: for the first unknown key or wrong value, with its dotted path.
    """
    try:
        return schema.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join([where, *(str(part) for part in first["loc"])])
        if first["type"] == "extra_forbidden":
            known = _fields_at(schema, first["loc"][:-1])
            here = f"; known here: {', '.join(sorted(known))}" if known else ""
            raise ConfigError(path, f"unknown option{here}") from None
        raise ConfigError(path, f"{first['msg']} (got {first['input']!r})") from None


def _fields_at(schema: type[BaseModel], place: tuple[str | int, ...]) -> tuple[str, ...]:
    """Return the options known at a place inside a config; none where it cannot be told."""
    for name in place:
        known = [schema.model_fields[name].annotation] if name in schema.model_fields else []
        for option in (*known, *(get_args(known[0]) if known else ())):
            if isinstance(option, type) and issubclass(option, BaseModel):
                schema = option
                break
        else:
            if name != schema.__name__:  # the members of a union are told by their names
                return ()
    return tuple(schema.model_fields)


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
