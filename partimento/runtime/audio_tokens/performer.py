"""Performer of systems whose priors write codes level by level and whose codecs make them sound.

All ways of sampling (Dhariwal et al. 2020, Section 3.3) are one: codes that are there are kept, the
others are sampled in windows, the coarsest level first::

    ancestral     nothing is there
    windowed      longer than a window                     -> runtime/audio_tokens/windows.py
    primed        the codes of a recording, at all levels  -> CONTINUE
    going on      codes that were saved, at all levels     -> CONTINUE with codes
    upsampling    codes that were saved, of the coarsest   -> CONTINUE with codes

After each level its sound is given out as a draft of the whole.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from partimento.errors import ModelError, MusicError, NotSupported
from partimento.messages import listed
from partimento.music import Audio
from partimento.representations.sound_labels import (
    GENRES_AT_MOST,
    UNKNOWN,
    time_bins,
)
from partimento.runtime.audio.presets import SoundFacts
from partimento.runtime.audio.prompts import led_on
from partimento.runtime.audio_tokens.codec import LevelCodec, SoundState
from partimento.runtime.audio_tokens.levels import LabelNumbers, LevelStream
from partimento.runtime.audio_tokens.presets import CodesFacts
from partimento.runtime.audio_tokens.prior import CodePriorSession
from partimento.runtime.codes import Codes
from partimento.runtime.contract import (
    AUDIO_CHANNELS,
    AUDIO_RATE_HZ,
    Controls,
    Draft,
    Request,
    SamplingControls,
    Streamed,
    Task,
)
from partimento.runtime.model_folder import ModelFolder
from partimento.runtime.sessions import open_session
from partimento.samplers.picks import Pick

__all__ = ["CodesControls", "CodesPerformer"]

F32 = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
_PIECE_SECONDS = 3.0


class CodesControls(SamplingControls):
    """Controls of sound that is written as codes."""

    temperature: float = Field(0.99, gt=0, le=5, description="below 1 safer, above 1 more varied")
    artist: str | None = Field(
        None, max_length=200, description="in whose way; one that the model knows"
    )
    genres: str | None = Field(
        None, max_length=500, description="kinds of music that the model knows, at most five: a,b"
    )
    song_seconds: float = Field(
        180.0, gt=0, le=600, description="length of the piece that this is the beginning of"
    )
    levels: int | None = Field(
        None, ge=1, le=8, description="how many levels are sampled, from the coarsest; None: all"
    )


@dataclass(frozen=True)
class _Begun:
    """What is there before sampling: codes by level, sound that was heard, where output begins."""

    codes: tuple[Ints, ...]
    heard: F32 | None = None  # mono, whole codes of the coarsest level
    last: F32 | None = None  # (2, 1): the prompt's last sample


class CodesPerformer:
    """Makes sound of any length; it holds weights only."""

    def __init__(
        self,
        codecs: Sequence[LevelCodec],
        priors: Sequence[CodePriorSession],
        facts: CodesFacts,
        system: str,
        fingerprint: Ints,
    ) -> None:
        self.codecs, self.priors = tuple(codecs), tuple(priors)
        self.facts, self.system = facts, system
        self._fingerprint = fingerprint  # of the decoders' files: whose codes can be read
        hops = facts.codec.hops
        self._ratios = (*(high // low for low, high in itertools.pairwise(hops)), 1)

    @classmethod
    def load(
        cls, folder: ModelFolder, threads: int | None = None, precision: str = "int8"
    ) -> CodesPerformer:
        """Return the performer of a model folder.

        Raises:
            ModelError: if a graph is missing or cannot be read.
            NotSupported: if its codecs are of a kind that cannot be played.
        """
        rate = folder.section("representation", SoundFacts).sample_rate_hz
        if rate != AUDIO_RATE_HZ:
            raise ModelError(
                f"{folder.name} makes sound at {rate} Hz; models play at {AUDIO_RATE_HZ}, train one"
            )
        facts = folder.section("network", CodesFacts)
        if facts.codec.kind != "spectral":
            raise NotSupported(
                f"codecs of kind {facts.codec.kind} cannot be played, spectral ones can"
            )

        def part(name: str, level: int, cores: int | None = 1) -> Any:
            path = folder.part(f"{name}_{level}", precision)
            return open_session(path, threads=cores, flush_denormals=True)

        levels = range(facts.codec.levels)
        codecs = [
            LevelCodec(part("decoder", at, threads), part("encoder", at, threads), facts.codec, at)
            for at in levels
        ]
        priors = [
            CodePriorSession(
                part("prior", at), part("conditions", at), facts.priors[at],
                facts.codec.entries[at], at == levels[-1],
            )
            for at in levels
        ]  # fmt: skip
        files = folder.config["files"]
        digests = "".join(files[folder.parts[f"decoder_{at}"][precision]][:16] for at in levels)
        mark = np.frombuffer(bytes.fromhex(digests), dtype=np.uint8).astype(np.int64)
        return cls(codecs, priors, facts, folder.system, mark)

    def stream(
        self, request: Request, controls: Controls, rng: np.random.Generator
    ) -> Iterator[Streamed]:
        """Yield the sound in order, drafts after each level; see ``runtime.contract.Performer``.

        Raises:
            NotSupported: if another task, a loop or steering is asked, a label is not known, or
                the codes are another model's.
            MusicError: if a prompt is too short or not sound.
        """
        if request.task not in (Task.GENERATE, Task.CONTINUE):
            raise NotSupported(f"this model cannot {request.task}; it can generate and continue")
        if request.is_loop or request.steer is not None:
            raise NotSupported(
                "this model makes no loops and cannot be steered; its codes are sampled in windows"
            )
        assert isinstance(controls, CodesControls)
        begun = self._begun(request)
        streams = self._streams(controls, begun, int(rng.integers(1 << 32)))
        finest = self._finest(controls)
        if request.endless:
            for piece, _ in self._pieces(streams, finest, begun, None):
                yield piece
            return
        samples = max(1, round((request.duration_seconds or 0.0) * AUDIO_RATE_HZ))
        whole = samples + (0 if begun.heard is None else len(begun.heard))
        count = -(-whole // self.codecs[-1].hop)  # codes of the coarsest level
        for level in range(len(streams) - 1, finest, -1):
            each = self.codecs[-1].hop // self.codecs[level].hop
            codes = streams[level].part(0, count * each)
            yield self._codes(streams, level, count)
            start = 0 if begun.heard is None else len(begun.heard)
            draft = self.codecs[level].decode_all(codes)[start : start + samples]
            yield Draft(_stereo(draft), len(streams) - 1 - level)
        for piece, is_last in self._pieces(streams, finest, begun, samples):
            if is_last:  # whoever has all the samples asks for no more
                yield self._codes(streams, finest, count)
            yield piece

    def _finest(self, controls: CodesControls) -> int:
        levels = len(self.codecs)
        asked = controls.levels or levels
        if asked > levels:
            raise NotSupported(f"this model has {levels} levels, not {asked}")
        return levels - asked

    def _pieces(
        self,
        streams: Sequence[LevelStream],
        finest: int,
        begun: _Begun,
        left: int | None,
    ) -> Iterator[tuple[Audio, bool]]:
        """Yield the sound of a level, ``left`` samples or without end, and what is the last."""
        codec, stream = self.codecs[finest], streams[finest]
        at, last, state = 0, begun.last, codec.begin()
        hop = codec.framing.hop
        if begun.heard is not None:
            at = len(begun.heard) // codec.hop
            state = codec.after(begun.heard, stream.part(0, at))
        step = max(1, round(_PIECE_SECONDS * AUDIO_RATE_HZ / codec.hop))
        is_first = True
        while left is None or left > 0:
            samples, state = codec.decode(state, stream.part(at, at + step))
            at += step
            if left is None:
                self._forget(streams, finest, state)
            if len(samples) <= hop:  # nothing yet: more codes must come
                continue
            both = np.tile(samples, (AUDIO_CHANNELS, 1))
            if is_first:
                both, is_first = led_on(both, last, hop), False
            both = both if left is None else both[:, :left]
            left = None if left is None else left - both.shape[1]
            yield Audio(np.ascontiguousarray(both), AUDIO_RATE_HZ), left == 0

    @staticmethod
    def _forget(streams: Sequence[LevelStream], finest: int, state: SoundState) -> None:
        streams[finest].forget(state.done)
        for low, high in zip(streams[finest:], streams[finest + 1 :], strict=False):
            high.forget(low.needed_above)

    def _streams(self, controls: CodesControls, begun: _Begun, seed: int) -> list[LevelStream]:
        """Return the levels, the finest first."""
        labels = LabelNumbers(
            np.array([self._numbers("artist", [controls.artist or UNKNOWN])[0]]),
            np.array([self._genres(controls)]),
        )
        pick = Pick(controls.temperature, controls.top_k, controls.top_p, controls.min_p)
        second = AUDIO_RATE_HZ / self.codecs[-1].hop
        total = controls.song_seconds

        def told(start: int, end: int) -> Ints:
            times = np.arange(start, end) / second
            return time_bins(times % total, total)  # a stream without end begins again

        streams: list[LevelStream] = []
        above = None
        for level in reversed(range(len(self.priors))):
            above = LevelStream(
                self.priors[level], labels, pick, (seed, level), above, told, begun.codes[level],
                self._ratios[level],
            )  # fmt: skip
            streams.insert(0, above)
        return streams

    def _genres(self, controls: CodesControls) -> list[int]:
        names = [each.strip() for each in (controls.genres or "").split(",") if each.strip()]
        if len(names) > GENRES_AT_MOST:
            raise NotSupported(f"at most {GENRES_AT_MOST} genres can be given, not {len(names)}")
        numbers = self._numbers("genre", names)
        return numbers + [0] * (GENRES_AT_MOST - len(numbers))

    def _numbers(self, what: str, names: Sequence[str]) -> list[int]:
        """Return the numbers of labels.

        Raises:
            NotSupported: for one that the model does not know; names those it knows.
        """
        known = self.facts.artists if what == "artist" else self.facts.genres
        lower = [each.lower() for each in known]
        for name in names:
            if name.lower() not in lower:
                told = listed(sorted(each for each in known if each != UNKNOWN)) or "none"
                raise NotSupported(f"this model knows no {what} {name!r}; it knows: {told}")
        return [lower.index(name.lower()) for name in names]

    def _begun(self, request: Request) -> _Begun:
        levels = len(self.codecs)
        if request.codes is not None:
            return _Begun(self._given(request.codes))
        if request.task is not Task.CONTINUE:
            return _Begun(tuple(np.zeros(0, dtype=np.int64) for _ in range(levels)))
        prompt, hop = request.sound, self.codecs[-1].hop
        if prompt is None or prompt.samples.shape[1] < hop:
            raise MusicError(
                f"a sound to continue has {hop / AUDIO_RATE_HZ:.2f} seconds at least; give a longer"
            )
        if prompt.sample_rate_hz != AUDIO_RATE_HZ or len(prompt.samples) != AUDIO_CHANNELS:
            raise MusicError(f"a sound to continue is stereo at {AUDIO_RATE_HZ} Hz; convert it")
        if not np.isfinite(prompt.samples).all():
            raise MusicError("the sound to continue has samples that are not numbers")
        config = self.facts.priors[-1]
        # As many codes as leave the first window one step to be sampled.
        count = min(prompt.samples.shape[1] // hop, max(1, config.window - config.step))
        kept = np.clip(prompt.samples[:, -count * hop :], -1, 1)
        heard = np.ascontiguousarray(kept.mean(axis=0), dtype=np.float32)
        codes = tuple(codec.encode(heard) for codec in self.codecs)
        return _Begun(codes, heard, kept[:, -1:])

    def _codes(self, streams: Sequence[LevelStream], finest: int, count: int) -> Codes:
        """Return the codes of all levels down to ``finest``, ``count`` of the coarsest."""
        seconds = count * self.codecs[-1].hop / AUDIO_RATE_HZ
        arrays: dict[str, npt.NDArray[Any]] = {
            "codec": self._fingerprint,
            "seconds": np.array([seconds]),
        }
        for level in range(finest, len(streams)):
            each = self.codecs[-1].hop // self.codecs[level].hop
            arrays[f"level{level}"] = streams[level].part(0, count * each).astype(np.int32)
        return Codes(self.system, arrays)

    def _given(self, codes: Codes) -> tuple[Ints, ...]:
        """Return saved codes by level; none of a level that was not sampled.

        Raises:
            NotSupported: for codes of another model, or that are none.
        """
        arrays: Mapping[str, npt.NDArray[Any]] = codes.arrays
        mark = arrays.get("codec")
        if (
            codes.system != self.system
            or mark is None
            or not np.array_equal(mark, self._fingerprint)
        ):
            raise NotSupported(
                "these codes are of another model; go on from them with the one that made them"
            )
        out = []
        for level, codec in enumerate(self.codecs):
            given = arrays.get(f"level{level}", np.zeros(0, dtype=np.int64))
            is_right = given.ndim == 1 and given.dtype.kind == "i"
            if not is_right or (len(given) and not 0 <= given.min() <= given.max() < codec.entries):
                raise NotSupported(f"level{level} of these codes holds none that this model has")
            out.append(given.astype(np.int64))
        for level, ratio in enumerate(self._ratios[:-1]):
            if len(out[level]) > ratio * len(out[level + 1]):
                raise NotSupported(
                    f"level{level} of these codes is longer than level{level + 1} above it"
                )
        return tuple(out)


def _stereo(samples: F32) -> Audio:
    return Audio(np.tile(samples, (AUDIO_CHANNELS, 1)), AUDIO_RATE_HZ)
