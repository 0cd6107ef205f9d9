"""Sound to judge codecs and generators by: scores of one split, played as training plays them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.harness import say
from partimento import seeds
from partimento.config import validate_config
from partimento.files import open_corpus
from partimento.music import Score
from partimento.runtime.audio.presets import AudioData, MusikaPreset
from partimento.sound.render import render
from partimento.sound.variation import draw_playing, only_tracks, place, play_otherwise

__all__ = ["F32", "MODEL", "clips", "data_of", "played"]

F32 = npt.NDArray[np.float32]
MODEL = "musika-chorales"


def data_of(config: Mapping[str, Any]) -> AudioData:
    """Return what the model of a folder's config was trained on; the defaults if it is not said."""
    preset = config.get("preset")
    return validate_config(MusikaPreset, preset, "preset").data if preset else AudioData()


def played(score: Score, data: AudioData, draw: np.random.Generator) -> tuple[Score, F32]:
    """Return a score as it is played this time, and its sound (2, N)."""
    which = int(draw.integers(len(data.programs))) if data.programs else 0
    playing = draw_playing(
        draw,
        tempo=data.tempo,
        semitones=data.transpose,
        programs=data.programs[which] if data.programs else (),
        velocity=data.velocity,
        room=data.room,
        level_db=data.level_db,
    )
    other = play_otherwise(only_tracks(score, data.tracks), playing)
    sound = render(other, sample_rate_hz=data.sample_rate_hz, soundfont=data.soundfont)
    return other, place(sound, playing.room, playing.level_db).samples


def clips(
    data: AudioData,
    corpora: tuple[str, ...],
    split: str,
    count: int,
    samples: int | None = None,
    seed: int = 11,
) -> Iterator[F32]:
    """Yield the sound of ``count`` scores of a split, each (2, samples); whole without ``samples``.

    Scores too short for that are passed over. The corpora take turns.
    """
    readers = [
        (piece for _, piece in open_corpus(name).pieces(split) if isinstance(piece, Score))
        for name in corpora
    ]
    groups = zip_longest(*readers)
    turns = (piece for group in groups for piece in group if piece is not None and piece.notes)
    made = 0
    for at, score in enumerate(turns):
        if made == count:
            return
        sound = played(score, data, seeds.generator(seed, at))[1]
        if samples is None or sound.shape[1] >= samples:
            made += 1
            yield sound[:, :samples]
    if made < count:
        say(f"{made} clips of the {count} wanted: there are no more in {', '.join(corpora)}")
