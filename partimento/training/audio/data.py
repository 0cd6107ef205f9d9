"""Sound to learn from: corpora as shards of 16-bit stereo beside the run, drawn as random crops.

Recordings are resampled and folded to stereo, scores are played with variation; both in as many
processes as there are cores, each shard whole or not at all. A run that was stopped continues from
the shards that are there. Nothing is held in memory but the conditions.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from multiprocessing import get_context, parent_process
from pathlib import Path
from signal import SIG_IGN, SIGINT, signal
from threading import Thread
from typing import Any

import numpy as np
import numpy.typing as npt

from partimento.errors import FileError, TrainingError
from partimento.files.atomic import atomic_path
from partimento.files.corpora.corpus import Corpus
from partimento.files.corpora.splits import SPLITS
from partimento.runtime.audio.presets import AudioData
from partimento.runtime.threads import cores
from partimento.training import distributed
from partimento.training.audio.inventory import Inventory, take_inventory
from partimento.training.audio.report import account, expectation
from partimento.training.audio.shards import (
    CONDITIONS,
    HEADER,
    Made,
    ShardDescription,
    ShardSource,
    is_whole,
    made_before,
    make_shard,
    read_conditions,
)
from partimento.training.data import fingerprint

__all__ = ["AudioClip", "AudioSet", "load_audio", "prepare_audio"]

_INDEX = "index.json"
_FOLDER = "audio"
_SHARE = 0.1  # of the sound, held out where the corpus's own splits hold none
_REPORT_SECONDS = 5.0
_SECONDS_A_PROCESS = 120.0  # of sound; less is not worth starting a process
_SPARE_BYTES = 50 * 2**20
_LEAST_LATENTS = 8

F32 = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class AudioClip:
    """Latents ``first`` to ``first + latents`` of a shard, and the conditions of each.

    ``group`` is the piece it comes from. ``conditions`` are (latents, 5), as
    ``representations.sound_conditions`` says.
    """

    name: str
    group: str
    path: Path
    first: int
    latents: int
    latent_samples: int
    conditions: F32 = field(repr=False)

    def read(self, start: int, count: int) -> F32:
        """Return samples ``start`` to ``start + count`` of the clip (2, count).

        What lies beyond its end is silence.

        Raises:
            TrainingError: if the shard is no longer there whole.
        """
        out = np.zeros((2, count), dtype=np.float32)
        self.read_into(out, start)
        return out

    def read_into(self, out: F32, start: int) -> None:
        """Write the samples from ``start`` on into ``out`` (2, count), as far as there are any."""
        count = min(out.shape[1], self.latents * self.latent_samples - start)
        if count <= 0:
            return
        offset = HEADER + 4 * (self.first * self.latent_samples + start)
        try:
            flat = np.fromfile(self.path, dtype="<i2", count=2 * count, offset=offset)
        except OSError as error:
            raise TrainingError(f"{self.path} cannot be read ({error.strerror})") from None
        if len(flat) < 2 * count:
            raise TrainingError(f"{self.path} is cut short; delete it and start again")
        np.multiply(flat.reshape(-1, 2).T, np.float32(1 / 32767), out=out[:, :count])

    def samples(self, first: int, latents: int) -> F32:
        """Return the samples of latents (2, latents * latent_samples), silence beyond the end."""
        return self.read(first * self.latent_samples, latents * self.latent_samples)

    def part(self, first: int, latents: int) -> AudioClip:
        """Return these latents as a clip of its own."""
        conditions = self.conditions[first : first + latents]
        return replace(
            self, first=self.first + first, latents=len(conditions), conditions=conditions
        )


class AudioSet:
    """The clips of one split, to be drawn from."""

    def __init__(
        self, clips: Sequence[AudioClip], sample_rate_hz: int, latent_samples: int
    ) -> None:
        self.clips, self.sample_rate_hz = tuple(clips), sample_rate_hz
        self.latent_samples = latent_samples
        self._lengths = np.array([clip.latents for clip in self.clips], dtype=np.int64)

    @property
    def latents(self) -> int:
        """How many latents all clips have."""
        return int(self._lengths.sum())

    @property
    def seconds(self) -> float:
        """How long all clips sound."""
        return self.latents * self.latent_samples / self.sample_rate_hz

    def crops(self, draw: np.random.Generator, count: int, latents: int) -> tuple[F32, F32]:
        """Return (samples, conditions): (B, 2, latents * latent_samples), (B, latents, 5).

        Crops begin at any sample; every moment is as likely. A clip that is too short is drawn
        only as often as its length asks for, and silence follows it.

        Raises:
            TrainingError: if the set is empty, or a shard is no longer there whole.
        """
        if not self.clips:
            raise TrainingError("there is no sound in this split; add music")
        step = self.latent_samples
        # A clip as long as the crop has one place; each further latent is a place more.
        chance = np.where(
            self._lengths >= latents, self._lengths - latents + 1, self._lengths / latents
        )
        chosen = draw.choice(len(self.clips), size=count, p=chance / chance.sum())
        samples = np.zeros((count, 2, latents * step), dtype=np.float32)
        conditions = np.zeros((count, latents, self.clips[0].conditions.shape[1]), np.float32)
        for row, index in enumerate(chosen):
            clip = self.clips[index]
            start = int(draw.integers(max(0, clip.latents - latents) * step + 1))
            clip.read_into(samples[row], start)
            conditions[row] = _between(clip.conditions, start / step, latents)
        return samples, conditions

    def evenly(self, count: int, latents: int) -> tuple[F32, F32]:
        """Return ``count`` crops in which nothing is drawn: the same at every call."""
        return self.crops(np.random.default_rng(0), count, latents)


def _between(conditions: F32, at: float, latents: int) -> F32:
    """Return conditions from a place between latents on; beyond the end the last ones stay."""
    places = np.minimum(np.arange(latents) + at, len(conditions) - 1)
    low = places.astype(np.int64)
    high = np.minimum(low + 1, len(conditions) - 1)
    share = (places - low).astype(np.float32)[:, None]
    out: F32 = conditions[low] * (1 - share) + conditions[high] * share
    return out


def prepare_audio(
    corpora: Sequence[Corpus],
    folder: Path,
    say: Callable[[str], None],
    config: AudioData | None = None,
    latent_samples: int = 4096,
    workers: int | None = None,
    description: ShardDescription = CONDITIONS,
) -> dict[str, AudioSet]:
    """Make the sound of corpora into shards under ``folder/audio``; return a set for each split.

    What is there already is kept. Where the corpora's own splits hold nothing out, a tenth of the
    sound is. ``workers`` None takes every core.

    Raises:
        TrainingError: if there is nothing to learn from, or the disk is full; says what is kept.
        KeyboardInterrupt: after Ctrl-C, with all shards kept that were made.
    """
    config = config or AudioData()
    place = folder / _FOLDER
    workers = workers or cores()
    found = take_inventory(corpora, config, latent_samples, workers)
    if not found.parts:
        raise TrainingError(_nothing(found))
    made_from: list[Any] = [config.model_dump(mode="json"), sorted(p.key for p in found.parts)]
    if description.name != CONDITIONS.name:
        made_from.append(description.name)
    mark = fingerprint(made_from)
    if distributed.rank() != 0:
        return _await(folder, mark)
    sets = load_audio(folder, mark)
    if sets is None:
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FileError(place, f"cannot be made ({error.strerror})", "choose another") from None
        made = _make_all(found.parts, place, config, latent_samples, workers, say, description)
        clips, figures = _kept(found, made, place, latent_samples)
        if sum(clip.latents for clips_ in clips.values() for clip in clips_) < _LEAST_LATENTS:
            raise TrainingError(_nothing(found, figures))
        _write_index(place, mark, clips, config, latent_samples, account(found, figures))
        sets = load_audio(folder, mark)
        assert sets is not None
    for line in json.loads((place / _INDEX).read_text(encoding="utf-8"))["account"]:
        say(line)
    say(expectation(sets["train"].seconds))
    return sets


def load_audio(folder: Path, mark: str | None = None) -> dict[str, AudioSet] | None:
    """Return the sets that an earlier run made under ``folder``, or None if they are not there.

    ``mark`` None takes whatever they were made from.

    Raises:
        TrainingError: if they are damaged.
    """
    place = folder / _FOLDER
    path = place / _INDEX
    if not path.exists():
        return None
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        if mark is not None and index["made_from"] != mark:
            return None
        rate, step = index["sample_rate_hz"], index["latent_samples"]
        conditions_of: dict[str, F32] = {}
        sets = {}
        for split in SPLITS:
            clips = []
            for name, group, key, first, latents in index["clips"][split]:
                shard = place / f"{key}.npy"
                if key not in conditions_of:
                    conditions_of[key] = read_conditions(shard)
                    if not is_whole(shard, len(conditions_of[key]) * step):
                        return None
                here = conditions_of[key][first : first + latents]
                clips.append(AudioClip(name, group, shard, first, latents, step, here))
            sets[split] = AudioSet(clips, rate, step)
    except FileNotFoundError:
        return None  # shards were deleted: they are made again
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{path} is damaged ({error}); delete it and start again") from None
    return sets


def _await(folder: Path, mark: str) -> dict[str, AudioSet]:
    """Return what the first process of several makes, once it is there."""
    while (sets := load_audio(folder, mark)) is None:
        time.sleep(0.5)
    return sets


def _nothing(found: Inventory, parts: Sequence[tuple[str, Made]] = ()) -> str:
    text = "there is no sound to learn from"
    problems = dict.fromkeys((name, made.problem) for name, made in parts if made.problem)
    if skipped := [*found.skipped, *problems]:
        shown = "; ".join(f"{name}: {why}" for name, why in skipped[:3])
        more = len(skipped) - 3
        text += f": {shown}" + (f"; and {more} more" if more > 0 else "")
    return text + "; name a folder of recordings (WAV, FLAC, OGG, MP3, AIFF, ...) or scores"


def _make_all(
    parts: Sequence[ShardSource],
    place: Path,
    config: AudioData,
    latent_samples: int,
    workers: int,
    say: Callable[[str], None],
    description: ShardDescription,
) -> dict[str, Made]:
    """Make every part that is not there yet; return what became of each, by key."""
    for left in place.glob(".*"):
        left.unlink()  # what a process that was killed had begun
    made: dict[str, Made] = {}
    todo = []
    for part in parts:
        before = made_before(part, latent_samples, place)
        if before is None:
            todo.append(part)
        else:
            made[part.key] = before
    seconds = sum(part.seconds for part in todo)
    _check_room(place, seconds, config)
    if made and todo:
        say(f"sound: {len(made)} of {len(parts)} parts were there already")
    make = partial(
        make_shard,
        config=config,
        latent_samples=latent_samples,
        folder=place,
        description=description,
    )
    workers = max(1, min(workers, int(seconds / _SECONDS_A_PROCESS)))
    began = reported = time.monotonic()
    done = 0.0
    lengths = {part.key: part.seconds for part in todo}
    try:
        with closing(_results(make, todo, workers)) as results:
            for result in results:
                if result.is_fatal:
                    raise TrainingError(
                        f"{place}: {result.problem}; {len(made)} of {len(parts)} parts of sound "
                        f"are kept, the same command continues from them"
                    )
                made[result.key] = result
                done += lengths[result.key]
                now = time.monotonic()
                if now - reported >= _REPORT_SECONDS:
                    reported = now
                    say(_progress(len(made), len(parts), done, seconds, now - began))
    except KeyboardInterrupt:
        say(f"interrupted: {len(made)} of {len(parts)} parts of sound are kept")
        raise
    except BrokenProcessPool:
        raise TrainingError(
            f"a process that made sound was ended from outside, perhaps for memory; {len(made)} of "
            f"{len(parts)} parts are kept, the same command continues from them"
        ) from None
    return made


def _results(
    make: Callable[[ShardSource], Made], todo: Sequence[ShardSource], workers: int
) -> Generator[Made]:
    """Yield what became of each part; closed early, finish only what is in work."""
    if workers == 1:
        yield from map(make, todo)
        return
    # Forking a process that runs threads can deadlock; spawning cannot. Ctrl-C goes to the whole
    # group of processes: only this one heeds it.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=_serve)
    # The longest first, so that no process is left alone with one at the end.
    order = iter(sorted(todo, key=lambda part: -part.seconds))
    try:
        # No more is handed out than can be worked on: what is stopped need not be waited for.
        running = {pool.submit(make, part) for part in islice(order, workers)}
        while running:
            finished, running = wait(running, return_when=FIRST_COMPLETED)
            running |= {pool.submit(make, part) for part in islice(order, len(finished))}
            for future in finished:
                yield future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _serve() -> None:
    """Leave Ctrl-C to the process that leads, and end with it: a killed one cannot say so."""
    signal(SIGINT, SIG_IGN)
    Thread(target=_end_with_the_leader, daemon=True).start()


def _end_with_the_leader() -> None:
    leader = parent_process()
    if leader is not None:
        leader.join()
        os._exit(1)


def _check_room(place: Path, seconds: float, config: AudioData) -> None:
    """Refuse to begin what the disk cannot hold."""
    needed = int(seconds * config.sample_rate_hz * 4)
    free = shutil.disk_usage(place).free - _SPARE_BYTES
    if needed > free:
        hours = max(0.0, free / (config.sample_rate_hz * 4 * 3600))
        raise TrainingError(
            f"{seconds / 3600:.1f} hours of sound need {needed / 1e9:.1f} GB in {place}, and "
            f"{max(0, free) / 1e9:.1f} GB are free; free some space or set data.hours to "
            f"{hours:.1f} at most"
        )


def _progress(done: int, parts: int, seconds: float, of: float, elapsed: float) -> str:
    speed = seconds / max(elapsed, 1e-9)
    left = int((of - seconds) / max(speed, 1e-9))
    return (
        f"sound  {done}/{parts} parts  {seconds / 3600:.2f} of {of / 3600:.2f} hours  "
        f"{speed:.0f}x real time  {left // 60}:{left % 60:02} left"
    )


def _kept(
    found: Inventory, made: dict[str, Made], place: Path, latent_samples: int
) -> tuple[dict[str, list[AudioClip]], list[tuple[str, Made]]]:
    """Return the clips of each split, and (name, what became of it) of every part."""
    digests: set[int] = set()
    clips: dict[str, list[AudioClip]] = {split: [] for split in SPLITS}
    figures = []
    for part in sorted(found.parts, key=lambda p: (p.group, p.name, p.first, p.rendition)):
        result = made[part.key]
        if result.latents:
            if result.figures["digest"] in digests:
                result = Made(part.key, problem="repeats another file")
            else:
                digests.add(result.figures["digest"])
                conditions = read_conditions(place / f"{part.key}.npy")
                clips[part.split].append(
                    AudioClip(
                        part.name, part.group, place / f"{part.key}.npy", 0, result.latents,
                        latent_samples, conditions,
                    )
                )  # fmt: skip
        figures.append((part.name, result))
    return _held_out(clips), figures


def _held_out(clips: dict[str, list[AudioClip]]) -> dict[str, list[AudioClip]]:
    """Return clips in which train, valid and test each hold something.

    What a split lacks is taken from the end of the train split, a tenth of the whole.
    """
    train = clips["train"] or [clip for split in SPLITS for clip in clips[split]]
    out = {**clips, "train": list(train)}
    if not clips["train"]:
        out |= {"valid": [], "test": []}
    tenth = int(_SHARE * sum(clip.latents for clip in train))
    for split in ("valid", "test"):
        wanted = max(1, tenth)
        while wanted > 0 and not clips[split] and sum(c.latents for c in out["train"]) > wanted:
            last = out["train"].pop()
            if last.latents > wanted:
                out["train"].append(last.part(0, last.latents - wanted))
                last = last.part(last.latents - wanted, wanted)
            out[split] = [last, *out[split]]
            wanted -= last.latents
    return out


def _write_index(
    place: Path,
    mark: str,
    clips: dict[str, list[AudioClip]],
    config: AudioData,
    latent_samples: int,
    lines: list[str],
) -> None:
    index: dict[str, Any] = {
        "made_from": mark,
        "sample_rate_hz": config.sample_rate_hz,
        "latent_samples": latent_samples,
        "account": lines,
        "clips": {
            split: [[c.name, c.group, c.path.stem, c.first, c.latents] for c in clips[split]]
            for split in SPLITS
        },
    }
    with atomic_path(place / _INDEX) as temporary:
        temporary.write_text(json.dumps(index) + "\n", encoding="utf-8")
