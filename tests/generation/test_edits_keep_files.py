"""Edits keep the file that was read; other formats get a new one, and what is lost is said."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from partimento import api
from partimento.files import read_score
from partimento.files.midi.chunks import parse, spans
from partimento.files.unsupported import LeftOut
from partimento.generation.prompts import ready_prompt
from partimento.generation.result import Result
from partimento.music import Key, KeySignature, Note, Score, Track
from partimento.runtime.contract import Task

from support.midi_bytes import END, midi, name

CONDUCTOR = name("Song") + b"\x00\xff\x59\x02\x02\x00\x00\xff\x06\x01A" + END
MARKS = b"\x00\xc0\x28\x00\xb0\x01\x11\x00\xe0\x01\x41\x00\xf0\x03\x43\x12\xf7\x00\xff\x02\x01C"
SCALE = b"".join(
    bytes((0, 0x90, pitch, 80, 0x83, 0x60, 0x80, pitch, 0))  # a quarter each
    for pitch in (62, 64, 66, 67, 69, 71, 73, 74)
)
SONG = midi(CONDUCTOR, name("Soprano") + MARKS + SCALE + b"\x00\xb0\x0b\x22" + END)


@pytest.fixture
def song(tmp_path: Path) -> Path:
    path = tmp_path / "song.mid"
    path.write_bytes(SONG)
    return path


def continued(song: Path) -> Result:
    return api.load(task=Task.CONTINUE).continue_(song, bars=1, seed=1)


def humanized(song: Path) -> Result:
    return api.humanize(song, seed=1)


def infilled(song: Path) -> Result:
    return api.load(task=Task.INFILL).infill(song, bars="2", seed=1, steps=1)


def accompanied(song: Path) -> Result:
    return api.load(task=Task.ACCOMPANY).accompany(song, tracks="Bass", seed=1, steps=1)


def others(path: Path) -> list[list[tuple[int, bytes]]]:
    """Return what is no note and no text of ours of each track of a file."""
    data = path.read_bytes()
    return [
        [
            (tick, event)
            for tick, _, event in spans(data, track)
            if event[0] >= 0xA0 and b"partimento-" not in event
        ]
        for track in parse(data).chunks
    ]


@pytest.mark.parametrize("edit", [continued, humanized, infilled, accompanied])
@pytest.mark.filterwarnings("ignore::partimento.files.unsupported.LeftOut")
def test_an_edit_keeps_the_file_and_is_replayed(
    song: Path, edit: Callable[[Path], Result], tmp_path: Path
) -> None:
    target = tmp_path / "edited.mid"
    result = edit(song)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing is lost
        result.save(target)
    read = read_score(target)
    assert sorted(t.notes for t in read.tracks) == sorted(t.notes for t in result.score.tracks)
    assert read.key_signatures == (KeySignature(0, Key(2)),)
    kept = others(target)
    assert kept[1] == others(song)[1]
    assert [event for event in kept[0] if event in others(song)[0]] == others(song)[0]
    assert read.recipe == result.recipe.to_json()
    assert api.replay(target).is_same()


def test_another_format_is_a_new_file_and_says_what_is_lost(song: Path, tmp_path: Path) -> None:
    result = humanized(song)
    lost = "1 control change|1 pitch bend"
    with pytest.warns(LeftOut, match=lost):
        result.save(tmp_path / "edited.musicxml")


def test_a_continuation_states_no_key_over_bars_that_state_none() -> None:
    scale = tuple(Note(i * 480, pitch, 480) for i, pitch in enumerate((60, 62, 64, 65, 67, 69)))
    result = api.load(task=Task.CONTINUE).continue_(Score((Track("A", scale),)), bars=1, seed=0)
    assert result.score.key_signatures == ()


@pytest.mark.parametrize(("ticks", "now"), [(9999, 9999), (1, 4), (10, 20), (32767, 32767)])
def test_a_prompt_keeps_its_grid_where_a_finer_one_cannot_be_written(ticks: int, now: int) -> None:
    prompt = Score((Track("A", (Note(0, 60, ticks),)),), ticks)
    ready, at, _, _ = ready_prompt(prompt)
    assert ready.ticks_per_quarter == now
    assert at == 4 * now
    result = api.load(task=Task.CONTINUE).continue_(prompt, bars=1, seed=0)
    assert result.score.ticks_per_quarter == now
