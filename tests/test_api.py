from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from partimento import api, files
from partimento.analysis.keys import estimate_key
from partimento.errors import (
    CannotBeMet,
    ConfigError,
    FileError,
    MissingExtra,
    ModelError,
    MusicError,
    NotSupported,
)
from partimento.generation.options import MusicalOptions
from partimento.music import KeySignature, Lyric, Note, Score, Tempo, Timeline, TimeSignature, Track
from partimento.music.keys import parse_key
from partimento.runtime.conditions import StyleCondition, TextCondition
from partimento.runtime.contract import Task

ROOT = Path(__file__).parents[1]


@pytest.fixture
def instrument(hum):
    return api.load("humming")


def prompt_score() -> Score:
    """Return five quarters in 3/4 on two tracks, the last bar unfinished."""
    line = tuple(Note(480 * i, 60 + i, 470, 50 + i) for i in range(5))
    bass = (Note(0, 36, 480 * 5, 33),)
    return Score(
        (
            Track("Melody", line, program=40, lyrics=(Lyric(0, "la"),)),
            Track("Bass", bass, program=32, pan=10),
        ),
        tempos=(Tempo(0, 100.0), Tempo(960, 80.0)),
        time_signatures=(TimeSignature(0, 3, 4),),
        title="Sketch",
    )


def test_same_seed_same_bytes(instrument, tmp_path):
    for name in ("a.mid", "b.mid"):
        instrument.generate(bars=4, seed=7).save(tmp_path / name)
    assert (tmp_path / "a.mid").read_bytes() == (tmp_path / "b.mid").read_bytes()
    assert instrument.generate(bars=4, seed=8).score != instrument.generate(bars=4, seed=7).score


def test_generate_is_the_stream_joined(instrument):
    pieces = list(instrument.stream(bars=3, seed=5))
    whole = instrument.generate(bars=3, seed=5)
    assert len(pieces) == 3
    assert sorted(n.pitch for p in pieces for n in p.notes) == sorted(
        n.pitch for n in whole.score.notes
    )


def test_defaults_come_from_the_model(instrument):
    result = instrument.generate(seed=1, humanize=0)
    assert result.bar_count == 4
    assert result.score.tempos == (Tempo(0, 200.0),)
    assert result.recipe.controls["temperature"] == 0.9
    assert 0 <= instrument.generate(bars=1).seed < 2**32


def test_wishes_are_written_into_the_score(instrument):
    result = instrument.generate(
        bars=4,
        key="A minor",
        time_signature="3/4",
        tempo=132,
        chords="Am E",
        humanize=0,
        seed=1,
        loudness=33,
    )
    score = result.score
    assert [str(t) for t in score.time_signatures] == ["3/4"]
    assert score.tempos == (Tempo(0, 132.0),)
    assert score.key_signatures == (KeySignature(0, parse_key("Am")),)
    assert [(c.onset_ticks, c.chord.name) for c in score.chords] == [
        (0, "Am"),
        (1440, "E"),
        (2880, "Am"),
        (4320, "E"),
    ]
    assert {n.velocity for n in score.notes} == {33}
    assert json.loads(score.recipe)["promises"]["key"] == "A minor"
    assert "in A minor" in result.summary()


def test_new_pieces_are_played_unless_it_is_asked_that_they_are_not(instrument, tmp_path):
    played = instrument.generate(bars=4, seed=7)
    written = instrument.generate(bars=4, seed=7, humanize=0)
    assert played.recipe.humanize == 0.5
    assert "humanize" not in written.recipe.to_json()
    assert len({n.velocity for n in played.score.notes}) > 1
    assert played.score.length_ticks == written.score.length_ticks
    assert played.score.tempos[-1] == Tempo(played.score.length_ticks, 200.0)  # a tempo
    for name in ("a.mid", "a.musicxml"):
        played.save(tmp_path / name)
        assert api.replay(tmp_path / name).is_same()
    notated = api.read_score(tmp_path / "a.musicxml")
    assert [(n.onset_ticks, n.pitch, n.end_ticks) for n in notated.notes] == [
        (n.onset_ticks, n.pitch, n.end_ticks) for n in written.score.notes
    ]
    with pytest.raises(ConfigError, match="humanize"):
        instrument.generate(bars=1, humanize=1.5)


