"""Do pieces end? Cadences and keys of generated pieces, beside Bach's own chorales.

``closed`` is the share of pieces whose last bar holds the cadence that was asked, over the right
bass and in the key that the file announces (``analysis.cadences.closing_of``); ``closed_open`` is
the share of authentic cadences in pieces with ``--ending open``, as the model leaves them
(silent ones, which are refused, left out);
``key_right`` the share whose announced key is the key heard when the file is read again (notes and
last chord, ``analysis.keys.estimate_key``), of pieces for which no key was asked. ``real`` is
the share of the test chorales that close with an authentic cadence in the key heard, and
``tonic_share`` how often their last chord stands on that key's tonic.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import Options, say, start
from partimento import api, seeds
from partimento.analysis.cadences import closing_of
from partimento.analysis.keys import estimate_key
from partimento.errors import CannotBeMet, FileError
from partimento.files import open_corpus
from partimento.music import Score

_MODELS = ("music-transformer-chorales", "music-transformer-piano")
_KEYS = (None, None, "C", "A minor", "D", "F# minor", "Eb", "G minor")
_METRES = (None, "4/4", "3/4", "2/4", "6/8")
_BARS = (1, 2, 4, 4, 6, 8, 8, 12)
_ENDINGS = ("authentic", "authentic", "authentic", "plagal", "half")


def draw(rng: np.random.Generator, ending: str | None) -> dict[str, Any]:
    """Return random arguments of ``Instrument.generate``; an ending where none is given."""
    wishes = {
        "bars": int(rng.choice(_BARS)),
        "key": _KEYS[rng.integers(len(_KEYS))],
        "time_signature": _METRES[rng.integers(len(_METRES))],
        "ending": ending or str(rng.choice(_ENDINGS)),
    }
    return {name: value for name, value in wishes.items() if value is not None}


def announced(score: Score) -> Any:
    """Return the key that a file states."""
    return score.key_signatures[-1].key


def run(options: Options) -> dict[str, Any]:
    """Generate, write, read back and measure."""
    wanted = 8 if options.quick else 500
    instruments = [api.load(name) for name in _MODELS]
    closed = opened = right = keyless = 0
    missed: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made.mid"
        for seed in range(wanted):
            wishes = draw(seeds.generator(seed), None)
            instrument = instruments[seed % len(instruments)]
            instrument.generate(seed=seed, **wishes).save(path)
            made = api.read_score(path)
            key = announced(made)
            is_closed = closing_of(made, key).kind == wishes["ending"]
            closed += is_closed
            if not is_closed:
                missed.append(f"{instrument.name} seed {seed} {wishes}")
            if "key" not in wishes and wishes["ending"] == "authentic":
                keyless += 1
                right += estimate_key(made) == key
            if (seed + 1) % 50 == 0:
                say(f"{seed + 1} of {wanted}: {closed} closed")
        say(f"key right in {right} of {keyless}")
        few = max(1, wanted // 5)
        silent = 0
        for seed in range(few):
            wishes = draw(seeds.generator(seed), "open")
            try:
                made = instruments[seed % len(instruments)].generate(seed=seed, **wishes).score
            except CannotBeMet:  # a bar or two without a note, which is refused
                silent += 1
                continue
            opened += closing_of(made, announced(made)).kind == "authentic"
    figures = {
        "pieces": wanted,
        "closed": round(closed / wanted, 4),
        "closed_open": round(opened / (few - silent), 4),
        "key_right": round(right / max(1, keyless), 4),
        "missed": missed[:10],
    }
    return figures | real_chorales(options)


def real_chorales(options: Options) -> dict[str, Any]:
    """Return the same of the test chorales; nothing where the data are not there."""
    try:
        items = open_corpus("jsb_chorales").of_split("test")
    except FileError:
        return {"real": None}
    scores = [item.load() for item in items[: 10 if options.quick else None]]
    kinds = []
    tonic = 0
    for score in scores:
        assert isinstance(score, Score)
        key = estimate_key(score)
        assert key is not None
        found = closing_of(score, key)
        kinds.append(found.kind)
        tonic += found.bass == key.tonic
    return {
        "real": round(kinds.count("authentic") / len(kinds), 4),
        "tonic_share": round(tonic / len(kinds), 4),
    }


if __name__ == "__main__":
    start(
        __doc__,
        run,
        {"closed": lambda share: share == 1.0, "key_right": lambda share: share >= 0.98},
    )
