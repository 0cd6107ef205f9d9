"""Codes: saved without pickle, the same bytes each time, and any other file refused."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partimento.errors import FileError
from partimento.runtime.codes import Codes

ARRAYS = {
    "tokens": np.arange(12, dtype=np.int64).reshape(3, 4),
    "latents": np.linspace(-1, 1, 5, dtype=np.float32),
    "mask": np.array([True, False]),
    "nothing": np.zeros((0, 3), dtype=np.float16),
}


def test_codes_come_back_from_their_file(tmp_path: Path) -> None:
    codes = Codes("toy", ARRAYS, '{"seed": 1}')
    again = Codes.load(codes.save(tmp_path / "a.npz"))
    assert (again.system, again.recipe) == ("toy", '{"seed": 1}')
    assert set(again.arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert again.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(again.arrays[name], array)


def test_the_same_codes_are_the_same_bytes(tmp_path: Path) -> None:
    first, second = (Codes("toy", ARRAYS).save(tmp_path / f"{at}.npz") for at in "ab")
    assert first.read_bytes() == second.read_bytes()


def test_what_is_no_number_is_refused() -> None:
    for name, array in (("a", np.array([object()])), ("a", np.array(["x"])), ("a/b", np.zeros(1))):
        with pytest.raises(ValueError, match="codes"):
            Codes("toy", {name: array})


def test_the_name_must_say_what_the_file_is(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"\.npz"):
        Codes("toy", ARRAYS).save(tmp_path / "codes.zip")
    with pytest.raises(FileError):
        Codes("toy", ARRAYS).save(tmp_path / "nowhere" / "codes.npz")


def test_pickled_arrays_are_not_opened(tmp_path: Path) -> None:
    np.savez(tmp_path / "bad.npz", a=np.array([{"b": 1}], dtype=object))
    with pytest.raises(FileError, match="holds no codes"):
        Codes.load(tmp_path / "bad.npz")


def test_a_missing_file_and_one_array_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot be read"):
        Codes.load(tmp_path / "none.npz")
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(FileError, match="holds no codes"):
        Codes.load(tmp_path / "one.npy")


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=80), at=st.integers(0, 2000), cut=st.integers(0, 3000))
def test_damaged_files_raise_file_errors_alone(
    data: bytes, at: int, cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    whole = Codes("toy", ARRAYS).save(path).read_bytes()
    for damaged in (data, whole[:cut], whole[:at] + data + whole[at + len(data) :]):
        path.write_bytes(damaged)
        with contextlib.suppress(FileError):
            Codes.load(path)
