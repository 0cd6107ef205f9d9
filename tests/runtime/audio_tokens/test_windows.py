"""Windows of sampling against the plain description, line by line."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from partimento.runtime.audio_tokens.windows import (
    Window,
    codes_for,
    sample_level,
    whole_windows,
    window_starts,
    windows,
)

Asked = list[tuple[int, int, list[int]]]
CASES = [
    (100, 16, 8),
    (100, 16, 2),
    (16, 16, 8),
    (17, 16, 8),
    (31, 16, 16),
    (5, 16, 8),
    (64, 32, 4),
]


class Scribe:
    """Writes down what it was asked, and answers with numbers that count up."""

    def __init__(self) -> None:
        self.asked: Asked = []
        self.next = 1000

    def __call__(self, window: Window, given: np.ndarray) -> Iterator[int]:
        self.asked.append((window.start, window.end, given.tolist()))
        for _ in range(window.end - window.start - len(given)):
            self.next += 1
            yield self.next


def plainly(zs: list[int], total: int, n_ctx: int, hop: int) -> tuple[list[int], Asked]:
    """The loop as described: slide, look what is there, skip what is full, sample the rest."""
    asked: Asked = []
    value = 1000
    starts = [0] if total < n_ctx else []
    if total >= n_ctx:
        start = 0
        while start < total - n_ctx + hop:
            starts.append(total - n_ctx if start + n_ctx >= total else start)
            start += hop
    for start in starts:
        end = min(start + n_ctx, total)
        z = zs[start:end]
        if len(z) == end - start:
            continue
        asked.append((start, end, list(z)))
        for _ in range(end - start - len(z)):
            value += 1
            zs.append(value)
    return zs, asked


@pytest.mark.parametrize(("total", "n_ctx", "hop"), CASES)
@pytest.mark.parametrize("known", [0, 3, 20, 1000])
def test_a_level_is_sampled_as_described(total: int, n_ctx: int, hop: int, known: int) -> None:
    given = list(range(min(known, total)))
    wanted, asked = plainly(list(given), total, n_ctx, hop)
    scribe = Scribe()
    made = list(sample_level(np.array(given, dtype=np.int64), total, n_ctx, hop, scribe))
    assert [*given, *np.concatenate([*made, np.zeros(0, np.int64)]).tolist()] == wanted
    assert scribe.asked == asked
    assert len(wanted) == total


def test_windows_begin_and_end_as_published() -> None:
    # 8192 codes at once, a half apart, as the upsamplers; an eighth apart, as the top.
    assert window_starts(20_000, 8192, 4096) == [0, 4096, 8192, 11_808]
    assert window_starts(8192, 8192, 1024) == [0]
    assert windows(8191, 8192, 1024) == [Window(0, 8191)]
    assert Window(4096, 12_288).above(4) == slice(1024, 3072)
    assert codes_for(882_000, 128) == 6890


def test_whole_windows_need_no_clamping() -> None:
    for total, window, step in CASES:
        whole = whole_windows(total, window, step)
        assert whole >= max(total, window)
        assert whole - step < max(total, window)
        starts = window_starts(whole, window, step)
        assert starts == list(range(0, starts[-1] + 1, step))
