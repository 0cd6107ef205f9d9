"""Decoding with a cache against the whole network at once, and the law that state is an argument.

Bounds: fp32 graphs give torch's logits to 1e-4. An int8 graph of untrained, rough weights (the
worst case: every logit of size 1) gives them to a tenth of their spread.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from partimento.errors import ModelError
from partimento.representations import FourVoiceGrid
from partimento.representations.base import input_columns
from partimento.runtime.decoders import AttentionDecoder, SlidingDecoder, TokenDecoder
from partimento.runtime.presets import RecurrentConfig, TransformerConfig
from partimento.runtime.sessions import open_session
from partimento.training.tokens.task import TokenTask

from support.tiny_models import (
    ATTENTIONS,
    chorale,
    decoder_of,
    grid_preset,
    lstm,
    relative_pitch,
    roughen,
    torch_logits,
    training_task_of,
    transformer,
)

KINDS: dict[str, TransformerConfig | RecurrentConfig] = {
    **{kind: transformer(kind) for kind in ATTENTIONS},
    "relative_pitch": relative_pitch(),
    "narrow": transformer(attention_width=32),
    "wide": transformer(attention_width=128),
    "recurrent": lstm(),
}
Both = tuple[TokenTask, TokenDecoder[Any]]


@pytest.fixture(scope="module", params=list(KINDS))
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Both:
    """Return a rough network and the decoder of its graph."""
    training_task = training_task_of(grid_preset(KINDS[request.param]))
    roughen(training_task.network)
    return training_task, decoder_of(training_task, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def relative(tmp_path_factory: pytest.TempPathFactory) -> Both:
    """Return the network with relative attention and its decoder."""
    training_task = training_task_of(grid_preset(transformer()))
    roughen(training_task.network)
    return training_task, decoder_of(training_task, tmp_path_factory.mktemp("relative"))


def music(count: int, seed: int = 0) -> npt.NDArray[np.int64]:
    return FourVoiceGrid(60, 66).encode(chorale(seed, bars=8))[:count]


def columns_of(training_task: TokenTask, tokens: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the columns of the places that tokens make known: one more than there are tokens."""
    longer = np.append(tokens, 0)
    features = training_task.representation.features(longer)
    start = training_task.representation.start_token
    return input_columns(longer, features, start, training_task.local_width)