def test_streams_and_answers_to_prompts_are_as_written(instrument):
    piece = next(iter(instrument.stream(bars=1, seed=1)))
    assert "humanize" not in piece.recipe
    with pytest.raises(NotSupported, match="whole piece"):
        list(instrument.stream(bars=1, humanize=0.5))
    plan = instrument.plan(Task.CONTINUE, MusicalOptions(bars=1), {}, prompt=piece)
    assert plan.recipe.humanize == 0
    with pytest.raises(NotSupported, match="new pieces"):
        instrument.plan(Task.CONTINUE, MusicalOptions(bars=1, humanize=0.5), {}, prompt=piece)


def test_seconds_are_the_whole_bars_that_cover_them(instrument):
    assert instrument.generate(seconds=10, tempo=120, seed=1).bar_count == 5
    assert instrument.generate(seconds=10.1, tempo=120, seed=1).bar_count == 6
    with pytest.raises(MusicError, match="not both"):
        instrument.generate(bars=4, seconds=10)
    with pytest.raises(MusicError, match="more than 4096"):
        instrument.generate(seconds=86400)


@pytest.mark.parametrize(
    ("wishes", "error", "message"),
    [
        ({"bars": 0}, MusicError, "bars must be in 1..4096, not"),
        ({"bars": 10_000}, MusicError, "bars must be in 1..4096, not"),
        ({"key": "H dur"}, MusicError, "is no key"),
        ({"time_signature": "four"}, MusicError, "is no metre"),
        ({"time_signature": "4/5"}, MusicError, "1..64 over"),
        ({"time_signature": "6/8"}, NotSupported, "quarter notes only"),
        ({"chords": "Am Hx"}, MusicError, "is no chord"),
        ({"chords": "F#", "key": "C"}, CannotBeMet, "has not"),
        ({"range": "C5"}, MusicError, "is no range"),
        ({"polyphony": 0}, MusicError, "polyphony must be in 1..128, not 0"),
        ({"max_silence": -1}, ConfigError, "options.max_silence: must be a number >= 0"),
        ({"tempo": 0}, ConfigError, "options.tempo: must be a number >= 4.0 and <= 1000, not 0"),
        ({"seed": -1}, MusicError, "seed must be in 0..9223372036854775807, not -1"),
        ({"temperature": 0}, ConfigError, "controls.temperature"),
        ({"temprature": 1}, ConfigError, "controls.temprature: unknown option"),
    ],
)
def test_bad_wishes_are_refused_in_one_line(instrument, wishes, error, message):
    with pytest.raises(error, match=message) as caught:
        instrument.generate(**wishes)
    assert "\n" not in str(caught.value)


def test_many_samples_have_the_seeds_that_follow(instrument):
    many = instrument.generate_many(3, bars=2, seed=5)
    assert [result.seed for result in many] == [5, 6, 7]
    assert many[2].score == instrument.generate(bars=2, seed=7).score
    with pytest.raises(MusicError, match=r"num_samples must be in 1\.\.10000, not 0"):
        instrument.generate_many(0)


def test_a_stream_has_no_end(instrument):
    pieces = list(islice(instrument.stream(seed=2, loudness=20), 40))
    assert len(pieces) == 40
    assert all(piece.tempos and piece.written_length_ticks == 1920 for piece in pieces)


def test_continue_keeps_all_and_adds_exactly_the_bars(instrument):
    prompt = prompt_score()
    score = instrument.continue_(prompt, bars=3, seed=1).score
    assert len(Timeline(score).bars) == len(Timeline(prompt).bars) + 3
    assert score.tracks[:2] == prompt.tracks
    assert score.tempos == prompt.tempos
    assert score.time_signatures == prompt.time_signatures
    assert score.title == "Sketch"
    new = score.track("Hum").notes  # like neither track of the prompt
    assert new[0].onset_ticks == 2 * 1440
    assert len(new) == 9
    assert len(score.tracks) == 3


