"""Parts of recordings and of scores made into shards of sound: one part, one file, in any process.

A shard is ``<key>.npy``, int16 (samples, 2), a whole number of latents long, and ``<key>.npz``
beside it, written last: the conditions (latents, C) and what was measured. What cannot be made
comes back as a reason, never as an exception, since exceptions do not pass between processes whole.
"""

from __future__ import annotations

import io
import json
import shutil
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile

from partimento.errors import FileError, PartimentoError
from partimento.files.atomic import atomic_path
from partimento.files.audio.sound_files import resample
from partimento.files.corpora.items import read_member
from partimento.music import Audio, Piece, Score, Timeline
from partimento.music.channels import fold, stereo
from partimento.music.transform import crop, join
from partimento.runtime.audio.presets import AudioData
from partimento.seeds import generator
from partimento.sound.fluidsynth import find_soundfont
from partimento.sound.render import render
from partimento.sound.variation import draw_playing, only_tracks, place, play_otherwise
from partimento.training.audio.conditions import conditions_of_score, conditions_of_sound

__all__ = [
    "CONDITIONS",
    "HEADER",
    "VERSION",
    "Made",
    "Recording",
    "ShardDescription",
    "ShardSource",
    "is_whole",
    "made_before",
    "make_shard",
    "open_sound",
    "read_conditions",
]

VERSION = 1  # of what is written; another one makes all shards again
HEADER = 128  # bytes before the samples: numpy's, of version 1 of its format
_BLOCK = 2**12  # frames read at a time: no more is lost where a file is damaged
_PAD_SECONDS = 1  # read on both sides of a part, so that resampling knows its neighbours
_SILENCE_DB = -60.0
_FULL = 0.9985
_LEAST_DC = 1e-3
_INT16 = 32767.0

F32 = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Recording:
    """Where sound is: a file, or a member of a zip."""

    path: str
    member: str = ""


@dataclass(frozen=True, slots=True)
class ShardDescription:
    """What is written of each latent: of a score and its sound, and of sound alone, by ear.

    ``score`` takes (score, samples, rate, latent_samples), ``sound`` the last three; both return
    (latents, C). Two of one ``name`` write the same.
    """

    name: str
    score: Callable[[Score, F32, int, int], F32]
    sound: Callable[[F32, int, int], F32]


CONDITIONS = ShardDescription("conditions", conditions_of_score, conditions_of_sound)


@dataclass(frozen=True)
class ShardSource:
    """What becomes one shard: seconds of a recording, or bars of a score in one playing.

    ``first`` is the first second of a recording, or which of ``parts`` of the score it is.
    """

    key: str
    name: str
    split: str
    group: str
    seconds: float
    source: Recording | Callable[[], Piece] = field(repr=False)
    first: int = 0
    parts: int = 1
    rendition: int = 0
    seed: int = 0


@dataclass(frozen=True)
class Made:
    """What became of a part: how many latents, or the problem.

    ``figures`` are of the sound: seconds, peak, rms_db, silence and clipped (shares), dc, digest.
    ``is_fatal``: nothing more can be written.
    """

    key: str
    latents: int = 0
    problem: str = ""
    note: str = ""
    is_fatal: bool = False
    figures: dict[str, Any] = field(default_factory=dict)


def make_shard(
    part: ShardSource,
    config: AudioData,
    latent_samples: int,
    folder: Path,
    description: ShardDescription = CONDITIONS,
) -> Made:
    """Read or play one part, and write its shard; one that is there already is kept."""
    before = made_before(part, latent_samples, folder)
    if before is not None:
        return before
    try:
        made = _recorded if isinstance(part.source, Recording) else _given
        samples, conditions, note, figures = made(part, config, latent_samples, description)
    except FileError as error:
        return Made(part.key, problem=error.problem)
    except PartimentoError as error:
        return Made(part.key, problem=str(error))
    latents = samples.shape[1] // latent_samples
    if not latents:
        return Made(part.key, problem=note or "shorter than one latent")
    if figures["silence"] >= 1.0:
        return Made(part.key, problem="silence")
    # In C order, or numpy writes one channel after the other.
    frames = np.ascontiguousarray(samples.T)
    scaled = np.clip(np.round(frames * _INT16), -_INT16, _INT16).astype("<i2")
    figures["digest"] = zlib.crc32(scaled.data)
    extra = {"figures": figures, "note": note}
    try:
        with atomic_path(folder / f"{part.key}.npy") as temporary, temporary.open("wb") as file:
            np.save(file, scaled)
        with atomic_path(folder / f"{part.key}.npz") as temporary, temporary.open("wb") as file:
            text = np.frombuffer(json.dumps(extra).encode(), dtype=np.uint8)
            np.savez(file, conditions=conditions, told=text)
    except FileError as error:
        return Made(part.key, problem=error.problem, is_fatal=True)
    return Made(part.key, latents, note=note, figures=figures)


