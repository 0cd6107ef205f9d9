"""MeLoDy: chords, words, scores and prompts lead; streams, loops, steering; bad input is named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from partimento import catalog
from partimento.cli.main import main
from partimento.config import validate_config
from partimento.errors import ConfigError, MusicError, NotSupported
from partimento.generation.instrument import Instrument
from partimento.generation.loading import load
from partimento.music import Audio, parse_chords
from partimento.runtime.audio.led_latents import MelodyControls, forward_passes
from partimento.runtime.audio.led_performer import LedPerformer
from partimento.runtime.conditions import ChordCondition, TextCondition
from partimento.runtime.contract import Request, Task

from support.tiny_models import roughen, song, system_task

RATE = 44_100


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tiny model whose weights are far from symmetric."""
    torch.set_num_threads(1)
    task = system_task("melody")
    for network in task.networks.values():
        roughen(network, 0.5)
    draw = torch.Generator().manual_seed(0)
    task.led.words.codebooks.normal_(generator=draw)
    out = tmp_path_factory.mktemp("melody") / "tiny"
    task.export(out, {"families": ["strings", "piano"]})
    return out


@pytest.fixture(scope="module")
def instrument(folder: Path) -> Instrument:
    return load(str(folder), threads=1)


@pytest.fixture(scope="module")
def performer(instrument: Instrument) -> LedPerformer:
    made = instrument._performer
    assert isinstance(made, LedPerformer)
    return made


def sound(made: Iterator[Audio]) -> np.ndarray:
    return np.concatenate([piece.samples for piece in made], axis=1)


def played(
    performer: LedPerformer, seed: int = 0, task: Task = Task.GENERATE, **more: object
) -> np.ndarray:
    names = {"prompts", "steer", "is_loop", "conditions", "duration_seconds"}
    wishes = {name: more.pop(name) for name in names & set(more)}
    if task is not Task.RENDER:
        wishes.setdefault("duration_seconds", 1.6)
    controls = validate_config(MelodyControls, {"steps": 2, **more}, "controls")
    request = Request(task, **wishes)  # type: ignore[arg-type]
    return sound(performer.stream(request, controls, np.random.default_rng(seed)))


def test_chords_and_words_change_the_sound_and_conditions_are_the_same_as_controls(
    performer: LedPerformer,
) -> None:
    free, led = played(performer), played(performer, chords="Am F", text="slow strings")
    conditions = (ChordCondition(parse_chords("Am F")), TextCondition("slow strings"))
    np.testing.assert_array_equal(led, played(performer, conditions=conditions))
    assert not np.array_equal(free, led)
    assert not np.array_equal(led, played(performer, chords="C G", text="slow strings"))
    assert not np.array_equal(led, played(performer, chords="Am F", text="fast piano"))