@pytest.mark.parametrize(
    ("names", "programs", "joined"),
    [
        (("Melody", "Hum"), (40, 32), 1),  # by name
        (("Melody", "Bass"), (40, 0), 1),  # by program
        (("Melody",), (40,), 0),  # there is but one
        (("Melody", "Bass"), (40, 32), None),
    ],
)
def test_one_new_track_goes_where_it_belongs(instrument, names, programs, joined):
    line = (Note(0, 60, 1920),)
    tracks = [Track(n, line, program=p) for n, p in zip(names, programs, strict=True)]
    tracks.append(Track("Drums", line, is_drum=True))
    score = instrument.continue_(Score(tuple(tracks)), bars=1, seed=1).score
    grown = [i for i, track in enumerate(score.tracks) if track.notes[len(line) :]]
    assert grown == [len(tracks) if joined is None else joined]
    assert [track.name for track in score.tracks[len(tracks) :]] == ["Hum"] * (joined is None)


def test_pieces_state_a_key(instrument, tmp_path):
    result = instrument.generate(bars=4, seed=1)
    (stated,) = result.score.key_signatures
    assert stated == KeySignature(0, estimate_key(result.score))
    for suffix in (".mid", ".musicxml"):
        path = result.save(tmp_path / f"made{suffix}")
        assert api.read_score(path).key_signatures == (stated,)
        assert api.replay(path).is_same()
    assert all(not piece.key_signatures for piece in instrument.stream(bars=2, seed=1))


def test_continue_keeps_the_keys_of_its_prompt(instrument):
    own = (KeySignature(0, parse_key("F#")), KeySignature(1440, parse_key("Eb")))
    prompt = replace(prompt_score(), key_signatures=own)
    assert instrument.continue_(prompt, bars=2, seed=1).score.key_signatures == own
    assert instrument.continue_(prompt_score(), bars=2, seed=1).score.key_signatures == ()
    asked = instrument.continue_(prompt_score(), bars=2, seed=1, key="C").score
    assert asked.key_signatures == (KeySignature(2880, parse_key("C")),)


def test_a_model_may_promise_never_to_fall_silent_for_long(make_model, tmp_path):
    make_model("awake", defaults={"bars": 2, "max_silence": 3})
    awake = api.load("awake")
    result = awake.generate(seed=1)
    assert result.recipe.promises["max_silence_quarters"] == 3.0
    assert awake._performer.log[-1].promises.max_silence_quarters == 3.0
    assert api.replay(result.save(tmp_path / "a.mid")).is_same()
    assert awake.generate(seed=1, max_silence=8).recipe.promises["max_silence_quarters"] == 8.0
    continued = awake.continue_(prompt_score(), seed=1)
    assert continued.recipe.promises["max_silence_quarters"] == 3.0


def test_continue_takes_another_tempo_and_key_from_there_on(instrument):
    score = instrument.continue_(prompt_score(), bars=1, tempo=60, key="D", seed=1).score
    assert score.tempos[-1] == Tempo(2880, 60.0)
    assert score.key_signatures == (KeySignature(2880, parse_key("D")),)


def test_continue_joins_by_name_where_all_names_are_known(make_model):
    make_model("two", names=["Bass", "Melody"])
    score = api.load("two").continue_(prompt_score(), bars=1, seed=1).score
    assert [track.name for track in score.tracks] == ["Melody", "Bass"]
    assert [len(track.notes) for track in score.tracks] == [8, 4]


def test_continue_adds_tracks_that_the_prompt_lacks(make_model):
    make_model("three", names=["A", "B", "C"])
    score = api.load("three").continue_(prompt_score(), bars=1, seed=1).score
    assert [track.name for track in score.tracks] == ["Melody", "Bass", "C"]


def test_continue_keeps_tracks_of_equal_names_apart(make_model):
    make_model("pair", names=["A", "B"])
    twins = prompt_score().with_tracks(replace(t, name="Twin") for t in prompt_score().tracks)
    score = api.load("pair").continue_(twins, bars=1, seed=1).score
    assert [len(track.notes) for track in score.tracks] == [8, 4]


