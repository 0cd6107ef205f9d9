"""The networks of Jukebox, one codec and one prior a level, from the parts of the family.

Dhariwal et al. 2020 (arXiv 2005.00341)::

    Section 3.1, Figure 3    three separate VQ-VAEs        -> codecs_of, published_codec.py
    Eq. 1, 2                 L_codebook, L_commit, L_recons -> training/nn/quantisers/vector.py
    Eq. 3                    spectral loss                  -> published_codec.spectral_loss
    Eq. 4 to 7               p(z) = p(top) p(middle | top) p(bottom | middle, top) -> priors_of
"""

from __future__ import annotations

from partimento.runtime.audio_tokens.presets import JukeboxPreset
from partimento.systems.jukebox.published_codec import PublishedVQVAE
from partimento.training.nn.code_prior import CodePrior
from partimento.training.nn.spectral_vqvae import SpectralVQVAE

__all__ = ["codecs_of", "network", "priors_of"]


def codecs_of(preset: JukeboxPreset) -> list[SpectralVQVAE | PublishedVQVAE]:
    """Return the codecs, the finest first: they share nothing."""
    kind = SpectralVQVAE if preset.codec.kind == "spectral" else PublishedVQVAE
    return [kind(preset.codec, level) for level in range(preset.codec.levels)]


def priors_of(preset: JukeboxPreset) -> list[CodePrior]:
    """Return the priors, the finest first.

    The middle and the bottom see the codes of the level right above them (Section 3.2): those above
    that are in them. Time and lyrics are told at the top alone.
    """
    entries, levels = preset.codec.entries, preset.codec.levels
    labels = (max(1, len(preset.artists)), max(1, len(preset.genres)))
    out = []
    for level, config in enumerate(preset.priors):  # Eq. 5 to 7
        is_top = level == levels - 1
        upper = None if is_top else (entries[level + 1], preset.ratios[level])
        lyrics = preset.lyrics if is_top else None
        out.append(CodePrior(config, entries[level], upper, labels, is_top, lyrics))
    return out


def network(preset: JukeboxPreset) -> SpectralVQVAE | PublishedVQVAE:
    """Return the codec of the finest level."""
    return codecs_of(preset)[0]
