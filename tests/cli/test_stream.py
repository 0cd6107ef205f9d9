from __future__ import annotations

import io
import shlex
import struct
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from partimento import api, files
from partimento.cli.main import main
from partimento.errors import FileError, NotSupported
from partimento.generation import streaming as live
from partimento.generation.options import MusicalOptions
from partimento.music import Score, Timeline
from partimento.playback import sinks
from partimento.recipe import parse_recipe
from partimento.runtime.contract import Task

from support.full_disk import fill_disk


def run(command: str) -> int:
    return main(shlex.split(command))


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Run each test in a folder of its own, the signal handlers left alone."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    return folder


class StopAfter:
    """A sink that presses Ctrl-C after some bars."""

    def __init__(self, pieces: int) -> None:
        self.left = pieces
        self.recipe = ""

    def take(self, samples):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt

    def close(self, recipe):
        self.recipe = recipe


@pytest.fixture
def endless(hum):
    instrument = api.load()
    return instrument, instrument.plan(Task.GENERATE, MusicalOptions(), {}, seed=3, endless=True)


def test_stream_writes_sound_and_notes(hum, capsys):
    assert run("stream --bars 3 --seed 4 -o s.wav -o s.mid -o s.flac -o s.ogg --verbose") == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "Played 3 bars" in err
    assert "First note" in err
    assert len(Timeline(api.read_score("s.mid")).bars) == 3
    music = float(Timeline(api.read_score("s.mid")).seconds(3 * 1920))
    for name in ("s.wav", "s.flac", "s.ogg"):
        heard = files.read_audio(name)
        assert heard.duration_seconds >= music
        assert heard.peak > 0.01
        recipe = parse_recipe(files.read_recipe(name), name)
        assert recipe.streamed
        assert recipe.model_copy(update={"streamed": False}).to_json() == files.read_recipe("s.mid")
        assert api.replay(name).is_same()
    assert api.replay("s.mid").is_same()
    assert run("replay s.wav -o again.wav -o again.mid") == 0
    assert "the same bytes as s.wav" in capsys.readouterr().out
    assert Path("again.wav").read_bytes() == Path("s.wav").read_bytes()
    assert Path("again.mid").read_bytes() == Path("s.mid").read_bytes()


def test_a_streamed_continuation_is_replayed_without_its_prompt(hum):
    assert run("generate --bars 2 --seed 1 -o in.mid") == 0
    assert run("stream --prompt in.mid --bars 2 --seed 4 -o s.wav -o s.mid") == 0
    assert api.replay("s.wav").is_same()
    assert api.replay("s.mid").is_same()


@pytest.mark.parametrize(
    ("suffix", "bars"), [(".wav", None), (".flac", 9), (".ogg", 9), (".mp3", None)]
)
def test_a_stopped_stream_is_whole_and_can_be_replayed(hum, suffix, bars):
    instrument = api.load()
    plan = instrument.plan(
        Task.GENERATE, MusicalOptions(bars=bars), {}, seed=3, endless=bars is None
    )
    heard = sinks.sink_of(Path(f"s{suffix}"), plan.recipe.to_json())
    outcome = live.perform_live(instrument, plan, [heard, StopAfter(5)])
    assert outcome.is_stopped
    live.result_of(instrument, plan, outcome).save("s.mid")
    assert files.read_audio(f"s{suffix}").duration_seconds > 4
    assert parse_recipe(files.read_recipe(f"s{suffix}"), "s").stopped_after_bars == 5
    assert len(Timeline(api.read_score("s.mid")).bars) == outcome.bars == 5
    assert api.replay("s.mid").is_same()
    assert api.replay(f"s{suffix}").is_same()


def test_a_wav_is_whole_after_every_write():
    sink = sinks.WavFile(Path("s.wav"))
    for count in range(1, 4):
        sink.take(np.full((2, 100), 0.5, dtype=np.float32))
        heard = files.read_audio("s.wav")
        assert heard.samples.shape == (2, 100 * count)
        assert np.allclose(heard.samples, 0.5, atol=1e-4)
    sink.close('{"a": 1}')
    assert files.read_recipe("s.wav") == '{"a": 1}'
    assert (
        struct.unpack("<I", Path("s.wav").read_bytes()[4:8])[0] == Path("s.wav").stat().st_size - 8
    )


@pytest.mark.parametrize(("raw", "extra"), [("", 44), (" --raw", 0)])
def test_a_pipe_gets_wav_or_bare_samples(hum, monkeypatch, raw, extra):
    pipe = io.BytesIO()

    class Stdout:
        buffer = pipe

        def flush(self):
            pass

    monkeypatch.setattr(sys, "stdout", Stdout())
    assert run(f"stream --bars 1 --seed 1 -o -{raw}") == 0
    data = pipe.getvalue()
    assert (data[:4] == b"RIFF") == (extra == 44)
    assert (len(data) - extra) % 4 == 0
    assert len(data) > 100_000


