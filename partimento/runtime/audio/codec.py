"""Codecs of sound under ONNX Runtime: weights in the codec, everything else in the state.

The decoder's graph says how loud each bin of mid and side is and how its phase advances, frame by
frame; ``representations.phase_tracks`` sums the phases, and the inverse transform makes samples. A
stream of latents gives the samples of the whole, however it is cut.

What the network says at a place depends on `Codec.reach` latents before it and no more, so pieces
far apart can be said at the same time (`Codec.said`), and made to sound at the same time
(`Codec.sound`); only the phases between (`Stretch.turned`) must be summed in order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from partimento.errors import ModelError, NotSupported
from partimento.representations.phase_tracks import PhaseTrack, Steps, spectra_at, steps_of
from partimento.representations.spectra import (
    Framing,
    Tail,
    analyse,
    left_right,
    log_magnitudes,
    mid_side,
    overlap_add,
    overlap_start,
)
from partimento.runtime.audio.presets import CodecConfig, LatentAudioFacts
from partimento.runtime.model_folder import ModelFolder
from partimento.runtime.sessions import Dims, Session, open_session

__all__ = [
    "Codec",
    "DecoderState",
    "NetworkState",
    "Stretch",
    "Turned",
    "open_part",
    "turned_in_order",
]

F32 = npt.NDArray[np.float32]
Memory = Mapping[str, F32]
_PIECE = 32  # frames turned to sound at a time: they stay in the processor's cache
_HEARD = 512  # latents encoded at a time


def open_part(folder: ModelFolder, part: str, precision: str) -> Session:
    """Return the session of one part of a model (``decoder``, ``encoder``, ``generator``).

    It computes on the thread that calls it, so that several threads may call it at once.

    Raises:
        ModelError: if the model has no such part, or it cannot be read.
    """
    return open_session(folder.part(part, precision), threads=1, flush_denormals=True)


@dataclass(frozen=True)
class NetworkState:
    """Where the network of a decoder stands; a value that may be kept and gone on from again."""

    memory: Memory  # what each block remembers, by the name of its input
    frame: int  # the number of the next frame: those of latent i begin with i * latent_frames
    sounding: int  # the first frame that is output


@dataclass(frozen=True)
class Stretch:
    """What the network says of some frames: (T, 4, bins) and how much is noise (T, 2, bands)."""

    frames: F32
    noise: F32
    steps: Steps
    first: int  # the number of the first frame

    def turned(self, track: PhaseTrack) -> tuple[Turned, PhaseTrack]:
        """Return these frames with their phases, and the track after them."""
        turns, track = track.follow(self.steps)
        return Turned(self.frames, self.noise, turns, self.first), track


@dataclass(frozen=True)
class Turned:
    """A stretch whose phases are known: ``turns`` (T, 2 bins), 2^32 to a turn."""

    frames: F32
    noise: F32
    turns: npt.NDArray[np.int32]
    first: int


@dataclass(frozen=True)
class DecoderState:
    """Where a stream of sound stands; a value as well."""

    network: NetworkState
    track: PhaseTrack
    tail: Tail  # waves that the next frames are added to
    silent: int  # samples still to be left out


class Codec:
    """A causal codec: samples (2, N) to latents (n, width) and back."""

    def __init__(
        self,
        decoder: Session,
        encoder: Session | None,
        config: CodecConfig,
    ) -> None:
        if config.kind != "flowing":
            raise NotSupported(f"a codec of kind {config.kind} cannot be played, flowing can")
        self.config, self._decoder, self._encoder = config, decoder, encoder
        self.framing = Framing(config.size, config.hop)
        bins, width = self.framing.bins, config.latent_width
        self._memory = _memory(config, config.decoder_widths, config.decoder_blocks)
        self._heard = _memory(config, config.encoder_widths, config.encoder_blocks)
        bands = next((e.shape[-1] for e in decoder.get_outputs() if e.name == "noise"), 0)
        if not isinstance(bands, int) or not 1 <= bands <= bins:
            raise ModelError("the decoder has no bands of noise; install the model again")
        frames: dict[str, Dims] = {
            "frames": ("float", (None, None, 4, bins)),
            "noise": ("float", (None, None, 2, bands)),
        }
        decoder.require(
            {"latents": ("float", (None, None, width)), **_dims(self._memory)},
            {**frames, **_dims(self._memory, "new_")},
            "the decoder",
        )
        if encoder is not None:
            encoder.require(
                {"features": ("float", (None, None, 2 * bins)), **_dims(self._heard)},
                {"latents": ("float", (None, None, width)), **_dims(self._heard, "new_")},
                "the encoder",
            )
        self._outputs = ["frames", "noise", *(f"new_{name}" for name in self._memory)]

    @classmethod
    def load(cls, folder: ModelFolder, precision: str = "int8") -> Codec:
        """Return the codec of a model folder; one without an encoder can only play.

        Raises:
            ModelError: if a graph is missing or cannot be read.
            NotSupported: if the codec is of a kind that cannot be played.
        """
        return cls.load_with(folder, folder.section("network", LatentAudioFacts).codec, precision)

    @classmethod
    def load_with(cls, folder: ModelFolder, config: CodecConfig, precision: str = "int8") -> Codec:
        """Return the codec of a model folder whose sizes are known; as `load` otherwise."""
        encoder = open_part(folder, "encoder", precision) if "encoder" in folder.parts else None
        return cls(open_part(folder, "decoder", precision), encoder, config)

    @property
    def latent_samples(self) -> int:
        """Samples a latent."""
        return self.config.latent_samples

    @property
    def wait(self) -> int:
        """Latents after a latent until all of its sound is there."""
        frames = self.framing.overlap - 1
        return self.config.lookahead + -(-frames // self.config.latent_frames)

    @property
    def reach(self) -> int:
        """Latents before a latent that what the network says of it depends on."""
        config, frames, step = self.config, 0, self.config.latent_frames
        ups = (1, *reversed(config.joins))
        for blocks, up in zip(config.decoder_blocks, ups, strict=True):
            step //= up
            frames += blocks * (config.kernel - 1) * step
        return -(-frames // config.latent_frames)

    def enter(self, first: int = 0, sounding: int | None = None) -> NetworkState:
        """Return the network before latent ``first``; output begins at latent ``sounding``."""
        frames = self.config.latent_frames
        heard = first if sounding is None else sounding
        heard = (heard + self.config.lookahead) * frames
        return NetworkState(_silence(self._memory), first * frames, heard)

    def begin(self, first: int = 0, sounding: int | None = None) -> DecoderState:
        """Return the state of a stream before latent ``first``."""
        return DecoderState(
            self.enter(first, sounding),
            self.track(first if sounding is None else sounding),
            overlap_start(self.framing, 2),
            self.framing.lag,
        )

    def track(self, first: int = 0) -> PhaseTrack:
        """Return where phases stand before the sound of latent ``first``."""
        frame = (first + self.config.lookahead) * self.config.latent_frames
        return PhaseTrack.start(2, self.framing.bins, self.framing.overlap, frame)

    def said(self, state: NetworkState, latents: F32) -> tuple[list[Stretch], NetworkState]:
        """Return what the network says of latents (n, width), and the network after them."""
        found = self._decoder.run(self._outputs, {"latents": latents[None], **state.memory})
        frames, noise = found[0][0], found[1][0]
        memory = dict(zip(self._memory, found[2:], strict=True))
        late = min(max(0, state.sounding - state.frame), len(frames))
        stretches = []
        for at in range(late, len(frames), _PIECE):
            piece = frames[at : at + _PIECE]
            steps = steps_of(piece, self.framing.overlap)
            stretches.append(Stretch(piece, noise[at : at + _PIECE], steps, state.frame + at))
        return stretches, NetworkState(memory, state.frame + len(frames), state.sounding)

    def sound(self, stretches: Sequence[Turned], tail: Tail) -> tuple[F32, Tail]:
        """Return the samples (2, m) that stretches complete, and the tail after them.

        The samples lag behind the frames by ``framing.lag``.
        """
        pieces = [np.zeros((2, 0), dtype=np.float32)]
        for each in stretches:
            spectra = spectra_at(each.turns, each.frames, each.noise, each.first)
            samples, tail = overlap_add(tail, spectra)
            pieces.append(left_right(samples))
        return np.concatenate(pieces, axis=1), tail

    def decode(self, state: DecoderState, latents: F32) -> tuple[F32, DecoderState]:
        """Return the samples (2, m) that latents (n, width) settle, and the state after them.

        Of the last latents nothing is output until ``wait`` more have come: n latents from the
        beginning have given ``n * latent_samples`` less that delay.
        """
        stretches, network = self.said(state.network, latents)
        turned, track = turned_in_order(stretches, state.track)
        samples, tail = self.sound(turned, state.tail)
        early = min(state.silent, samples.shape[1])
        return samples[:, early:], DecoderState(network, track, tail, state.silent - early)

    def decode_all(self, latents: F32) -> F32:
        """Return the samples (2, n * latent_samples) of latents (n, width), the plain way.

        The last latent is repeated until all is settled.
        """
        padded = np.concatenate([latents, np.repeat(latents[-1:], self.wait, axis=0)])
        samples, _ = self.decode(self.begin(), padded)
        return samples[:, : len(latents) * self.latent_samples]

    def encode(self, samples: F32) -> F32:
        """Return the latents (n, width) of samples (2, N); n is N / latent_samples, rounded up.

        Raises:
            NotSupported: if the model has no encoder.
        """
        if self._encoder is None:
            raise NotSupported(
                "this model has no encoder, so it cannot read sound; take one that has"
            )
        count = -(-samples.shape[1] // self.latent_samples)
        missing = count * self.latent_samples - samples.shape[1]
        whole = mid_side(np.pad(samples, ((0, 0), (0, missing))))
        shapes = self._heard
        names, memory = ["latents", *(f"new_{name}" for name in shapes)], _silence(shapes)
        pieces = [np.zeros((0, self.config.latent_width), np.float32)]
        lag, step = self.framing.lag, _HEARD * self.latent_samples
        for at in range(0, whole.shape[1], step):
            # Frames depend on what came before them, so a piece begins with the end of the last.
            before = min(lag, at)
            part = whole[:, at - before : at + step]
            spectra = analyse(part, self.framing)
            first, frames = before // self.framing.hop, (part.shape[1] - before) // self.framing.hop
            logs = log_magnitudes(spectra[:, first : first + frames])
            features = np.ascontiguousarray(logs.transpose(1, 0, 2)).reshape(1, frames, -1)
            found = self._encoder.run(names, {"features": features, **memory})
            memory = dict(zip(shapes, found[1:], strict=True))
            pieces.append(found[0][0])
        return np.concatenate(pieces)


def turned_in_order(
    stretches: Iterable[Stretch], track: PhaseTrack
) -> tuple[list[Turned], PhaseTrack]:
    """Return stretches with their phases, each beginning where the last one ended."""
    out = []
    for stretch in stretches:
        turned, track = stretch.turned(track)
        out.append(turned)
    return out, track


def _memory(
    config: CodecConfig, widths: Sequence[int], blocks: Sequence[int]
) -> dict[str, tuple[int, ...]]:
    """Return the shape (1, steps, width) of each block's memory, by the name of the input."""
    each = [width for width, count in zip(widths, blocks, strict=True) for _ in range(count)]
    return {f"state_{at}": (1, config.kernel - 1, width) for at, width in enumerate(each)}


def _dims(shapes: Mapping[str, tuple[int, ...]], prefix: str = "") -> dict[str, Dims]:
    return {f"{prefix}{name}": ("float", (None, *shape[1:])) for name, shape in shapes.items()}


def _silence(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, F32]:
    return {name: np.zeros(shape, dtype=np.float32) for name, shape in shapes.items()}
