"""Bar Markov: what its memory reaches, what it learns, and that the program serves it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from partimento import api
from partimento.cli.main import main
from partimento.files import read, write
from partimento.music import Note, Score, TimeSignature, Track
from partimento.systems.bar_markov import PRESETS
from partimento.systems.bar_markov.training import training_task

from support.tiny_models import roughen

BAR = 8
FIRST, SECOND = (60, 62, 64, 65, 67, 69, 71, 72), (72, 67, 64, 60, 72, 67, 64, 60)


def tune(bars: int, start: int = 0) -> Score:
    """Return two bars of eighths that alternate."""
    pitches = [pitch for at in range(bars) for pitch in (FIRST, SECOND)[(at + start) % 2]]
    notes = tuple(Note(240 * at, pitch, 240) for at, pitch in enumerate(pitches))
    return Score((Track("Melody", notes),), time_signatures=(TimeSignature(0, 4, 4),))


@pytest.mark.parametrize("back", range(1, BAR + 3))
def test_a_token_depends_on_the_bar_before_it_and_on_nothing_earlier(back: int) -> None:
    task = training_task(PRESETS["tiny"])
    roughen(task.network)
    task.network.eval()
    tokens = torch.arange(30, 50)
    place = len(tokens) - 1

    def logits() -> torch.Tensor:
        columns = torch.stack([tokens[place - k] for k in range(1, task.local_width + 1)])
        out: torch.Tensor = task.network(columns[None, None])
        return out

    with torch.no_grad():
        before = logits()
        tokens[place - back] = 80
        assert torch.equal(before, logits()) == (back > BAR)


def test_it_is_trained_plays_goes_on_and_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("tunes", "made", "real"):
        Path(folder).mkdir()
    for at in range(6):
        write(tune(8, at), Path(f"tunes/{at}.mid"))
        write(tune(4, at), Path(f"real/{at}.mid"))
    train = "train bar_markov tunes -o model --preset tiny --steps 60 --seed 1"
    assert main(train.split()) == 0
    write(tune(2), Path("sketch.mid"))
    for call in (
        "generate --model model --bars 4 --seed 1 --num-samples 2 -o made/piece.mid",
        "continue sketch.mid --model model --bars 2 --seed 1 --top-k 1 -o longer.mid",
        "evaluate made --reference real --model model",
    ):
        assert main(call.split()) == 0, capsys.readouterr().err
    # The chain has learnt that its two bars alternate: the likeliest bars continue from the sketch.
    pitches = [note.pitch for note in read("longer.mid").notes]
    assert pitches == [*FIRST, *SECOND, *FIRST, *SECOND]
    made = api.load("./model").generate(bars=3, key="F major", seed=2).score
    assert {note.pitch % 12 for note in made.notes} <= {5, 7, 9, 10, 0, 2, 4}
