from __future__ import annotations

import io
import shlex
import sys
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from partimento import api, files
from partimento.cli import sounding
from partimento.cli.main import main
from partimento.errors import FileError
from partimento.generation import streaming as live
from partimento.generation.instrument import Instrument
from partimento.generation.options import MusicalOptions
from partimento.music import Audio
from partimento.playback import sinks
from partimento.recipe import parse_recipe
from partimento.runtime.contract import Task

from support.full_disk import fill_disk

RATE = 44100


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


def made() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


def recipe_of(name: str):
    return parse_recipe(files.read_recipe(name), name)


@contextmanager
def stopped_after(monkeypatch, pieces: int):
    """Press Ctrl-C when so many pieces were made."""
    play = Instrument.sound

    def sound(self, plan, extras=None):
        for index, piece in enumerate(play(self, plan, extras)):
            if index == pieces:
                raise KeyboardInterrupt
            yield piece

    with monkeypatch.context() as patch:
        patch.setattr(Instrument, "sound", sound)
        yield


def write_tone(name: str, rate: int = RATE, channels: int = 2) -> None:
    wave = 0.5 * np.sin(2 * np.pi * 330 * np.arange(rate // 2) / rate)
    files.write(Audio(np.tile(wave, (channels, 1)).astype(np.float32), rate), Path(name))


def test_generate_alone_writes_sound_and_says_so(drone, capsys):
    assert run("generate --model droning") == 0
    (name,) = made()
    assert name.endswith(".wav")
    out, err = capsys.readouterr()
    assert err == ""
    assert "Made 2.0 s of sound with droning, seed" in out
    assert "x real time)" in out
    assert f"Wrote {name}" in out


def test_generate_takes_the_options_of_sound(drone):
    assert run(
        "generate --model droning --seconds 0.5 --seed 7 --tempo 90 --density 2 --loudness -20 "
        "-o a.wav -o a.flac -o a.ogg -o a.mp3 -o a.png"
    ) == 0  # fmt: skip
    assert made() == ["a.flac", "a.mp3", "a.ogg", "a.png", "a.wav"]
    for name in made():
        recipe = recipe_of(name)
        assert recipe.controls == {"density": 2.0, "tempo": 90.0, "loudness": -20.0}
        assert (recipe.seconds, recipe.seed, recipe.streamed) == (0.5, 7, False)
        assert api.replay(name).is_same()
    assert soundfile.info("a.wav").frames == soundfile.info("a.flac").frames == RATE // 2
    same = api.load("droning").generate(
        seconds=0.5, seed=7, tempo=90, density=2, loudness=-20
    )  # fmt: skip
    for name in made():
        same.save(f"b-{name}")
        assert Path(f"b-{name}").read_bytes() == Path(name).read_bytes()


def test_options_of_sound_stand_in_a_config_file(drone, capsys):
    Path("o.toml").write_text("seconds = 0.2\nloop = true\ndensity = 3\nloudness = 5\n")
    assert run("generate --model droning --config o.toml -o a.wav") == 1
    assert "o.toml.loudness: must be a number >= -60 and <= 0" in capsys.readouterr().err
    assert run("generate --model droning --config o.toml --loudness -3 -o a.wav") == 0
    assert recipe_of("a.wav").loop
    assert recipe_of("a.wav").controls["density"] == 3.0


def test_several_samples_bear_their_seeds(drone):
    assert run("generate --model droning --seconds 0.1 --seed 3 --num-samples 2 -o x.wav") == 0
    assert made() == ["x-3.wav", "x-4.wav"]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("generate --model droning -o a.mid", "a.mid: this model makes sound"),
        ("stream --model droning --seconds 1 -o a.musicxml", "a.musicxml: this model makes sound"),
        ("generate --model droning --bars 4 --key C -o a.wav", "bars, key cannot be asked of"),
        ("generate --model droning --temperature 1 -o a.wav", "controls.temperature: unknown"),
        ("generate --model droning --variation 1 -o a.wav", "controls.variation: unknown option"),
        (
            "generate --model droning --density 99 -o a.wav",
            "controls.density: must be a number >= 0 and <= 16",
        ),
        (
            "generate --model droning --seconds 0 -o a.wav",
            "options.seconds: must be a number > 0 and <= 86400",
        ),
        ("generate --model humming --loop -o a.wav", "loop is for models that make sound"),
        ("generate --model humming --density 3 -o a.wav", "controls.density: unknown option"),
        ("continue no.wav --model droning -o a.wav", "no.wav: there is no such file"),
        ("continue bad.flac --model droning -o a.wav", "bad.flac: no audio that can be read"),
        ("continue in.wav --model droning -o in.wav", "is the piece that was read"),
        ("continue in.wav --model humming -o a.wav", "in.wav: is sound; this needs notes"),
        ("continue in.wav --model droning --loop -o a.wav", "a loop cannot continue a prompt"),
        (
            "continue in.mid --model droning -o a.wav",
            "in.mid: holds notes, and droning makes sound",
        ),
        ("infill in.wav --bars 1 -o a.mid", "in.wav: is sound; this needs notes"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(drone, hum, capsys, command, message):
    write_tone("in.wav")
    assert run("generate --model humming --bars 1 -o in.mid") == 0
    Path("bad.flac").write_bytes(b"fLaC nothing")
    before = {name: Path(name).read_bytes() for name in made()}
    capsys.readouterr()
    assert run(command) == 1
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert {name: Path(name).read_bytes() for name in made()} == before


@pytest.mark.parametrize(("rate", "channels"), [(44100, 2), (8000, 1), (96_000, 6)])
def test_continue_takes_a_model_of_sound_by_itself(drone, hum, capsys, rate, channels):
    write_tone("in.wav", rate, channels)
    assert run("continue in.wav --seconds 0.3 --seed 1 -o out.wav -o out.flac") == 0
    assert "Added 0.3 s of sound with droning" in capsys.readouterr().out
    heard, lossless = files.read_audio("out.wav"), files.read_audio("out.flac")
    assert heard.samples.shape == (2, 22050 + 13230)
    assert np.array_equal(heard.samples, lossless.samples)
    if rate == RATE:
        kept = files.read_audio("in.wav").samples
        assert np.array_equal(heard.samples[:, :22050], kept)
    assert api.replay("out.wav").is_same()
    assert api.replay("out.flac").is_same()


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3"])
def test_a_stopped_generate_leaves_whole_files(drone, capsys, monkeypatch, suffix):
    name = f"a{suffix}"
    write_tone("in.wav")
    with stopped_after(monkeypatch, 3):
        assert run(f"continue in.wav --model droning --seconds 9 --seed 1 -o {name}") == 130
    assert "Stopped early. Added 0.7 s of sound" in capsys.readouterr().out
    recipe = recipe_of(name)
    assert recipe.stopped_after_frames == 7 * 4096
    if suffix in (".wav", ".flac"):
        assert soundfile.info(name).frames == 22050 + 7 * 4096
    assert api.replay(name).is_same()
    assert made() == sorted([name, "in.wav"])


def test_a_generate_that_is_stopped_at_once_writes_nothing(drone, capsys, monkeypatch):
    Path("a.wav").write_bytes(b"old")
    with stopped_after(monkeypatch, 0):
        assert run("generate --model droning --force -o a.wav") == 130
    assert "nothing was written" in capsys.readouterr().err
    assert Path("a.wav").read_bytes() == b"old"
    assert made() == ["a.wav"]


def test_stream_writes_sound_and_pictures(drone, capsys):
    write_tone("in.wav")
    command = "stream --model droning --seconds 0.6 --seed 4 --verbose --prompt in.wav"
    assert run(f"{command} -o s.wav -o s.flac -o s.png") == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "Played 0.6 s by droning, seed 4" in err
    assert "First sound" in err
    assert soundfile.info("s.wav").frames == round(0.6 * RATE)  # the prompt is not streamed
    for name in ("s.wav", "s.flac", "s.png"):
        assert recipe_of(name).streamed
        assert api.replay(name).is_same()
    assert run("replay s.wav -o again.wav -o again.flac") == 0
    assert "the same bytes as s.wav" in capsys.readouterr().out
    assert Path("again.flac").read_bytes() == Path("s.flac").read_bytes()


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg"])
def test_an_endless_stream_is_stopped_and_replayed(drone, capsys, monkeypatch, suffix):
    name = f"s{suffix}"
    with stopped_after(monkeypatch, 6):
        assert run(f"stream --model droning --seed 4 -o {name} -o s.png") == 0
    assert "Stopped after 2.9 s by droning" in capsys.readouterr().err
    recipe = recipe_of(name)
    assert recipe.seconds is None
    assert recipe.stopped_after_frames == 31 * 4096
    assert abs(files.read_audio(name).duration_seconds - 31 * 4096 / RATE) < 0.01
    assert api.replay(name).is_same()
    assert run(f"replay {name} -o again{suffix}") == 0


def test_a_streamed_loop_goes_round_until_it_is_stopped(drone, monkeypatch):
    with stopped_after(monkeypatch, 7):
        assert run("stream --model droning --loop --seconds 0.5 --seed 4 -o s.wav") == 0
    recipe = recipe_of("s.wav")
    assert (recipe.seconds, recipe.loop, recipe.streamed) == (0.5, True, True)
    assert recipe.stopped_after_frames == 25 * 4096
    assert api.replay("s.wav").is_same()
    text = recipe.model_copy(update={"stopped_after_frames": None}).to_json()
    files.write(Audio(np.zeros((2, 9), np.float32), RATE, text), Path("lost.wav"))
    with pytest.raises(FileError, match="does not say where"):
        api.replay("lost.wav")


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".png"])
def test_a_stop_inside_a_piece_drops_it(drone, suffix):
    instrument = api.load("droning")
    plan = instrument.plan(Task.GENERATE, MusicalOptions(), {}, seed=3, endless=True)

    class StopAfter:
        left = 4

        def take(self, samples):
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt

        def close(self, recipe):
            pass

    path = Path(f"s{suffix}")
    outcome = live.play_sound(
        instrument, plan, lambda: [sinks.sound_sink(path, plan.recipe, None), StopAfter()]
    )
    assert outcome.is_stopped
    assert outcome.frames == 15 * 4096
    if suffix != ".png":
        assert soundfile.info(path).frames == outcome.frames
    assert api.replay(path).is_same()


@pytest.mark.parametrize(("raw", "extra"), [("", 44), (" --raw", 0)])
def test_a_pipe_gets_wav_or_bare_samples(drone, monkeypatch, raw, extra):
    pipe = io.BytesIO()
    stdout = SimpleNamespace(buffer=pipe, flush=lambda: None)
    monkeypatch.setattr(sys, "stdout", stdout)
    assert run(f"stream --model droning --seconds 0.5 --seed 1 -o -{raw}") == 0
    data = pipe.getvalue()
    assert (data[:4] == b"RIFF") == (extra == 44)
    assert len(data) - extra == 4 * (RATE // 2)
    made = np.frombuffer(data[extra:], "<i2").reshape(-1, 2).T / 32768
    wanted = api.load("droning").generate(seconds=0.5, seed=1).audio.samples
    assert np.abs(made - wanted).max() < 2e-5


def test_an_endless_stream_into_a_file_keeps_pace(drone, monkeypatch):
    slept = []
    clock = SimpleNamespace(perf_counter=lambda: 1.0, sleep=slept.append)
    monkeypatch.setattr(live, "time", clock)
    with stopped_after(monkeypatch, 20):
        run("stream --model droning -o s.wav")
    assert slept[0] == 0
    assert slept[-1] > 5


def test_the_loudspeaker_is_opened_when_there_is_sound(drone, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    assert run("stream --model droning --seconds 1 -o a.wav --play") == 1
    assert "partimento[live]" in capsys.readouterr().err
    assert made() == []


def test_progress_shows_seconds(drone, monkeypatch):
    told = []

    @contextmanager
    def progress(what, unit="bars"):
        yield lambda *both: told.append((unit, *both))

    monkeypatch.setattr(sounding.screen, "bar_progress", progress)
    assert run("generate --model droning --seconds 1.5 -o a.wav") == 0
    assert told[-1] == ("s", 2, 2)


def test_a_wav_beyond_four_gibibytes_is_rf64(drone):
    sink = sinks.LongWavFile(Path("long.wav"), sinks.SOUND)
    tone = np.full((2, 100), 0.5, dtype=np.float32)
    sink.take(tone)
    assert Path("long.wav").read_bytes()[:4] == b"RIFF"
    assert np.array_equal(files.read_audio("long.wav").samples, tone)
    sink._bytes = 5 * 2**30  # a hole, which takes no room
    sink.take(tone)
    assert soundfile.info("long.wav").frames == 5 * 2**28 + 100
    sink.close('{"a": 1}')
    with soundfile.SoundFile("long.wav") as file:
        assert file.frames == 5 * 2**28 + 100
        file.seek(-100, 2)
        assert np.array_equal(file.read(dtype="float32").T, tone)
    assert files.read_recipe("long.wav") == '{"a": 1}'


def test_what_is_shorter_has_the_usual_header(drone):
    recipe = api.load("droning").generate(seconds=0.1, seed=1).recipe
    for frames, kind in [(None, sinks.LongWavFile), (2**31, sinks.LongWavFile), (9, sinks.WavFile)]:
        sink = sinks.sound_sink(Path("a.wav"), recipe, frames)
        assert type(sink) is kind
        sink.close("")


@pytest.mark.parametrize("suffix", [".flac", ".ogg", ".mp3"])
def test_a_compressed_file_does_not_depend_on_the_pieces(drone, suffix):
    result = api.load("droning").generate(seconds=2, seed=1)
    whole = result.audio.samples
    cuts = [0, 1, 5000, 20_000, 21_000, 70_000, whole.shape[1]]
    parts = [whole[:, a:b] for a, b in pairwise(cuts)]
    for name, pieces in (("a", [whole]), ("b", parts)):
        sinks.save_sound(pieces, result.recipe, Path(name + suffix), whole.shape[1])
    assert Path(f"a{suffix}").read_bytes() == Path(f"b{suffix}").read_bytes()


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_a_full_disk_leaves_nothing_half_written(drone, capsys, monkeypatch, suffix):
    def full(*_anything):
        raise FileError(f"a{suffix}", "cannot grow (No space left on device)", "free space")

    place = sinks.WavFile if suffix == ".wav" else sinks.EvenSoundFile
    monkeypatch.setattr(place, "take", full)
    assert run(f"generate --model droning --seconds 1 -o a{suffix}") == 1
    assert "cannot grow (No space left" in capsys.readouterr().err
    assert made() == []


def test_a_stop_while_the_prompt_is_written_leaves_old_files(drone, capsys, monkeypatch):
    write_tone("in.wav")
    Path("a.wav").write_bytes(b"old")

    def stop(_plan):
        raise KeyboardInterrupt

    monkeypatch.setattr(live, "prompt_pieces", stop)
    assert run("continue in.wav --model droning --seconds 1 -o a.wav -o a.ogg --force") == 130
    assert "nothing was written" in capsys.readouterr().err
    assert made() == ["a.wav", "in.wav"]
    assert Path("a.wav").read_bytes() == b"old"


def test_a_sink_that_fails_leaves_the_others_whole(drone, capsys, monkeypatch):
    class Full(sinks.WavFile):
        def close(self, recipe):
            super().close(recipe)
            raise FileError(self._path, "cannot grow (full)", "free space")

    opened = sounding.sound_sink
    monkeypatch.setattr(
        sounding,
        "sound_sink",
        lambda path, *rest: Full(path) if path.name == "a.wav" else opened(path, *rest),
    )
    assert run("stream --model droning --seconds 0.2 --seed 3 -o a.wav -o b.wav -o c.flac") == 1
    assert "a.wav: cannot grow (full)" in capsys.readouterr().err
    assert api.replay("b.wav").is_same()
    assert api.replay("c.flac").is_same()


def test_a_full_disk_that_libsndfile_keeps_to_itself_is_told(drone, capsys, monkeypatch):
    fill_disk(monkeypatch, 1000)
    assert run("generate --model droning --seconds 0.5 -o a.flac") == 1
    assert "a.flac: cannot be written: the disk is full" in capsys.readouterr().err
    assert made() == []


def test_a_stop_while_a_verb_is_imported_is_a_stop(drone, capsys, monkeypatch):
    def broken(*_args, **_more):
        raise ImportError("no verb") from KeyboardInterrupt()

    monkeypatch.setattr("partimento.cli.main.make_app", lambda: broken)
    assert run("generate --model droning") == 130
    assert "stopped; nothing was written" in capsys.readouterr().err
