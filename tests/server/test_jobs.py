from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from partimento.errors import CannotBeMet
from partimento.server.jobs import Busy, Job, Jobs


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    made = Jobs(workers=1, queue=2)
    yield made
    made.close()


def endless(job: Job) -> None:
    for done in range(10**9):
        job.progress(done, 10)
        time.sleep(0.001)


def test_results_come_one_by_one(jobs: Jobs) -> None:
    gates = [threading.Event() for _ in range(3)]

    def work(job: Job) -> None:
        for number, gate in enumerate(gates):
            assert gate.wait(10)
            job.add(number)

    job = jobs.start("count", work)
    for number, gate in enumerate(gates):
        before = job.version
        gate.set()
        while len(job.results) <= number:
            before = job.wait(10, before)
        assert job.results == list(range(number + 1))
    job.wait(10)
    assert job.state == "done"


@pytest.mark.parametrize("moment", [0.0, 0.005, 0.05])
def test_a_job_is_cancelled_at_any_moment(jobs: Jobs, moment: float) -> None:
    job = jobs.start("endless", endless)
    time.sleep(moment)
    jobs.cancel(job)
    job.wait(10)
    assert job.state == "cancelled"
    after = jobs.start("next", lambda job: job.add(1))
    after.wait(10)
    assert after.results == [1]


def test_a_job_that_waits_is_cancelled_before_it_starts(jobs: Jobs) -> None:
    first, ran = jobs.start("endless", endless), []
    second = jobs.start("second", lambda _job: ran.append(1))
    jobs.cancel(second)
    jobs.cancel(first)
    second.wait(10)
    assert (second.state, ran) == ("cancelled", [])


def test_a_job_that_is_over_stays_as_it_is(jobs: Jobs) -> None:
    job = jobs.start("short", lambda job: job.add("kept"))
    job.wait(10)
    jobs.cancel(job)
    assert (job.state, job.results) == ("done", ["kept"])


def test_a_full_queue_says_when_to_come_again(jobs: Jobs) -> None:
    running = jobs.start("endless", endless)
    while running.state != "running":
        time.sleep(0.001)
    waiting = [jobs.start("waiting", endless) for _ in range(2)]
    with pytest.raises(Busy) as busy:
        jobs.start("too much", endless)
    assert busy.value.seconds >= 1
    for job in (running, *waiting):
        jobs.cancel(job)
    for job in (running, *waiting):
        job.wait(10)
    assert jobs.start("room again", lambda _job: None).wait(10) >= 0


def test_errors_end_the_job_and_nothing_else(jobs: Jobs) -> None:
    def refused(_job: Job) -> None:
        raise CannotBeMet("no such music; ask for other music")

    def broken(_job: Job) -> None:
        raise RuntimeError("a secret")

    for work, said in ((refused, "no such music"), (broken, "RuntimeError")):
        job = jobs.start("bad", work)
        job.wait(10)
        assert job.state == "failed"
        assert said in str(job.error)
        assert "secret" not in str(job.error)


def test_closing_ends_what_runs() -> None:
    jobs = Jobs(workers=1, queue=4)
    running, waiting = (jobs.start("endless", endless) for _ in range(2))
    jobs.close()
    assert running.state == "cancelled"
    assert waiting.is_over


def test_old_jobs_are_forgotten_the_oldest_first(jobs: Jobs) -> None:
    made = []
    for _ in range(300):
        made.append(jobs.start("short", lambda _job: None))
        made[-1].wait(10)
    assert jobs.find(made[0].id) is None
    assert jobs.find(made[-1].id) is made[-1]
