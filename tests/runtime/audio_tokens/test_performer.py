"""The performer of codes on a tiny model: every way of sampling, streams, and bad input."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from systems.test_jukebox import untrained

from partimento import api
from partimento.errors import MusicError, NotSupported
from partimento.generation.assemble import Extras
from partimento.generation.options import MusicalOptions
from partimento.music import Audio
from partimento.runtime.audio_tokens.performer import CodesControls, CodesPerformer
from partimento.runtime.codes import Codes
from partimento.runtime.contract import AUDIO_RATE_HZ, Draft, Request, Task

RATE = AUDIO_RATE_HZ


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained(tmp_path_factory.mktemp("performer") / "tiny")


@pytest.fixture(scope="module")
def player(folder: Path) -> CodesPerformer:
    made = api.load(str(folder), threads=1)._performer
    assert isinstance(made, CodesPerformer)
    return made


def played(player: CodesPerformer, request: Request, seed: int = 3, **controls: Any) -> Any:
    """Return samples (2, n), drafts, and all codes that were given."""
    pieces, drafts, codes = [], [], []
    rng = np.random.default_rng(seed)
    for each in player.stream(request, CodesControls(**controls), rng):
        if isinstance(each, Draft):
            drafts.append(each)
        elif isinstance(each, Codes):
            codes.append(each)
        else:
            assert isinstance(each, Audio)
            pieces.append(each.samples)
            if request.endless and sum(p.shape[1] for p in pieces) > 4 * RATE:
                break
    return np.concatenate(pieces, axis=1), drafts, codes


def asked(seconds: float | None = 2.0, **more: Any) -> Request:
    return Request(more.pop("task", Task.GENERATE), duration_seconds=seconds, **more)


def noise(seconds: float, seed: int = 0) -> Audio:
    draw = np.random.default_rng(seed).standard_normal((2, round(seconds * RATE)))
    return Audio((0.1 * draw).astype(np.float32), RATE)


def test_sound_comes_after_every_level_and_codes_grow(player: CodesPerformer) -> None:
    samples, drafts, codes = played(player, asked())
    assert samples.shape == (2, 2 * RATE)
    assert [(draft.level, draft.piece.samples.shape) for draft in drafts] == [(0, (2, 2 * RATE))]
    assert [sorted(set(each.arrays) - {"codec", "seconds"}) for each in codes] == [
        ["level1"],
        ["level0", "level1"],
    ]
    last = codes[-1].arrays
    assert len(last["level0"]) == 4 * len(last["level1"])
    assert codes[-1].seconds == pytest.approx(len(last["level1"]) * 1024 / RATE)


def test_fewer_levels_give_the_draft_of_all(player: CodesPerformer) -> None:
    _, drafts, codes = played(player, asked())
    top, none, own = played(player, asked(), levels=1)
    assert none == []
    np.testing.assert_array_equal(own[-1].arrays["level1"], codes[-1].arrays["level1"])
    # Beside the fade in and what lies beyond the end, it is the draft.
    inner = slice(1024, RATE)
    np.testing.assert_allclose(top[:, inner], drafts[0].piece.samples[:, inner], atol=1e-5)


def test_a_piece_is_the_beginning_of_an_endless_one(player: CodesPerformer) -> None:
    whole, _, _ = played(player, asked(3.3))
    endless, _, _ = played(player, asked(None, endless=True))
    np.testing.assert_array_equal(endless[:, : whole.shape[1]], whole)


def test_an_endless_stream_forgets(player: CodesPerformer, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = []
    forget = CodesPerformer._forget

    def watched(streams: Any, finest: int, state: Any) -> None:
        forget(streams, finest, state)
        kept.append([len(each._codes) for each in streams])

    monkeypatch.setattr(CodesPerformer, "_forget", staticmethod(watched))
    stream = player.stream(asked(None, endless=True), CodesControls(), np.random.default_rng(0))
    seconds = 0.0
    for piece in stream:
        assert isinstance(piece, Audio)
        seconds += piece.duration_seconds
        if seconds > 60:
            break
    late = np.array(kept[5:])
    assert late.max() <= np.array(kept[:5]).max() + 16 * 16
    assert late[-1].max() < 2000  # of 60 seconds there have been 10,335 codes


def test_going_on_from_codes_keeps_them(player: CodesPerformer) -> None:
    _, _, codes = played(player, asked())
    longer, _, more = played(player, asked(5.0, task=Task.CONTINUE, codes=codes[-1]), seed=9)
    assert longer.shape[1] == 5 * RATE
    for name in ("level0", "level1"):
        old = codes[-1].arrays[name]
        np.testing.assert_array_equal(more[-1].arrays[name][: len(old)], old)


def test_upsampling_skips_the_level_that_is_there(player: CodesPerformer) -> None:
    _, _, codes = played(player, asked())
    one, _, first = played(player, asked(task=Task.CONTINUE, codes=codes[0]), seed=3)
    other, _, second = played(player, asked(task=Task.CONTINUE, codes=codes[0]), seed=4)
    np.testing.assert_array_equal(first[-1].arrays["level1"], second[-1].arrays["level1"])
    assert not np.array_equal(first[-1].arrays["level0"], second[-1].arrays["level0"])
    assert one.shape == other.shape
    # The lower level draws from numbers of its own, so it is as in the whole.
    sure = slice(0, len(first[-1].arrays["level0"]) - 2 * player.facts.priors[0].window)
    np.testing.assert_array_equal(
        first[-1].arrays["level0"][sure], codes[-1].arrays["level0"][sure]
    )


@pytest.mark.parametrize("seconds", [0.1, 1.0, 7.0])
def test_a_recording_is_continued(player: CodesPerformer, seconds: float) -> None:
    prompt = noise(seconds)
    samples, _, codes = played(player, asked(task=Task.CONTINUE, prompts=(prompt,)))
    assert samples.shape == (2, 2 * RATE)
    assert np.isfinite(samples).all()
    config = player.facts.priors[-1]
    count = min(prompt.samples.shape[1] // 1024, config.window - config.step)
    heard = prompt.samples[:, -count * 1024 :].mean(0)
    for level, codec in enumerate(player.codecs):
        own = codec.encode(heard)
        np.testing.assert_array_equal(codes[-1].arrays[f"level{level}"][: len(own)], own)
    # Both channels go on from where they were: the first step is one of the sound's own.
    step = np.abs(np.diff(samples[:, : 1 << 14])).max()
    assert np.abs(samples[:, 0] - prompt.samples[:, -1]).max() <= step


def test_silence_can_be_continued(player: CodesPerformer) -> None:
    silence = Audio(np.zeros((2, RATE), dtype=np.float32), RATE)
    samples, _, _ = played(player, asked(task=Task.CONTINUE, prompts=(silence,)))
    assert np.isfinite(samples).all()


@pytest.mark.parametrize(
    ("request_", "controls", "error", "words"),
    [
        (asked(), {"artist": "Nobody"}, NotSupported, "it knows: Ann, Bob"),
        (asked(), {"genres": "slow, odd"}, NotSupported, "no genre 'odd'; it knows: loud, slow"),
        (asked(), {"genres": "a,b,c,d,e,f"}, NotSupported, "at most 5"),
        (asked(), {"levels": 3}, NotSupported, "has 2 levels, not 3"),
        (asked(is_loop=True), {}, NotSupported, "no loops"),
        (asked(task=Task.RENDER), {}, NotSupported, "cannot render"),
        (asked(task=Task.CONTINUE), {}, MusicError, "seconds at least"),
        (asked(task=Task.CONTINUE, prompts=(noise(0.02),)), {}, MusicError, r"0\.02 seconds"),
        (
            asked(task=Task.CONTINUE, prompts=(Audio(noise(1).samples, 22_050),)),
            {},
            MusicError,
            "stereo at 44100",
        ),
    ],
)
def test_bad_input_is_refused(
    player: CodesPerformer, request_: Request, controls: Any, error: type, words: str
) -> None:
    with pytest.raises(error, match=words):
        played(player, request_, **controls)


def test_codes_of_another_model_are_refused(player: CodesPerformer) -> None:
    _, _, codes = played(player, asked())
    good = codes[-1]
    for bad, words in (
        (replace(good, system="musika"), "of another model"),
        (replace(good, arrays={**good.arrays, "codec": np.arange(3)}), "of another model"),
        (replace(good, arrays={**good.arrays, "level1": np.array([8])}), "level1 of these codes"),
        (
            replace(good, arrays={**good.arrays, "level1": good.arrays["level1"][:2]}),
            "longer than level1",
        ),
    ):
        with pytest.raises(NotSupported, match=words):
            played(player, asked(task=Task.CONTINUE, codes=bad))


def test_labels_are_felt(player: CodesPerformer) -> None:
    told = [
        played(player, asked(), **controls)[2][-1].arrays["level1"]
        for controls in ({}, {"artist": "ann"}, {"artist": "Bob"}, {"genres": "slow"})
    ]
    assert len({each.tobytes() for each in told}) == 4


def test_an_instrument_keeps_codes_and_goes_on_from_a_file(folder: Path, tmp_path: Path) -> None:
    instrument = api.load(str(folder), threads=1)
    made = instrument.generate(seconds=1.5, seed=5)
    assert made.codes is not None
    assert "level0" in made.codes.arrays
    path = made.codes.save(tmp_path / "codes.npz")
    longer = instrument.continue_(path, seconds=3.0, seed=6)
    assert longer.audio.samples.shape[1] == 3 * RATE
    same = instrument.continue_(path, seed=6)
    assert same.audio.duration_seconds == pytest.approx(made.codes.seconds, abs=1e-4)
    assert longer.recipe.prompt is not None
    saved = longer.save(tmp_path / "longer.wav")
    again = api.replay(saved)
    np.testing.assert_array_equal(again.result.audio.samples, longer.audio.samples)
    seen: list[int] = []
    plan = instrument.plan(Task.GENERATE, MusicalOptions(seconds=1.0), {}, seed=5)
    extras = Extras(on_codes=lambda each: seen.append(len(each.arrays)))
    list(instrument.sound(plan, extras))
    assert seen == [3, 4]
