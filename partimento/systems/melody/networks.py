"""The networks of MeLoDy (Lam et al. 2023, arXiv 2305.15719).

The parts and where they live::

    semantic features and their clusters      -> representations/semantics.py
    chords, beats and what else is asked      -> representations/guides.py
    captions, hashed n-grams                  -> representations/words.py
    joint embedding, residual quantiser       -> training/nn/joint_words.py
    language model of tokens                  -> training/nn/transformer.py
    dual-path diffusion, section 4            -> training/nn/dual_path.py, sru.py
    velocity target, angles of chunks         -> training/objectives/velocity.py
    step schedule and sampler                 -> samplers/diffusion.py
    codec                                     -> training/nn/codec.py  StreamingCodec
"""

from __future__ import annotations

from partimento.runtime.audio.diffusion_presets import MelodyPreset
from partimento.training.nn.codec import StreamingCodec
from partimento.training.nn.dual_path import DualPath, dual_path

__all__ = ["codec", "denoiser"]


def codec(preset: MelodyPreset) -> StreamingCodec:
    """Return the codec of a preset."""
    return StreamingCodec(preset.codec)


def denoiser(preset: MelodyPreset) -> DualPath:
    """Return the dual-path denoiser of a preset."""
    return dual_path(preset.diffusion, preset.codec.latent_width, preset.tokens)