def test_the_networks_are_called_as_often_as_the_formula_says(
    performer: LedPerformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    denoiser, language = performer.denoiser, performer.made.language
    velocity, run = denoiser.velocity, language.session.run_with_iobinding
    monkeypatch.setattr(denoiser, "velocity", lambda *a: calls.append("v") or velocity(*a))
    append = type(language).append
    monkeypatch.setattr(type(language), "append", lambda *a: calls.append("t") or append(*a))
    assert run
    rng, controls = np.random.default_rng(0), MelodyControls(steps=3)
    tape = performer.made.start(controls, rng)
    parts = performer.made.parts(tape, lambda _s: controls, performer.made.style(None, rng), rng)
    count = 0
    while count < 40:
        count += len(next(parts).tokens)
    config = denoiser.config
    seconds = 40 * performer.latent_seconds
    wanted = forward_passes(seconds, 3, 1 / performer.latent_seconds, config.chunk, config.chunks)
    assert len(calls) == wanted
    # The published form: 25 T tokens, one window.
    assert forward_passes(10, 20, 25, 250, 1) == 25 * 10 + 20


def test_what_is_kept_of_a_stream_does_not_grow(performer: LedPerformer) -> None:
    rng, controls = np.random.default_rng(0), MelodyControls(steps=1, guidance=1.0)
    tape = performer.made.start(controls, rng)
    parts = performer.made.parts(tape, lambda _s: controls, performer.made.style(None, rng), rng)
    sizes = set()
    for at, _ in zip(range(12), parts, strict=False):
        assert tape.spoken is not None
        if at:
            sizes.add((len(tape.past.tokens), len(tape.spoken[0].track.features)))
    assert len(sizes) == 1


def test_known_chunks_lead_the_new_one(performer: LedPerformer) -> None:
    rng, controls = np.random.default_rng(0), MelodyControls(steps=4)
    tape = performer.made.start(controls, rng)
    style = performer.made.style("piano", rng)
    parts = performer.made.parts(tape, lambda _s: controls, style, rng)
    first = next(parts)
    config = performer.denoiser.config
    np.testing.assert_array_equal(
        tape.past.latents, first.latents[-(config.length - config.chunk) :]
    )
    second = next(parts)
    assert len(second.latents) == config.chunk
    np.testing.assert_array_equal(tape.past.latents[-config.chunk :], second.latents)


def test_a_change_of_controls_is_heard_from_the_next_chunk_on(performer: LedPerformer) -> None:
    asked = []

    def steer(seconds: float) -> MelodyControls:
        asked.append(seconds)
        return MelodyControls(steps=2, text="slow strings" if seconds < 0.9 else "fast piano")

    changed = played(performer, steer=steer, text="slow strings")
    same = played(performer, text="slow strings")
    assert asked[0] == 0
    chunk = performer.denoiser.config.chunk * performer.latent_seconds
    assert max(np.diff(asked)) <= performer.denoiser.config.length * performer.latent_seconds
    begins = next(second for second in asked if second >= 0.9)
    at = int(begins * RATE)
    wait = performer.codec.wait * performer.codec.latent_samples
    np.testing.assert_array_equal(changed[:, : at - wait], same[:, : at - wait])
    assert np.abs(changed[:, at:] - same[:, at:]).max() > 0
    assert chunk < 2


def test_a_score_is_rendered_to_its_length(performer: LedPerformer) -> None:
    score = song(0, bars=1)
    made = played(performer, task=Task.RENDER, prompts=(score,))
    assert made.shape == (2, round((2.0 + 1.0) * RATE))
    again = played(performer, task=Task.RENDER, prompts=(score,))
    np.testing.assert_array_equal(made, again)
    other = played(performer, task=Task.RENDER, prompts=(song(1, bars=1),))
    assert not np.array_equal(made[:, : other.shape[1]], other[:, : made.shape[1]])
    with pytest.raises(NotSupported, match="tempo cannot be asked"):
        played(performer, task=Task.RENDER, prompts=(score,), tempo=90.0)
    with pytest.raises(MusicError, match="no pitched notes"):
        played(performer, task=Task.RENDER, prompts=(score.with_tracks([]),))


def test_a_recording_is_continued_from_its_last_sample(performer: LedPerformer) -> None:
    time = np.arange(RATE) / RATE
    wave = np.sin(2 * np.pi * 220 * time) * 0.3
    prompt = Audio(np.stack([wave, wave]).astype(np.float32), RATE)
    made = played(performer, task=Task.CONTINUE, prompts=(prompt,))
    assert made.shape == (2, round(1.6 * RATE))
    assert np.abs(made[:, 0] - prompt.samples[:, -1]).max() < 0.05
    silent = Audio(np.zeros((2, RATE), np.float32), RATE)
    with pytest.raises(MusicError, match="is silence"):
        played(performer, task=Task.CONTINUE, prompts=(silent,))


def test_a_loop_has_the_length_and_no_step_at_its_end(performer: LedPerformer) -> None:
    made = played(performer, is_loop=True, duration_seconds=1.5)
    assert abs(made.shape[1] - 1.5 * RATE) < 2048
    steps = np.abs(np.diff(np.concatenate([made, made[:, :2]], axis=1)))
    assert steps[:, -2:].max() <= steps[:, :-2].max()
    with pytest.raises(NotSupported, match="a loop lasts"):
        played(performer, is_loop=True, duration_seconds=0.1)


@pytest.mark.parametrize(
    ("controls", "named"),
    [
        ({"steps": 0}, "steps"),
        ({"steps": 1000}, "steps"),
        ({"chords": "Am Hello"}, "Hello"),
        ({"tempo": 4.0}, "tempo"),
        ({"guidance": 0.0}, "guidance"),
    ],
)
def test_controls_out_of_range_are_named(controls: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        validate_config(MelodyControls, controls, "controls")


def test_words_without_meaning_are_named(performer: LedPerformer) -> None:
    with pytest.raises(MusicError, match="organ"):
        played(performer, text="organ")
    with pytest.raises(MusicError, match="names what is to be heard"):
        played(performer, text=" ")


def test_options_of_the_program_reach_the_model(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "made.wav"
    common = ["--model", str(folder), "--seed", "1", "--set", "steps=2", "-o"]
    asked = ["generate", "--seconds", "1", "--chords", "Am F", "--text", "strings"]
    assert main([*asked, *common, str(out)]) == 0
    assert out.stat().st_size > RATE * 2
    from partimento.files import write

    score = tmp_path / "song.mid"
    write(song(0, bars=1), score)
    rendered = tmp_path / "song.wav"
    assert main(["render", str(score), *common, str(rendered)]) == 0
    assert rendered.stat().st_size > 2 * RATE * 2
    assert main(["render", str(score), "--text", "piano", "-o", str(tmp_path / "x.wav")]) == 1
    assert catalog.find_card("melody").makes == "audio"
