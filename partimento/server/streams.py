"""Endless music over a WebSocket: bars or sound, steered from the next bar on.

The client sends JSON: ``start`` (model, options, controls, seed, ahead_seconds), ``set`` (options
and controls), ``pause``, ``resume``, ``keep`` (the last N bars become a piece), ``stop``. The
server sends a JSON message a bar (its notes and its MIDI bytes in base64), or for models that make
sound binary messages of 16-bit stereo at 44,100 Hz.

A stream keeps time: it is made no more than ``ahead_seconds`` before it is heard.

Back-pressure: at most ``_AHEAD`` bars wait for a client. The thread that makes them then stops
until one was taken, so a client that does not read costs a constant amount of memory, and nothing
of the others' time.
"""

from __future__ import annotations

import asyncio
import base64
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
from pydantic import ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect

from partimento.api import Instrument, Task
from partimento.errors import MusicError, PartimentoError
from partimento.music import Audio, Piece, Score, Timeline
from partimento.music.transform import join
from partimento.server.documents import document_of, rendered
from partimento.server.jobs import Busy
from partimento.server.schemas import StreamRequest
from partimento.server.service import Service, given_to

__all__ = ["serve_stream"]

_AHEAD = 2  # bars made before the client has taken them
_CONTEXT = 8  # bars that a stream goes on from when its options change
_KEPT = 64  # bars that ``keep`` can reach back to
_KEPT_SECONDS = 20.0  # and seconds of sound, which takes more memory
_PATIENCE_SECONDS = 20.0  # in which a client says what it wants


class _Stream:
    """One stream: what is asked of it, and what was played."""

    def __init__(self, request: StreamRequest, turns: threading.Semaphore) -> None:
        self.request, self._turns = request, turns
        self.changed, self.stopped, self.running = (threading.Event() for _ in range(3))
        self.running.set()
        self.played: deque[Score | Audio] = deque(maxlen=_KEPT)
        self.made = 0  # pieces so far
        self._starts: float | None = None  # when the next piece is heard, by the clock
        self._model: Instrument | None = None

    def pieces(self, model: Instrument) -> Iterator[Score | Audio]:
        """Yield bars (or sound) for ever; a change of options acts from the next bar on."""
        seed, self._model = self.request.seed, model
        while not self.stopped.is_set():
            self.changed.clear()
            asked = given_to(model, self.request.options.given(), self.request.controls)
            asked.pop("bars", None)
            if model.makes == "audio":
                for piece in self._in_turns(model.stream(seed=seed, steer=self._steer, **asked)):
                    yield piece
                    self._keep_time(piece)
                return
            scores = [piece for piece in self.played if isinstance(piece, Score)]
            prompt = join(scores[-_CONTEXT:]) if scores else None
            for piece in self._in_turns(model.stream(prompt, seed=seed, **asked)):
                yield piece
                self._keep_time(piece)
                if self.changed.is_set():
                    break
            seed = None if seed is None else seed + 1

    def _in_turns(self, made: Iterator[Piece]) -> Iterator[Piece]:
        """Make a piece whenever it is this stream's turn, until the stream stops."""
        while not self.stopped.is_set():
            with self._turns:
                piece = next(made, None)
            if piece is None:
                return
            self._remember(piece)
            yield piece

    def _keep_time(self, piece: Piece) -> None:
        """Wait while the stream is paused, or further ahead of its clock than is asked.

        Nothing is made long before it is heard, so that a change is soon heard too, even where a
        browser reads everything at once.
        """
        now = time.monotonic()
        self._starts = now if self._starts is None else self._starts
        self._starts += _seconds(piece)
        paused = not self.running.is_set()
        self.running.wait()
        if paused:
            self._starts += time.monotonic() - now
        self.stopped.wait(max(0.0, self._starts - time.monotonic() - self.request.ahead_seconds))

    def _remember(self, piece: Piece) -> None:
        self.made += 1
        self.played.append(piece)
        sounds = [each.duration_seconds for each in self.played if isinstance(each, Audio)]
        while sounds and sum(sounds) - sounds[0] > _KEPT_SECONDS:
            self.played.popleft()
            del sounds[0]

    def change(self, request: StreamRequest) -> None:
        """Ask for something else from the next bar on.

        Raises:
            PartimentoError: if the model cannot do it; what plays then goes on as it was.
        """
        if self._model is not None:  # planning checks everything, and plays nothing yet
            asked = given_to(self._model, request.options.given(), request.controls)
            asked.pop("bars", None)
            self._model.stream(seed=0, **asked)
        self.request = request
        self.changed.set()

    def _steer(self, _seconds: float) -> dict[str, Any] | None:
        """Return the controls of a model that makes sound, if others are asked from here on."""
        if not self.changed.is_set():
            return None
        self.changed.clear()
        return dict(self.request.controls)

    def last(self, bars: int) -> Piece:
        """Return the last bars as one piece; of sound, two seconds for each of them.

        Raises:
            MusicError: if nothing was played yet.
        """
        played = list(self.played)
        if not played:
            raise MusicError("nothing was played yet; keep bars once there are some")
        if isinstance(played[0], Score):
            return join([piece for piece in played if isinstance(piece, Score)][-bars:])
        sounds = [piece for piece in played if isinstance(piece, Audio)]
        rate = sounds[0].sample_rate_hz
        samples = np.concatenate([sound.samples for sound in sounds], axis=-1)
        return Audio(np.ascontiguousarray(samples[:, -2 * bars * rate :]), rate)


