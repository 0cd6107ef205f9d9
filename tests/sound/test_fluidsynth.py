"""FluidSynth, real or played by a stand-in on the path; and what is said when it is not there."""

from __future__ import annotations

import shutil
import stat
import sys
from pathlib import Path

import numpy as np
import pytest
import symusic

from partimento.errors import FileError, NotSupported
from partimento.music import Note, Pedal, Score, Tempo, Track
from partimento.sound import find_soundfont, render, render_stems
from partimento.sound import fluidsynth as module
from partimento.sound.fluidsynth import chosen_soundfont, midi_bytes

STAND_IN = """#!{python}
import math, struct, sys
arguments = sys.argv[1:]
if open(arguments[-2], "rb").read() == b"broken":
    sys.exit("fluidsynth: error: not a soundfont")
assert open(arguments[-1], "rb").read(4) == b"MThd"
rate = int(arguments[arguments.index("-r") + 1])
tone = [0.1 * math.sin(i * 2 * math.pi * 440 / rate) for i in range(rate // 4)]
with open(arguments[arguments.index("-F") + 1], "wb") as out:
    out.write(b"".join(struct.pack("<ff", x, -x) for x in tone))
"""


def score() -> Score:
    return Score(
        (
            Track("Piano", (Note(0, 60, 480, 70), Note(480, 60, 480)), 4, pedals=(Pedal(0, 900),)),
            Track("Drums", (Note(0, 36, 60),), is_drum=True, volume=90, pan=20),
            Track("Bass", (Note(240, 40, 300),), 33),
        ),
        tempos=(Tempo(0, 90.0), Tempo(480, 180.0)),
    )


@pytest.fixture
def font(tmp_path: Path) -> Path:
    path = tmp_path / "some.sf2"
    path.write_bytes(b"RIFF")
    return path


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "fluidsynth"
    program.write_text(STAND_IN.format(python=sys.executable))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(folder))


def test_the_midi_holds_what_is_heard() -> None:
    read = symusic.Score.from_midi(midi_bytes(score()))
    assert read.ticks_per_quarter == 480
    assert [(t.time, round(t.qpm, 3)) for t in read.tempos] == [(0, 90.0), (480, 180.0)]
    sounding = [track for track in read.tracks if len(track.notes)]
    assert sorted((t.program, t.is_drum) for t in sounding) == [(0, True), (4, False), (33, False)]
    piano = next(track for track in sounding if track.program == 4)
    notes = [(n.time, n.pitch, n.duration, n.velocity) for n in piano.notes]
    assert notes == [(0, 60, 480, 70), (480, 60, 480, 80)]
    assert [(p.time, p.duration) for p in piano.pedals] == [(0, 900)]
    drums = next(track for track in sounding if track.is_drum)
    assert [(c.number, c.value) for c in drums.controls] == [(7, 90), (10, 20)]


@pytest.mark.usefixtures("stand_in")
def test_a_soundfont_is_played_by_the_executable(font: Path) -> None:
    audio = render(score(), soundfont=font, sample_rate_hz=8_000)
    assert audio.peak == pytest.approx(10 ** (-1 / 20), abs=1e-4)
    assert audio.duration_seconds >= 240 / 90 / 4
    assert np.allclose(audio.samples[0], -audio.samples[1])
    stems = render_stems(score(), soundfont=str(font), sample_rate_hz=8_000)
    assert list(stems) == ["Piano", "Drums", "Bass"]


@pytest.mark.usefixtures("stand_in")
def test_a_broken_soundfont_is_named(font: Path) -> None:
    font.write_bytes(b"broken")
    with pytest.raises(FileError, match=r"some\.sf2: FluidSynth cannot play it .*not a soundfont"):
        render(score(), soundfont=font)


def test_a_missing_soundfont_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FOLDERS", (str(tmp_path / "fonts"),))
    with pytest.raises(FileError, match=r"none\.sf2: is no soundfont; .*apt install"):
        render(score(), soundfont=tmp_path / "none.sf2")
    (tmp_path / "fonts").mkdir()
    (tmp_path / "fonts" / "Grand.sf3").write_bytes(b"")
    with pytest.raises(FileError, match="installed are Grand"):
        render(score(), soundfont="Grnd")


def test_a_soundfont_is_named_with_or_without_its_ending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PARTIMENTO_SOUNDFONT", raising=False)
    monkeypatch.setattr(module, "_FOLDERS", (str(tmp_path), "$NOWHERE_AT_ALL/fonts"))
    (tmp_path / "Grand.sf3").write_bytes(b"")
    for name in ("Grand", "grand.SF3", tmp_path / "Grand.sf3"):
        assert chosen_soundfont(name) == tmp_path / "Grand.sf3"
    assert chosen_soundfont(None) is None
    monkeypatch.setenv("PARTIMENTO_SOUNDFONT", "grand")
    assert chosen_soundfont(None) == find_soundfont() == tmp_path / "Grand.sf3"
    monkeypatch.setenv("PARTIMENTO_SOUNDFONT", "upright")
    with pytest.raises(FileError, match=r"upright: is no soundfont \(in PARTIMENTO_SOUNDFONT\)"):
        chosen_soundfont(None)


def test_without_the_executable_the_remedy_is_named(
    font: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotSupported, match="apt install fluidsynth fluid-soundfont-gm"):
        render(score(), soundfont=font)


def test_soundfonts_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, font: Path) -> None:
    monkeypatch.delenv("PARTIMENTO_SOUNDFONT", raising=False)
    here = tmp_path / "fonts" / "deeper"
    here.mkdir(parents=True)
    monkeypatch.setattr(module, "_FOLDERS", (str(tmp_path / "no"), str(tmp_path / "fonts")))
    assert find_soundfont() is None
    (here / "aaa.sf3").write_bytes(b"")
    (here / "FluidR3_GM.sf2").write_bytes(b"")
    assert find_soundfont() == here / "FluidR3_GM.sf2"
    monkeypatch.setenv("PARTIMENTO_SOUNDFONT", str(font))
    assert find_soundfont() == font


def test_the_real_one_when_the_machine_has_it() -> None:
    found = find_soundfont()
    if found is None or shutil.which("fluidsynth") is None:
        pytest.skip("no FluidSynth or no soundfont on this machine")
    audio = render(score(), soundfont=found, sample_rate_hz=22_050)
    assert audio.peak == pytest.approx(10 ** (-1 / 20), abs=1e-4)
