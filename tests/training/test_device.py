"""The number format that training runs in is asked of the processor."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from partimento.runtime import threads
from partimento.training.device import autocast, has_fast_bf16, number_format

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def asked_again() -> Iterator[None]:
    """Forget what the processor of this machine said."""
    has_fast_bf16.cache_clear()
    yield
    has_fast_bf16.cache_clear()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("flags\t\t: fpu avx2 avx512f avx512_vnni\n", "fp32"),
        ("flags\t\t: fpu avx512_bf16\nflags\t\t: fpu\n", "bf16"),
        ("flags\t\t: fpu amx_bf16 amx_tile\n", "bf16"),
        ("Features\t: fp asimd bf16 i8mm\n", "bf16"),
        ("model name : bf16\n", "fp32"),
        (None, "fp32"),  # where there is no such file
    ],
)
def test_bf16_only_where_the_processor_has_it(
    text: str | None, wanted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "cpuinfo"
    if text is not None:
        file.write_text(text)
    monkeypatch.setattr(threads, "_PROCESSOR_FILE", file)
    assert number_format(CPU) == wanted
    with autocast(CPU):
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == (torch.bfloat16 if wanted == "bf16" else torch.float32)


def test_a_gpu_has_it() -> None:
    assert number_format(torch.device("cuda")) == "bf16"
