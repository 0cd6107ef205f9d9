"""What reading leaves out of a piece, reported as a warning, so that nothing is lost silently."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from os import PathLike
from types import MappingProxyType

__all__ = ["LeftOut", "tell_left_out"]

_NOTHING: Mapping[str, int] = MappingProxyType({})


class LeftOut(UserWarning):
    """Of a file some ``notes`` or ``signs`` were left out: how many of what (a plural).

    ``remarks`` are whole clauses on what else became of it.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        notes: Mapping[str, int],
        signs: Mapping[str, int] = _NOTHING,
        remarks: Sequence[str] = (),
    ) -> None:
        self.notes = {what: count for what, count in notes.items() if count > 0}
        self.signs = {what: count for what, count in signs.items() if count > 0}
        self.remarks = tuple(remarks)
        counted = [f"{count} {what}" for what, count in self.notes.items()]
        counted += [
            f"{count} {what.removesuffix('s') if count == 1 else what}"
            for what, count in self.signs.items()
        ]
        left_out = [f"{', '.join(counted)} left out"] if counted else []
        super().__init__(f"{path}: {'; '.join([*left_out, *self.remarks])}")


def tell_left_out(
    path: str | PathLike[str],
    notes: Mapping[str, int],
    signs: Mapping[str, int] = _NOTHING,
    remarks: Sequence[str] = (),
) -> None:
    """Warn once of all that was left out of a file; where that is nothing, say nothing."""
    found = LeftOut(path, notes, signs, remarks)
    if found.notes or found.signs or found.remarks:
        warnings.warn(found, stacklevel=3)
