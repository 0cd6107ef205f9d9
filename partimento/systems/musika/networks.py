"""The networks of Musika (Pasini and Schlueter 2022, arXiv 2208.08706).

The parts and where they live::

    spectra, whole and streamed             -> representations/spectra.py
    latent coordinates, style, noise        -> representations/latent_coordinates.py
    the codec that ships: encoder, decoder  -> training/nn/codec.py  StreamingCodec
    phases from their advances              -> representations/phase_tracks.py
    discriminators of complex spectra       -> training/nn/discriminators/stft.py
    the published codec of two levels       -> systems/musika/published_codec.py
    generator, discriminator of latents     -> training/nn/latent_gan.py, latent_gan_halves.py
"""

from __future__ import annotations

from partimento.runtime.audio.presets import MusikaPreset
from partimento.systems.musika.published_codec import TwoLevelCodec
from partimento.training.nn.codec import StreamingCodec

__all__ = ["codec"]


def codec(preset: MusikaPreset) -> StreamingCodec | TwoLevelCodec:
    """Return the codec of a preset: the one that ships, or the published one."""
    if preset.codec.kind == "two_level":
        return TwoLevelCodec(preset.codec)
    return StreamingCodec(preset.codec)
