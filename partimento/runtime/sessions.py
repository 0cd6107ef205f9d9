"""ONNX Runtime sessions: the one place where graphs are opened, exact on every processor.

Without VNNI, an int8 product of unsigned inputs and signed weights is computed with ``vpmaddubsw``,
which adds two 16-bit products with saturation: 255 x 127 x 2 does not fit, and large sums are
clipped. ``session.x64quantprecision`` makes ONNX Runtime take kernels that do not saturate. On
processors with VNNI it gives the same bytes 5 to 15 % slower, so it is set where VNNI is not known
to be there. `benchmarks.precision` holds every shipped graph to exact integer arithmetic.

A graph is not trusted: its inputs and outputs are compared with what the model's config says
(`Session.require`) before it runs, and what it raises while it runs is a `ModelError`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnxruntime as ort

from partimento.errors import ModelError
from partimento.runtime.onnx_files import require_own_data
from partimento.runtime.threads import cores, instructions

__all__ = ["Dims", "Session", "open_session", "session_of"]

Dims = tuple[str, tuple[int | None, ...]]  # element type, sizes; None is free, as the batch is
_AGAIN = "install the model again"
_VNNI = frozenset({"avx512_vnni", "avx_vnni"})


class Session(ort.InferenceSession):  # type: ignore[misc]
    """A session whose failures are `ModelError`; ``name`` is that of its file, if it has one."""

    name = ""

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Return the outputs; see ONNX Runtime."""
        try:
            return super().run(*args, **kwargs)
        except Exception as error:  # onnxruntime's exceptions share no base but Exception
            raise _failed(error) from None

    def run_with_iobinding(self, *args: Any, **kwargs: Any) -> None:
        """Run with memory that is bound already; see ONNX Runtime."""
        try:
            super().run_with_iobinding(*args, **kwargs)
        except Exception as error:
            raise _failed(error) from None

    def require(
        self, inputs: Mapping[str, Dims], outputs: Mapping[str, Dims], what: str = "its graph"
    ) -> None:
        """Raise unless the graph takes exactly these inputs and gives at least these outputs.

        Raises:
            ModelError: if a name, a type or a size differs.
        """
        for role, wanted, entries in (
            ("input", inputs, self.get_inputs()),
            ("output", outputs, self.get_outputs()),
        ):
            found = {entry.name: entry for entry in entries}
            names = set(wanted) - set(found)
            if role == "input":
                names |= set(found) - set(wanted)
            if names:
                raise ModelError(
                    f"{what} and its config differ in the {role} {sorted(names)[0]!r}; {_AGAIN}"
                )
            for name, (kind, sizes) in wanted.items():
                entry = found[name]
                if entry.type != f"tensor({kind})" or not _fits(entry.shape, sizes):
                    raise ModelError(
                        f"{what} has the {role} {name!r} as {entry.type} {_shown(entry.shape)}, "
                        f"its config says {kind} {_shown(sizes)}; {_AGAIN}"
                    )


def _fits(shape: Sequence[int | str | None], sizes: tuple[int | None, ...]) -> bool:
    """Return whether a declared shape has the sizes; a free one must be free in the graph too."""
    return len(shape) == len(sizes) and all(
        have == want if want is not None else not isinstance(have, int)
        for have, want in zip(shape, sizes, strict=True)
    )


def _shown(shape: Sequence[int | str | None]) -> str:
    return "x".join(str(size) if isinstance(size, int) else "n" for size in shape)


def _failed(error: Exception) -> ModelError:
    first = (str(error).splitlines() or [type(error).__name__])[0]
    return ModelError(f"the model does not run ({first}); {_AGAIN}")


def open_session(
    path: Path, threads: int | None = None, *, flush_denormals: bool = False
) -> Session:
    """Return a session of the graph in a file, on the CPU; ``threads`` None takes every core.

    ``flush_denormals`` treats numbers below 1e-38 as zero: recursive audio states decay into them,
    and arithmetic on them is a hundred times slower.

    Raises:
        ModelError: if the graph cannot be read, or keeps weights in other files.
    """
    try:
        data = path.read_bytes()
        require_own_data(data)
        session = session_of(data, threads, flush_denormals=flush_denormals)
        session.name = path.name
        return session
    except ModelError as error:
        raise ModelError(f"{path.name} cannot be loaded: {error}") from None
    except Exception as error:  # onnxruntime's exceptions share no base but Exception
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{path.name} cannot be loaded ({first}); {_AGAIN}") from None


def session_of(
    graph: str | bytes, threads: int | None = None, *, flush_denormals: bool = False
) -> Session:
    """Return a session of a path or of a serialised graph, on the CPU."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or cores()
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if _VNNI.isdisjoint(instructions()):
        options.add_session_config_entry("session.x64quantprecision", "1")
    if flush_denormals:
        options.add_session_config_entry("session.set_denormal_as_zero", "1")
    return Session(graph, options, providers=["CPUExecutionProvider"])
