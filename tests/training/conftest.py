"""One thread a test: the networks are tiny, and pytest runs several processes.

TensorBoard is switched off, whether it is installed or not: runs leave the same files everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from partimento.training.loop import log


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Let torch use one thread and start from one seed."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True, scope="module")
def no_tensorboard() -> Iterator[None]:
    """Keep TensorBoard's files out of the runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log, "_tensorboard", lambda folder: None)
        yield
