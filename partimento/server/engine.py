"""The models of the server: loaded once, one thread each, unloaded when nobody needs them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from partimento import api
from partimento.api import Instrument
from partimento.errors import ModelError

__all__ = ["Engine", "check_installed"]


def check_installed(name: str) -> None:
    """Raise ModelError unless a model of that name is installed.

    Names alone are looked up, never paths: a client cannot make the server open a folder.
    """
    names = [info.name for info in api.models()]
    if name not in names:
        raise ModelError(f"no model is called {name!r} (there are: {', '.join(names) or 'none'})")


class Engine:
    """Instruments by name; the same one serves every caller at once."""

    def __init__(self, idle_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._idle, self._clock = idle_seconds, clock
        self._lock = threading.Lock()
        self._loading: dict[str, threading.Lock] = {}
        self._loaded: dict[str, tuple[Instrument, float]] = {}
        self._used: dict[str, int] = {}

    @contextmanager
    def instrument(self, name: str) -> Iterator[Instrument]:
        """Hand out a model; it is not unloaded while it is in use.

        Raises:
            ModelError: if no model of that name is installed.
        """
        self.unload_idle()
        check_installed(name)
        with self._lock:
            loading = self._loading.setdefault(name, threading.Lock())
        with loading:
            with self._lock:
                found = self._loaded.get(name)
                self._used[name] = self._used.get(name, 0) + 1
            try:
                model = api.load(name, threads=1) if found is None else found[0]
            except BaseException:
                self._release(name, None)
                raise
            with self._lock:
                self._loaded[name] = (model, self._clock())
        try:
            yield model
        finally:
            self._release(name, model)

    def _release(self, name: str, model: Instrument | None) -> None:
        with self._lock:
            self._used[name] -= 1
            if model is not None:
                self._loaded[name] = (model, self._clock())

    def unload_idle(self) -> None:
        """Let go of the models that nobody has used for a while."""
        now = self._clock()
        with self._lock:
            for name, (_, used_at) in list(self._loaded.items()):
                if not self._used.get(name) and now - used_at > self._idle:
                    del self._loaded[name]

    @property
    def loaded(self) -> tuple[str, ...]:
        """The names of the models in memory."""
        with self._lock:
            return tuple(sorted(self._loaded))
