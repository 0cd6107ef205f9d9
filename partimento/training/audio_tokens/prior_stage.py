"""The priors in training, one stage a level: the likelihood of each code of a window.

Batches hold windows of codes with what the prior is told: labels, the codes above, the place in the
piece (``training/nn/code_prior.py``). What lies beyond the end of a short track counts for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from partimento.representations.sound_labels import GENRES_AT_MOST, UNKNOWN, time_bins
from partimento.runtime.audio_tokens.presets import JukeboxPreset
from partimento.runtime.presets import TrainingConfig
from partimento.training.audio.data import AudioSet
from partimento.training.audio.latent_data import codec_print
from partimento.training.audio_tokens.code_data import (
    CodedTrack,
    CodeSet,
    encode_tracks,
    load_codes,
    save_codes,
)
from partimento.training.contract import Batch, Loss, Player, Stage
from partimento.training.nn.code_prior import CodePrior
from partimento.training.nn.spectral_vqvae import SpectralVQVAE

__all__ = ["PriorStages", "bigram_nll"]

_SPLITS = ("train", "valid")
_JUDGED = 24  # held-out windows of a validation
_VALID_BATCH = 6
_FORGET = 0.1  # of the windows are of an unknown artist and kind
_FEW = 4000  # codes of the coarsest level, under which a prior learns them by heart

Ints = npt.NDArray[np.int64]


class PriorStages:
    """Losses and validation of the priors; ``take`` sets their data."""

    def __init__(
        self, preset: JukeboxPreset, codecs: Sequence[SpectralVQVAE], priors: Sequence[CodePrior]
    ) -> None:
        self.preset, self.codecs, self.priors = preset, tuple(codecs), tuple(priors)
        self.sets: dict[str, CodeSet] = {}
        self._sounds: Mapping[str, AudioSet] = {}
        self._folder: Path | None = None
        self._say: Callable[[str], None] = lambda _text: None

    def take(
        self, sounds: Mapping[str, AudioSet], folder: Path, say: Callable[[str], None]
    ) -> None:
        """Take the splits of sound, and the folder of the run in which codes are kept."""
        self._sounds, self._folder, self._say, self.sets = sounds, folder, say, {}

    def stages(self, trainings: Sequence[TrainingConfig]) -> tuple[Stage, ...]:
        """Return a stage for each level, the coarsest first."""
        levels = reversed(range(len(self.priors)))
        return tuple(
            Stage(
                f"prior{level}",
                (Player(f"prior{level}", (self.priors[level],), partial(self.loss_of, level)),),
                training,
                partial(self._batch, level, training),
                partial(self.validate, level),
                freezes=self.codecs,
            )
            for level, training in zip(levels, trainings, strict=True)
        )

    def encoded(self) -> dict[str, CodeSet]:
        """Return the codes of the splits, made by the codecs as they are now."""
        if self.sets:
            return self.sets
        mark = "".join(codec_print(codec)[:16] for codec in self.codecs)
        for split in _SPLITS:
            found = None if self._folder is None else load_codes(self._folder, split, mark)
            if found is None:
                clips = self._sounds[split].clips
                self._say(f"encoding the {split} split: {len(clips)} parts")
                found = encode_tracks(self.codecs, clips)
                if self._folder is not None:
                    save_codes(self._folder, split, found, mark)
            self.sets[split] = found
        if len(self.sets["train"]) < _FEW:
            self._say(
                f"{len(self.sets['train']):,} codes of the coarsest level are few: the priors will "
                "learn the pieces by heart; add music, or begin from a larger run with --start-from"
            )
        return self.sets

    def _batch(self, level: int, training: TrainingConfig, draw: np.random.Generator) -> Batch:
        found, window = self.encoded()["train"], self.preset.priors[level].window
        places = found.draw(draw, training.batch_size, level, window)
        batch = self.windows(found, level, places)
        forget = torch.from_numpy(draw.random(len(places)) < _FORGET)
        return {
            **batch,
            "artist": batch["artist"] * ~forget,
            "genres": batch["genres"] * ~forget[:, None],
        }

    def windows(
        self, found: CodeSet, level: int, places: Sequence[tuple[int, int]]
    ) -> dict[str, Tensor]:
        """Return what a prior reads of windows: see `CodePrior`, and ``kept`` (B, L)."""
        window = self.preset.priors[level].window
        rows = [self._window(found.tracks[at], level, start, window) for at, start in places]
        return {name: torch.from_numpy(np.stack([row[name] for row in rows])) for name in rows[0]}

    def _window(
        self, track: CodedTrack, level: int, start: int, window: int
    ) -> dict[str, npt.NDArray[np.generic]]:
        preset, labels = self.preset, track.labels
        codes = track.codes[level][start : start + window]
        row: dict[str, npt.NDArray[np.generic]] = {
            "codes": np.pad(codes, (0, window - len(codes))),
            "kept": np.arange(window) < len(codes),
            "artist": np.array(_number(labels.artist, preset.artists)),
            "genres": np.array(
                ([_number(genre, preset.genres) for genre in labels.genres] + [0] * GENRES_AT_MOST)[
                    :GENRES_AT_MOST
                ]
            ),
        }
        if level + 1 < len(track.codes):
            ratio = preset.ratios[level]
            above = track.codes[level + 1][start // ratio : (start + window) // ratio]
            row["upper"] = np.pad(above, (0, window // ratio - len(above)))
        else:
            second = preset.data.sample_rate_hz / preset.codec.hops[level]
            times = (start + np.arange(window)) / second
            row["time"] = time_bins(times, len(track.codes[level]) / second)
        return row

    def loss_of(self, level: int, batch: Batch) -> Loss:
        """Return the mean negative log-likelihood of the codes of windows, in nats a code."""
        prior = self.priors[level]
        nll = self.nll(level, batch)
        if prior.lyrics is None:
            return Loss(nll)
        words = prior.lyrics.loss(batch["lyrics"])
        return Loss(
            nll + prior.lyrics.weight * words, {"nll": nll.detach(), "words": words.detach()}
        )

    def nll(self, level: int, batch: Batch) -> Tensor:
        """Return the mean over the codes of windows that are there."""
        logits = self.priors[level](batch).float()
        each = F.cross_entropy(logits.flatten(0, 1), batch["codes"].flatten(), reduction="none")
        kept = batch["kept"].flatten().float()
        return (each * kept).sum() / kept.sum()

    def validate(self, level: int) -> Mapping[str, float]:
        """Return the likelihood of held-out codes, and that of a bigram beside it."""
        found, window = self.encoded()["valid"], self.preset.priors[level].window
        device = next(self.priors[level].parameters()).device
        places = found.spread(_JUDGED, level, window)
        total, weight = 0.0, 0.0
        for at in range(0, len(places), _VALID_BATCH):
            batch = self.windows(found, level, places[at : at + _VALID_BATCH])
            count = float(batch["kept"].sum())
            moved = {name: value.to(device) for name, value in batch.items()}
            total += float(self.nll(level, moved)) * count
            weight += count
        entries = self.preset.codec.entries[level]
        return {"loss": total / weight, "bigram": bigram_nll(self.sets, level, entries)}


def bigram_nll(sets: Mapping[str, CodeSet], level: int, entries: int) -> float:
    """Return the nats a held-out code by a bigram of the train codes, mixed with their unigram.

    Interpolated (Witten-Bell): the more different codes followed one, the more the unigram counts.
    """
    train = [track.codes[level] for track in sets["train"].tracks]
    single = np.bincount(np.concatenate(train), minlength=entries) + 1.0
    single /= single.sum()
    pairs = np.concatenate([each[:-1] * entries + each[1:] for each in train])
    keys, counts = np.unique(pairs, return_counts=True)
    first = keys // entries
    total = np.bincount(first, weights=counts, minlength=entries)
    kinds = np.bincount(first, minlength=entries)
    valid = np.concatenate(
        [each[:-1] * entries + each[1:] for each in (t.codes[level] for t in sets["valid"].tracks)]
    )
    at = np.minimum(np.searchsorted(keys, valid), len(keys) - 1)
    seen = np.where(keys[at] == valid, counts[at], 0)
    before, after = valid // entries, valid % entries
    share = (seen + kinds[before] * single[after]) / np.maximum(total[before] + kinds[before], 1)
    share = np.where(total[before] > 0, share, single[after])
    return float(-np.log(share).mean())


def _number(name: str, known: Sequence[str]) -> int:
    """Return the number of a label; 0 of one that is unknown."""
    return 0 if name == UNKNOWN or name not in known else list(known).index(name)
