from __future__ import annotations

import numpy as np
import pytest

from partimento.errors import MusicError
from partimento.music.bounds import check_number, check_whole

HUGE = pytest.param(10**5000, id="huge")


@pytest.mark.parametrize("value", [1, 8, np.int64(4)])
def test_integers_inside_are_returned(value) -> None:
    assert check_whole("bars", value, 1, 8) == value
    assert type(check_whole("bars", value, 1, 8)) is int


@pytest.mark.parametrize("value", [0, 9, -1, 10**21, HUGE])
def test_integers_outside_are_refused_with_the_bounds(value) -> None:
    with pytest.raises(MusicError, match=r"^bars must be in 1\.\.8, not ") as caught:
        check_whole("bars", value, 1, 8)
    assert len(str(caught.value)) < 100


@pytest.mark.parametrize("value", [True, "4", 4.0, float("nan"), None, [4]])
def test_what_is_no_integer_is_refused(value) -> None:
    with pytest.raises(MusicError, match=r"^bars must be a whole number in 1\.\.8, not "):
        check_whole("bars", value, 1, 8)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e30, -0.1, HUGE])
def test_numbers_outside_are_refused_with_the_bounds(value) -> None:
    with pytest.raises(MusicError, match=r"^amount must be in 0\.\.1, not "):
        check_number("amount", value, 0, 1)


@pytest.mark.parametrize("value", [True, "0.5", None, 1j])
def test_what_is_no_number_is_refused(value) -> None:
    with pytest.raises(MusicError, match=r"^amount must be a number in 0\.\.1, not "):
        check_number("amount", value, 0, 1)
    assert check_number("amount", np.float32(0.5), 0, 1) == 0.5