def test_a_coarse_prompt_is_put_on_a_finer_grid(instrument):
    prompt = Score((Track("T", (Note(0, 60, 1), Note(3, 62, 1))),), ticks_per_quarter=1)
    score = instrument.continue_(prompt, bars=1, seed=1).score
    assert score.ticks_per_quarter == 4
    assert score.tracks[0].notes[:2] == (Note(0, 60, 4), Note(12, 62, 4))


def test_a_prompt_needs_notes(instrument):
    with pytest.raises(MusicError, match="no notes"):
        instrument.continue_(Score((Track("T"),)))


def test_the_performer_sees_the_prompt_up_to_its_bar_line(instrument):
    instrument.continue_(prompt_score(), bars=1, seed=1)
    request = instrument._performer.log[-1]
    assert request.prompt.length_ticks == 2880
    assert str(request.promises.time_signature) == "3/4"
    assert request.tempo_quarters_per_minute == 80.0


def test_progress_is_told_of_every_bar(instrument):
    told = []
    instrument.generate(bars=3, progress=lambda done, asked: told.append((done, asked)))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_a_model_that_breaks_its_promise_is_found_out(make_model):
    make_model("short", bar_error=-1)
    with pytest.raises(CannotBeMet, match="made 2 bars of 3"):
        api.load("short").generate(bars=3)


def test_tasks_that_no_system_serves_name_those_that_it_does(instrument):
    one, both = (prompt_score(),), (prompt_score(), prompt_score())
    for method, prompts in (
        (instrument.infill, one),
        (instrument.accompany, one),
        (instrument.interpolate, both),
        (instrument.render_score, one),
        (instrument.transfer, both),
    ):
        with pytest.raises(NotSupported, match=r"hum cannot .*; it can continue, generate; no "):
            method(*prompts)


def test_a_refused_task_names_the_models_that_can(instrument, make_model):
    make_model("filling", system="filler")
    with pytest.raises(NotSupported, match="models that can: filling"):
        instrument.infill(prompt_score(), bars="1")


def test_conditions_that_a_system_does_not_take_are_refused_by_name(instrument):
    conditions = [TextCondition("calm"), StyleCondition("ragtime")]
    with pytest.raises(NotSupported, match="no condition style, text; it takes: none"):
        instrument.generate(bars=2, conditions=conditions)


@pytest.mark.parametrize("suffix", [".mid", ".wav", ".musicxml", ".flac", ".ogg", ".mp3"])
def test_replay_makes_the_same_bytes(instrument, tmp_path, suffix):
    path = instrument.generate(bars=2, seed=3, key="C").save(tmp_path / f"made{suffix}")
    again = api.replay(path)
    assert again.is_same()
    assert again.notes == ()


def test_replay_of_a_continuation_needs_its_prompt(instrument, tmp_path):
    source = tmp_path / "in.mid"
    api.write(prompt_score(), source)
    made = instrument.continue_(source, bars=2, seed=1).save(tmp_path / "out.mid")
    assert api.replay(made).is_same()
    moved = tmp_path / "moved.mid"
    source.rename(moved)
    with pytest.raises(FileError, match="--prompt"):
        api.replay(made)
    assert api.replay(made, prompt=moved).is_same()
    api.write(replace(prompt_score(), title="Other"), source)
    with pytest.raises(FileError, match="has changed"):
        api.replay(made)


def test_replay_refuses_another_model_and_files_without_recipe(instrument, make_model, tmp_path):
    made = instrument.generate(bars=1, seed=1).save(tmp_path / "a.mid")
    make_model("humming", parameters=9)
    with pytest.raises(ModelError, match="another version"):
        api.replay(made)
    api.write(prompt_score(), tmp_path / "b.mid")
    with pytest.raises(FileError, match="no recipe"):
        api.replay(tmp_path / "b.mid")


def test_rendered_files_carry_the_recipe_on(instrument, tmp_path):
    made = instrument.generate(bars=1, seed=1).save(tmp_path / "a.mid")
    heard = api.write(api.read(made), tmp_path / "a.wav")
    assert api.replay(heard).is_same()


