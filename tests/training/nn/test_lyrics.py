"""Lyrics: where the words decide the codes, a prior that reads them learns what they say."""

from __future__ import annotations

import numpy as np
import torch

from partimento.representations.sound_labels import letters_of, lyrics_window
from partimento.runtime.audio_tokens.presets import LyricsConfig, PriorConfig
from partimento.training.nn.code_prior import CodePrior

CONFIG = PriorConfig(
    window=16, row=4, layers=3, width=32, heads=2, attention_width=16, feedforward=32, dropout=0
)
WORDS = LyricsConfig(characters=8, layers=1, width=16, heads=2)


def corpus(draw: np.random.Generator, count: int) -> dict[str, torch.Tensor]:
    """Return windows whose codes are all the number of the first letter of their words."""
    first = draw.integers(4, size=count)
    words = [lyrics_window(letters_of("abcd"[at] + "la la l"), 8, 0.5) for at in first]
    codes = np.repeat(first[:, None], CONFIG.window, axis=1)
    return {
        "codes": torch.from_numpy(codes),
        "lyrics": torch.from_numpy(np.stack(words)),
        "artist": torch.zeros(count, dtype=torch.int64),
        "genres": torch.zeros(count, 5, dtype=torch.int64),
    }


def first_code_nll(lyrics: LyricsConfig | None) -> tuple[float, float]:
    """Return the nats of the first code, and the loss of the words, after some learning."""
    torch.manual_seed(0)
    made = CodePrior(CONFIG, 4, lyrics=lyrics)
    adam, draw = torch.optim.Adam(made.parameters(), 1e-2), np.random.default_rng(0)
    for _ in range(120):
        batch = corpus(draw, 16)
        logits = made(batch)
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch["codes"].flatten())
        if made.lyrics is not None:
            loss = loss + made.lyrics.weight * made.lyrics.loss(batch["lyrics"])
        adam.zero_grad()
        loss.backward()
        adam.step()
    batch = corpus(np.random.default_rng(9), 64)
    with torch.no_grad():
        first = torch.nn.functional.cross_entropy(made(batch)[:, 0], batch["codes"][:, 0])
        words = 0.0 if made.lyrics is None else float(made.lyrics.loss(batch["lyrics"]))
    return float(first), words


def test_words_decide_the_codes() -> None:
    with_words, words = first_code_nll(WORDS)
    without, _ = first_code_nll(None)
    assert with_words < 0.2
    assert without > 1.2  # nothing tells which of four it is: 1.39
    assert words < 1.0  # of 80 letters: 4.4


def test_the_encoder_of_lyrics_is_causal() -> None:
    torch.manual_seed(0)
    made = CodePrior(CONFIG, 4, lyrics=WORDS)
    assert made.lyrics is not None
    letters = torch.from_numpy(letters_of("abcdefgh"))[None]
    other = letters.clone()
    other[0, 5] = 3
    before, after = made.lyrics.states(letters), made.lyrics.states(other)
    torch.testing.assert_close(before[:, :5], after[:, :5])
    assert not torch.allclose(before[:, 5:], after[:, 5:])
