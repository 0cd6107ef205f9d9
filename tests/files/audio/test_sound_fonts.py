from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from partimento.errors import FileError
from partimento.files.audio.sound_fonts import font_samples, load_sample

from support.score_strategies import only_file_errors
from support.sound_fonts import font, vorbis


def test_the_notes_of_a_font_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.sf2"
    samples = np.arange(100, dtype="<i2") * 300
    rows = [("Jazz Guitar C#4(L)", 0, 40, 61, 1), ("Piano", 40, 100, 60, 1), ("Piano", 0, 9, 60, 1)]
    path.write_bytes(font(samples.tobytes(), rows))
    found = font_samples(path)
    assert [s.name for s in found] == ["Jazz Guitar C#4(L)", "Piano", "Piano (2)"]
    assert [(s.instrument, s.pitch) for s in found[:2]] == [("Jazz Guitar", 61), ("Piano", 60)]
    sound = load_sample(str(path), "Piano")
    assert (sound.samples.shape, sound.sample_rate_hz) == ((1, 60), 22050)
    assert np.allclose(sound.samples[0] * 2**15, samples[40:])
    with pytest.raises(FileError, match="no such note"):
        load_sample(str(path), "Harp")


def test_packed_notes_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.sf3"
    packed = vorbis(np.sin(np.arange(5000) / 9))
    path.write_bytes(font(packed, [("Harp C3", 0, len(packed), 48, 0x11)]))
    assert load_sample(str(path), "Harp C3").samples.shape == (1, 5000)
    assert soundfile.info(io.BytesIO(packed)).format == "OGG"


@pytest.mark.parametrize("data", [b"", b"RIFF\0\0\0\0sfbk", b"RIFF\0\0\0\0WAVE"])
def test_what_is_no_font(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.sf2"
    path.write_bytes(data)
    with pytest.raises(FileError, match="no SoundFont 2"):
        font_samples(path)
    with pytest.raises(FileError, match="cannot be read"):
        font_samples(tmp_path / "none.sf2")


@given(st.integers(0, 400), st.binary(max_size=8))
@settings(max_examples=100, deadline=None)
def test_any_bytes_raise_file_error_alone(
    tmp_path_factory: pytest.TempPathFactory, at: int, spoilt: bytes
) -> None:
    path = tmp_path_factory.mktemp("font") / "a.sf2"
    data = bytearray(font(bytes(200), [("A", 0, 40, 61, 1), ("B", 40, 100, 60, 0x11)]))
    data[at : at + len(spoilt)] = spoilt
    path.write_bytes(data)
    with only_file_errors():
        for sample in font_samples(path):
            load_sample(str(path), sample.name)
