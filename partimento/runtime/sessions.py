"""ONNX Runtime sessions: the one place where graphs are opened, exact on every processor.

Without VNNI, an int8 product of unsigned inputs and signed weights is computed with ``vpmaddubsw``,
which adds two 16-bit products with saturation: 255 x 127 x 2 does not fit, and large sums are
clipped. ``session.x64quantprecision`` makes ONNX Runtime take kernels that do not saturate there;
on processors with VNNI it changes nothing. `benchmarks.precision` holds every shipped graph to
exact integer arithmetic.
"""

from __future__ import annotations

from pathlib import Path

import onnxruntime as ort

from partimento.errors import ModelError
from partimento.runtime.threads import cores

__all__ = ["open_session", "session_of"]


def open_session(
    path: Path, threads: int | None = None, *, flush_denormals: bool = False
) -> ort.InferenceSession:
    """Return a session of the graph in a file, on the CPU; ``threads`` None takes every core.

    ``flush_denormals`` treats numbers below 1e-38 as zero: recursive audio states decay into them,
    and arithmetic on them is a hundred times slower.

    Raises:
        ModelError: if the graph cannot be read.
    """
    try:
        return session_of(str(path), threads, flush_denormals=flush_denormals)
    except Exception as error:  # onnxruntime's exceptions share no base but Exception
        first = str(error).splitlines()[0]
        raise ModelError(
            f"{path.name} cannot be loaded ({first}); install the model again"
        ) from None


def session_of(
    graph: str | bytes, threads: int | None = None, *, flush_denormals: bool = False
) -> ort.InferenceSession:
    """Return a session of a path or of a serialised graph, on the CPU."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or cores()
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.x64quantprecision", "1")
    if flush_denormals:
        options.add_session_config_entry("session.set_denormal_as_zero", "1")
    return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
