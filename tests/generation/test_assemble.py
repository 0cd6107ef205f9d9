"""Models that make sound, through the same house as those that write notes."""

from __future__ import annotations

import json
from itertools import islice

import numpy as np
import pytest

from partimento import api, catalog, files
from partimento.doctor import doctor
from partimento.errors import (
    CannotBeMet,
    ConfigError,
    FileError,
    ModelError,
    MusicError,
    NotSupported,
)
from partimento.generation.options import MusicalOptions
from partimento.music import Audio, Note, Score, Track
from partimento.runtime.contract import Task

RATE = 44100


@pytest.fixture
def instrument(drone):
    return api.load("droning")


def performer(instrument):
    return instrument._performer


def tone(seconds: float = 0.5, rate: int = RATE, channels: int = 2) -> Audio:
    time = np.arange(round(seconds * rate)) / rate
    wave = 0.5 * np.sin(2 * np.pi * 330 * time)
    return Audio(np.tile(wave, (channels, 1)).astype(np.float32), rate)


def joined(pieces) -> np.ndarray:
    return np.concatenate([piece.samples for piece in pieces], axis=1)


@pytest.mark.parametrize("seconds", [0.00001, 0.05, 1.0, 1.23456])
def test_it_is_exactly_as_long_as_it_was_asked(instrument, seconds):
    result = instrument.generate(seconds=seconds, seed=1)
    assert result.audio.samples.shape == (2, max(1, round(seconds * RATE)))
    assert result.audio.sample_rate_hz == RATE
    assert instrument.makes == "audio"


def test_the_same_seed_makes_the_same_sound_and_generate_is_its_stream(instrument):
    first = instrument.generate(seconds=1, seed=7)
    assert np.array_equal(first.audio.samples, instrument.generate(seconds=1, seed=7).audio.samples)
    assert not np.array_equal(first.audio.samples, instrument.generate(seconds=1).audio.samples)
    pieces = list(instrument.stream(seconds=1, seed=7))
    assert len(pieces) > 2
    assert np.array_equal(joined(pieces), first.audio.samples)
    endless = joined(islice(instrument.stream(seed=7), 6))
    assert np.array_equal(endless[:, :RATE], first.audio.samples)


def test_a_stream_of_any_length_starts_at_once_and_lets_go(instrument):
    stream = instrument.stream(seconds=36_000, seed=1)
    assert next(stream).duration_seconds < 1
    stream.close()
    assert performer(instrument).closed == 1
    list(instrument.stream(seconds=0.01, seed=1))
    assert performer(instrument).closed == 2


def test_defaults_are_the_models(instrument):
    result = instrument.generate(seed=3)
    assert result.duration_seconds == 2.0
    assert result.bar_count == 0
    assert result.recipe.seconds == 2.0
    assert "Made 2.0 s of sound with droning, seed 3" in result.summary()
    with pytest.raises(NotSupported, match="makes sound, not notes"):
        _ = result.score
    with pytest.raises(NotSupported, match="makes sound"):
        result.with_soundfont("a.sf2")


def test_controls_are_checked_and_a_tempo_is_one(instrument):
    result = instrument.generate(seconds=0.1, seed=1, tempo=90, density=2, loudness=-30)
    assert result.recipe.controls == {"density": 2.0, "tempo": 90.0, "loudness": -30.0}
    assert result.recipe.tempo is None
    assert result.audio.peak < 10 ** (-30 / 20) * 1.6
    with pytest.raises(ConfigError, match=r"controls.density: must be a number >= 0 and <= 16"):
        instrument.generate(seconds=0.1, density=99)
    with pytest.raises(ConfigError, match=r"controls.tempo"):
        instrument.generate(seconds=0.1, tempo=999)
    with pytest.raises(ConfigError, match="unknown option; known here: density, loudness, tempo"):
        instrument.generate(seconds=0.1, temperature=1)


@pytest.mark.parametrize(
    "wishes",
    [
        {"bars": 4},
        {"key": "A minor", "chords": "Am F"},
        {"time_signature": "3/4"},
        {"range": "C3-C5"},
        {"polyphony": 3},
        {"max_silence": 1.0},
    ],
)
def test_what_is_of_notes_is_refused_by_name(instrument, wishes):
    with pytest.raises(NotSupported, match=f"{', '.join(wishes)} cannot be asked") as caught:
        instrument.generate(**wishes)
    assert "\n" not in str(caught.value)


def test_a_tempo_that_is_no_control_is_refused(instrument, monkeypatch):
    fields = {k: v for k, v in instrument.card.controls.model_fields.items() if k != "tempo"}
    monkeypatch.setattr(instrument.card.controls, "__pydantic_fields__", fields)
    with pytest.raises(NotSupported, match="tempo cannot be asked"):
        instrument.generate(tempo=100)


