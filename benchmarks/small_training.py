"""Three minutes of training on forty small pieces, as a new user tries it.

The pieces are composed by ``music-transformer-piano``, eight bars each, or taken from ``--pieces``,
a folder of music. They are trained on by the program itself, in a process of its own:

- ``seconds_to_first_word``: from the start of the program to its first line;
- ``ctrl_c_answer_s``, ``ctrl_c_s``: from Ctrl-C in the middle of training to the answer, and to
  the end of the program, which has saved;
- ``nll``, ``nll_counting``: nats a token on the pieces of the test split, which neither has seen;
  the counting model is the best of n-grams of one to four tokens, with and without the
  transpositions that the network learns from, so it is chosen on the test itself.

Where the program says before it starts that the minutes are too few, ``said_too_short`` is true and
``holds`` does not ask for more.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import Options, say, start
from partimento import api
from partimento.catalog import find_card
from partimento.config import read_config, validate_config
from partimento.metrics.ngram import NGramModel
from partimento.runtime.presets import TokenPreset
from partimento.systems.music_transformer.training import training_task
from partimento.training.loop.run import load_best
from partimento.training.tokens.task import TokenTask

MINUTES, PIECES, BARS = 3.0, 40, 8
COMPOSER = "music-transformer-piano"
CONTEXTS = ((1,), (1, 2), (1, 2, 3), (1, 2, 3, 4))
LIMIT_SECONDS = 3600.0


@dataclass
class Program:
    """``partimento train`` in a process of its own, its lines with the seconds they came at."""

    arguments: list[str]
    began: float = field(default_factory=time.monotonic)
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        command = [sys.executable, "-m", "partimento", "train", *self.arguments]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self._arrived: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._arrived.put(line.rstrip("\n"))
        self._arrived.put(None)

    def heard(self) -> Iterator[str]:
        """Yield the lines as they come, to the end of the program."""
        while (line := self._arrived.get(timeout=LIMIT_SECONDS)) is not None:
            self.lines.append(line)
            yield line


def compose(folder: Path, count: int, bars: int) -> None:
    """Write pieces of a shipped model."""
    instrument = api.load(COMPOSER)
    for seed in range(count):
        instrument.generate(bars=bars, seed=seed, humanize=0).save(folder / f"{seed:03}.mid")


def trained(music: Path, out: Path, options: list[str]) -> dict[str, Any]:
    """Train to the end; returns the time to the first line, and what was said of the minutes."""
    program = Program(["music_transformer", str(music), "-o", str(out), *options])
    first = 0.0
    for line in program.heard():
        first = first or time.monotonic() - program.began
        say(line)
    if program.process.wait() != 0:
        raise SystemExit(f"training failed: {program.lines[-1:]}")
    return {
        "seconds_to_first_word": round(first, 2),
        "train_s": round(time.monotonic() - program.began, 1),
        "said_too_short": any("too short to learn" in line for line in program.lines),
    }


def interrupted(music: Path, out: Path, options: list[str]) -> dict[str, Any]:
    """Press Ctrl-C in the middle of a step of training; returns how long the answers take."""
    program = Program(["music_transformer", str(music), "-o", str(out), *options])
    asked = answered = 0.0
    for line in program.heard():
        if asked and not answered:
            answered = time.monotonic() - asked
        if not asked and "  step " in line:
            time.sleep(0.5)
            asked = time.monotonic()
            os.kill(program.process.pid, signal.SIGINT)
    program.process.wait()
    ended = time.monotonic() - asked
    if program.process.returncode != 130 or "--resume" not in program.lines[-1]:
        raise SystemExit(f"not stopped as it should be: {program.lines[-1:]}")
    return {"ctrl_c_answer_s": round(answered, 2), "ctrl_c_s": round(ended, 2)}


def task_of(out: Path) -> TokenTask:
    """Return the training task of a finished run, with its data and best weights."""
    values = read_config(out / "training" / "preset.json")
    find_card(values["system"])
    task = training_task(validate_config(TokenPreset, values["preset"]))
    task.recall(out / "training")
    load_best(task, out)
    return task


def counting(task: TokenTask, split: str) -> float:
    """Return the least NLL of a split of counting models over the same tokens."""
    pieces = task.sets["train"].pieces
    plain = [piece.tokens.astype(np.int64) for piece in pieces]
    moved = [task.sets["train"].piece(i, s)[0] for i, p in enumerate(pieces) for s in p.shifts]
    test = [piece.tokens for piece in task.sets[split].pieces]
    found = []
    for offsets in CONTEXTS:
        for music in (plain, moved):
            model = NGramModel(task.vocabulary, offsets).fit(music)
            found.append(float(np.concatenate([model.nll(tokens) for tokens in test]).mean()))
    return min(found)


def measure(options: Options) -> Mapping[str, Any]:
    """Run the trial."""
    minutes = float(options.more["minutes"] or (0.2 if options.quick else MINUTES))
    with tempfile.TemporaryDirectory() as folder:
        music = Path(options.more["pieces"] or Path(folder) / "pieces")
        if not options.more["pieces"]:
            music.mkdir()
            count, bars = (12, 2) if options.quick else (PIECES, BARS)
            say(f"composing {count} pieces")
            compose(music, count, bars)
        run, stopped = Path(folder) / "run", Path(folder) / "stopped"
        # quick: one thread, for two wait for each other where others compute
        choice = ["--preset", "tiny", "--steps", "40", "--threads", "1"] if options.quick else []
        figures = trained(music, run, choice or ["--minutes", f"{minutes:g}"])
        longer = (
            ["--preset", "tiny", "--steps", "100000", "--threads", "1"] if options.quick else []
        )
        figures |= interrupted(music, stopped, longer or ["--minutes", f"{minutes:g}"])
        task = task_of(run)
        played = api.load(run).generate(bars=4, seed=1)
        split = "test" if task.sets["test"].pieces else "valid"  # the few of --quick
        nll, base = task.test_nll(split), counting(task, split)
    held = nll < base or figures["said_too_short"]
    return figures | {
        "minutes": minutes,
        "tokens": task.facts["tokens"]["train"],
        "nll": round(nll, 3),
        "nll_counting": round(base, 3),
        "notes_played": len(played.score.notes),
        "holds": held,
    }


if __name__ == "__main__":
    start(
        __doc__,
        measure,
        targets={
            "seconds_to_first_word": lambda seconds: seconds <= 1.0,
            "ctrl_c_answer_s": lambda seconds: seconds <= 1.0,
            "ctrl_c_s": lambda seconds: seconds <= 5.0,
            "holds": lambda held: held,
            "notes_played": lambda notes: notes > 0,
        },
        more={
            "minutes": "minutes of training (3)",
            "pieces": "a folder of music to train on, instead of composed pieces",
        },
    )
