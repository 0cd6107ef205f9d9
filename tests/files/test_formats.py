from __future__ import annotations

import builtins
import errno
import importlib.util
import os
import subprocess
import sys
import warnings
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from partimento.errors import FileError, MissingExtra, NotSupported
from partimento.files import (
    atomic_path,
    check_writable,
    open_corpus,
    patch,
    read,
    read_audio,
    read_recipe,
    read_score,
    read_with_source,
    write,
    write_score,
)
from partimento.files.pictures.piano_roll import draw_piano_roll
from partimento.files.unsupported import LeftOut
from partimento.music import Audio, Chord, ChordSymbol, Note, Score, Track

from support.midi_bytes import END, NOTE, midi

SCORE = Score(
    (
        Track("Lead", tuple(Note(i * 240, 60 + i % 12, 240, 40 + i) for i in range(64))),
        Track("Kit", (Note(0, 36, 10), Note(480, 38, 10)), is_drum=True),
    ),
    chords=(ChordSymbol(0, Chord(9, "m")), ChordSymbol(1920, Chord(5))),
    title="A picture",
    recipe='{"seed": 7, "text": "ü"}',
)


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("before")
    with pytest.raises(ZeroDivisionError), atomic_path(target) as temporary:
        _ = temporary.write_text("half") / 0
    assert target.read_text() == "before"
    assert list(tmp_path.iterdir()) == [target]


