"""Sound from latents: streamed, whole and parallel alike; steered, looped, continued."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from partimento.errors import ModelError, MusicError, NotSupported
from partimento.music import Audio
from partimento.runtime.audio import codec as codec_module
from partimento.runtime.audio.codec import Codec
from partimento.runtime.audio.controls import Beat, Conditions, usual
from partimento.runtime.audio.generator import LatentGenerator
from partimento.runtime.audio.inversion import find_path
from partimento.runtime.audio.performer import LatentAudioPerformer, MusikaControls
from partimento.runtime.audio.stream import STRETCH
from partimento.runtime.contract import Controls, Request, Task
from partimento.runtime.model_folder import ModelFolder

from support.latent_models import CODEC, QUANTILES, model_folder, noise

F32 = npt.NDArray[np.float32]
STEP = CODEC.latent_samples
LONG = (3 * STRETCH + 5) * STEP / 44100  # seconds: several stretches and some of another


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    return model_folder(tmp_path_factory.mktemp("models") / "tiny-sound")


@pytest.fixture(scope="module")
def performer(folder: ModelFolder) -> LatentAudioPerformer:
    return LatentAudioPerformer.load(folder, threads=2, precision="fp32")


def made(performer: LatentAudioPerformer, most: int | None = None, **asked: Any) -> F32:
    controls = asked.pop("controls", MusikaControls())
    pieces: list[F32] = []
    for piece in performer.stream(Request(**asked), controls, np.random.default_rng(5)):
        pieces.append(piece.samples)
        if most is not None and sum(each.shape[1] for each in pieces) >= most:
            break
    return np.concatenate(pieces, axis=1)


@pytest.fixture(scope="module")
def whole(performer: LatentAudioPerformer) -> F32:
    return made(performer, duration_seconds=LONG)


def test_a_stream_is_the_whole_however_it_is_cut(performer: LatentAudioPerformer) -> None:
    codec = performer.codec
    latents = performer.source(MusikaControls(), np.random.default_rng(5))(0, 50)
    plain = codec.decode_all(latents)
    assert plain.shape == (2, 50 * STEP)
    assert plain.std() > 0.01
    state, pieces = codec.begin(), []
    for part in np.split(latents, [1, 4, 5, 30]):
        samples, state = codec.decode(state, part)
        pieces.append(samples)
    streamed = np.concatenate(pieces, axis=1)
    assert streamed.shape[1] == (50 - CODEC.lookahead) * STEP - codec.framing.lag
    np.testing.assert_allclose(streamed, plain[:, : streamed.shape[1]], atol=1e-5)


def test_a_state_is_a_value(performer: LatentAudioPerformer) -> None:
    codec = performer.codec
    latents = performer.source(MusikaControls(), np.random.default_rng(5))(0, 12)
    _, state = codec.decode(codec.begin(), latents[:6])
    first, _ = codec.decode(state, latents[6:])
    second, _ = codec.decode(state, latents[6:])
    np.testing.assert_array_equal(first, second)


def test_parallel_stretches_are_the_plain_form(performer: LatentAudioPerformer, whole: F32) -> None:
    source = performer.source(MusikaControls(), np.random.default_rng(5))
    count = -(-whole.shape[1] // STEP)
    plain = performer.codec.decode_all(source(0, count + performer.codec.wait))
    assert whole.shape[1] == round(LONG * 44100)
    hop = CODEC.hop  # fades in
    np.testing.assert_allclose(whole[:, hop:], plain[:, hop : whole.shape[1]], atol=1e-4)


def test_threads_and_streaming_change_nothing(
    folder: ModelFolder, performer: LatentAudioPerformer, whole: F32
) -> None:
    alone = LatentAudioPerformer.load(folder, threads=1, precision="fp32")
    np.testing.assert_array_equal(made(alone, duration_seconds=LONG), whole)
    endless = made(performer, whole.shape[1], endless=True)
    np.testing.assert_allclose(endless[:, : whole.shape[1]], whole, atol=1e-5)


@pytest.mark.parametrize("seconds", [1 / 44100, 0.001, 0.1, 0.3])
def test_lengths_are_exact(performer: LatentAudioPerformer, whole: F32, seconds: float) -> None:
    short = made(performer, duration_seconds=seconds)
    assert short.shape == (2, max(1, round(seconds * 44100)))
    np.testing.assert_allclose(short, whole[:, : short.shape[1]], atol=1e-5)


def test_a_stream_that_is_left_stops(performer: LatentAudioPerformer) -> None:
    stream = performer.stream(Request(endless=True), MusikaControls(), np.random.default_rng(0))
    assert isinstance(stream, Iterator)
    assert next(stream).samples.shape[1] > 0
    stream.close()  # type: ignore[attr-defined]


def test_a_steered_stream_that_nobody_steers_is_the_same(
    performer: LatentAudioPerformer, whole: F32
) -> None:
    steered = made(performer, duration_seconds=LONG, steer=lambda _at: MusikaControls())
    np.testing.assert_allclose(steered, whole, atol=1e-4)


def test_a_change_is_heard_at_once(performer: LatentAudioPerformer, whole: F32) -> None:
    change = 100.5 * STEP / 44100
    asked: list[float] = []

    def steer(at: float) -> Controls:
        asked.append(at)
        return MusikaControls(loudness=-5, density=12) if at >= change else MusikaControls()

    steered = made(performer, duration_seconds=LONG, steer=steer)
    assert asked == sorted(asked)
    assert asked[0] == 0
    differs = np.abs(steered - whole).max(axis=0) > 1e-3
    first = np.argmax(differs) / STEP
    # Four latents a piece, of 93 ms each in a model of full size.
    assert 99 <= first <= 105
    np.testing.assert_allclose(steered[:, : 99 * STEP], whole[:, : 99 * STEP], atol=1e-4)


def test_a_style_may_be_steered(performer: LatentAudioPerformer, whole: F32) -> None:
    other = MusikaControls(style=12, mix=1.0)
    seconds, change = 20 * STEP / 44100, 10 * STEP / 44100
    steered = made(
        performer,
        duration_seconds=seconds,
        steer=lambda at: other if at >= change else MusikaControls(),
    )
    differs = np.abs(steered - whole[:, : steered.shape[1]]).max(axis=0) > 1e-3
    assert 8 <= np.argmax(differs) / STEP <= 15
    assert differs[-4 * STEP :].any()


def test_a_loop_leads_into_itself(performer: LatentAudioPerformer) -> None:
    seconds = 40.3 * STEP / 44100
    turn = made(performer, duration_seconds=seconds, is_loop=True)
    length = turn.shape[1]
    assert length == round(seconds * 44100)
    turns = made(performer, 3 * length, duration_seconds=seconds, is_loop=True, endless=True)
    np.testing.assert_array_equal(turns[:, length : 2 * length], turn)
    jumps = np.abs(np.diff(turns, axis=1)).max(axis=0)
    assert jumps[length - 1] <= jumps[: length - 1].max()


def test_loops_are_not_steered_nor_too_long(performer: LatentAudioPerformer) -> None:
    with pytest.raises(NotSupported, match="cannot be steered"):
        made(performer, is_loop=True, duration_seconds=1.0, steer=lambda _at: MusikaControls())
    with pytest.raises(NotSupported, match="300 seconds at most"):
        made(performer, is_loop=True, duration_seconds=301.0)


def test_sound_goes_on_without_a_jump(performer: LatentAudioPerformer, whole: F32) -> None:
    prompt = Audio(np.ascontiguousarray(whole[:, : 90 * STEP + 7]), 44100)
    asked: dict[str, Any] = {"task": Task.CONTINUE, "prompts": (prompt,), "duration_seconds": 0.2}
    more = made(performer, **asked)
    assert more.shape == (2, round(0.2 * 44100))
    np.testing.assert_array_equal(more, made(performer, **asked))
    joined = np.concatenate([prompt.samples, more], axis=1)
    jumps = np.abs(np.diff(joined, axis=1)).max(axis=0)
    border = prompt.samples.shape[1] - 1
    assert jumps[border] <= jumps[:border].max()


def test_what_is_not_wished_goes_on_as_it_was(performer: LatentAudioPerformer) -> None:
    asked: dict[str, Any] = {"task": Task.CONTINUE, "duration_seconds": 1.0}
    sound = {"soft": noise(1.0) * np.float32(0.01), "loud": noise(1.0)}
    heard = {name: Audio(samples, 44100) for name, samples in sound.items()}
    scenes = {
        name: performer._heard(
            Request(prompts=(prompt,), **asked),
            MusikaControls(density=3),
            1,
            np.random.default_rng(1),
        )[0]
        for name, prompt in heard.items()
    }
    told = {name: scene.wished(MusikaControls(density=3)) for name, scene in scenes.items()}
    assert told["soft"].loudness < told["loud"].loudness
    assert {controls.density for controls in told.values()} == {3}
    source = performer._source(scenes["soft"], MusikaControls(density=3))
    np.testing.assert_array_equal(
        source(0, 4), performer._source(scenes["soft"], told["soft"])(0, 4)
    )
    assert usual({"loudness": -200.0}, {"loudness": [0.5, 0.6, 0.7]}) == {
        "loudness": pytest.approx(0.52 * 60 - 60)
    }
    assert usual({"tempo": 900.0}, {}) == {"tempo": 240.0}


def test_sound_of_no_numbers_is_refused_and_beyond_full_scale_heard(
    performer: LatentAudioPerformer,
) -> None:
    asked: dict[str, Any] = {"task": Task.CONTINUE, "duration_seconds": 0.2}
    for bad in (np.nan, np.inf):
        with pytest.raises(MusicError, match="not numbers"):
            made(performer, prompts=(Audio(noise(0.2) * np.float32(bad), 44100),), **asked)
    far = made(performer, prompts=(Audio(noise(0.2) * np.float32(1e37), 44100),), **asked)
    assert np.isfinite(far).all()


def test_the_shortest_sound_is_one_sample(performer: LatentAudioPerformer) -> None:
    assert made(performer, duration_seconds=1e-6).shape == (2, 1)


def test_only_sound_of_the_right_kind_is_continued(performer: LatentAudioPerformer) -> None:
    nothing = Audio(np.zeros((2, 0), np.float32), 44100)
    mono = Audio(noise(0.1)[:1], 44100)
    cases = (((), "no sound"), ((nothing,), "no sound"), ((mono,), "stereo at 44100"))
    for prompts, message in cases:
        with pytest.raises(MusicError, match=message):
            made(performer, task=Task.CONTINUE, prompts=prompts, duration_seconds=1.0)
    with pytest.raises(NotSupported, match="generate and continue"):
        made(performer, task=Task.INFILL, duration_seconds=1.0)


def test_encoding_in_parts_is_encoding_the_whole(
    performer: LatentAudioPerformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = noise(0.1)
    once = performer.codec.encode(samples)
    assert once.shape == (-(-samples.shape[1] // STEP), CODEC.latent_width)
    monkeypatch.setattr(codec_module, "_HEARD", 5)
    np.testing.assert_allclose(performer.codec.encode(samples), once, atol=1e-6)
    assert performer.codec.encode(samples[:, :0]).shape == (0, CODEC.latent_width)


def test_a_deaf_model_says_so(folder: ModelFolder, performer: LatentAudioPerformer) -> None:
    deaf = Codec(performer.codec._decoder, None, CODEC)
    with pytest.raises(NotSupported, match="has no encoder"):
        deaf.encode(noise(0.1))


def test_what_is_wished_is_told(performer: LatentAudioPerformer) -> None:
    conditions = Conditions(1, {"density": QUANTILES, "tempo": QUANTILES}, STEP / 44100)
    wished = MusikaControls(density=4, loudness=-30, tempo=120, variation=0.5, movement=1)
    told = conditions.conditioning(wished, 10, 20, Beat())
    np.testing.assert_allclose(told.conditions[:, :3], [[0.5, 0.5, 0.5]] * 10)
    np.testing.assert_allclose(np.hypot(told.conditions[:, 3], told.conditions[:, 4]), 1, rtol=1e-5)
    assert set(told.variation) == {0.5}
    assert set(told.movement) == {1.0}
    free = conditions.conditioning(MusikaControls(), -500, 500, Beat())
    assert QUANTILES[1] <= free.conditions[:, 0].min() < free.conditions[:, 0].max()
    assert free.conditions[:, 0].max() <= QUANTILES[-2]
    part = conditions.conditioning(MusikaControls(), 7, 9, Beat())
    np.testing.assert_array_equal(part.conditions, free.conditions[507:509])


def test_a_density_alone_brings_the_tempo_that_goes_along() -> None:
    known = {"density": [0.1 * i for i in range(11)], "tempo": [0.05 * i for i in range(11)]}
    conditions = Conditions(1, known, STEP / 44100)
    tempi = [conditions.beats_per_minute(MusikaControls(density=8 * d)) for d in (0.3, 0.5, 0.7)]
    assert tempi == pytest.approx([60 + 120 * t for t in (0.15, 0.25, 0.35)])
    both = MusikaControls(density=6.0, tempo=77.0)
    assert conditions.beats_per_minute(both) == 77.0


def test_beats_of_a_loop_come_out_even() -> None:
    period = 1000
    conditions = Conditions(1, {}, STEP / 44100, period)
    wished = MusikaControls(tempo=100)
    told = conditions.conditioning(wished, 0, 2 * period, Beat())
    np.testing.assert_allclose(told.conditions[:period], told.conditions[period:], atol=1e-5)
    assert conditions.beats_per_minute(wished) == pytest.approx(100, rel=0.2)
    assert Conditions(1, {}, 0.1).beats_per_minute(MusikaControls()) is None


def test_a_path_is_found_that_sounds_like_the_given(performer: LatentAudioPerformer) -> None:
    generator = performer.generator
    margin = generator.margin
    conditions = Conditions(1, {}, STEP / 44100)
    told = conditions.conditioning(MusikaControls(), -40 - margin, margin, Beat())

    def latents(path: Any) -> F32:
        inputs = path.inputs(-32 - margin, margin, told.last(32 + 2 * margin).conditions)
        return generator.latents(inputs)

    given = latents(replace(generator.path(3), anchor_every=5000))
    found = find_path(generator, generator.path(9), given, told, np.random.default_rng(0))
    apart = [np.mean((latents(path).mean(0) - given.mean(0)) ** 2) for path in
             (found, *(generator.path(seed) for seed in range(20, 30)))]  # fmt: skip
    assert apart[0] < min(apart[1:])


def test_a_model_that_lacks_a_part_is_refused(folder: ModelFolder, tmp_path: Path) -> None:
    config = json.loads(json.dumps(dict(folder.config)))
    del config["files"]["generator.fp32.onnx"]
    lame = replace(folder, config=config)
    with pytest.raises(ModelError, match=r"does not list a file 'generator\.fp32\.onnx'"):
        LatentGenerator.load(lame, "fp32")
    config["network"]["codec"]["kind"] = "two_level"
    with pytest.raises(NotSupported, match="two_level cannot be played"):
        Codec.load(lame, "fp32")
    config["network"].pop("codec")
    with pytest.raises(ModelError, match=r"network\.codec: Field required"):
        Codec.load(lame, "fp32")
    config["representation"]["sample_rate_hz"] = 22050
    with pytest.raises(ModelError, match="22050 Hz"):
        LatentAudioPerformer.load(lame, precision="fp32")
