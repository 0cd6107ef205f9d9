from __future__ import annotations

import base64
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from partimento.music import parse_key
from partimento.runtime.model_folder import ModelFolder
from partimento.server import streams

from support.serving import Line, Served, served

START = {"type": "start", "ahead_seconds": 600}


def bar(line: Line) -> dict[str, Any]:
    """Return the next bar."""
    message: dict[str, Any] = line.next()
    assert message["type"] == "bar", message
    return message


def pitches(message: dict[str, Any]) -> set[int]:
    return {note[1] % 12 for track in message["document"]["tracks"] for note in track["notes"]}


def test_bars_come_in_order_and_repeat_by_seed(server: Served) -> None:
    runs = []
    for _ in range(2):
        with server.line() as line:
            line.say({**START, "seed": 4, "options": {"time_signature": "3/4"}})
            runs.append([bar(line) for _ in range(5)])
    assert [b["index"] for b in runs[0]] == list(range(5))
    assert {b["document"]["length_ticks"] for b in runs[0]} == {1440}
    assert [b["document"]["tracks"] for b in runs[0]] == [b["document"]["tracks"] for b in runs[1]]


def test_a_change_acts_from_the_next_bar_that_is_made(server: Served) -> None:
    wanted = set(parse_key("C# major").pitch_classes)
    with server.line() as line:
        line.say({**START, "seed": 1, "options": {"key": "C"}})
        assert not pitches(bar(line)) - set(parse_key("C").pitch_classes)
        line.say({"type": "set", "options": {"key": "C# major"}})
        while not pitches(bar(line)) <= wanted:
            pass
        for _ in range(6):
            assert pitches(bar(line)) <= wanted


def test_a_stream_keeps_time(server: Served) -> None:
    wanted = set(parse_key("C# major").pitch_classes)
    with server.line() as line:  # a bar takes 1.2 s
        line.say({"type": "start", "ahead_seconds": 0.5, "options": {"key": "C", "tempo": 200}})
        began = time.monotonic()
        bar(line), bar(line)
        line.say({"type": "set", "options": {"key": "C# major"}})
        assert pitches(bar(line)) <= wanted
        assert time.monotonic() - began >= 1.8


def test_a_change_that_cannot_be_met_leaves_the_music_as_it_is(server: Served) -> None:
    with server.line() as line:
        line.say({**START, "seed": 1, "options": {"key": "C"}})
        bar(line)
        line.say({"type": "set", "options": {"key": "H"}})
        line.say({"type": "set", "controls": {"loud": 3}})
        line.say({"type": "set", "tempo": 3})
        line.say({"type": "unheard of"})
        line.say("not JSON")
        line.say([1])
        problems, bars = [], 0
        while len(problems) < 6 or bars < 8:
            message = line.next()
            problems += [message["message"]] if message["type"] == "error" else []
            bars += message["type"] == "bar"
        assert "controls.loud" in problems[1]
        assert "unheard of" in problems[3]
        assert not any("Traceback" in text for text in problems)


def test_keeping_the_last_bars_makes_a_piece(server: Served) -> None:
    with server.line() as line:
        line.say({**START, "seed": 1})
        for _ in range(6):
            bar(line)
        line.say({"type": "keep", "bars": 4})
        while (message := line.next())["type"] == "bar":
            pass
        assert message["type"] == "kept"
        assert len(message["piece"]["document"]["bars"]) == 4
    assert server.service.find(message["piece"]["id"]) is not None


def test_pause_and_resume(server: Served) -> None:
    with server.line() as line:
        line.say(START)
        bar(line)
        line.say({"type": "pause"})
        time.sleep(0.3)
        (stream,) = server.service.playing
        made = stream.made
        time.sleep(0.3)
        assert stream.made == made
        line.say({"type": "resume"})
        for _ in range(made + 5):
            bar(line)


def test_a_client_that_does_not_read_stops_its_own_stream_alone(server: Served) -> None:
    small = socket.socket()
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    small.connect(("127.0.0.1", int(server.address.rpartition(":")[2])))
    with server.line(sock=small, max_queue=1) as idle:
        idle.say(START)
        while not server.service.playing:
            time.sleep(0.01)
        (stalled,) = server.service.playing
        made = -1
        while made != stalled.made:
            made = stalled.made
            time.sleep(0.5)
        with server.line() as line:
            line.say(START)
            for _ in range(100):
                bar(line)
        assert stalled.made == made


@pytest.mark.parametrize(
    "first",
    [
        {"type": "set"},
        {**START, "barz": 1},
        {**START, "options": {"key": "H"}},
        {**START, "model": "nobody"},
        {**START, "model": "models/humming"},
        {**START, "controls": {"loud": 1}},
        {},
        [],
        7,
    ],
)
def test_a_bad_start_is_refused_and_closed(server: Served, first: Any) -> None:
    with server.line() as line:
        line.say(first)
        message = line.next()
        assert message["type"] == "error"
        assert message["message"]
        with pytest.raises(ConnectionClosed):
            line.next()


def test_silence_is_not_waited_for(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_PATIENCE_SECONDS", 0.05)
    with server.line() as line:
        assert "start" in line.next()["message"]


def test_more_streams_than_there_is_room_for_are_refused(hum: ModelFolder, tmp_path: Path) -> None:
    with served(tmp_path, streams=1) as server, server.line() as first:
        first.say(START)
        bar(first)
        with server.line() as second:
            second.say(START)
            assert second.next()["error"] == "Busy"
        bar(first)


def test_a_place_is_free_again_when_a_client_goes(hum: ModelFolder, tmp_path: Path) -> None:
    with served(tmp_path, streams=1) as server:
        for _ in range(3):
            with server.line() as line:
                line.say(START)
                bar(line)
            for _ in range(100):
                if not server.service.playing:
                    break
                time.sleep(0.05)


def test_sound_streams_as_samples_and_is_kept(drone: ModelFolder, tmp_path: Path) -> None:
    with served(tmp_path) as server, server.line() as line:
        line.say({**START, "model": "droning", "seed": 1})
        assert len(line.next()) % 4 == 0
        line.say({"type": "keep", "bars": 2})
        while isinstance(message := line.next(), bytes):
            pass
        assert (message["type"], message["piece"]["kind"]) == ("kept", "audio")


def test_a_bar_carries_its_midi(server: Served) -> None:
    with server.line() as line:
        line.say({**START, "seed": 3})
        assert base64.b64decode(bar(line)["midi"])[:4] == b"MThd"