def test_a_whole_write_takes_its_place(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    with atomic_path(target) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".txt"
        temporary.write_text("whole")
    assert target.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [target]


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    with (
        pytest.raises(FileError, match="the disk is full; free some space"),
        atomic_path(tmp_path / "a.mid"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert list(tmp_path.iterdir()) == []


def test_folders_are_checked_before_long_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_writable(tmp_path / "a.mid")
    with pytest.raises(FileError, match="there is no folder"):
        check_writable(tmp_path / "none" / "a.mid")
    with pytest.raises(FileError, match="this is a folder"):
        check_writable(tmp_path)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(FileError, match="cannot be written"):
        check_writable(tmp_path / "a.mid")


@pytest.mark.parametrize("name", ["a.mid", "a.midi", "a.musicxml", "a.mxl", "a.xml", "a.png"])
def test_every_form_carries_the_recipe(tmp_path: Path, name: str) -> None:
    write(SCORE, tmp_path / name)
    assert read_recipe(tmp_path / name) == SCORE.recipe
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a.mid", "a.png", "a.txt"])
def test_no_recipe(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "a.txt":
        path.write_text("x")
    else:
        write(Score(SCORE.tracks), path)
    with pytest.raises(FileError, match="no recipe"):
        read_recipe(path)


def test_unknown_suffixes_name_the_known(tmp_path: Path) -> None:
    for function in (read, read_score, read_audio):
        with pytest.raises(FileError, match=r"'.doc' files cannot be read.*known are"):
            function(tmp_path / "a.doc")
    with pytest.raises(FileError, match="files without a suffix"):
        write(SCORE, tmp_path / "a")
    with pytest.raises(FileError, match="render it to audio"):
        write_score(SCORE, tmp_path / "a.wav")
    with pytest.raises(FileError, match="no such file"):
        read(tmp_path / "a.mid")


def test_piano_roll_draws_every_kind_of_score(tmp_path: Path) -> None:
    image = draw_piano_roll(SCORE, 800)
    assert image.width == 800
    assert len(image.getcolors(1 << 20) or []) > 50
    for score in (Score(), Score((SCORE.tracks[1],)), Score(chords=SCORE.chords)):
        assert draw_piano_roll(score, 400).height > 50
    long = Score((Track("A", tuple(Note(i * 4800, 20 + i % 90, 480) for i in range(300))),))
    assert draw_piano_roll(long, 600).height < 4000
    write(SCORE, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size[0] == 1600


def test_importing_files_loads_no_heavy_library() -> None:
    heavy = ("soundfile", "symusic", "PIL", "soxr", "verovio", "music21", "torch")
    code = f"import sys, partimento.files; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_score_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"partimento\[score\]"):
        write(SCORE, tmp_path / "a.svg")


def test_engraving(tmp_path: Path) -> None:
    pytest.importorskip("verovio")
    write(SCORE, tmp_path / "a.svg")
    assert read_recipe(tmp_path / "a.svg") == SCORE.recipe


def test_no_permission_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.mid"
    write(SCORE, path)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(builtins, "open", refuse)
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(FileError, match="cannot be read: Permission denied"):
        read(path)


_OTHER_SOUNDS = {
    "a.opus": ("OGG", "OPUS"),
    "b.oga": ("OGG", "VORBIS"),
    "c.aiff": ("AIFF", "PCM_16"),
    "d.caf": ("CAF", "PCM_16"),
    "e.w64": ("W64", "PCM_16"),
    "f.au": ("AU", "PCM_16"),
    "g.wav": ("FLAC", "PCM_16"),  # under a wrong name
    "h.recording": ("WAV", "PCM_16"),
    "i": ("RF64", "PCM_16"),
}


def test_sound_is_known_by_its_content(tmp_path: Path) -> None:
    """All that libsndfile reads, in a file, a folder and a zip, whatever it is called."""
    wave = 0.5 * np.sin(np.arange(24_000) / 20)
    (tmp_path / "songs").mkdir()
    with zipfile.ZipFile(tmp_path / "songs.zip", "w") as packed:
        for number, (name, (container, subtype)) in enumerate(_OTHER_SOUNDS.items()):
            path = tmp_path / "songs" / name
            soundfile.write(path, wave * (1 - number / 20), 24_000, subtype, format=container)
            packed.write(path, name)
            for function in (read, read_audio):
                heard = function(path)
                assert isinstance(heard, Audio)
                assert abs(heard.duration_seconds - 1.0) < 0.1
    (tmp_path / "songs" / "notes.txt").write_text("no sound")
    for corpus in (open_corpus(tmp_path / "songs"), open_corpus(tmp_path / "songs.zip")):
        assert [item.id for item in corpus.items] == sorted(_OTHER_SOUNDS)
        assert corpus.preflight().summary() == (
            "9 usable (1 .aiff, 1 .au, 1 .caf, 1 .oga, 1 .opus, 1 .recording, 1 .w64, 1 .wav, "
            "1 without an ending), 0 skipped"
        )
    with pytest.raises(FileError, match=r"'.txt' files cannot be read"):
        read(tmp_path / "songs" / "notes.txt")


@pytest.mark.parametrize("name", ["song.rmi", "song.kar", "song.MID", "song.dat", "song", "a.wav"])
def test_midi_is_known_by_its_content(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    inner = midi(NOTE + END)
    for data in (
        inner,
        b"RIFF" + bytes(4) + b"RMIDdata" + len(inner).to_bytes(4, "little") + inner,
    ):
        path.write_bytes(data)
        assert read(path) == read_score(path)
        assert len(read_score(path).notes) == 1


def test_an_edit_goes_into_the_file_that_was_read(tmp_path: Path) -> None:
    path, target = tmp_path / "a.mid", tmp_path / "b.mid"
    bend = b"\x00\xe0\x01\x41"
    path.write_bytes(midi(bend + NOTE + END))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing is lost yet
        _, source = read_with_source(path)
    assert source is not None
    assert source.left_out is not None
    assert source.left_out.signs == {"pitch bends": 1}
    patch(source, replace(source.score, title=""), target)
    assert target.read_bytes() == path.read_bytes()
    for other in ("b.musicxml", "b.wav"):
        with pytest.raises(NotSupported, match="cannot be edited as"):
            patch(source, source.score, tmp_path / other)


def test_what_a_file_says_of_itself_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.mid"
    path.write_bytes(midi(b"\x00\xe0\x01\x41" + NOTE + END, tracks=2))
    with pytest.warns(LeftOut, match="header counts 2 tracks, and 1 are there$"):
        read_with_source(path)


@pytest.mark.parametrize("name", ["\0", "a\0.mid", "\ud800.mid", "a" * 300 + ".mid", "a" * 5000])
def test_what_no_file_can_be_called_is_a_file_error(name: str) -> None:
    with pytest.raises(FileError):
        read(name)
    with pytest.raises(FileError):
        write(SCORE, name)
    with pytest.raises(FileError) as found:
        open_corpus(name)
    assert len(str(found.value)) < 400