def test_a_loop_is_as_long_as_it_closes(instrument):
    result = instrument.generate(seconds=1, loop=True, seed=2)
    assert result.audio.samples.shape[1] == round(RATE / 4096) * 4096
    assert result.recipe.loop
    assert "Made a loop of 1.0 s with droning" in result.summary()
    round_and_round = joined(islice(instrument.stream(seconds=1, loop=True, seed=2), 8))
    assert np.array_equal(round_and_round[:, : 11 * 4096], result.audio.samples)
    assert np.array_equal(round_and_round[:, 11 * 4096 : 22 * 4096], result.audio.samples)
    assert instrument.generate(loop=True, seed=2).audio.samples.shape[1] == 22 * 4096
    with pytest.raises(NotSupported, match="a loop cannot continue a prompt"):
        instrument.stream(tone(), loop=True)


def test_notes_have_no_loop_and_no_steering(hum):
    humming = api.load("humming")
    with pytest.raises(NotSupported, match="loop is for models that make sound"):
        humming.generate(bars=1, loop=True)
    with pytest.raises(NotSupported, match="only models that make sound can be steered"):
        humming.stream(bars=1, steer=lambda _at: {})


def test_controls_are_steered_while_it_plays(instrument):
    asked = []

    def steer(at: float) -> dict[str, float]:
        asked.append(at)
        return {"loudness": -12.0 if at < 0.5 else -40.0}

    made = joined(islice(instrument.stream(seed=1, steer=steer), 6))
    assert asked == sorted(asked)
    assert np.abs(made[:, : RATE // 2]).max() > 0.2
    assert np.abs(made[:, RATE:]).max() < 0.02
    with pytest.raises(ConfigError, match="loudness"):
        next(instrument.stream(seed=1, steer=lambda _at: {"loudness": 9}))
    plain, unchanged = (
        joined(islice(instrument.stream(seed=1, steer=nothing), 2))
        for nothing in (lambda _at: {}, lambda _at: None)
    )
    assert np.array_equal(plain, unchanged)


@pytest.mark.parametrize(("rate", "channels"), [(44100, 2), (8000, 1), (192_000, 2), (48000, 6)])
def test_a_prompt_of_any_rate_and_channels_is_kept_before_what_is_added(instrument, rate, channels):
    prompt = tone(0.5, rate, channels)
    result = instrument.continue_(prompt, seconds=0.25, seed=1)
    assert result.audio.samples.shape == (2, 22050 + 11025)
    if (rate, channels) == (44100, 2):
        assert np.array_equal(result.audio.samples[:, :22050], prompt.samples)
    request = performer(instrument).log[-1]
    assert request.task is Task.CONTINUE
    assert request.sound.sample_rate_hz == RATE
    assert request.sound.samples.shape == (2, 22050)
    assert "Added 0.2 s" in result.summary()
    made = instrument.stream(prompt, seconds=0.25, seed=1)  # the prompt is not yielded
    assert np.array_equal(joined(made), result.audio.samples[:, 22050:])


def test_prompts_of_the_other_kind_are_refused(instrument, hum, tmp_path):
    notes = Score((Track("A", (Note(0, 60, 480),)),))
    with pytest.raises(MusicError, match="continues sound, not notes; give WAV"):
        instrument.continue_(notes)
    files.write(notes, tmp_path / "a.mid")
    with pytest.raises(FileError, match=r"a\.mid: holds notes, and droning makes sound; give WAV"):
        instrument.continue_(tmp_path / "a.mid")
    humming = api.load("humming")
    with pytest.raises(MusicError, match="the prompt is sound; this needs notes"):
        humming.continue_(tone())
    files.write(tone(), tmp_path / "a.wav")
    with pytest.raises(FileError, match=r"a\.wav: is sound; this needs notes"):
        humming.continue_(tmp_path / "a.wav")
    with pytest.raises(MusicError, match="no samples to continue"):
        instrument.continue_(Audio(np.zeros((2, 0), np.float32), RATE))


def test_the_default_model_for_sound_makes_sound(drone, hum):
    assert catalog.default_model(Task.CONTINUE, tone()) == "droning"
    assert api.load(task=Task.CONTINUE, prompt=tone()).name == "droning"


def test_without_a_model_of_sound_it_says_so(hum):
    with pytest.raises(NotSupported, match=r"can continue sound \(there are: humming\)"):
        catalog.default_model(Task.CONTINUE, tone())


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3", ".png"])
def test_saved_and_replayed_it_is_the_same_bytes(instrument, tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    result = instrument.generate(seconds=0.8, seed=5, density=3)
    assert result.save(path) == path
    recipe = json.loads(files.read_recipe(path))
    assert (recipe["seconds"], recipe["seed"]) == (0.8, 5)
    again = api.replay(path)
    assert again.is_same()
    assert np.array_equal(again.result.audio.samples, result.audio.samples)
    if suffix in (".wav", ".flac"):
        heard = files.read_audio(path)
        assert np.abs(heard.samples - result.audio.samples).max() < 2e-5
        assert heard.duration_seconds == pytest.approx(0.8)
    if suffix == ".wav":
        api.write(result.audio, tmp_path / "b.wav")
        assert (tmp_path / "b.wav").read_bytes() == path.read_bytes()


def test_sound_has_no_notes_to_be_written(instrument, tmp_path):
    result = instrument.generate(seconds=0.1, seed=5)
    for ending in (".mid", ".musicxml", ".svg"):
        with pytest.raises(FileError, match=r"makes sound, which has no notes; known are \.flac"):
            result.save(tmp_path / f"a{ending}")


def test_a_continuation_is_replayed_with_its_prompt(instrument, tmp_path):
    files.write(tone(), tmp_path / "in.wav")
    result = instrument.continue_(tmp_path / "in.wav", seconds=0.2, seed=5)
    result.save(tmp_path / "out.wav")
    kept = files.read_audio(tmp_path / "out.wav").samples[:, :22050]
    assert np.array_equal(kept, files.read_audio(tmp_path / "in.wav").samples)
    assert api.replay(tmp_path / "out.wav").is_same()
    with pytest.raises(FileError, match="the piece that was read"):
        result.save(tmp_path / "in.wav")
    files.write(tone(0.6), tmp_path / "in.wav")
    with pytest.raises(FileError, match="the prompt has changed"):
        api.replay(tmp_path / "out.wav")


def test_a_recipe_of_notes_says_nothing_of_sound(hum):
    text = api.load("humming").generate(bars=1, seed=1).score.recipe
    assert not {"seconds", "loop", "stopped_after_frames"} & set(json.loads(text))


def test_progress_is_told_in_seconds(instrument):
    told = []
    instrument.generate(seconds=2.5, seed=1, progress=lambda *both: told.append(both))
    assert told[-1] == (3, 3)
    assert told == sorted(told)
    with pytest.raises(MusicError, match="an endless stream"):
        instrument.perform(instrument.plan(Task.GENERATE, MusicalOptions(), {}, endless=True))


def test_a_performer_that_breaks_its_word_is_found_out(make_model):
    make_model("short", system="drone", short_by=10_000, defaults={})
    with pytest.raises(CannotBeMet, match="ended too early"):
        api.load("short").generate(seconds=0.5, seed=1)
    make_model("slow", system="drone", rate=22050, defaults={})
    with pytest.raises(NotSupported, match="2 channels at 22050 Hz"):
        api.load("slow").generate(seconds=0.5, seed=1)


def test_a_card_that_says_the_wrong_kind_is_found_out(instrument, hum):
    humming = api.load("humming")
    plan = instrument.plan(Task.GENERATE, MusicalOptions(seconds=1), {}, seed=1)
    with pytest.raises(NotSupported, match="its card says notes"):
        next(instrument.pieces(plan))
    bars = humming.plan(Task.GENERATE, MusicalOptions(bars=1), {}, seed=1)
    with pytest.raises(NotSupported, match="its card says sound"):
        next(humming.sound(bars))


def test_another_version_of_a_model_is_not_replayed(instrument, make_model, tmp_path):
    instrument.generate(seconds=0.1, seed=5).save(tmp_path / "a.wav")
    make_model("droning", system="drone", defaults={"seconds": 3.0})
    with pytest.raises(ModelError, match="another version of droning"):
        api.replay(tmp_path / "a.wav")


def test_doctor_and_describe_know_sound(drone):
    (speed,) = doctor().models
    assert speed.problem == ""
    assert (speed.bars, speed.music_seconds) == (0, 20.0)
    assert speed.real_time_factor > 0
    assert api.describe("droning").makes == "audio"
    assert api.describe("music_transformer").makes == "score"


def test_a_score_is_rendered_by_a_model_and_replayed(instrument, tmp_path):
    score = Score((Track("Piano", (Note(0, 60, 480),)),), written_length_ticks=960)
    source = api.write(score, tmp_path / "in.mid")
    result = instrument.render_score(source, seed=2, loudness=-20)
    assert result.recipe.task is Task.RENDER
    assert result.duration_seconds >= 1.0
    assert result.prompt_seconds == 0
    made = result.save(tmp_path / "out.wav")
    assert api.replay(made).is_same()
    with pytest.raises(MusicError, match="the prompt is sound"):
        instrument.render_score(tone())
    assert catalog.default_model(Task.RENDER) == "droning"
