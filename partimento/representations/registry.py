"""Finds representations by their names.

A representation is one module or folder of this package that bears its name and holds an ``ENTRY``:
what the specs in presets and model folders call it, how it is made from its options, and how it
answers requests. Nothing else lists representations.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from partimento.errors import ConfigError, NotSupported
from partimento.representations.base import Representation, TokenRepresentation
from partimento.representations.realiser import Realiser, TokenRequest

__all__ = [
    "RepresentationEntry",
    "can_close",
    "entry_of",
    "is_performed",
    "make_representation",
    "meaning",
    "realiser_for",
    "representation_names",
    "token_representation",
    "without",
]

Spec = Mapping[str, Any]


@dataclass(frozen=True)
class RepresentationEntry:
    """What a representation says of itself.

    - ``make``: from options to the representation; the inverse of its ``spec()``, less the name.
    - ``options``: the options there are; others are refused.
    - ``realise``: (representation, request, config of the model folder) to its answer; None for
      one that is not played token by token.
    - ``meaning``: a complete spec reduced to what the numbers mean. Weights fit where two specs
      have the same meaning. None keeps all of the spec.
    - ``can_close``: whether pieces of these options can be made to close with a cadence.
    - ``is_performed``: whether the notes have the timing of a performance, not that of a score.
    """

    make: Callable[[Mapping[str, Any]], Representation]
    options: tuple[str, ...] = ()
    realise: Callable[[Any, TokenRequest, Mapping[str, Any]], Realiser] | None = None
    meaning: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    can_close: Callable[[Mapping[str, Any]], bool] | None = None
    is_performed: bool = False


def representation_names() -> tuple[str, ...]:
    """Return the names of all representations, sorted."""
    package = import_module(__package__)
    found = (module.name for module in pkgutil.iter_modules(package.__path__))
    return tuple(sorted(name for name in found if _entry(name) is not None))


def entry_of(name: object) -> RepresentationEntry:
    """Return the entry of a representation; imports no other.

    Raises:
        ConfigError: if none bears this name; lists those that there are.
    """
    package = import_module(__package__)
    if isinstance(name, str) and any(
        m.name == name for m in pkgutil.iter_modules(package.__path__)
    ):
        entry = _entry(name)
        if entry is not None:
            return entry
    known = ", ".join(representation_names())
    raise ConfigError("representation.name", f"{name!r} is unknown; known here: {known}")


def _entry(name: str) -> RepresentationEntry | None:
    entry = getattr(import_module(f"{__package__}.{name}"), "ENTRY", None)
    return entry if isinstance(entry, RepresentationEntry) else None


def make_representation(spec: Spec) -> Representation:
    """Return the representation that ``spec`` describes; the inverse of ``spec()``.

    Raises:
        ConfigError: if the name or an option is unknown, or a value is wrong.
    """
    entry = entry_of(spec.get("name"))
    options = {key: value for key, value in spec.items() if key != "name"}
    for key in options:
        if key not in entry.options:
            known = ", ".join(entry.options) or "none"
            raise ConfigError(f"representation.{key}", f"unknown option; known here: {known}")
    return entry.make(options)


def token_representation(spec: Spec) -> TokenRepresentation:
    """Return the representation that ``spec`` describes, which must be one of tokens.

    Raises:
        ConfigError: as ``make_representation``, or if it has no tokens.
    """
    made = make_representation(spec)
    if not isinstance(made, TokenRepresentation):
        raise ConfigError("representation.name", f"{spec.get('name')} has no tokens")
    return made


def realiser_for(
    representation: TokenRepresentation, request: TokenRequest, config: Mapping[str, Any]
) -> Realiser:
    """Return how a representation answers a request; ``config`` is the model folder's.

    Raises:
        NotSupported: if the request asks for what the representation cannot hold.
        CannotBeMet: if no output could keep the promises together.
    """
    name = representation.spec()["name"]
    realise = entry_of(name).realise
    if realise is None:
        raise NotSupported(f"{name} is not played token by token")
    return realise(representation, request, config)


def can_close(spec: Spec) -> bool:
    """Return whether pieces in this representation can be made to close with a cadence."""
    try:
        closes = entry_of(spec.get("name")).can_close
    except ConfigError:
        return False
    return closes is not None and closes(spec)


def is_performed(spec: Spec) -> bool:
    """Return whether notes in this representation have the timing of a performance."""
    try:
        return entry_of(spec.get("base", spec).get("name")).is_performed
    except ConfigError:
        return False


def meaning(spec: Spec) -> dict[str, Any]:
    """Return a spec with its defaults filled in, reduced to what its numbers mean.

    A spec that is no representation of this package is returned as it stands.
    """
    try:
        whole = make_representation(spec).spec()
        reduce = entry_of(whole["name"]).meaning
    except ConfigError:
        return dict(spec)
    return whole if reduce is None else reduce(whole)


def without(*options: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return a ``meaning`` that does not depend on some options."""
    return lambda spec: {key: value for key, value in spec.items() if key not in options}
