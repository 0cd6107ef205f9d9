"""Do promises hold? A thousand seeds with mixed constraints over every model that generates.

Each seed draws bars, metre, key, chords, ranges, polyphony, the longest silence and the ending at
random, asks a shipped model, and holds what comes out, read back from its MIDI file, against an
independent check (``partimento.metrics.adherence``). What cannot be met must have been refused
with ``CannotBeMet`` or ``NotSupported``; such draws are drawn again and counted apart
(``refused``). ``cadences`` counts the pieces that were held against a cadence, asked or by default.
Apart stand those whose chords contradict it (``chords_won``: dropped with a warning) and those that
have no room for one and did not ask for it (``left_open``).
"""

from __future__ import annotations

import tempfile
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import Options, say, start
from partimento import api, seeds
from partimento.errors import CannotBeMet, NotSupported
from partimento.generation.endings import NoCadence
from partimento.metrics.adherence import adherence
from partimento.music import PitchRange, Promises, parse_chords, parse_key
from partimento.music.cadences import CADENCES, Ending, parse_ending
from partimento.music.promises import parse_time_signature
from partimento.runtime.contract import Task

_KEYS = ("C", "A minor", "D minor", "G", "Eb", "F# minor", "Bb minor")
_CHORDS = {
    "C": "C Am F G7", "A minor": "Am F C E7", "D minor": "Dm Gm A7 Dm", "G": "G Em C D",
    "Eb": "Eb Cm Ab Bb7", "F# minor": "F#m D A C#7", "Bb minor": "Bbm Gb Db F7",
}  # fmt: skip
_ENDINGS = ("authentic", "plagal", "half", "open", "fade")
_METRES = ("4/4", "3/4", "2/4", "6/8", "5/4")


def draw(rng: np.random.Generator) -> dict[str, Any]:
    """Return random options as keyword arguments of ``Instrument.generate``."""
    wishes: dict[str, Any] = {"bars": int(rng.integers(1, 9))}
    if rng.random() < 0.5:
        wishes["time_signature"] = str(rng.choice(_METRES))
    key = str(rng.choice(_KEYS))
    if rng.random() < 0.6:
        wishes["key"] = key
    if rng.random() < 0.5:
        wishes["chords"] = _CHORDS[key]
    if rng.random() < 0.4:
        low = int(rng.integers(36, 56))
        wishes["range"] = [f"{low}-{low + int(rng.integers(14, 30))}"]
    if rng.random() < 0.4:
        wishes["polyphony"] = int(rng.integers(1, 5))
    if rng.random() < 0.4:
        wishes["max_silence"] = float(rng.choice([0.0, 0.5, 1.0, 2.0]))
    if rng.random() < 0.4:
        wishes["ending"] = str(rng.choice(_ENDINGS))
    return wishes


def promised(wishes: dict[str, Any], ending: Ending | None) -> Promises:
    """Return the options as promises, made here and not by the code under test."""
    ranges = {}
    for text in wishes.get("range", ()):
        low, _, high = text.partition("-")
        ranges["*"] = PitchRange(int(low), int(high))
    return Promises(
        bars=wishes["bars"],
        time_signature=parse_time_signature(wishes.get("time_signature", "4/4")),
        key=parse_key(wishes["key"]) if "key" in wishes else None,
        ranges=ranges,
        max_polyphony=wishes.get("polyphony"),
        chords=parse_chords(wishes["chords"]) if "chords" in wishes else (),
        max_silence_quarters=wishes.get("max_silence"),
        ending=ending,
    )


def run(options: Options) -> dict[str, Any]:
    """Ask every shipped model in turn."""
    wanted = 12 if options.quick else 1000
    loaded = [api.load(model.name) for model in api.models()]
    instruments = [each for each in loaded if Task.GENERATE in each.card.tasks]
    kept = tried = refused = 0
    count: Counter[str] = Counter()
    seed = 0
    with tempfile.TemporaryDirectory() as folder:
        while tried < wanted:
            seed += 1
            wishes = draw(seeds.generator(seed))
            instrument = instruments[seed % len(instruments)]
            try:
                with warnings.catch_warnings(record=True) as told:
                    warnings.simplefilter("always", NoCadence)
                    result = instrument.generate(seed=seed, temperature=1.2, **wishes)
            except (CannotBeMet, NotSupported):
                refused += 1
                continue
            path = Path(folder) / f"{seed}.mid"
            result.save(path)
            ending, why = expected(wishes, result, bool(told))
            count[why] += 1
            verdict = adherence(api.read_score(path), promised(wishes, ending))
            tried += 1
            kept += verdict.kept
            if not verdict.kept:
                say(f"seed {seed} {wishes}: {verdict}")
            if tried % 20 == 0:
                say(f"{tried} tried, {kept} kept, {refused} refused")
    figures = {"kept": kept, "tried": tried, "broken": tried - kept, "refused": refused}
    return figures | {name: count[name] for name in ("cadences", "chords_won", "left_open")}


def expected(wishes: dict[str, Any], result: Any, told: bool) -> tuple[Ending | None, str]:
    """Return the ending that a piece must have, and what it counts as."""
    asked = wishes.get("ending")
    if told:
        return None, "chords_won"
    if asked is not None:
        return parse_ending(asked), "cadences" if asked in CADENCES else "others"
    if wishes.get("chords") or not result.recipe.model.startswith("music-transformer"):
        return None, "others"
    if result.recipe.promises.get("ending") == "open":
        return None, "left_open"
    return "authentic", "cadences"


if __name__ == "__main__":
    start(__doc__, run, {"broken": lambda value: value == 0})