def test_a_model_may_be_named_by_its_path(hum, tmp_path):
    moved = hum.path.rename(tmp_path / "mine")
    result = api.load(moved).generate(bars=1, seed=1)
    assert result.recipe.model_path == str(moved)
    assert api.replay(result.save(tmp_path / "x.mid")).is_same()


def test_loading_checks_precision_and_threads(hum):
    with pytest.raises(NotSupported, match="int8 or fp32"):
        api.load(precision="int4")
    with pytest.raises(MusicError, match=r"threads must be in 1\.\.1024, not 0"):
        api.load(threads=0)


def test_export_copies_one_precision(hum, tmp_path):
    out = api.export("humming", tmp_path / "copy", precision="fp32")
    assert sorted(p.name for p in out.iterdir()) == ["card.md", "config.json", "fp32.onnx"]
    assert api.load(out).precision == "fp32"
    with pytest.raises(FileError, match="not empty"):
        api.export("humming", out)
    with pytest.raises(ModelError, match="no int8"):
        api.export(out, tmp_path / "other", precision="int8")
    with pytest.raises(NotSupported, match="int8 or fp32"):
        api.export("humming", tmp_path / "other", precision="int4")


def test_saving_checks_the_ending_and_the_folder(instrument, tmp_path):
    result = instrument.generate(bars=1, seed=1)
    with pytest.raises(FileError, match="known are"):
        result.save(tmp_path / "x.doc")
    with pytest.raises(FileError, match="no folder"):
        result.save(tmp_path / "missing" / "x.mid")
    assert list(tmp_path.glob("*.*")) == []


def test_stems_are_one_file_a_track(tmp_path):
    paths = api.write_stems(prompt_score(), tmp_path / "parts", "song")
    assert [path.name for path in paths] == ["song_Melody.wav", "song_Bass.wav"]
    assert all(files.read_audio(path).duration_seconds > 2 for path in paths)


def test_training_lays_options_over_the_preset(hum, tmp_path):
    (tmp_path / "options.toml").write_text("sizes = 2\n")
    with pytest.raises(ConfigError, match=r"options\.toml\.sizes: unknown option"):
        api.train("hum", [], tmp_path / "out", config=tmp_path / "options.toml")
    with pytest.raises(ConfigError, match=r"preset\.size"):
        api.train("hum", [], tmp_path / "out", overrides={"size": "many"})
    with pytest.raises(ConfigError, match="has none called 'big'"):
        api.train("hum", [], tmp_path / "out", preset="big")


def test_an_unknown_option_deep_inside_names_its_neighbours(tmp_path):
    with pytest.raises(ConfigError, match=r"preset\.training\.lr: unknown .* learning_rate"):
        api.train("music_transformer", [], tmp_path / "out", overrides={"recipe.lr": 1})


def test_resuming_from_other_weights_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="its own weights"):
        api.train("hum", [tmp_path], tmp_path / "out", resume=True, start_from=tmp_path)


def test_training_without_torch_names_the_extra(hum, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in [name for name in sys.modules if name.startswith("partimento.training")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(MissingExtra, match=r"partimento\[train\]"):
        api.train("hum", [], tmp_path / "out")


def test_doctor_times_the_shipped_models(hum):
    report = api.doctor(bars=2)
    assert [model.name for model in report.models] == ["humming"]
    assert report.models[0].problem == ""
    assert report.models[0].real_time_factor > 0
    assert report.advice
    assert json.loads(report.to_json())["cores"] >= 1


def test_doctor_tells_of_a_broken_model(hum):
    (hum.path / "int8.onnx").write_bytes(b"other")
    report = api.doctor(bars=2)
    assert "altered" in report.models[0].problem
    assert "altered" in report.advice


def test_importing_partimento_imports_almost_nothing():
    code = (
        "import partimento, sys; "
        "print([m for m in ('numpy', 'pydantic', 'onnxruntime', 'symusic') if m in sys.modules]); "
        "print(partimento.load.__module__, 'load' in dir(partimento))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.splitlines() == ["[]", "partimento.generation.loading True"]