def one_by_one(
    decoder: TokenDecoder[Any], tokens: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """Return the logits (n + 1, V) before and after each token."""
    state = decoder.begin(1)
    logits, state = decoder.append(state, tokens[None, :0])
    rows = [logits[0]]
    for token in tokens:
        logits, state = decoder.append(state, np.array([[token]]))
        rows.append(logits[0])
    return np.array(rows)


def test_cached_decoding_is_the_whole_network(both: Both) -> None:
    training_task, decoder = both
    tokens = music(20)
    wanted = torch_logits(training_task, columns_of(training_task, tokens))
    assert wanted.std() > 0.2  # the weights are rough enough for faults to show
    np.testing.assert_allclose(one_by_one(decoder, tokens), wanted, atol=1e-4)


def test_the_exported_graph_is_the_network(both: Both) -> None:
    training_task, decoder = both
    columns = columns_of(training_task, music(20))
    np.testing.assert_allclose(
        decoder.all_logits(columns), torch_logits(training_task, columns), atol=1e-4
    )


def test_a_prompt_at_once_is_a_prompt_token_by_token(both: Both) -> None:
    _, decoder = both
    tokens = music(18)
    rows = one_by_one(decoder, tokens)
    logits, state = decoder.append(decoder.begin(1), tokens[None, :11])
    np.testing.assert_allclose(logits[0], rows[11], atol=1e-4)
    logits, state = decoder.append(state, tokens[None, 11:16])
    np.testing.assert_allclose(logits[0], rows[16], atol=1e-4)


def test_int8_is_near(both: Both, tmp_path: Path) -> None:
    training_task, _ = both
    columns = columns_of(training_task, music(20))
    wanted = torch_logits(training_task, columns)
    found = decoder_of(training_task, tmp_path, "int8").all_logits(columns)
    assert np.abs(found - wanted).mean() < 0.1 * wanted.std()


def test_batches_decode_like_single_streams(both: Both) -> None:
    _, decoder = both
    streams = np.stack([music(17, seed) for seed in range(3)])
    state = decoder.begin(3)
    first, state = decoder.append(state, streams[:, :9])
    several, state = decoder.append(state, streams[:, 9:12])
    rows = []
    for at in range(12, 17):
        logits, state = decoder.append(state, streams[:, at : at + 1])
        rows.append(logits)
    for index, tokens in enumerate(streams):
        wanted = one_by_one(decoder, tokens)
        np.testing.assert_allclose(first[index], wanted[9], atol=1e-4)
        np.testing.assert_allclose(several[index], wanted[12], atol=1e-4)
        np.testing.assert_allclose(np.array(rows)[:, index], wanted[13:], atol=1e-4)


def test_states_of_one_decoder_do_not_disturb_each_other(both: Both) -> None:
    _, decoder = both
    first, second = music(12), music(12, seed=1)
    alone = one_by_one(decoder, first), one_by_one(decoder, second)
    states = [decoder.begin(1), decoder.begin(1)]
    for index in range(2):
        _, states[index] = decoder.append(states[index], first[None, :0])
    for at in range(12):
        for index, tokens in enumerate((first, second)):
            logits, states[index] = decoder.append(states[index], tokens[None, at : at + 1])
            np.testing.assert_array_equal(logits[0], alone[index][at + 1])


def test_returned_logits_stay_as_they_were(both: Both) -> None:
    _, decoder = both
    state = decoder.begin(1)
    first, state = decoder.append(state, music(4)[None])
    kept = first.copy()
    decoder.append(state, music(1)[None])
    np.testing.assert_array_equal(first, kept)


def test_following_keeps_the_weights_and_changes_the_inputs(both: Both) -> None:
    _, decoder = both
    waltz = FourVoiceGrid(60, 66, steps_per_bar=12)
    other = decoder.following(waltz)
    assert other.session is decoder.session
    assert (other.representation, decoder.representation.walk().steps_per_bar) == (  # type: ignore[attr-defined]
        waltz,
        16,
    )
    state = other.begin(1)
    _, state = other.append(state, music(48)[None])
    assert state.inputs.walks[0].features() == (0, 0)
    tokens = music(8)  # the first bars agree, so far as both metres reach
    np.testing.assert_array_equal(one_by_one(other, tokens), one_by_one(decoder, tokens))


def test_after_a_slide_the_kept_half_is_read_anew(relative: Both) -> None:
    training_task, decoder = relative
    assert decoder.window == 48  # twice the longest distance of training
    tokens = music(60)
    rows = one_by_one(decoder, tokens)
    columns = columns_of(training_task, tokens)
    # Places 0..47 fill the window; place 48 does not fit, so the last 24 places are read anew.
    for place, first in ((47, 0), (48, 25), (59, 25)):
        wanted = torch_logits(training_task, columns[first : place + 1])
        np.testing.assert_allclose(rows[place], wanted[-1], atol=1e-4)


@pytest.mark.parametrize("chunks", [[1] * 200, [130, 1, 1, 40, 28], [200]])
def test_a_sliding_cache_is_the_whole_network(tmp_path: Path, chunks: list[int]) -> None:
    training_task = training_task_of(grid_preset(transformer("sliding")))
    roughen(training_task.network)
    decoder = decoder_of(training_task, tmp_path)
    assert isinstance(decoder, SlidingDecoder)
    assert decoder.window == 48  # of which the layers see 24
    tokens = np.resize(music(128), sum(chunks))
    wanted = torch_logits(training_task, columns_of(training_task, tokens))
    state = decoder.begin(1)
    size = sum(cache.nbytes for cache in state.step.values())
    at = 0
    for count in chunks:
        logits, state = decoder.append(state, tokens[None, at : at + count])
        at += count
        np.testing.assert_allclose(logits[0], wanted[at], atol=1e-4)
    assert sum(cache.nbytes for cache in state.step.values()) == size


def test_slides_never_end(relative: Both) -> None:
    _, decoder = relative
    assert isinstance(decoder, AttentionDecoder)
    tokens = music(128)
    state = decoder.begin(2)
    for at in range(128):
        step = np.repeat(tokens[None, at : at + 1], 2, axis=0)
        logits, state = decoder.append(state, step)
        assert state.count <= decoder.window
        assert np.isfinite(logits).all()
        np.testing.assert_allclose(logits[0], logits[1], atol=1e-5)


@pytest.mark.parametrize("length", [47, 48, 60, 120])
def test_prompts_longer_than_the_window_keep_their_end(relative: Both, length: int) -> None:
    training_task, decoder = relative
    tokens = music(length)
    logits, state = decoder.append(decoder.begin(1), tokens[None])
    columns = columns_of(training_task, tokens)
    kept = columns if len(columns) <= 48 else columns[-24:]
    np.testing.assert_allclose(logits[0], torch_logits(training_task, kept)[-1], atol=1e-4)
    decoder.append(state, tokens[None, :1])


def test_long_recurrent_prompts_are_read_in_parts(tmp_path: Path) -> None:
    training_task = training_task_of(grid_preset(lstm(width=8)))
    decoder = decoder_of(training_task, tmp_path)
    tokens = np.tile(music(128), 5)  # more than one call reads
    logits, _ = decoder.append(decoder.begin(1), tokens[None])
    wanted = torch_logits(training_task, columns_of(training_task, tokens))[-1]
    np.testing.assert_allclose(logits[0], wanted, atol=1e-4)


def test_an_empty_append_is_refused(both: Both) -> None:
    _, decoder = both
    _, state = decoder.append(decoder.begin(1), music(0)[None])
    with pytest.raises(ValueError, match="nothing was appended"):
        decoder.append(state, music(0)[None])


def test_a_broken_graph_is_a_model_error(tmp_path: Path) -> None:
    path = tmp_path / "decoder.int8.onnx"
    path.write_bytes(b"no graph")
    with pytest.raises(ModelError, match=r"decoder\.int8\.onnx cannot be loaded") as caught:
        open_session(path)
    assert "\n" not in str(caught.value)
