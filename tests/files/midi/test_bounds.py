"""Hostile files: a score or a FileError, in bounded time and memory."""

from __future__ import annotations

import resource
import struct
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from partimento.errors import FileError
from partimento.files.corpora.splits import content_hash
from partimento.files.midi.bounds import MAX_SILENCE_SECONDS
from partimento.files.midi.reader import score_of_midi
from partimento.files.midi.writer import midi_bytes
from partimento.files.unsupported import LeftOut
from partimento.music import Score, Timeline

from support.midi_bytes import END, NOTE, chunk, midi

LONG = b"\xff\xff\xff\x7f"  # a delta time of 2**28 - 1


@contextmanager
def bounded() -> Iterator[None]:
    """Let the block take 10 processor seconds and 1 GB more than now at most."""
    start, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LeftOut)
        yield
    assert time.process_time() - start < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**20  # KiB


def outcome(data: bytes) -> Score | None:
    try:
        return score_of_midi(data)
    except FileError:
        return None


def tempo(micros: int) -> bytes:
    return b"\x00\xff\x51\x03" + micros.to_bytes(3, "big")


OURS = b"\x00\xff\x01\x20partimento-length: "
HOSTILE = {
    "late end of track": midi(LONG + b"\xff\x2f\x00", NOTE + END),
    "late end under a hanging note": midi(b"\x00\x90\x3c\x40" + LONG + b"\xff\x2f\x00"),
    "late note": midi(LONG + b"\x90\x3c\x40\x10\x80\x3c\x00" + END),
    "late metre": midi(NOTE + LONG + b"\xff\x58\x04\x01\x06\x18\x08" + END, division=1),
    "many bars": midi(b"\x00\xff\x58\x04\x01\x06\x18\x08" + NOTE * 5000 + END, division=1),
    "our length": midi(OURS + b"1000000000000" + END, NOTE + END),
    "our length in many digits": midi(
        b"\x00\xff\x01\xa2\x08partimento-length: " + b"9" * 1039 + END
    ),
    "empty tracks": midi(*[END] * 0xFFFF),
    "tracks": midi(*[NOTE + END] * 0xFFFF),
    "silent tracks": midi(*[b"\x00\xc0\x05" + END] * 0xFFFF),
    "overlapping notes": midi(b"\x01\x90\x3c\x40" * 100_000 + b"\x01\x80\x3c\x00" * 100_000 + END),
    "hanging notes": midi(b"\x01\x90\x3c\x40" * 100_000 + END),
    "note-ons": midi(b"\x01\x90\x3c\x40" + b"\x00\x3c\x40" * 2_700_000),
    "note-offs": midi(b"\x01\x80\x3c\x40" + b"\x00\x3c\x40" * 2_700_000 + END),
    "programs": midi(b"\x01\xc0\x3c" + b"\x00\x3c" * 4_000_000 + END),
    "clocks": midi(b"\x00\xf8" * 4_000_000 + END),
    "program changes under notes": midi(
        b"".join(bytes((0, 0xC0, i % 128)) + NOTE for i in range(50_000)) + END
    ),
    "a huge text": midi(b"\x00\xff\x01\xff\xff\xff\x7f" + NOTE + END),
    "nested lengths": midi(tracks=3) + chunk(chunk(chunk(NOTE + END, 9), 2), 7) * 20_000,
    "foreign chunks": midi(NOTE + END) + (b"junk" + struct.pack(">I", 0)) * 500_000,
    "slow": midi(tempo(0xFFFFFF) + b"\x87\xff\x7f\x90\x3c\x40\x10\x80\x3c\x00" + END),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_any_file_is_read_hashed_and_written_or_refused_in_bounds(kind: str) -> None:
    with bounded():
        score = outcome(HOSTILE[kind])
        if score is not None:
            assert content_hash(score)
            assert len(Timeline(score).bars) < 60_000
            assert score_of_midi(midi_bytes(score)).length_ticks == score.length_ticks


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("late note", "it lasts 78 hours, more than 24"),
        ("tracks", "it has more than 1,024 tracks"),
        ("note-ons", "a track holds more than 1,000,000 notes"),
        ("programs", "more than 500,000 events beside notes"),
    ],
)
def test_a_refusal_says_which_limit(kind: str, says: str) -> None:
    with pytest.raises(FileError, match=says) as caught:
        score_of_midi(HOSTILE[kind])
    assert caught.value.remedy


@pytest.mark.parametrize("kind", ["late end of track", "our length"])
def test_a_long_silence_is_left_out_and_said(kind: str) -> None:
    with pytest.warns(LeftOut, match="the silence after its last note, up to tick"):
        score = score_of_midi(HOSTILE[kind])
    assert score.length_ticks == 16


def test_a_silence_within_the_limit_is_kept() -> None:
    ticks = int(MAX_SILENCE_SECONDS) * 960 + 16
    body = b"\x00\xff\x01\x19partimento-length: %d" % ticks
    assert score_of_midi(midi(body + END, NOTE + END)).length_ticks == ticks
    with pytest.warns(LeftOut, match="is left out"):
        score_of_midi(midi(body.replace(b"%d" % ticks, b"%d" % (ticks + 1)) + END, NOTE + END))
