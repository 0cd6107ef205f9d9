"""A grid network without weights: logits drawn from what it is asked; pieces to ask it about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from partimento.music import Note, Promises, Score, TimeSignature, Track
from partimento.music.regions import Region
from partimento.music.replace_regions import graft, join_parts
from partimento.music.transform import join
from partimento.representations.track_grid import GridTrack, TrackGrid
from partimento.runtime.contract import Request, Task
from partimento.runtime.grids.performer import GridControls, GridPerformer

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


QUICK = GridControls(steps=3)
NAMES = ("Soprano", "Alto", "Tenor", "Bass")


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def piece(
    bars: int = 4, names: tuple[str, ...] = NAMES, quarter: int = 480, metre: str = "4/4"
) -> Score:
    """Return voices in quarters, each an octave's part below the one before."""
    signature = TimeSignature(0, *map(int, metre.split("/")))
    bar = int(signature.quarters_per_bar * quarter)
    tracks = tuple(
        Track(
            name,
            tuple(
                Note(at, 72 - 7 * (i % 4) + (at // quarter + i) % 5, quarter, 70)
                for at in range(0, bars * bar, quarter)
            ),
            program=52,
        )
        for i, name in enumerate(names)
    )
    return Score(
        tracks,
        ticks_per_quarter=quarter,
        time_signatures=(signature,),
        written_length_ticks=bars * bar,
    )


def infill(prompt: Score, *regions: Region, **rest: Any) -> Request:
    promises = rest.pop("promises", Promises())
    return Request(Task.INFILL, promises, (prompt,), regions=regions, **rest)


def rewritten(player: GridPerformer, request: Request, seed: int = 0, **controls: Any) -> Score:
    """Return the prompt with the new notes in it, as the instrument puts them."""
    assert request.prompt is not None
    settings = GridControls(**{"steps": 3, **controls})
    pieces = list(player.stream(request, settings, rng(seed)))
    made = join_parts([p for p in pieces if isinstance(p, Score)], request.prompt)
    return graft(request.prompt, made, request.regions, request.locks, request.locked_notes)


def played(player: GridPerformer, promises: Promises, seed: int = 0, **controls: Any) -> Score:
    settings = GridControls(**{"steps": 3, **controls})
    return join(player.stream(Request(Task.GENERATE, promises), settings, rng(seed)))  # type: ignore[arg-type]
