"""One thread a test: the networks are tiny, and pytest runs several processes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from partimento import systems

from support.source import ROOT


@pytest.fixture(autouse=True, scope="session")
def toys() -> Iterator[None]:
    """Let the systems in ``tests/fakes`` be found beside the shipped ones."""
    before = list(systems.__path__)
    systems.__path__ = [*before, str(ROOT / "tests" / "fakes")]
    yield
    systems.__path__ = before


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Let torch use one thread and start from one seed."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)