async def serve_stream(socket: WebSocket, service: Service) -> None:
    """Serve one client until it stops or goes."""
    await socket.accept()
    try:
        first = await asyncio.wait_for(_message(socket, "start"), _PATIENCE_SECONDS)
        request = StreamRequest.model_validate(first)
        name = request.model or service.default_model(Task.GENERATE)
    except WebSocketDisconnect:
        return
    except TimeoutError:
        await _problem(socket, ValueError("no start was sent for too long"))
        return
    except (ValidationError, ValueError, PartimentoError) as error:
        await _problem(socket, error)
        return
    if len(service.playing) >= service.settings.streams:
        await _problem(socket, Busy(30))
        return
    stream = _Stream(request, service.turns)
    service.playing.add(stream)
    try:
        await _play(socket, service, name, stream)
    finally:
        service.playing.discard(stream)


async def _play(socket: WebSocket, service: Service, name: str, stream: _Stream) -> None:
    queue: asyncio.Queue[Any] = asyncio.Queue(maxsize=_AHEAD)
    loop = asyncio.get_running_loop()

    def put(item: Any) -> bool:
        """Hand an item over; wait while the client is behind. False once it has gone."""
        waiting = asyncio.run_coroutine_threadsafe(queue.put(item), loop)
        while not stream.stopped.is_set():
            try:
                waiting.result(0.2)
                return True
            except TimeoutError:
                continue
        waiting.cancel()
        return False

    def make() -> None:
        try:
            with service.engine.instrument(name) as model:
                for index, piece in enumerate(stream.pieces(model)):
                    if not put(_encoded(index, piece)):
                        return
        except PartimentoError as error:
            put(error)
        except Exception as error:  # a fault of ours must end the stream, not hang it
            put(PartimentoError(f"the server failed ({type(error).__name__}); report this"))
        put(None)

    thread = threading.Thread(target=make, name="partimento-stream", daemon=True)
    thread.start()
    sender = asyncio.create_task(_send(socket, queue))
    receiver = asyncio.create_task(_receive(socket, stream, service))
    try:
        await asyncio.wait({sender, receiver}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stream.stopped.set()
        stream.running.set()
        for task in (sender, receiver):
            task.cancel()
        await asyncio.gather(sender, receiver, return_exceptions=True)
        await asyncio.to_thread(thread.join, 10)


def _seconds(piece: Piece) -> float:
    if isinstance(piece, Audio):
        return piece.duration_seconds
    return float(Timeline(piece).seconds(piece.length_ticks))


def _encoded(index: int, piece: Score | Audio) -> dict[str, Any] | bytes:
    if isinstance(piece, Audio):
        samples = np.clip(np.rint(piece.samples.T * 32767), -32768, 32767).astype("<i2")
        return samples.tobytes()
    document = document_of(piece)
    return {
        "type": "bar",
        "index": index,
        "seconds": document.duration_seconds,
        "document": document.model_dump(exclude={"recipe"}),
        "midi": base64.b64encode(rendered(piece, "mid")).decode(),
    }


async def _send(socket: WebSocket, queue: asyncio.Queue[Any]) -> None:
    while True:
        item = await queue.get()
        if item is None:
            await socket.send_json({"type": "end"})
            return
        if isinstance(item, PartimentoError):
            await _problem(socket, item)
            return
        if isinstance(item, bytes):
            await socket.send_bytes(item)
        else:
            await socket.send_json(item)


async def _receive(socket: WebSocket, stream: _Stream, service: Service) -> None:
    while True:
        try:
            message = await _message(socket)
            kind = message.pop("type")
            if kind == "stop":
                return
            if kind == "pause":
                stream.running.clear()
            elif kind == "resume":
                stream.running.set()
            elif kind == "set":
                values = stream.request.model_dump()
                for part in ("options", "controls"):
                    values[part] = {**values[part], **message.pop(part, {})}
                if message:
                    raise ValueError(f"a set has options and controls, not {', '.join(message)}")
                stream.change(StreamRequest.model_validate(values))
            elif kind == "keep":
                bars = max(1, min(_KEPT, int(message.get("bars", 8))))
                kept = service.keep(stream.last(bars), f"the last {bars} bars of a stream")
                answer = service.answer(kept).model_dump()
                await socket.send_json({"type": "kept", "piece": answer})
            else:
                raise ValueError(f"no message is called {kind!r}")
        except (ValidationError, ValueError, TypeError, KeyError, PartimentoError) as error:
            await _problem(socket, error, is_last=False)


async def _message(socket: WebSocket, kind: str | None = None) -> dict[str, Any]:
    """Return the next message, an object with a ``type``.

    Raises:
        ValueError: if it is something else.
        WebSocketDisconnect: when the client has gone.
    """
    try:
        message = await socket.receive_json()
    except WebSocketDisconnect:
        raise
    except (KeyError, ValueError):
        raise ValueError("messages are JSON objects") from None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise ValueError('messages are JSON objects with a "type"')
    if kind is not None and message.pop("type") != kind:
        raise ValueError(f'the first message has the type "{kind}"')
    return message


async def _problem(socket: WebSocket, error: Exception, is_last: bool = True) -> None:
    text = str(error) if isinstance(error, PartimentoError) else " ".join(str(error).split())[:300]
    await socket.send_json({"type": "error", "error": type(error).__name__, "message": text})
    if is_last:
        await socket.close(1011)
