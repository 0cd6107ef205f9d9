"""What corpora hold for the ear: a list of parts to be made into sound, and what is left out.

Recordings are listed by their headers alone; scores are read, since a part says what is played.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath

import soundfile

from partimento.errors import FileError
from partimento.files.corpora.corpus import Corpus
from partimento.files.corpora.items import CorpusItem, load_member
from partimento.files.corpora.splits import SPLITS, content_hash
from partimento.files.formats import SCORE_SUFFIXES, read
from partimento.music import Audio, Piece, Timeline
from partimento.runtime.audio.presets import AudioData
from partimento.seeds import generator
from partimento.sound.variation import only_tracks
from partimento.training.audio.shards import VERSION, Recording, ShardSource, open_sound
from partimento.training.data import fingerprint

__all__ = ["Inventory", "take_inventory"]

_TAIL_SECONDS = 1.2  # that a playing outlasts its score
_UNKNOWN = 2**40  # frames; libsndfile says this and more of streams without a length
_BLOCK = 2**20
_LEAST_SECONDS = 0.5


@dataclass
class Inventory:
    """The parts of all corpora, and what was seen: for one account of the data.

    ``seconds`` are those of the pieces, each once; ``rates``, ``channels`` and ``formats``
    (as libsndfile recognises them by content) count recordings.
    """

    parts: list[ShardSource] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    duplicates: int = 0
    scores: int = 0
    recordings: int = 0
    seconds: float = 0.0
    rates: Counter[int] = field(default_factory=Counter)
    channels: Counter[int] = field(default_factory=Counter)
    formats: Counter[str] = field(default_factory=Counter)


def take_inventory(
    corpora: Sequence[Corpus], config: AudioData, latent_samples: int, workers: int = 1
) -> Inventory:
    """Return the recordings and pieces there are, cut down to ``config.hours``.

    Of the train split each score is played ``config.renditions`` times, of the others once.
    """
    found = Inventory()
    seen: set[str] = set()
    for corpus in corpora:
        played = []
        for item in corpus.items:
            recording = _recording(item)
            if recording is None:
                played.append(item)
            else:
                _list_recording(found, corpus, item, recording, config, latent_samples)
        _list_scores(found, corpus, played, config, latent_samples, seen, workers)
    found.parts = _shortened(found.parts, config)
    return found


def _recording(item: CorpusItem) -> Recording | None:
    """Return where an item's sound is, if it is a file of sound, so that it need not be read."""
    loader = item.loader
    if isinstance(loader, partial) and loader.args:
        place = str(loader.args[-1])  # of a file, or of the member of a zip
        if PurePosixPath(place).suffix.lower() in SCORE_SUFFIXES:
            return None
    if isinstance(loader, partial) and loader.func is read:
        return Recording(str(loader.args[0]))
    if isinstance(loader, partial) and loader.func is load_member:
        return Recording(str(loader.args[0]), str(loader.args[1]))
    return None


def _list_recording(
    found: Inventory,
    corpus: Corpus,
    item: CorpusItem,
    recording: Recording,
    config: AudioData,
    latent_samples: int,
) -> None:
    name = f"{corpus.name}/{item.id}"
    try:
        with open_sound(recording) as file:
            rate, channels, frames = file.samplerate, file.channels, _frames(file)
            kind = f"{file.format} {file.subtype}"
        state = Path(recording.path).stat()
    except FileError as error:
        found.skipped.append((name, error.problem))
        return
    except OSError as error:
        found.skipped.append((name, f"cannot be read ({error.strerror})"))
        return
    if frames < _LEAST_SECONDS * rate:
        why = "is too short" if frames else "there are no samples in it"
        found.skipped.append((name, why))
        return
    found.recordings += 1
    found.seconds += frames / rate
    found.rates[rate] += 1
    found.channels[channels] += 1
    found.formats[kind] += 1
    made_from = [
        VERSION, corpus.name, item.id, state.st_size, state.st_mtime_ns, latent_samples,
        config.sample_rate_hz, config.shard_seconds,
    ]  # fmt: skip
    group = f"{corpus.name}/{item.group}"
    for first, seconds in _spans(frames / rate, config.shard_seconds):
        key = fingerprint([*made_from, first])
        found.parts.append(ShardSource(key, name, item.split, group, seconds, recording, first))


