"""Codebooks in numpy: how they are used, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from partimento.representations.codebooks import codebook_use, scalar_codes, vectors_of


def test_the_use_of_a_codebook() -> None:
    even = codebook_use(np.arange(8).repeat(5), 8)
    assert (even.perplexity, even.dead, even.bits) == (pytest.approx(8), 0, pytest.approx(3))
    one = codebook_use(np.zeros(10, dtype=np.int64), 8)
    assert (one.perplexity, one.dead, one.bits) == (1, 7, 0)
    assert codebook_use(np.zeros(0, dtype=np.int64), 8).dead == 8


def test_a_code_that_there_is_not_is_refused() -> None:
    book = np.zeros((4, 2), dtype=np.float32)
    for code in (-1, 4):
        with pytest.raises(IndexError, match=r"0\.\.3"):
            vectors_of(np.array([code]), book)


def test_levels_are_digits_of_the_code() -> None:
    far = np.array([[-9.0, -9.0], [9.0, -9.0], [-9.0, 9.0], [9.0, 9.0]], dtype=np.float32)
    assert scalar_codes(far, (5, 4)).tolist() == [0, 4, 15, 19]
