"""What the benchmarks of Jukebox share: a loaded model, its codes, and its likelihoods."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.audio_clips import F32
from benchmarks.jukebox_speed import model_of
from benchmarks.recorded_clips import named_clips, recordings
from partimento import seeds
from partimento.config import validate_config
from partimento.music import Audio
from partimento.representations.sound_labels import UNKNOWN, labels_of_name, time_bins
from partimento.runtime.audio_tokens.performer import CodesControls, CodesPerformer
from partimento.runtime.audio_tokens.presets import JukeboxPreset
from partimento.runtime.audio_tokens.prior import CodePriorSession
from partimento.runtime.contract import AUDIO_RATE_HZ, Request
from partimento.runtime.model_folder import ModelFolder
from partimento.systems.jukebox import PRESETS
from partimento.systems.jukebox.training import JukeboxTask
from partimento.training.audio_tokens.code_data import CodedTrack, CodeSet
from partimento.training.audio_tokens.prior_stage import bigram_nll

__all__ = ["Bench", "bench_of", "code_sets", "nll_of"]

Ints = npt.NDArray[np.int64]
_WINDOWS = 12  # of a level, whose likelihood is taken


@dataclass
class Bench:
    """A model that plays."""

    performer: CodesPerformer
    folder: ModelFolder
    preset: JukeboxPreset

    @property
    def name(self) -> str:
        """The model's name."""
        return self.folder.name

    def played(self, request: Request, seed: int, **controls: Any) -> F32:
        """Return the sound (2, N) of a request."""
        stream = self.performer.stream(
            request, CodesControls(**controls), np.random.default_rng(seed)
        )
        return np.concatenate([x.samples for x in stream if isinstance(x, Audio)], axis=1)

    def shuffled(self, sounds: Sequence[F32]) -> list[F32]:
        """Return the finest codes of sounds in drawn order, decoded."""
        codec, out = self.performer.codecs[0], []
        for at, sound in enumerate(sounds):
            codes = seeds.generator(7, at).permutation(codec.encode(sound.mean(axis=0)))
            out.append(np.tile(codec.decode_all(codes), (2, 1)))
        return out

    @cached_property
    def drawn(self) -> CodesPerformer:
        """Priors with weights as drawn over the model's codecs."""
        torch.manual_seed(0)
        with tempfile.TemporaryDirectory() as place:
            task = JukeboxTask(self.preset)
            folder = task.export(Path(place) / "drawn", {})
            other = CodesPerformer.load(folder)
        return CodesPerformer(
            self.performer.codecs, other.priors, self.performer.facts, self.performer.system,
            self.performer._fingerprint,
        )  # fmt: skip

    def untrained(self, seconds: float, count: int) -> list[F32]:
        """Return sound of the codecs with priors that learnt nothing."""
        other = Bench(self.drawn, self.folder, self.preset)
        request = Request(duration_seconds=seconds)
        return [other.played(request, seed) for seed in range(count)]


def bench_of(name: str | None, quick: bool) -> Bench:
    """Return the model that is named or ships, else one with weights as drawn."""
    with tempfile.TemporaryDirectory() as place:
        folder = model_of(name, Path(place), "tiny" if quick else "games")
        performer = CodesPerformer.load(folder)
    config = folder.config.get("preset") or PRESETS["games"].model_dump(mode="json")
    return Bench(performer, folder, validate_config(JukeboxPreset, config, "preset"))


def code_sets(bench: Bench, spec: str, quick: bool) -> dict[str, CodeSet]:
    """Return the codes of the train and the valid split of a corpus, all its recordings."""
    hops = bench.performer.facts.codec.hops
    out = {}
    for split in ("train", "valid"):
        found = list(recordings(spec, split)) or named_clips(spec, split, 2, 6.0 if quick else 30.0)
        tracks = []
        for name, sound in found:
            count = sound.shape[1] // hops[-1] * hops[-1]
            heard = sound[:, :count].mean(axis=0)
            codes = tuple(codec.encode(heard) for codec in bench.performer.codecs)
            tracks.append(CodedTrack(name, codes))
        out[split] = CodeSet(tuple(tracks), hops)
    return out


def nll_of(bench: Bench, spec: str, quick: bool) -> dict[str, Mapping[str, float]]:
    """Return nats a code of held-out codes by level: of the prior, a bigram, an even choice."""
    sets, facts = code_sets(bench, spec, quick), bench.performer.facts
    out = {}
    for level, session in enumerate(bench.performer.priors):
        window = facts.priors[level].window
        places = sets["valid"].spread(2 if quick else _WINDOWS, level, window)
        each = [
            _window_nll(bench, session, level, sets["valid"].tracks[at], first)
            for at, first in places
        ]
        out[f"level{level}"] = {
            "prior": round(float(np.mean(each)), 3),
            "bigram": round(bigram_nll(sets, level, facts.codec.entries[level]), 3),
            "even": round(float(np.log(facts.codec.entries[level])), 3),
        }
    return out


def _window_nll(
    bench: Bench, session: CodePriorSession, level: int, track: CodedTrack, first: int
) -> float:
    """Return the mean nats of the codes of one window."""
    facts, hops = bench.performer.facts, bench.performer.facts.codec.hops
    codes = track.codes[level][first : first + facts.priors[level].window]
    artist = labels_of_name(track.name).artist
    number = facts.artists.index(artist if artist in facts.artists else UNKNOWN)
    if level + 1 < len(hops):
        ratio = bench.performer._ratios[level]
        codes = codes[: len(codes) // ratio * ratio]
        told = track.codes[level + 1][first // ratio : (first + len(codes)) // ratio]
    else:
        second = AUDIO_RATE_HZ / hops[level]
        times = (first + np.arange(len(codes))) / second
        told = time_bins(times, len(track.codes[level]) / second)
    state = session.begin(np.array([number]), np.zeros((1, 5), dtype=np.int64), told[None])
    total, logits = 0.0, session.append(state, codes[None, :0])[0]
    for at, code in enumerate(codes):
        logits = logits.astype(np.float64)
        total -= logits[code] - np.logaddexp.reduce(logits)
        if at + 1 < len(codes):
            logits = session.append(state, codes[None, at : at + 1])[0]
    return total / len(codes)
