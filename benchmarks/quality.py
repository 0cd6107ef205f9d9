"""How near to real music? Shipped models, the LSTM baseline and n-grams against held-out pieces.

For each domain every contestant makes as many pieces as there are held-out ones, of the same bars
and metre. Each is sampled at the settings of a small sweep, its own defaults among them, at which
the judge finds its pieces nearest to validation pieces (``sampling``). The LSTM has Music
Transformer's tokens, features, countdown and number of training tokens (``benchmarks.rivals``);
where it is not there its command is printed and its figure is null. The n-grams count all training
pieces. Then the same comparison for each: a judge trained apart tries to tell generated from
held-out (0.5 is perfect), overlapped area of feature distributions (1 is perfect), similarity
error SE over bar lags (0 is perfect), copied share of n-grams against the training music beside
the share that held-out pieces themselves have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import Options, say, start
from benchmarks.rivals import found
from partimento import api, seeds
from partimento.files import open_corpus
from partimento.metrics.copying import CopyIndex
from partimento.metrics.judge import judge
from partimento.metrics.ngram import NGramModel
from partimento.metrics.report import compare
from partimento.music import Promises, Score, Timeline, TimeSignature
from partimento.music.transform import crop, join
from partimento.representations import BarEvents, FourVoiceGrid, realiser_for
from partimento.representations.base import TokenRepresentation, Tokens
from partimento.runtime.contract import Request
from partimento.samplers.autoregressive import sample
from partimento.samplers.picks import Pick

BARS = 16
HELD = 80  # pieces of each kind at the most
SWEPT = 20  # validation pieces of the sweep
SWEEP = ((0.9, 1.0), (0.95, 0.97), (1.0, 1.0))  # temperature, top_p
TARGETS: dict[str, Callable[[Any], bool]] = {
    "chorales": lambda figures: figures["ahead"],
    "piano": lambda figures: figures["ahead"],
}


Setting = tuple[float, float]


@dataclass(frozen=True)
class Domain:
    """A kind of music: its training and held-out pieces, and who plays it."""

    name: str
    representation: FourVoiceGrid | BarEvents
    model: str
    baseline: str
    train: Callable[[], Iterator[Score]]
    valid: Callable[[], Iterator[Score]]
    test: Callable[[], Iterator[Score]]
    offsets: tuple[int, ...]
    periods: tuple[int, ...]
    tempo: float


def _of(corpora: list[tuple[str, dict[str, Any]]], split: str) -> Iterator[Score]:
    for name, options in corpora:
        for _, piece in open_corpus(name, **options).pieces(split):
            if isinstance(piece, Score) and piece.end_ticks:
                yield piece


def domains() -> list[Domain]:
    """Return the two domains that ship."""
    chorales: list[tuple[str, dict[str, Any]]] = [("jsb_chorales", {}), ("js_fakes", {})]
    piano: list[tuple[str, dict[str, Any]]] = [
        ("chopin_first_editions", {"one_edition": True}),
        ("openscore_lieder", {"part": "piano"}),
    ]
    return [
        Domain(
            "chorales", FourVoiceGrid(), "music-transformer-chorales", "chorales-lstm",
            lambda: _of(chorales, "train"), lambda: _of(chorales[:1], "valid"),
            lambda: _of(chorales[:1], "test"),
            (4, 1, 2, 3, 8), (4,), 84.0,
        ),
        Domain(
            "piano", BarEvents(), "music-transformer-piano", "piano-lstm",
            lambda: _of(piano, "train"), lambda: _of(piano, "valid"), lambda: _of(piano, "test"),
            (1, 2, 3, 4, 5), (), 100.0,
        ),
    ]  # fmt: skip


def excerpt(score: Score, representation: TokenRepresentation, tempo: float) -> Score:
    """Return the last bars of a piece, at most ``BARS``, as the representation holds them.

    The last ones, since every generated piece closes too. All at one tempo, so that the judge
    hears the notes and not the metronome.
    """
    held = representation.quantize(score)
    bars = Timeline(held).bars
    if len(bars) > BARS:
        held = crop(held, bars[-BARS].onset_ticks, bars[-1].end_ticks)
    return replace(
        held, tempos=(replace(held.tempos[0], quarters_per_minute=tempo),) if held.tempos else ()
    )


@dataclass
class _Counting:
    """An n-gram model as a decoder."""

    model: NGramModel
    vocabulary_size: int

    def begin(self, batch: int) -> list[int]:
        return []

    def append(self, state: list[int], tokens: Tokens) -> tuple[Any, list[int]]:
        past = state + tokens[0].tolist()
        logits = self.model.logits(past[-self.model.context_length :], len(past))
        return logits.astype(np.float32)[None], past


def by_counting(
    domain: Domain, model: NGramModel, request: Request, seed: int, pick: Pick
) -> Score:
    """Return a piece sampled from n-grams under the same promises."""
    realiser = realiser_for(domain.representation, request, {"instruments": [0]})
    decoder = _Counting(model, domain.representation.vocabulary.size)
    tokens = sample(decoder, pick, realiser.constraint, seeds.generator(seed))
    return join(list(realiser.pieces(tokens)))


def wishes_of(piece: Score) -> tuple[int, TimeSignature]:
    """Return the bars and the metre that a contestant must match."""
    bars = Timeline(piece).bars
    lengths = [str(bar.time_signature) for bar in bars]
    common = max(sorted(set(lengths)), key=lengths.count)
    metre = next(bar.time_signature for bar in bars if str(bar.time_signature) == common)
    return len(bars), replace(metre, onset_ticks=0)


Play = Callable[[int, TimeSignature, int, float, float], Score]


def asked(domain: Domain, play: Play, pieces: Mapping[str, Score], at: Setting) -> dict[str, Score]:
    """Return a generated piece for each real one, of its bars and metre, at one setting."""
    made = {}
    for number, piece in enumerate(pieces.values()):
        score = play(*wishes_of(piece), number, *at)
        made[f"made-{number}"] = excerpt(score, domain.representation, domain.tempo)
    return made


def best_setting(
    domain: Domain, play: Play, valid: Mapping[str, Score], settings: Sequence[Setting]
) -> Setting:
    """Return the setting whose pieces the judge confuses most with validation pieces."""
    if len(settings) == 1:
        return settings[0]
    told = [
        judge(asked(domain, play, valid, at), valid, seeds.generator(1)).accuracy for at in settings
    ]
    return settings[int(np.argmin(told))]


def players(domain: Domain, train: Sequence[Score]) -> dict[str, Play | None]:
    """Return who plays, by the suffix of their keys; None for who is not there."""

    def by_model(name: str | Path) -> Play:
        instrument = api.load(name)
        return lambda bars, metre, seed, temperature, top_p: (
            instrument.generate(
                bars=bars, time_signature=str(metre), seed=seed, tempo=domain.tempo,
                temperature=temperature, top_p=top_p, humanize=0,
            ).score
        )  # fmt: skip

    counts = NGramModel(domain.representation.vocabulary.size, domain.offsets, domain.periods)
    counts.fit([domain.representation.encode(piece) for piece in train])

    def counted(
        bars: int, metre: TimeSignature, seed: int, temperature: float, top_p: float
    ) -> Score:
        promises = Promises(bars=bars, time_signature=metre)
        request = Request(promises=promises, tempo_quarters_per_minute=domain.tempo)
        return by_counting(domain, counts, request, seed, Pick(temperature, 0, top_p))

    lstm = found(domain.baseline)
    return {
        "": by_model(domain.model),
        "_lstm": None if lstm is None else by_model(lstm),
        "_ngram": counted,
    }


def measure(domain: Domain, quick: bool) -> dict[str, Any]:
    """Return the figures of one domain."""
    train = list(islice(domain.train(), 60 if quick else None))

    def excerpts(pieces: Iterator[Score], most: int) -> dict[str, Score]:
        cut = (excerpt(each, domain.representation, domain.tempo) for each in islice(pieces, most))
        return {f"real-{number}": piece for number, piece in enumerate(cut)}

    held = excerpts(domain.test(), 4 if quick else HELD)
    valid = excerpts(domain.valid(), SWEPT)
    say(f"{domain.name}: {len(held)} pieces held out")
    folder = api.load(domain.model).folder
    index = CopyIndex.load(folder.path / str(folder.config["copy_index"]))
    figures: dict[str, Any] = {"pieces": len(held), "sampling": {}}
    for suffix, play in players(domain, train).items():
        if play is None:
            figures[f"judge{suffix}"] = None
            continue
        setting = best_setting(domain, play, valid, SWEEP[:1] if quick else SWEEP)
        figures["sampling"][suffix or "_model"] = setting
        figures |= _figures(suffix, asked(domain, play, held, setting), held, index)
        say(f"{domain.name}{suffix}: {figures}")
    rivals = [figures[f"judge{suffix}"] for suffix in ("_lstm", "_ngram")]
    figures["ahead"] = all(figures["judge"] < rival for rival in rivals if rival is not None)
    return figures


def _figures(
    suffix: str, made: Mapping[str, Score], held: Mapping[str, Score], index: CopyIndex
) -> dict[str, Any]:
    report = compare(made, held, seeds.generator(0), copy_index=index)
    assert report.judge is not None
    assert report.copy_generated is not None
    assert report.copy_reference is not None
    out: dict[str, Any] = {
        f"judge{suffix}": round(report.judge.accuracy, 3),
        f"judge_error{suffix}": round(report.judge.standard_error, 3),
        f"overlap{suffix}": round(report.overlap or 0.0, 3),
        f"se{suffix}": round(report.similarity_error or 0.0, 4),
        f"copy_share{suffix}": round(report.copy_generated.share, 4),
        f"copy_longest{suffix}": report.copy_generated.longest_max,
    }
    if not suffix:
        out["copy_share_real"] = round(report.copy_reference.share, 4)
    return out


def run(options: Options) -> dict[str, Any]:
    """Measure both domains."""
    return {domain.name: measure(domain, options.quick) for domain in domains()}


if __name__ == "__main__":
    start(__doc__, run, TARGETS)