def made_before(part: ShardSource, latent_samples: int, folder: Path) -> Made | None:
    """Return what an earlier run made of a part, or None if it is not there whole."""
    path = folder / f"{part.key}.npy"
    try:
        with np.load(path.with_suffix(".npz"), allow_pickle=False) as arrays:
            latents = len(arrays["conditions"])
            extra = json.loads(arrays["told"].tobytes())
        if not is_whole(path, latents * latent_samples):
            return None
        return Made(part.key, latents, note=extra["note"], figures=extra["figures"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None


def is_whole(path: Path, frames: int) -> bool:
    """Return whether a shard is all there, as `make_shard` writes it.

    Raises:
        OSError: if it cannot be opened.
    """
    with path.open("rb") as file:
        head = file.read(HEADER)
    shape = f"'descr': '<i2', 'fortran_order': False, 'shape': ({frames}, 2)".encode()
    return shape in head and path.stat().st_size == HEADER + 4 * frames


def read_conditions(path: Path) -> F32:
    """Return the conditions (latents, 5) beside the shard ``path``."""
    with np.load(path.with_suffix(".npz"), allow_pickle=False) as arrays:
        out: F32 = arrays["conditions"]
    return out


def open_sound(recording: Recording) -> soundfile.SoundFile:
    """Return the open sound; the caller closes it.

    Raises:
        FileError: if it cannot be opened or is no sound that is known here.
    """
    where = f"{recording.path}/{recording.member}" if recording.member else recording.path
    source: Any = recording.path
    if recording.member:
        source = io.BytesIO(read_member(recording.path, recording.member))
    try:
        return soundfile.SoundFile(source)
    except (soundfile.LibsndfileError, RuntimeError, TypeError, OSError) as error:
        reason = str(error).rpartition(": ")[2].strip(" .") or type(error).__name__
        raise FileError(
            where, f"no audio that can be read ({reason})", "use WAV, FLAC, OGG or MP3"
        ) from error


def _soundfont(config: AudioData) -> str | Path | None:
    """Return the font that plays, None for the built-in synthesiser."""
    if config.soundfont != "auto":
        return config.soundfont
    return find_soundfont() if shutil.which("fluidsynth") else None


def _recorded(
    part: ShardSource, config: AudioData, latent_samples: int, description: ShardDescription
) -> tuple[F32, F32, str, dict[str, Any]]:
    assert isinstance(part.source, Recording)
    lead = min(_PAD_SECONDS, part.first)
    with open_sound(part.source) as file:
        rate = file.samplerate
        sound, note = _stretch(file, part.first - lead, part.seconds + lead + _PAD_SECONDS)
    wanted = round(part.seconds * config.sample_rate_hz)
    return _heard(sound, rate, config, latent_samples, (lead, wanted), description, note)


def _stretch(file: soundfile.SoundFile, first: int, seconds: float) -> tuple[F32, str]:
    """Return stereo from a second on, as long as it can be read, and a note where it cannot."""
    rate, matrix = file.samplerate, fold(file.channels)
    wanted, blocks, got = round(seconds * rate), [np.zeros((2, 0), dtype=np.float32)], 0
    note = ""
    try:
        file.seek(first * rate)
        while got < wanted:
            block = file.read(min(_BLOCK, wanted - got), dtype="float32", always_2d=True)
            if not len(block):
                break
            got += len(block)
            with np.errstate(
                invalid="ignore", over="ignore"
            ):  # values that are not finite are reported later
                blocks.append(np.ascontiguousarray(matrix @ block.T))
    except (soundfile.LibsndfileError, RuntimeError):
        minutes, rest = divmod(first + got // rate, 60)
        note = f"damaged at {minutes}:{rest:02}"
    return np.concatenate(blocks, axis=1), note


def _heard(
    sound: F32,
    rate: int,
    config: AudioData,
    latent_samples: int,
    span: tuple[int, int],
    description: ShardDescription,
    note: str = "",
) -> tuple[F32, F32, str, dict[str, Any]]:
    """Return a recording at the wanted rate, its conditions and its figures.

    ``span`` is the seconds read before the part, and how many samples the part has at most.
    """
    if not np.isfinite(sound).all():
        raise FileError("recording", "has samples that are not numbers", "export it again")
    full = np.abs(sound) >= _FULL
    clipped = float((full[:, :-2] & full[:, 1:-1] & full[:, 2:]).mean()) if full.size > 4 else 0.0
    lead, wanted = span
    samples = resample(Audio(sound, rate), config.sample_rate_hz).samples
    samples = samples[:, lead * config.sample_rate_hz :][:, :wanted]
    samples = samples[:, : samples.shape[1] // latent_samples * latent_samples]
    dc = samples.mean(axis=1, keepdims=True, dtype=np.float64) if samples.size else np.zeros((2, 1))
    if np.abs(dc).max() > _LEAST_DC:
        samples = (samples - dc).astype(np.float32)
    figures = _figures(samples, config.sample_rate_hz, latent_samples)
    figures |= {"clipped": clipped, "dc": float(np.abs(dc).max())}
    if not samples.size or figures["silence"] >= 1.0:
        return samples, np.zeros((0, 0), dtype=np.float32), note, figures
    conditions = description.sound(samples, config.sample_rate_hz, latent_samples)
    return samples, conditions, note, figures


def _given(
    part: ShardSource, config: AudioData, latent_samples: int, description: ShardDescription
) -> tuple[F32, F32, str, dict[str, Any]]:
    assert not isinstance(part.source, Recording)
    piece = part.source()
    if isinstance(piece, Audio):
        span = slice(part.first * piece.sample_rate_hz, None)
        sound = stereo(piece.samples[:, span])
        wanted = round(part.seconds * config.sample_rate_hz)
        return _heard(sound, piece.sample_rate_hz, config, latent_samples, (0, wanted), description)
    draw = generator(config.seed, part.seed, part.rendition, part.first)
    which = (part.seed + part.rendition) % len(config.programs) if config.programs else 0
    playing = draw_playing(
        draw,
        tempo=config.tempo,
        semitones=config.transpose,
        programs=config.programs[which] if config.programs else (),
        velocity=config.velocity,
        room=config.room,
        level_db=config.level_db,
    )
    score = _bars(only_tracks(piece, config.tracks), part, config.least_seconds)
    played = play_otherwise(score, playing)
    rate = config.sample_rate_hz
    sound = place(
        render(played, sample_rate_hz=rate, soundfont=_soundfont(config)),
        playing.room,
        playing.level_db,
    ).samples
    # The echo is kept down to silence, and no further.
    loud = np.flatnonzero(np.abs(sound).max(axis=0) > 10 ** (_SILENCE_DB / 20))
    latents = -(-(int(loud[-1]) + 1 if len(loud) else 1) // latent_samples)
    sound = sound[:, : latents * latent_samples]
    samples = np.pad(sound, ((0, 0), (0, latents * latent_samples - sound.shape[1])))
    figures = _figures(samples, rate, latent_samples) | {"clipped": 0.0, "dc": 0.0}
    return samples, description.score(played, samples, rate, latent_samples), "", figures


def _bars(score: Score, part: ShardSource, least_seconds: float) -> Score:
    """Return the bars of a score that this part plays, repeated if they are too short."""
    timeline = Timeline(score)
    bars = timeline.bars
    if part.parts > 1:
        start = bars[part.first * len(bars) // part.parts].onset_ticks
        stop = (part.first + 1) * len(bars) // part.parts
        return crop(
            score, start, bars[stop].onset_ticks if stop < len(bars) else bars[-1].end_ticks
        )
    seconds = float(timeline.seconds(bars[-1].end_ticks))
    if 0 < seconds < least_seconds:
        whole = replace(score, written_length_ticks=bars[-1].end_ticks)
        return join([whole] * int(np.ceil(least_seconds / seconds)))
    return score


def _figures(samples: F32, rate: int, latent_samples: int) -> dict[str, Any]:
    latents = samples.shape[1] // latent_samples
    blocks = samples[:, : latents * latent_samples].reshape(2, latents, latent_samples)
    power = np.einsum("cls,cls->l", blocks, blocks) / (2 * latent_samples)
    power = power if latents else np.zeros(1, dtype=np.float32)
    return {
        "seconds": latents * latent_samples / rate,
        "peak": float(np.abs(samples).max(initial=0.0)),
        "rms_db": float(10 * np.log10(max(power.mean(), 1e-12))),
        "silence": float((power < 10 ** (_SILENCE_DB / 10)).mean()),
    }
