"""A grid network without weights: logits drawn from what it is asked, and what it was asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from partimento.representations.track_grid import GridTrack, TrackGrid
from partimento.runtime.grids import GridPerformer

CHOIR = TrackGrid([GridTrack(name, 52, 2) for name in ("Soprano", "Alto", "Tenor", "Bass")])
PLAIN = TrackGrid([GridTrack("High"), GridTrack("Low")])

_Ints = npt.NDArray[np.int64]


class Dice:
    """Answers as an ONNX Runtime session does; the same question gets the same answer.

    ``rest`` is added to the logit of EMPTY: the higher, the emptier. ``asked`` keeps what was
    asked, the last ``keep`` times.
    """

    def __init__(self, grid: TrackGrid, rest: float = 2.0, spread: float = 1.0) -> None:
        self.grid, self.rest, self.spread = grid, rest, spread
        self.asked: list[dict[str, _Ints]] = []

    def run(self, names: Sequence[str], feed: dict[str, _Ints]) -> list[npt.NDArray[np.float32]]:
        """Return ``what`` (1, S, T, 129) and ``length`` (1, S, T, 65)."""
        assert list(names) == ["what", "length"]
        _, slots, columns, _ = feed["cells"].shape
        assert columns % 16 == 0
        assert slots == self.grid.slots
        assert feed["sounding"].shape == (1, 3 * (slots - 1), columns)
        assert feed["features"].shape == (1, columns, 2)
        assert feed["given"].shape == (1, slots)
        assert 1 <= feed["context"][0, 0] <= 100
        assert feed["cells"].min() >= 0
        self.asked.append({name: value.copy() for name, value in feed.items()})
        seed = int((feed["cells"] % 131).sum()) + int(feed["context"].sum())
        draw = np.random.default_rng(seed)
        what = draw.normal(0, self.spread, (1, slots, columns, 129)).astype(np.float32)
        length = draw.normal(0, self.spread, (1, slots, columns, 65)).astype(np.float32)
        what[..., 0] += self.rest
        return [what, length]


def performer(
    grid: TrackGrid = CHOIR, window: int = 160, rest: float = 2.0, **config: Any
) -> tuple[GridPerformer, Dice]:
    """Return a performer over dice, and the dice."""
    dice = Dice(grid, rest)
    tracks = [{"name": track.name, "program": track.program} for track in grid.tracks]
    network = {"kind": "grid", "window": window, "ensembles": ["choir", "strings"]}
    values = {"network": network, "defaults": {"tempo": 84.0}, "tracks": tracks, **config}
    return GridPerformer(dice, grid, values), dice
