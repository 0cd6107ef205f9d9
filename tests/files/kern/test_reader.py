from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partimento.errors import FileError
from partimento.files.kern.reader import read_kern, score_of_kern
from partimento.files.unsupported import LeftOut
from partimento.music import (
    Key,
    KeySignature,
    Note,
    Pedal,
    Tempo,
    Timeline,
    TimeSignature,
)

from support.score_strategies import only_file_errors

WALTZ = """\
!!!OTL: A Waltz
**kern\t**kern\t**dynam
*part1\t*part1\t*part1
*staff2\t*staff1\t*
*k[f#]\t*k[f#]\t*
*e:\t*e:\t*
*M3/4\t*M3/4\t*
*MM120\t*MM120\t*
4r\t4b\tp
=1\t=1\t=1
*\t*^\t*
*ped\t*\t*\t*
.\t8qc#/\t.\t.
2.EE 2.E\t[4ee\t4g\tf
.\t2ee_\t2g\t.
*Xped\t*\t*\t*
*\t*v\t*v\t*
=2:|!\t=2:|!\t=2:|!
12B\t4ee]\t.
12B#\t.\t.
12c##\t.\t.
2d-;\t2r\t.
==\t==\t==
*-\t*-\t*-
"""


def test_a_small_waltz() -> None:
    with pytest.warns(LeftOut, match="1 grace notes, 1 fermata left out"):
        score = score_of_kern(WALTZ.encode())
    assert score.title == "A Waltz"
    assert [track.name for track in score.tracks] == ["Piano"]
    assert score.tracks[0].notes == (
        Note(0, 71, 480, 49),
        Note(480, 40, 1440, 96),
        Note(480, 52, 1440, 96),
        Note(480, 67, 480, 96),
        Note(480, 76, 1920, 96),
        Note(960, 67, 960, 96),
        Note(1920, 59, 160, 96),
        Note(2080, 60, 160, 96),
        Note(2240, 62, 160, 96),
        Note(2400, 61, 960, 96),
    )
    assert score.time_signatures == (TimeSignature(0, 1, 4), TimeSignature(480, 3, 4))
    assert [bar.onset_ticks for bar in Timeline(score).bars] == [0, 480, 1920]
    assert score.key_signatures == (KeySignature(0, Key(1, True)),)
    assert score.tempos == (Tempo(0, 120.0),)
    assert score.tracks[0].pedals == (Pedal(480, 1440),)


def test_voice_and_piano_are_two_tracks() -> None:
    text = (
        '**kern\t**kern\t**text\n*part2\t*part1\t*part1\n*\t*I"Canto.\t*\n'
        "4C\t4c\tla\n==\t==\t==\n*-\t*-\t*-\n"
    )
    score = score_of_kern(text.encode())
    assert [(t.name, t.program) for t in score.tracks] == [("Canto", 52), ("Piano", 0)]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no \\*\\*kern spine"),
        ("4c\n", "line 1: a row stands before"),
        ("**kern\t**kern\n4c\n", "line 2: 1 columns where 2 spines"),
        ("**kern\n4CCCCCCCCCC\n", "line 2: a note lies outside"),
        ("**text\nla\n*-\n", "no \\*\\*kern spine"),
        ("**kern\n0000c\n", "line 2: no note has the length 0000"),
        ("**kern\n4096c\n", "line 2: no note has the length"),
        ("**kern\n4%9999c\n", "line 2: no note has the length"),
        ("**kern\n4.....c\n", "line 2: no note has the length"),
        ("**kern\n" + "000c\n" * 4000, "longer than 100,000 quarters"),
        ("**kern\n" + "".join(f"{n}c\n" for n in range(1000, 1100)), "drift apart"),
        ("\t".join(["**kern"] * 300), "more than 256 spines"),
        ("**kern\n" + "\n".join("\t".join(["*^"] * 2**n) for n in range(9)), "256 spines"),
        ("**kern\n" + "\n".join(f"*part{n}" for n in range(300)), "more than 256 parts"),
        ("**kern\n" + "x" * 1_600_000, "larger than"),
    ],
)
def test_bad_files_say_what_is_wrong(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "bad.krn"
    path.write_text(text)
    with pytest.raises(FileError, match=says):
        read_kern(path)


@given(st.text("*kern\t\n=4c.[]r^v-+x!%0", max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_text_raises_file_error_alone(text: str) -> None:
    with only_file_errors(), warnings.catch_warnings():
        warnings.simplefilter("ignore", LeftOut)
        score_of_kern(("**kern\t**kern\n" + text).encode())


def tracks(head: str) -> list[tuple[str, int, tuple[int, ...]]]:
    text = f"**kern\t**kern\t**kern\n{head}\n4C\t4c\t4cc\n*-\t*-\t*-\n"
    found = score_of_kern(text.encode()).tracks
    return [(t.name, t.program, tuple(n.pitch for n in t.notes)) for t in found]


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (
            '*Icello\t*Iviola\t*Ivioln\n*I"Violoncello\t*I"Viola\t*I"Violin',
            [("Violoncello", 42, (48,)), ("Viola", 41, (60,)), ("Violin", 40, (72,))],
        ),
        (
            "*Ibass\t*Itenor\t*Isoprn",
            [("Part 1", 52, (48,)), ("Part 2", 52, (60,)), ("Part 3", 52, (72,))],
        ),
        (
            '*I"Bass\t*I"Violin\t*I"Violin',
            [("Bass", 52, (48,)), ("Violin", 40, (60,)), ("Violin 2", 40, (72,))],
        ),
        ('*I"Uno\t*I"Due\t*I"Tre', [("Uno", 0, (48,)), ("Due", 0, (60,)), ("Tre", 0, (72,))]),
        ("*\t*\t*", [("Piano", 0, (48, 60, 72))]),
        ('*I"Piano\t*I"Piano\t*Iflt', [("Part 3", 73, (72,)), ("Piano", 0, (48, 60))]),
        ('*I"RONDO.\t*\t*', [("Piano", 0, (48, 60, 72))]),
        (
            '*part1\t*part1\t*part2\n*I"Viola\t*\t*I"Canto',
            [("Viola", 41, (48, 60)), ("Canto", 52, (72,))],
        ),
    ],
)
def test_spines_are_parts(head: str, expected: list[tuple[str, int, tuple[int, ...]]]) -> None:
    assert tracks(head) == expected


def test_a_split_spine_stays_one_part() -> None:
    text = "**kern\t**kern\n*Icello\t*Ivioln\n*\t*^\n4C\t4c\t4e\n*\t*v\t*v\n4D\t4d\n*-\t*-\n"
    found = score_of_kern(text.encode()).tracks
    assert [(t.program, [n.pitch for n in t.notes]) for t in found] == [
        (42, [48, 50]),
        (40, [60, 64, 62]),
    ]


def test_what_is_left_out_is_counted() -> None:
    text = "**kern\n(4cT; 8qd\n4e')\n4f?G\n*-\n"
    with pytest.warns(LeftOut) as told:
        score_of_kern(text.encode())
    (found,) = [each.message for each in told if isinstance(each.message, LeftOut)]
    assert found.notes == {"grace notes": 1}
    assert found.signs == {
        "slurs": 1, "ornaments": 1, "fermatas": 1, "articulations": 1, "unknown signs": 1,
    }  # fmt: skip
