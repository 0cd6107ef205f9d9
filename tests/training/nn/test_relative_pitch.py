"""Relative pitch: intervals by definition, and what transposing the music does."""

from __future__ import annotations

import pytest
import torch

from partimento.errors import ConfigError
from partimento.representations import BarEvents, Countdown, FourVoiceGrid, MelodySteps
from partimento.training.nn.relative_pitch import (
    IntervalEmbedding,
    RelativeHead,
    VoicePitches,
    voice_pitches,
)
from partimento.training.nn.transformer import CausalTransformer

from support.tiny_models import relative_pitch, roughen, transformer

FIRST, PITCHES, VOICES, SIZE = 2, 11, 4, 16  # tokens 0, 1 and 13..15 are no pitches
KNOWN = VoicePitches(FIRST, PITCHES, VOICES)
BACK = 6


def music(low: int, high: int) -> torch.Tensor:
    """Return recent tokens (3, 7, BACK): pitches ``low``..``high`` and some rests."""
    draw = torch.Generator().manual_seed(0)
    tokens = torch.randint(FIRST + low, FIRST + high + 1, (3, 7, BACK), generator=draw)
    return tokens.masked_fill(torch.rand(tokens.shape, generator=draw) < 0.2, 14)


def transposed(tokens: torch.Tensor, semitones: int) -> torch.Tensor:
    is_pitch = (tokens >= FIRST) & (tokens < FIRST + PITCHES)
    return torch.where(is_pitch, tokens + semitones, tokens)


def test_intervals_by_definition() -> None:
    rows = KNOWN.intervals(SIZE)
    for reference in range(SIZE):
        for token in range(SIZE):
            both = all(FIRST <= each < FIRST + PITCHES for each in (reference, token))
            assert rows[reference, token] == (token - reference + PITCHES if both else 0)
    inside = rows[FIRST : FIRST + PITCHES, FIRST : FIRST + PITCHES]
    assert (inside.min(), inside.max()) == (1, KNOWN.rows - 1)


def test_inputs_are_intervals_from_the_last_token_of_the_voice() -> None:
    layer = IntervalEmbedding(KNOWN, SIZE, width=8, local_width=BACK, token_width=3)
    recent = music(0, PITCHES - 1)
    made = layer(recent)
    rows = KNOWN.intervals(SIZE)
    for row, place in ((0, 0), (1, 4), (2, 6)):
        tokens = recent[row, place].tolist()
        wanted = torch.zeros(8)
        for back, token in enumerate(tokens):
            at = back * KNOWN.rows + rows[tokens[VOICES - 1], token]
            wanted += layer.local.weight[:, 3 * back : 3 * back + 3] @ layer.table.weight[at]
        torch.testing.assert_close(made[row, place], wanted)


def test_outputs_are_a_sum_over_references() -> None:
    layer = RelativeHead(KNOWN, SIZE, width=8, references=3)
    recent, x = music(0, PITCHES - 1), torch.randn(3, 7, 8)
    scores = layer.linear(x).view(3, 7, 3, KNOWN.rows)
    rows = KNOWN.intervals(SIZE)
    made = layer(x, recent)
    for token in range(SIZE):
        wanted = sum(
            scores[1, 2, at, rows[int(recent[1, 2, column]), token]]
            for at, column in enumerate((VOICES - 1, 0, 1))
        )
        torch.testing.assert_close(made[1, 2, token], wanted)


@pytest.mark.parametrize("semitones", [1, 3, 5])
def test_transposed_music_has_transposed_logits(semitones: int) -> None:
    """With the absolute parts silenced, as those alone know one key from another."""
    config = relative_pitch(local_width=BACK)
    network = CausalTransformer(config, SIZE, (), KNOWN).eval()
    roughen(network)
    recent = music(0, PITCHES - 1 - semitones)
    moved = transposed(recent, semitones)
    assert not torch.equal(moved, recent)
    low, high = FIRST, FIRST + PITCHES - semitones
    with torch.no_grad():
        apart = network(moved)[..., low + semitones : high + semitones]
        assert not torch.allclose(apart, network(recent)[..., low:high], atol=1e-2)
        for weight in (network.embedding.local.weight, network.head.weight, network.head.bias):
            weight.zero_()
        here, there = network(recent), network(moved)
    assert here[..., low:high].std() > 0.1
    torch.testing.assert_close(there[..., low + semitones : high + semitones], here[..., low:high])
    others = [0, 1, 13, 14, 15]
    torch.testing.assert_close(there[..., others], here[..., others])


def test_the_representation_says_which_tokens_are_pitches() -> None:
    config, grid = relative_pitch(), FourVoiceGrid(60, 66)
    assert voice_pitches(grid, transformer()) is None
    assert voice_pitches(grid, config) == VoicePitches(0, 7, 4)
    assert voice_pitches(Countdown(grid), config) == VoicePitches(0, 7, 4)
    one = relative_pitch(relative_outputs=1)
    assert voice_pitches(MelodySteps(60, 66), one) == VoicePitches(0, 7, 1)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"local_width": 3}, "network.local_width: .* last 4 tokens or more, not 3"),
        ({"relative_outputs": 5}, "network.relative_outputs: is at most the 4 voices, not 5"),
    ],
)
def test_references_must_be_in_the_columns(changes: dict[str, int], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        voice_pitches(FourVoiceGrid(60, 66), relative_pitch(**changes))


@pytest.mark.parametrize("form", [BarEvents(), Countdown(BarEvents())])
def test_other_representations_are_refused(form: BarEvents | Countdown) -> None:
    with pytest.raises(ConfigError, match=r"network.relative_inputs: .*leave .* out"):
        voice_pitches(form, relative_pitch())
    with pytest.raises(ValueError, match="which tokens are pitches"):
        CausalTransformer(relative_pitch(), 9, ())