def test_without_loudspeakers_it_says_what_to_do(hum, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    assert run("stream") == 1
    assert "partimento[live]" in capsys.readouterr().err


def test_loudspeakers_play_what_is_made(endless, monkeypatch):
    heard = []

    class Device:
        PortAudioError = OSError

        class OutputStream:
            def __init__(self, rate, channels):
                assert (rate, channels) == (44100, 2)

            def start(self):
                heard.append("start")

            def write(self, samples):
                assert samples.shape[1] == 2
                heard.append("write")

            def stop(self):
                heard.append("stop")

            def close(self):
                heard.append("close")

    monkeypatch.setitem(sys.modules, "sounddevice", Device)
    instrument, plan = endless
    live.perform_live(instrument, plan, [sinks.Loudspeaker(), StopAfter(1)])
    assert heard == ["start", "write", "write", "stop", "close"]

    def none(*_args, **_options):
        raise OSError("no device")

    monkeypatch.setattr(Device, "OutputStream", none)
    with pytest.raises(NotSupported, match="no audio device"):
        sinks.Loudspeaker()


def test_an_endless_stream_into_a_file_keeps_pace(endless, monkeypatch):
    slept = []
    clock = SimpleNamespace(perf_counter=lambda: 1.0, sleep=slept.append)
    monkeypatch.setattr(live, "time", clock)

    def stop(bars: int, seconds: float) -> None:
        if bars == 6:
            raise KeyboardInterrupt

    instrument, plan = endless
    outcome = live.perform_live(instrument, plan, [], is_paced=True, on_bar=stop)
    assert outcome.bars == 6
    assert slept == pytest.approx([0, 0, 0, 0.8, 2.0])


def test_an_endless_stream_keeps_no_notes_that_nobody_wants(endless):
    instrument, plan = endless
    outcome = live.perform_live(instrument, plan, [StopAfter(5)], keeps_pieces=False)
    assert (outcome.bars, outcome.pieces) == (5, [])


def test_a_compressed_stream_is_for_all_to_read(endless):
    instrument, plan = endless
    flac = sinks.sink_of(Path("s.flac"), plan.recipe.to_json())
    live.perform_live(instrument, plan, [flac, StopAfter(2)])
    Path("plain").touch()
    assert Path("s.flac").stat().st_mode == Path("plain").stat().st_mode
    assert sorted(path.name for path in Path().iterdir()) == ["plain", "s.flac"]


def test_a_file_that_tells_no_end_says_why_it_cannot_be_replayed(endless):
    plan = endless[1]
    api.write(Score(recipe=plan.recipe.to_json()), "s.mid")
    with pytest.raises(FileError, match=r"does not say where .*; replay the \.mid"):
        api.replay("s.mid")


def test_a_compressed_stream_into_a_full_disk_leaves_nothing_half_written(endless, monkeypatch):
    recipe = endless[1].recipe.to_json()
    fill_disk(monkeypatch, 100)
    flac = sinks.sink_of(Path("s.flac"), recipe)
    flac.take(np.zeros((2, 100), dtype=np.float32))
    with pytest.raises(FileError, match=r"s\.flac: cannot be written: the disk is full"):
        flac.close(recipe)
    assert list(Path().iterdir()) == []


def test_a_stream_into_a_full_disk_stays_whole(hum, monkeypatch):
    sink = sinks.WavFile(Path("s.wav"))
    sink.take(np.full((2, 100), 0.5, dtype=np.float32))

    class Full:
        """A file on a disk that takes a few bytes of each write at the end, then no more."""

        def __init__(self, file):
            self.file = file

        def __getattr__(self, name):
            return getattr(self.file, name)

        def write(self, data):
            return self.file.write(data[:10] if self.file.tell() >= 44 else data)

    sink._file = Full(sink._file)
    with pytest.raises(
        FileError, match=r"s\.wav: cannot grow, and is whole up to here: the disk is full"
    ):
        sink.take(np.zeros((2, 100), dtype=np.float32))
    with pytest.raises(
        FileError, match=r"s\.wav: cannot grow, and is whole up to here: the disk is full"
    ):
        sink.close('{"a": 1}')
    heard = files.read_audio("s.wav")
    assert heard.samples.shape == (2, 100)
    assert Path("s.wav").stat().st_size == 44 + 400


def test_a_stream_refuses_a_number_of_samples(hum, capsys):
    Path("c.toml").write_text("num_samples = 3\n")
    assert run("stream --bars 2 --config c.toml -o s.mid") == 1
    assert "a stream is one" in capsys.readouterr().err
    assert not Path("s.mid").exists()
