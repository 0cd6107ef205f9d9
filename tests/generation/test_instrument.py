from __future__ import annotations

from dataclasses import replace
from itertools import islice

import pytest

from partimento import api
from partimento.errors import CannotBeMet, ConfigError, MusicError, NotSupported, PartimentoError
from partimento.music import Note, Score, Track

NAN, INF = float("nan"), float("inf")
LINE = tuple(Note(480 * i, 60 + i, 480, 70) for i in range(8))
MELODY = Score((Track("Melody", LINE),))


@pytest.fixture
def instrument(hum):
    return api.load("humming")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": "a"}, "seed must be a whole number in 0"),
        ({"seed": True}, "seed must be a whole number in 0"),
        ({"seed": 10**21}, "seed must be in 0"),
        ({"bars": True}, "options.bars: .*integer, not True"),
        ({"bars": "8"}, "options.bars: .*integer, not '8'"),
        ({"bars": 10**21}, r"bars must be in 1\.\.4096"),
        ({"tempo": NAN}, "options.tempo: must be a number >= 4.0 and <= 1000, not nan"),
        ({"tempo": 3}, "options.tempo: must be a number >= 4.0 and <= 1000, not 3"),
        ({"tempo": "90"}, "options.tempo: must be a number >= 4.0"),
        ({"seconds": INF}, "options.seconds: must be a number > 0 and <= 86400, not inf"),
        ({"max_silence": 1e30}, "options.max_silence: must be a number >= 0 and <= 16384"),
        ({"polyphony": 10**21}, r"polyphony must be in 1\.\.128"),
        ({"loop": 1}, "options.loop: "),
        ({"key": 3}, "options.key"),
        ({"chords": 3}, "options.chords"),
        ({"range": "C5-C4"}, "not from C5 to C4"),
        ({"temperature": NAN}, "controls.temperature: must be a number > 0 and <= 5, not nan"),
        ({"temperature": "0.9"}, "controls.temperature: must be a number > 0 and <= 5, not '0.9'"),
        ({"temperature": True}, "controls.temperature: must be a number"),
        ({"top_p": -INF}, "controls.top_p: must be a number > 0 and <= 1"),
        ({"top_k": 10**21}, "controls.top_k: must be a number >= 0 and <= 1000000"),
        ({"temprature": 1}, "controls.temprature: unknown option; did you mean 'temperature'"),
        ({"z" * 300: 1}, "unknown option; known here"),
        ({"chords": "H" * 900}, "is no chord"),
    ],
)
def test_wrong_values_are_refused_with_the_bounds(instrument, options, message):
    with pytest.raises(PartimentoError, match=message) as caught:
        instrument.generate(**options)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("count", ["3", 2.5, True, 0, 10**21])
def test_a_number_of_samples_is_an_integer(instrument, count):
    with pytest.raises(MusicError, match=r"num_samples must be .*in 1\.\.10000"):
        instrument.generate_many(count)


def test_pieces_are_taken_alike(instrument, tmp_path):
    made = instrument.generate(bars=2, seed=1)
    path = made.save(tmp_path / "a.mid")
    for piece in (path, str(path), made, made.score):
        assert instrument.continue_(piece, bars=1, seed=2).bar_count == 3
        assert api.render(piece).samples.shape == api.render(made).samples.shape
        assert api.evaluate([piece, made.score], made).rows()
    assert api.write(made, tmp_path / "b.mid").read_bytes() == path.read_bytes()
    for use in (instrument.continue_, api.render, api.play, api.evaluate):
        with pytest.raises(PartimentoError):
            use(*((5, 5) if use is api.evaluate else (5,)))


def test_an_instrument_says_what_it_can_do(instrument):
    assert instrument.tasks == ("continue", "generate")
    schema = instrument.controls["properties"]
    assert schema["temperature"]["default"] == 0.9  # the model's own
    assert schema["loudness"]["maximum"] == 127


def test_a_refusal_names_the_model_that_can(make_model):
    make_model("humming")
    make_model("filling", system="filler")
    with pytest.raises(NotSupported, match=r"hum cannot infill; .*models that can: filling$"):
        api.load("humming").infill(MELODY, "1")
    with pytest.raises(NotSupported, match=r"hum cannot interpolate.*; no installed model can$"):
        api.load("humming").interpolate(MELODY, MELODY)


def test_a_progress_that_raises_cancels(instrument):
    class CancelledError(Exception):
        pass

    def cancel(done: int, asked: int) -> None:
        if done == 2:
            raise CancelledError

    with pytest.raises(CancelledError):
        instrument.generate(bars=64, seed=1, progress=cancel)
    assert instrument.generate(bars=2, seed=1).bar_count == 2
    assert len(list(islice(instrument.stream(seed=1), 3))) == 3


def test_a_silent_piece_is_not_handed_out(instrument, monkeypatch):
    bars = list(instrument.stream(bars=2, seed=5))
    empty = [replace(bar, tracks=(Track("Hum"),)) for bar in bars]
    stream = type(instrument._performer)
    monkeypatch.setattr(stream, "stream", lambda *_: iter(empty))
    with pytest.raises(CannotBeMet, match="seed 5 gives silence with humming; try another seed"):
        instrument.generate(bars=2, seed=5)
    monkeypatch.setattr(stream, "stream", lambda *_: iter([empty[0], bars[1]]))
    assert instrument.generate(bars=2, seed=5).score.notes


@pytest.mark.parametrize("wrong", [True, 0, "8", (), 1j])
def test_a_progress_is_a_function(instrument, wrong):
    with pytest.raises(MusicError, match="progress must be a function"):
        instrument.generate(bars=1, seed=1, progress=wrong)


def test_progress_of_several_goes_through_once(make_model):
    make_model("filling", system="filler")
    seen: list[tuple[int, int]] = []
    api.load("filling").infill_many(
        3, MELODY, bars="1", seed=1, progress=lambda *at: seen.append(at)
    )
    assert seen == [(2, 6), (4, 6), (6, 6)]


@pytest.mark.parametrize(
    "wrong", [{"bars": 1.5}, {"bars": True}, {"tracks": 3}, {"tracks": [3]}, {"lock": 3}]
)
def test_regions_of_the_wrong_type_are_refused(make_model, wrong):
    make_model("filling", system="filler")
    with pytest.raises(MusicError, match=r"must be a text"):
        api.load("filling").infill(MELODY, **{"tracks": "Melody", **wrong})


def test_infilling_the_last_bars_keeps_the_length(make_model):
    make_model("filling", system="filler")
    quarters = replace(MELODY, tracks=(Track("Melody", (*LINE[:-1], Note(3360, 67, 479))),))
    for prompt in (MELODY, quarters):
        whole = api.load("filling").infill(prompt, "2", lock="Melody 2.1 E4", seed=1).score
        assert whole.length_ticks == prompt.length_ticks or whole.length_ticks == 3840


def test_options_of_a_stream_are_checked_alike(instrument):
    with pytest.raises(MusicError, match="seed must be"):
        instrument.stream(seed="a")
    with pytest.raises(ConfigError, match=r"options\.tempo"):
        instrument.stream(tempo=NAN)
