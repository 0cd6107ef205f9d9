"""Work in the background: a bounded queue, a few workers, progress, cancelling."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal

from partimento.errors import PartimentoError

__all__ = ["Busy", "Cancelled", "Job", "Jobs", "State"]

State = Literal["queued", "running", "done", "failed", "cancelled"]
_KEPT = 256  # finished jobs that can still be asked about


class Cancelled(Exception):
    """A job was cancelled; raised inside it, by whatever tells its progress."""


class Busy(Exception):
    """The queue is full; the request may come again after ``seconds``."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        super().__init__(f"the server has enough to do; ask again in {seconds} seconds")


@dataclass
class Job:
    """One piece of work. ``results`` grow while it runs: alternatives come one by one."""

    verb: str
    id: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    state: State = "queued"
    done: int = 0
    total: int = 0
    results: list[Any] = field(default_factory=list)
    error: PartimentoError | None = None
    seconds: float = 0.0
    changed: threading.Condition = field(default_factory=threading.Condition, repr=False)
    stop: threading.Event = field(default_factory=threading.Event, repr=False)
    version: int = 0  # grows with every change, for those who wait for one

    def progress(self, done: int, total: int) -> None:
        """Note how far the work is.

        Raises:
            Cancelled: if it is not wanted any more.
        """
        if self.stop.is_set():
            raise Cancelled
        self._change(done=done, total=total)

    def add(self, result: Any) -> None:
        """Give out one result while the job goes on."""
        if self.stop.is_set():
            raise Cancelled
        with self.changed:
            self.results.append(result)
            self.version += 1
            self.changed.notify_all()

    def _change(self, **values: Any) -> None:
        with self.changed:
            for name, value in values.items():
                setattr(self, name, value)
            self.version += 1
            self.changed.notify_all()

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self.state in ("done", "failed", "cancelled")

    def wait(self, seconds: float, since: int | None = None) -> int:
        """Wait until it is over (or has changed ``since`` a version); return the version."""
        with self.changed:
            self.changed.wait_for(
                lambda: self.is_over or (since is not None and self.version != since), seconds
            )
            return self.version


class Jobs:
    """The worker pool. Every computation of the server but the streams' goes through it."""

    def __init__(self, workers: int, queue: int) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="partimento")
        self._short = ThreadPoolExecutor(workers, thread_name_prefix="partimento-short")
        self._workers, self._room = workers, queue
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._lock = threading.Lock()
        self._waiting = 0
        self._typical = 1.0  # seconds of a job, a moving average

    def start(self, verb: str, work: Callable[[Job], None]) -> Job:
        """Put work into the queue.

        Raises:
            Busy: if the queue is full.
        """
        with self._lock:
            if self._waiting >= self._room:
                raise Busy(max(1, round(self._typical * self._waiting / self._workers)))
            self._waiting += 1
            job = Job(verb)
            self._jobs[job.id] = job
            self._forget()
        self._pool.submit(self._run, job, work)
        return job

    def _run(self, job: Job, work: Callable[[Job], None]) -> None:
        began = time.monotonic()
        with self._lock:
            self._waiting -= 1
        try:
            if job.stop.is_set():
                raise Cancelled
            job._change(state="running")
            work(job)
            state: State = "done"
        except Cancelled:
            state = "cancelled"
        except PartimentoError as error:
            job.error, state = error, "failed"
        except Exception as error:  # a fault of ours must end the job, not hang it
            job.error = PartimentoError(f"the server failed ({type(error).__name__}); report this")
            state = "failed"
        job.seconds = time.monotonic() - began
        self._typical = 0.8 * self._typical + 0.2 * job.seconds
        job._change(state=state)

    def find(self, job_id: str) -> Job | None:
        """Return a job, None where it is unknown or long over."""
        with self._lock:
            return self._jobs.get(job_id)

    def cancel(self, job: Job) -> None:
        """Ask a job to stop; a job that waits stops before it starts."""
        job.stop.set()

    def run(self, work: Callable[[], Any]) -> Future[Any]:
        """Run something short, such as rendering, which never waits for long work."""
        return self._short.submit(work)

    def _forget(self) -> None:
        for key in [k for k, job in self._jobs.items() if job.is_over][: -_KEPT or None]:
            if len(self._jobs) <= _KEPT:
                break
            del self._jobs[key]

    def close(self) -> None:
        """Cancel what runs, and wait until it has stopped."""
        with self._lock:
            for job in self._jobs.values():
                job.stop.set()
        self._short.shutdown(wait=True)
        self._pool.shutdown(wait=True)  # those that wait are cancelled as they come up
