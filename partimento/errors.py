"""Every error a user can meet, as one tree.

::

    PartimentoError
    ├── MusicError        a musical value that does not parse or is out of range (key, chord, bars)
    ├── FileError         a file or folder that cannot be read or written
    ├── ConfigError       a config value that is unknown or wrong, with its path inside the config
    ├── NotSupported      a request that this system cannot serve; names what it can
    ├── CannotBeMet       a promise that no output can keep; names the reason
    ├── ModelError        a model folder that is missing, incomplete or altered
    ├── MissingExtra      an optional dependency that is not installed; names the install command
    └── TrainingError     training that cannot start or go on; names what was kept

The message of each is one line that says what is wrong and what to do.
"""

from __future__ import annotations

from os import PathLike

__all__ = [
    "CannotBeMet",
    "ConfigError",
    "FileError",
    "MissingExtra",
    "ModelError",
    "MusicError",
    "NotSupported",
    "PartimentoError",
    "TrainingError",
]

_LONGEST_NAME = 200  # of a path in a message


class PartimentoError(Exception):
    """Root of the tree; catching it catches all that Partimento raises on purpose."""


class MusicError(PartimentoError, ValueError):
    """A musical value that does not parse or lies outside its range."""


class FileError(PartimentoError):
    """A file that cannot be read or written: its name, what is wrong, and the remedy."""

    def __init__(self, path: str | PathLike[str], problem: str, remedy: str = "") -> None:
        self.path = str(path)
        self.problem = problem
        self.remedy = remedy
        named = self.path if len(self.path) <= _LONGEST_NAME else f"...{self.path[-_LONGEST_NAME:]}"
        super().__init__(f"{named}: {problem}" + (f"; {remedy}" if remedy else ""))


class ConfigError(PartimentoError, ValueError):
    """A config value that is unknown or wrong; ``where`` is its dotted path."""

    def __init__(self, where: str, problem: str) -> None:
        self.where = where
        super().__init__(f"{where}: {problem}")


class NotSupported(PartimentoError):
    """A request that this system cannot serve; the message names what it can serve."""


class CannotBeMet(PartimentoError, ValueError):
    """Promises that no output could keep together; refused before anything starts."""


class ModelError(PartimentoError):
    """A model folder that is missing, incomplete, altered or of another version."""


class MissingExtra(PartimentoError, ImportError):
    """An optional dependency that is not installed."""

    def __init__(self, need: str, extra: str) -> None:
        self.extra = extra
        super().__init__(f"{need} needs an extra: pip install 'partimento[{extra}]'")


class TrainingError(PartimentoError):
    """Training that cannot start or go on; says what was kept."""