def _spans(seconds: float, length: int) -> list[tuple[int, float]]:
    """Return (first second, seconds) of parts, the last of at least half the length of others."""
    count = max(1, round(seconds / length))
    starts = [index * length for index in range(count)]
    return [(a, b - a) for a, b in zip(starts, [*map(float, starts[1:]), seconds], strict=True)]


def _frames(file: soundfile.SoundFile) -> int:
    """Return how many frames there are, by reading where the header does not say."""
    if 0 <= file.frames < _UNKNOWN:
        return int(file.frames)
    total = 0
    try:
        while count := len(file.read(_BLOCK, dtype="float32", always_2d=True)):
            total += count
    except (soundfile.LibsndfileError, RuntimeError):
        pass  # as far as it can be read; the part that ends there will say so
    return total


def _list_piece(
    found: Inventory,
    corpus: Corpus,
    item: CorpusItem,
    piece: Piece,
    config: AudioData,
    latent_samples: int,
) -> None:
    """List a piece in memory: a score, or sound that is in no file of its own."""
    name, mark = f"{corpus.name}/{item.id}", content_hash(piece)
    if isinstance(piece, Audio):
        parts, renditions, seconds = 1, 1, piece.duration_seconds
        least = 0.0
        found.recordings += 1
        found.rates[piece.sample_rate_hz] += 1
        found.channels[len(piece.samples)] += 1
    else:
        chosen = only_tracks(piece, config.tracks)
        if not any(track.notes for track in chosen.tracks):
            found.skipped.append((name, "there are no notes in it"))
            return
        timeline = Timeline(chosen)
        seconds = float(timeline.seconds(chosen.length_ticks))
        parts = min(max(1, round(seconds / config.shard_seconds)), len(timeline.bars))
        renditions = config.renditions if item.split == "train" else 1
        least = config.least_seconds + _TAIL_SECONDS if parts == 1 else 0.0
        found.scores += 1
    found.seconds += seconds
    settings = config.model_dump(mode="json", exclude={"hours", "renditions", "shard_seconds"})
    for rendition in range(renditions):
        for index in range(parts):
            key = fingerprint([VERSION, settings, mark, latent_samples, rendition, index, parts])
            found.parts.append(
                ShardSource(
                    key, name, item.split, f"{corpus.name}/{item.group}",
                    max(seconds / parts, least), item.loader, index, parts, rendition,
                    int(mark[:8], 16),
                )
            )  # fmt: skip


def _list_scores(
    found: Inventory,
    corpus: Corpus,
    items: Sequence[CorpusItem],
    config: AudioData,
    latent_samples: int,
    seen: set[str],
    workers: int,
) -> None:
    outcomes = replace(corpus, items=tuple(items)).outcomes(workers=workers)
    for item, outcome in zip(items, outcomes, strict=True):
        if outcome.piece is None:
            found.skipped.append((f"{corpus.name}/{item.id}", outcome.problem))
            continue
        try:
            mark = content_hash(outcome.piece)
            if mark in seen:
                found.duplicates += 1
                continue
            seen.add(mark)
            _list_piece(found, corpus, item, outcome.piece, config, latent_samples)
        except Exception as error:  # whatever it is, one bad piece never stops the rest
            found.skipped.append((f"{corpus.name}/{item.id}", f"cannot be measured ({error})"))


def _shortened(parts: list[ShardSource], config: AudioData) -> list[ShardSource]:
    """Return the parts in an order that was drawn, first playings first, and of them no more
    than ``config.hours``, evenly of all splits."""
    total = sum(part.seconds for part in parts)
    share = min(1.0, config.hours * 3600 / total) if config.hours and total else 1.0
    kept: list[ShardSource] = []
    for stream, split in enumerate(SPLITS):
        mine = [part for part in parts if part.split == split]
        order = generator(config.seed, stream).permutation(len(mine))
        drawn = sorted((mine[i] for i in order), key=lambda part: part.rendition)
        left = share * sum(part.seconds for part in mine)
        for part in drawn:
            if left <= 0:
                break
            kept.append(part)
            left -= part.seconds
    return kept
