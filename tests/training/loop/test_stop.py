"""Signals that stop a training: the first asks, the second stops at once."""

from __future__ import annotations

import os
import signal

import pytest

from partimento.training.loop.stop import StopRequest

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_asks_and_the_second_stops(number: int) -> None:
    said: list[str] = []
    before = signal.getsignal(number)
    with StopRequest(said.append) as stop:
        send(number)
        assert (stop.asked, stop.at_once) == (True, False)
        assert said == ["finishing this step; again to stop now"]
        with pytest.raises(KeyboardInterrupt):
            send(number)
        assert stop.at_once
    assert signal.getsignal(number) is before


def test_what_may_be_given_up_ends_with_the_first() -> None:
    said: list[str] = []
    with StopRequest(said.append) as stop:
        with pytest.raises(KeyboardInterrupt), stop.giving_up():
            send(signal.SIGINT)
        assert (said, stop.at_once) == (["stopping: saving"], False)
        with pytest.raises(KeyboardInterrupt), stop.giving_up():
            pytest.fail("what is given up anyway does not begin")


def test_what_is_kept_is_finished() -> None:
    with StopRequest(lambda _text: None) as stop:
        with stop.giving_up():
            stop.keep()
            send(signal.SIGINT)
        with stop.giving_up(allowed=False):
            pass
        assert stop.asked


def test_nohup_is_respected() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopRequest(lambda _text: None) as stop:
            send(signal.SIGHUP)
            assert not stop.asked
    finally:
        signal.signal(signal.SIGHUP, before)
