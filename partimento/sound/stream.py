"""Sound of a piece that is still being written: scores in, one after another, audio out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from partimento.music import Audio, Score, Tempo
from partimento.music.timeline import DEFAULT_QUARTERS_PER_MINUTE
from partimento.sound.bank import Bank
from partimento.sound.player import PlayState, ScorePlayer
from partimento.sound.render import PEAK, SAMPLE_RATE_HZ, check_rate

__all__ = ["STREAM_GAIN", "StreamRenderer", "limit"]

STREAM_GAIN = 1.5  # four voices at velocity 80 stay below the limiter's knee
_KNEE = 0.6

F32 = npt.NDArray[np.float32]


def limit(samples: F32) -> F32:
    """Return the samples bent softly below -1 dBFS; up to 0.6 they stay as they are."""
    room = np.float32(PEAK - _KNEE)
    over = np.maximum(np.abs(samples) - np.float32(_KNEE), 0)
    bent = np.float32(_KNEE) + room * np.tanh(over / room)
    return np.where(over > 0, np.copysign(bent, samples), samples).astype(np.float32)


class StreamRenderer:
    """Renders pieces that follow one another; holds settings and sounds, never a position.

    ::

        renderer = StreamRenderer()
        state = renderer.start()
        for piece in pieces:  # each starts at tick 0
            audio, state = renderer.feed(state, piece)
        audio = renderer.finish(state)

    Joined, the chunks are what `render` makes of the joined score, but for the level: the gain is
    fixed, and a soft limiter keeps loud moments below -1 dBFS. A piece without a tempo at tick 0
    goes on at the tempo before it. Notes and pedals may outlast their piece. Memory stays the same
    however long the stream. One renderer may serve many streams and threads.
    """

    def __init__(
        self,
        sample_rate_hz: int = SAMPLE_RATE_HZ,
        tempo_quarters_per_minute: float = DEFAULT_QUARTERS_PER_MINUTE,
        *,
        gain: float = STREAM_GAIN,
    ) -> None:
        check_rate(sample_rate_hz)
        self.sample_rate_hz = sample_rate_hz
        self._tempo = Tempo(0, tempo_quarters_per_minute).quarters_per_minute
        self._gain = np.float32(gain)
        self._player = ScorePlayer(Bank(sample_rate_hz))

    def start(self) -> PlayState:
        """Return the state before the first piece."""
        return self._player.start(self._tempo)

    def feed(self, state: PlayState, piece: Score) -> tuple[Audio, PlayState]:
        """Return the sound up to the end of ``piece`` (its written length) and the state there.

        Raises:
            MusicError: if a note starts at or after the end of its piece.
        """
        parts, after = self._player.advance(state, piece)
        return self._audio(parts), after

    def finish(self, state: PlayState) -> Audio:
        """Return what is left when no piece follows: held notes, releases and the room's tail."""
        return self._audio(self._player.finish(state))

    def _audio(self, parts: list[F32]) -> Audio:
        empty = np.zeros((2, 0), dtype=np.float32)
        joined = np.concatenate([empty, *parts], axis=1)
        return Audio(limit(joined * self._gain), self.sample_rate_hz)
