from __future__ import annotations

from partimento.messages import listed, shown


def test_lists_are_cut() -> None:
    assert listed([]) == "none"
    assert listed("abc") == "a, b, c"
    assert listed(range(20), 5) == "0, 1, 2, 3 and 16 more"
    assert len(listed("x" * 500 for _ in range(500))) < 400


def test_values_are_cut_and_stay_on_one_line() -> None:
    assert shown("a\nb") == r"'a\nb'"
    assert shown("a\nb", plain=True) == "a b"
    assert len(shown("x" * 500)) == 40
    assert shown(10**5000) == "an integer of 16610 bits"
