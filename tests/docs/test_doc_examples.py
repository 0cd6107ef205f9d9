"""The Python of the pages runs, against a model that hums and a decoder that knows nothing."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from partimento.files import write
from partimento.generation.instrument import Instrument
from partimento.metrics import plots
from partimento.music import Note, Promises, Score, TimeSignature, Track
from partimento.representations import BarEvents

from support.doc_pages import PAGES, blocks, name_of
from support.tiny_models import system_task

EXAMPLES = {
    name_of(page): found
    for page in PAGES
    # That page needs a server: it is run by the tests of the server.
    if page.name != "server.md"
    and (found := [text for language, text in blocks(page.read_text()) if language == "python"])
}
_ENOUGH = 3


class Even:
    """A decoder for which all tokens are equally likely."""

    vocabulary_size = BarEvents().vocabulary.size

    def begin(self, batch: int) -> None:
        return None

    def append(self, state: None, tokens: Any) -> tuple[Any, None]:
        return np.zeros((len(tokens), self.vocabulary_size), dtype=np.float32), None


def song(seed: int) -> Score:
    """Return four bars of quarters."""
    pitches = 60 + np.random.default_rng(seed).integers(12, size=16)
    notes = tuple(Note(480 * at, int(pitch), 480) for at, pitch in enumerate(pitches))
    return Score((Track("Piano", notes),), time_signatures=(TimeSignature(0, 4, 4),))


@pytest.fixture
def names(make_model, tmp_path, monkeypatch) -> dict[str, Any]:
    """Return what the examples take as given, in a folder of their own."""
    for name in ("music-transformer-chorales", "music-transformer-piano"):
        make_model(name)
    system_task("tts_gan").export(tmp_path / "models" / "tts-gan-groove", {})
    here = tmp_path / "here"
    (here / "my-songs").mkdir(parents=True)
    monkeypatch.chdir(here)
    write(song(0), Path("my-songs/a.mid"))
    pieces = Instrument.pieces
    monkeypatch.setattr(
        Instrument,
        "pieces",
        lambda self, plan: (
            piece for piece in islice(pieces(self, plan), _ENOUGH if plan.request.endless else None)
        ),
    )
    monkeypatch.setattr(plots, "save_plots", lambda _report, _folder: ())  # drawing is slow
    events = BarEvents()
    tokens = [events.encode(song(seed)) for seed in range(3)]
    return {
        "score": song(0),
        "generated": {"made": song(1), "made too": song(2)},
        "reference": {"real": song(3), "real too": song(4)},
        "training": {"learnt": song(5)},
        "promises": Promises(bars=4),
        "decoder": Even(),
        "vocabulary": events.vocabulary.size,
        "token_arrays": tokens,
        "tokens": tokens[0],
    }


@pytest.mark.parametrize("page", EXAMPLES)
def test_the_python_of_a_page_runs(page, names):
    for number, text in enumerate(EXAMPLES[page]):
        exec(compile(text, f"{page}, example {number}", "exec"), names)
