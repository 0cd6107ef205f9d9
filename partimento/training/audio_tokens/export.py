"""Models of codes as folders: every graph in int8 by what it does with held-out sound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch

from partimento import __version__
from partimento.representations.spectra import LOG_FLOOR, analyse
from partimento.runtime.audio_tokens.prior import CodePriorSession
from partimento.runtime.model_folder import ModelFolder, write_model_folder
from partimento.runtime.sessions import Session, session_of
from partimento.training.audio_tokens.graphs import (
    conditions_graph,
    decoder_graph,
    encoder_graph,
    prior_graph,
)
from partimento.training.audio_tokens.prior_stage import PriorStages
from partimento.training.export.int8_weights import rounded
from partimento.training.export.static_int8 import quantise
from partimento.training.export.writer import plain_card

__all__ = ["write_codes_model"]

F32 = npt.NDArray[np.float32]
Feeds = list[dict[str, npt.NDArray[Any]]]
_CODES = 64  # of a level, given to a decoder at once
_SEEN_EVERY = 7  # steps of a prior of which one is kept, coprime to the rows


def write_codes_model(
    out: Path,
    config: Mapping[str, Any],
    stages: PriorStages,
    heard: F32 | None,
    facts: Mapping[str, Any],
    precisions: tuple[str, ...],
) -> ModelFolder:
    """Write a model folder of four graphs a level; a part's file is ``PART.PRECISION.onnx``.

    ``heard`` are mono samples (B, N) that show the ranges of activations; None keeps weights alone
    in int8.
    """
    parts: dict[str, tuple[onnx.ModelProto, Feeds]] = {}
    codes = _codes_of(stages, heard)
    for level, (codec, prior) in enumerate(zip(stages.codecs, stages.priors, strict=True)):
        parts[f"encoder_{level}"] = (encoder_graph(codec), _features(stages, level, heard))
        given = [] if codes is None else [{"codes": each[:, :_CODES]} for each in codes[level]]
        parts[f"decoder_{level}"] = (decoder_graph(codec), given)
        conditions, step = conditions_graph(prior), prior_graph(prior)
        parts[f"conditions_{level}"] = (conditions, [])
        feeds = [] if codes is None else _steps(stages, level, conditions, step, codes)
        parts[f"prior_{level}"] = (step, feeds)
    files = {
        f"{name}.{kind}.onnx": _made(graph, feeds, kind).SerializeToString()
        for kind in precisions
        for name, (graph, feeds) in parts.items()
    }
    whole: dict[str, Any] = {
        "name": out.name,
        **config,
        "parts": {name: {kind: f"{name}.{kind}.onnx" for kind in precisions} for name in parts},
        "trained": {key: value for key, value in facts.items() if key != "defaults"},
        "partimento": __version__,
    }
    learnt = f"({facts.get('minutes', 0):,} minutes of sound)"
    card = plain_card(whole, learnt, "nats a code")
    return write_model_folder(out, whole, files, card)


def _made(graph: onnx.ModelProto, feeds: Feeds, kind: str) -> onnx.ModelProto:
    if kind != "int8":
        return graph
    return rounded(quantise(graph, feeds) if feeds else graph)


def _codes_of(stages: PriorStages, heard: F32 | None) -> list[list[npt.NDArray[np.int64]]] | None:
    """Return codes (1, n) of each piece of sound, by level; None without."""
    if heard is None:
        return None
    out = []
    with torch.no_grad():
        for codec in stages.codecs:
            device = next(codec.parameters()).device
            codes = codec.encode(torch.from_numpy(heard).to(device)).cpu().numpy()
            out.append([row[None] for row in codes])
    return out


def _features(stages: PriorStages, level: int, heard: F32 | None) -> Feeds:
    """Return what an encoder reads of sound."""
    if heard is None:
        return []
    codec = stages.codecs[level]
    config, framing = codec.config, codec.framing
    frames, split = config.frames(level), config.split(level)
    spectra = analyse(heard, framing)[:, : heard.shape[1] // framing.hop, : config.bins]
    logs = np.log(np.abs(spectra) + LOG_FLOOR).astype(np.float32)
    count = min(max(1, _CODES // split), logs.shape[1] // frames)
    return [
        {"features": each[: count * frames].reshape(1, count, frames, config.bins)} for each in logs
    ]


class _Recorder:
    """A session that keeps what it is fed."""

    def __init__(self, session: Session) -> None:
        self._session, self.feeds, self._count = session, Feeds(), 0

    def require(self, *_: Any) -> None:
        """Take the graph as it is: it was made here."""

    def run(self, names: Sequence[str], feeds: Mapping[str, npt.NDArray[Any]]) -> Any:
        """Run, and keep every few feeds."""
        if self._count % _SEEN_EVERY == 0:
            self.feeds.append({name: np.array(value) for name, value in feeds.items()})
        self._count += 1
        return self._session.run(names, feeds)


def _steps(
    stages: PriorStages,
    level: int,
    conditions: onnx.ModelProto,
    step: onnx.ModelProto,
    codes: list[list[npt.NDArray[np.int64]]],
) -> Feeds:
    """Return what a prior reads, step by step, of a window of each piece."""
    preset = stages.preset
    config, is_top = preset.priors[level], level + 1 == len(stages.priors)
    recorder: Any = _Recorder(session_of(step.SerializeToString(), 1))
    told_by = session_of(conditions.SerializeToString(), 1)
    player = CodePriorSession(recorder, told_by, config, preset.codec.entries[level], is_top)
    artist, genres = np.zeros(1, dtype=np.int64), np.zeros((1, 5), dtype=np.int64)
    for piece, own in enumerate(codes[level]):
        count = min(config.window, own.shape[1])
        if is_top:
            told = np.zeros((1, count, 3), dtype=np.int64)
            told[0, :, 1] = np.arange(count) * 30 // max(1, count)
        else:
            ratio = preset.ratios[level]
            count -= count % ratio
            told = codes[level + 1][piece][:, : count // ratio]
        state = player.begin(artist, genres, told)
        player.append(state, own[:, :0])
        for at in range(count - 1):
            player.append(state, own[:, at : at + 1])
    return list(recorder.feeds)
