"""How light the instrument is: a fresh environment without torch, and the time to first music.

Makes a virtual environment, installs the package there as a user would, and measures its size on
disk, ``partimento --help``, sixteen bars from nothing to a WAV file, and the time to the first
note of a stream. Timings are the best of three.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

from benchmarks.harness import Options, say, start, timed

_ROOT = Path(__file__).resolve().parents[1]


def megabytes(folder: Path) -> float:
    """Return the size of all files below a folder, in MB."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sum(path.stat().st_size for path in files) / 1e6


def first_note(program: Path, folder: Path) -> float:
    """Return the seconds from the start of the process to the first sound of a stream."""
    done = subprocess.run(
        [program, "stream", "--bars", "4", "--seed", "7", "--force", "--verbose",
         "-o", folder / "s.wav"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    found = re.search(r"First note ([0-9.]+) s", done.stderr + done.stdout)
    if found is None:
        raise RuntimeError("the stream did not tell its time to the first note")
    return float(found[1])


def run(options: Options) -> dict[str, Any]:
    """Install and time."""
    rounds = 1 if options.quick else 3
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        say("making a virtual environment")
        venv.create(folder / "venv", with_pip=True)
        python = folder / "venv" / "bin" / "python"
        pip: list[str | Path] = [
            python,
            "-m",
            "pip",
            "install",
            "-q",
            "--disable-pip-version-check",
        ]
        subprocess.run([*pip, str(_ROOT)], check=True)
        size = megabytes(folder / "venv")
        program = folder / "venv" / "bin" / "partimento"
        wav = [program, "generate", "--bars", "16", "--seed", "7", "--force"]
        wav += ["-o", folder / "a.wav"]

        def call(command: list[Any]) -> float:
            return timed(lambda: subprocess.run(command, check=True, capture_output=True))

        call([program, "--help"])
        return {
            "venv_mb": round(size),
            "help_s": round(min(call([program, "--help"]) for _ in range(rounds)), 2),
            "wav_s": round(min(call(wav) for _ in range(rounds)), 2),
            "first_note_s": round(min(first_note(program, folder) for _ in range(rounds)), 2),
            "python": sys.version.split()[0],
        }


if __name__ == "__main__":
    start(
        __doc__,
        run,
        {
            "venv_mb": lambda value: value <= 300,
            "help_s": lambda value: value < 0.5,
            "wav_s": lambda value: value < 5,
            "first_note_s": lambda value: value < 1,
        },
    )
