"""Sound to be continued: read as latents, and the decoder brought to where it ends."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from partimento.errors import MusicError
from partimento.representations.phase_tracks import phases_of
from partimento.representations.spectra import (
    analyse,
    mid_side,
    overlap_add,
    overlap_start,
)
from partimento.runtime.audio.codec import Codec, DecoderState
from partimento.runtime.contract import AUDIO_CHANNELS, AUDIO_RATE_HZ, Request

__all__ = ["after_prompt", "led_on", "prompt_samples"]

F32 = npt.NDArray[np.float32]
_LEFT = 2.0**-6  # of a difference that is left after a hop


def prompt_samples(request: Request, codec: Codec, most_latents: int) -> F32:
    """Return the last samples (2, N) of a request's prompt: whole latents, silence before them.

    Raises:
        MusicError: if there is no sound to continue, or it is not what a performer takes.
    """
    prompt = request.sound
    if prompt is None or prompt.samples.shape[1] == 0:
        raise MusicError("there is no sound to continue; give one of a second or more")
    if prompt.sample_rate_hz != AUDIO_RATE_HZ or len(prompt.samples) != AUDIO_CHANNELS:
        raise MusicError(f"a sound to continue is stereo at {AUDIO_RATE_HZ} Hz; convert it")
    if not np.isfinite(prompt.samples).all():
        raise MusicError("the sound to continue has samples that are not numbers")
    step = codec.latent_samples
    # Nothing sounds beyond full scale, and squares of what is far beyond are no numbers.
    heard = np.clip(prompt.samples[:, -most_latents * step :], -1, 1)
    out: F32 = np.pad(heard, ((0, 0), (-heard.shape[1] % step, 0)))
    return out


def after_prompt(codec: Codec, heard: F32, given: F32) -> DecoderState:
    """Return the decoder after a prompt (2, N) whose latents are ``given`` (n, width).

    The waves and phases of the real sound are what the first frames are added to.
    """
    spectra = analyse(mid_side(heard), codec.framing)[:, : heard.shape[1] // codec.framing.hop]
    silence = overlap_start(codec.framing, 2)
    _, tail = overlap_add(silence, spectra[:, 1 - codec.framing.overlap :])
    _, state = codec.decode(codec.begin(-len(given), 0), given)
    silent = codec.framing.lag - codec.framing.hop
    track = replace(state.track, phase=phases_of(spectra[:, -1]))
    return DecoderState(state.network, track, tail, silent)


def led_on(samples: F32, last: F32 | None, hop: int) -> F32:
    """Return the first samples, faded in over a hop, or led on from the last sample heard.

    After a prompt they begin a hop early: what the frames make of the prompt's end tells by how
    much they miss it, and that difference fades out.
    """
    if last is None:
        length = min(hop, samples.shape[1])
        out = samples.copy()
        out[:, :length] *= np.linspace(0, 1, length, endpoint=False, dtype=np.float32)
        return out
    out = samples[:, hop:].copy()
    missed = last - samples[:, hop - 1 : hop]
    left = _LEFT ** (np.arange(out.shape[1]) / hop)
    out += missed * left.astype(np.float32)
    return out
