"""How fast the built-in synthesiser is: sixty seconds of four-voice chorale on one core.

    python -m benchmarks.sound

The last line is JSON: ``realtime_factor`` (seconds of sound for each second of one core's time,
all sounds made anew, the best of the rounds), ``wall_factor`` (the same by the clock on the wall,
which counts what other programs take), ``peak_dbfs``. Exit 1 where the first is under 50.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time

import numpy as np

from partimento.music import Note, Score, Tempo, Track
from partimento.sound import render
from partimento.sound.render import forget_sounds

_ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
_LEAST = 50.0
_VOICES = (("Soprano", 60, 81), ("Alto", 55, 74), ("Tenor", 48, 67), ("Bass", 40, 60))


def chorale(seconds: float = 60.0, program: int = 52, seed: int = 7) -> Score:
    """Return four voices that walk through C major in quarters and eighths at 90 a minute."""
    rng = np.random.default_rng(seed)
    scale = [pitch for pitch in range(128) if pitch % 12 in (0, 2, 4, 5, 7, 9, 11)]
    length = int(seconds * 90 / 60 * 480)
    tracks = []
    for name, low, high in _VOICES:
        inside = [pitch for pitch in scale if low <= pitch <= high]
        at, place, notes = 0, len(inside) // 2, []
        while at < length:
            duration = min(int(rng.choice([240, 480, 480, 960])), length - at)
            place = int(np.clip(place + rng.integers(-2, 3), 0, len(inside) - 1))
            notes.append(Note(at, inside[place], duration, int(rng.integers(64, 96))))
            at += duration
        tracks.append(Track(name, tuple(notes), program))
    return Score(tuple(tracks), tempos=(Tempo(0, 90.0),), written_length_ticks=length)


def main() -> int:
    """Measure, print, and tell by the exit status whether the figure is reached."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round")
    arguments = parser.parse_args()
    if any(os.environ.get(name) != "1" for name in _ONE_THREAD):
        # numpy reads the number of threads when it is loaded, hence a fresh process
        environment = os.environ | dict.fromkeys(_ONE_THREAD, "1")
        os.execve(sys.executable, [*sys.orig_argv], environment)
    best, best_wall, peak = 0.0, 0.0, 0.0
    for program, name in ((52, "choir"), (0, "piano"), (19, "church organ"), (48, "strings")):
        score = chorale(program=program)
        for _ in range(1 if arguments.quick else arguments.rounds):
            forget_sounds()
            work, wall = time.process_time(), time.perf_counter()
            audio = render(score)
            factor = audio.duration_seconds / (time.process_time() - work)
            wall_factor = audio.duration_seconds / (time.perf_counter() - wall)
            print(f"{name}: {factor:.0f} times real time ({wall_factor:.0f} by the wall clock)")
            if program == 52:
                best, best_wall = max(best, factor), max(best_wall, wall_factor)
                peak = audio.peak
    result = {
        "realtime_factor": round(best, 1),
        "wall_factor": round(best_wall, 1),
        "peak_dbfs": round(20 * float(np.log10(peak)), 2),
    }
    print(json.dumps(result))
    return 0 if best >= _LEAST else 1


if __name__ == "__main__":
    sys.exit(main())
