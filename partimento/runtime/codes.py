"""A system's own codes of a piece: arrays that only the system reads, saved without pickle.

Codes are what a system works in below notes and samples: indices of a codec's codebooks, points in
a latent space, piano rolls of a diffusion. They go with a ``Result``, so that work can continue
from them without another encoding.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from partimento.errors import FileError
from partimento.files.atomic import atomic_path

__all__ = ["Codes"]

_HEADER = "__codes__"  # JSON as bytes: system, recipe
_MOST_SECONDS = 86_400.0
_KINDS = "biufc"  # booleans, integers, floats, complex numbers


@dataclass(frozen=True, eq=False)
class Codes:
    """Arrays by name; ``system`` is the one that can read them.

    Raises:
        ValueError: for an array that is not of numbers, or a reserved name.
    """

    system: str
    arrays: Mapping[str, npt.NDArray[Any]]
    recipe: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        for name, array in self.arrays.items():
            if name == _HEADER or not name or "/" in name:
                raise ValueError(f"{name!r} is no name for an array of codes")
            if array.dtype.kind not in _KINDS:
                raise ValueError(f"codes are numbers, not {array.dtype} ({name})")

    @property
    def seconds(self) -> float | None:
        """How long they sound, where they say so: the array ``seconds`` (1,)."""
        told = self.arrays.get("seconds")
        if told is None or told.shape != (1,) or told.dtype.kind != "f":
            return None
        length = float(told[0])
        return length if 0 < length < _MOST_SECONDS else None

    def save(self, path: str | Path) -> Path:
        """Write one ``.npz`` file, whole or not at all, and return the path.

        Raises:
            FileError: if the name ends otherwise, or the place cannot be written.
        """
        target = Path(path)
        if target.suffix.lower() != ".npz":
            raise FileError(path, "codes are saved as .npz", "choose a name with that ending")
        header = json.dumps({"system": self.system, "recipe": self.recipe}, sort_keys=True)
        arrays = {_HEADER: np.frombuffer(header.encode(), dtype=np.uint8), **self.arrays}
        with atomic_path(target) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        return target

    @classmethod
    def load(cls, path: str | Path) -> Codes:
        """Return the codes of a file that ``save`` wrote.

        Raises:
            FileError: if it cannot be read or is no such file.
        """
        remedy = "give a file that Codes.save wrote"
        try:
            with Path(path).open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            header = json.loads(arrays.pop(_HEADER).tobytes().decode())
            return cls(str(header["system"]), arrays, str(header["recipe"]))
        except OSError as error:
            problem = f"cannot be read ({error.strerror or 'no zip archive'})"
            raise FileError(path, problem, remedy) from None
        except (
            AttributeError,  # one array alone, which is no archive
            EOFError,
            KeyError,
            MemoryError,  # a header that names an array of any size
            NotImplementedError,  # a way of compressing that zipfile does not know
            RuntimeError,  # an encrypted archive
            TypeError,
            ValueError,
            zipfile.BadZipFile,
            zlib.error,
        ):
            raise FileError(path, "holds no codes", remedy) from None
