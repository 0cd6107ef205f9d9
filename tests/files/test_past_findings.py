"""Small files that once hung, filled the memory or raised what they should not: never again.

Each file of ``past_findings`` is read, hashed and laid out in bars. What needs many bytes is made
here.
"""

from __future__ import annotations

import time
import tracemalloc
import warnings
from pathlib import Path

import pytest

from partimento.files.corpora.splits import content_hash
from partimento.files.formats import piece_of_bytes
from partimento.music import Score, Timeline

from support.score_strategies import only_file_errors

_KEPT = Path(__file__).parent / "past_findings"
_MADE = {
    "braces.abc": b"X:1\nK:C\n" + b"{" * 60_000 + b"C|\n",
    "rests.abc": b"X:1\nK:C\n" + b"Z1000 " * 2000 + b"C|\n",
    "zeros.krn": b"**kern\n" + b"0" * 4000 + b"c\n*-\n",
    "dots.krn": b"**kern\n4" + b"." * 100_000 + b"c\n*-\n",
    "primes.krn": b"**kern\n" + b"".join(b"%dc\n" % n for n in range(101, 999, 2)) + b"*-\n",
    "parts.krn": b"**kern\n" + b"".join(b"*part%d\n" % n for n in range(20_000)),
}


@pytest.mark.parametrize("name", [*sorted(p.name for p in _KEPT.iterdir()), *_MADE])
def test_past_findings(name: str) -> None:
    data = _MADE[name] if name in _MADE else (_KEPT / name).read_bytes()
    tracemalloc.start()
    start = time.process_time()
    with only_file_errors(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        piece = piece_of_bytes(data, name)
        content_hash(piece)
        if isinstance(piece, Score):
            assert len(Timeline(piece).bars) >= 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert time.process_time() - start < 10
    assert peak < 2**30
