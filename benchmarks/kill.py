"""kill -9 at random moments: what a training and a stream leave behind.

- Training, with a checkpoint every second, is killed and resumed until ``kills`` are spent;
  whenever a run comes to its end, its log is compared with that of an unbroken run.
  ``same_losses`` counts the kills of runs whose losses and best weights are the same to the last
  bit.
- Streaming to each format is killed ``kills`` times. ``playable`` counts the kills after which the
  file is whole and opens, or is not there at all, and each format has its own count in ``formats``.

A kill comes at a moment drawn evenly over reading, training, saving and exporting. Processes are
forked from one that has imported everything, so that most of their life is not importing.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from benchmarks.harness import Options, say, start
from partimento import files
from partimento.cli.main import main
from partimento.music import Note, Score, Track
from partimento.systems.music_transformer.card import PRESETS
from partimento.systems.music_transformer.training import training_task
from partimento.training.loop.progress import Progress
from partimento.training.loop.run import train
from partimento.training.loop.trainer import BEST, CHECKPOINT

KILLS, QUICK_KILLS = 100, 3
STEPS, QUICK_STEPS = 400, 40
FORMATS = ("wav", "flac", "ogg", "mp3", "mid")
STREAM_SECONDS, QUICK_STREAM_SECONDS = 40, 4
BEFORE_TRAINING = 0.2  # the share of kills that comes before the first step
PATIENCE_SECONDS = 600.0

PRELOADED = [
    "partimento.cli.stream",
    "partimento.systems.music_transformer.training",
    "partimento.training.loop.run",
]
CONTEXT = multiprocessing.get_context("forkserver")


def compose(folder: Path) -> None:
    """Write six melodies."""
    folder.mkdir()
    draw = np.random.default_rng(0)
    for number in range(6):
        pitches = 60 + draw.integers(-12, 13, size=32)
        notes = tuple(Note(240 * i, int(pitch), 240) for i, pitch in enumerate(pitches))
        files.write(Score((Track("Melody", notes),)), folder / f"{number}.mid")


class Announcing(Progress):
    """Tells another process by a file that training has begun."""

    def __init__(self, begun: Path) -> None:
        super().__init__(quiet=True)
        self.begun = begun

    def begin(self, stage: str, step: int, total: int | None) -> None:
        """Start a stage."""
        super().begin(stage, step, total)
        self.begun.touch()


def work(music: Path, out: Path, steps: int, save_seconds: float, begun: Path) -> None:
    """Train, or go on with a run that was killed; runs in a process of its own."""
    preset = PRESETS["tiny"]
    training = preset.training.model_copy(update={"steps": steps, "validate_every": 10})
    train(
        training_task(preset.model_copy(update={"training": training})),
        [files.open_corpus(music)],
        out,
        seed=3,
        resume=(out / "training" / CHECKPOINT).exists(),
        threads=1,
        progress=Announcing(begun),
        save_seconds=save_seconds,
    )


def losses(out: Path) -> tuple[list[dict[str, Any]], bytes]:
    """Return the log but for the seconds, and the best weights."""
    lines = [json.loads(t) for t in (out / "training" / "log.jsonl").read_text().splitlines()]
    kept = [{k: v for k, v in line.items() if k != "seconds"} for line in lines]
    return kept, (out / "training" / BEST).read_bytes()


def ended(process: BaseProcess, seconds: float) -> bool:
    """Wait for a process; return whether it came to its end."""
    process.join(seconds)
    if process.is_alive():
        return False
    if process.exitcode != 0:
        raise SystemExit(f"a process failed with {process.exitcode}")
    return True


def kill_trainings(folder: Path, kills: int, steps: int, save_seconds: float) -> dict[str, Any]:
    """Return how many kills were survived with the same losses, and of how many."""
    music = folder / "music"
    compose(music)
    began = time.monotonic()
    whole, begun = folder / "whole", folder / "begun"
    process = CONTEXT.Process(target=work, args=(music, whole, steps, 1e9, begun))
    process.start()
    if not ended(process, PATIENCE_SECONDS):
        raise SystemExit("training does not end")
    length = time.monotonic() - began
    wanted, draw = losses(whole), np.random.default_rng(1)
    done, same, runs = 0, 0, 0
    while done < kills:
        out, own = folder / f"run{runs}", 0
        runs += 1
        while True:
            begun.unlink(missing_ok=True)
            process = CONTEXT.Process(target=work, args=(music, out, steps, save_seconds, begun))
            process.start()
            if done + own >= kills:  # all are spent: let it come to its end
                moment = PATIENCE_SECONDS
            elif draw.random() < BEFORE_TRAINING:
                moment = float(draw.uniform(0, 0.3))
            else:
                while not begun.exists() and process.is_alive():
                    time.sleep(0.01)
                moment = float(draw.uniform(0, max(2 * save_seconds, length / 3)))
            if ended(process, moment):
                break
            process.kill()
            process.join()
            own += 1
        is_same = losses(out) == wanted
        say(f"run {runs}: {own} kills, {'the same' if is_same else 'DIFFERENT'} losses")
        done, same = done + own, same + own * is_same
    return {"training_kills": done, "same_losses": same}


def play(path: Path, seconds: int) -> None:
    """Stream into a file; runs in a process of its own."""
    with open(os.devnull, "w") as nothing, contextlib.redirect_stderr(nothing):
        code = main(
            ["stream", "-o", str(path), "--seconds", str(seconds), "--seed", "1", "--threads", "1"]
        )
    raise SystemExit(code)


def opens(path: Path) -> bool:
    """Return whether a file is whole, or is not there.

    A sound file may still hold no sound: the kill came before the first bar.
    """
    if not path.exists():
        return True
    try:
        if path.suffix == ".mid":
            files.read(path)
        else:
            soundfile.read(path)
    except Exception as error:
        say(f"{path.name}: {error}")
        return False
    return True


def kill_streams(folder: Path, ending: str, kills: int, seconds: int) -> dict[str, int]:
    """Return after how many kills a file was playable or absent, and how many were there."""
    began = time.monotonic()
    process = CONTEXT.Process(target=play, args=(folder / f"whole.{ending}", seconds))
    process.start()
    if not ended(process, PATIENCE_SECONDS):
        raise SystemExit("streaming does not end")
    length = time.monotonic() - began
    draw = np.random.default_rng(2)
    playable = present = 0
    for number in range(kills):
        path = folder / f"{number}.{ending}"
        process = CONTEXT.Process(target=play, args=(path, seconds))
        process.start()
        process.join(float(draw.uniform(0, 1.1 * length)))
        process.kill()
        process.join()
        playable, present = playable + opens(path), present + path.exists()
        path.unlink(missing_ok=True)
    return {"kills": kills, "playable": playable, "present": present}


def measure(options: Options) -> Mapping[str, Any]:
    """Kill and look."""
    kills = int(options.more["kills"] or (QUICK_KILLS if options.quick else KILLS))
    steps = QUICK_STEPS if options.quick else STEPS
    seconds = QUICK_STREAM_SECONDS if options.quick else STREAM_SECONDS
    CONTEXT.set_forkserver_preload(PRELOADED)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        figures = kill_trainings(place, kills, steps, 0.1 if options.quick else 1.0)
        formats = {}
        for ending in FORMATS:
            formats[ending] = kill_streams(place, ending, kills, seconds)
            say(f"{ending}: {formats[ending]}")
    streams = sum(each["kills"] for each in formats.values())
    playable = sum(each["playable"] for each in formats.values())
    return {
        **figures,
        "stream_kills": streams,
        "playable": playable,
        "formats": formats,
        "holds": figures["same_losses"] == figures["training_kills"] and playable == streams,
    }


TARGETS: dict[str, Callable[[Any], bool]] = {"holds": bool}

if __name__ == "__main__":
    start(__doc__, measure, TARGETS, more={"kills": "of training, and of each format (100)"})
