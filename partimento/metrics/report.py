"""Everything at once: a generated set of pieces beside a reference set of real ones."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from partimento.errors import MusicError
from partimento.metrics.adherence import Adherence, adherence
from partimento.metrics.copying import CopyIndex, CopyRate, copy_rate
from partimento.metrics.distributions import Distance, compare_values
from partimento.metrics.features import HISTOGRAMS, SCALARS, features
from partimento.metrics.judge import LEAST_PIECES, JudgeReport, judge
from partimento.metrics.similarity import SimilarityCurve, similarity_curve, similarity_error
from partimento.music import Promises, Score

__all__ = ["FeatureComparison", "Report", "Row", "compare"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FeatureComparison:
    """One feature of both sets: its values (pieces,) or (pieces, bins), and how far apart."""

    name: str
    unit: str
    generated: Floats
    reference: Floats
    distance: Distance


@dataclass(frozen=True)
class Row:
    """One line of the table; each column is text, empty where there is nothing to say."""

    measure: str
    generated: str
    reference: str
    comparison: str


@dataclass(frozen=True, eq=False)
class Report:
    """What ``compare`` found.

    - ``features`` by name; ``overlap``, 0..1, is the mean overlapped area over all of them
      (Yang and Lerch), None where none is defined.
    - ``similarity_generated``, ``similarity_reference``: curves by bar lag; ``similarity_error``
      is Museformer's SE.
    - ``judge``: the two-sample test; None with fewer than four pieces of either kind.
    - ``copy_generated``, ``copy_reference``: the copy check and its base rate on the reference
      pieces; None without an index.
    - ``adherence``: by generated piece; None where no promises were given.
    """

    generated_names: tuple[str, ...]
    reference_names: tuple[str, ...]
    features: Mapping[str, FeatureComparison]
    similarity_generated: SimilarityCurve
    similarity_reference: SimilarityCurve
    similarity_error: float | None
    judge: JudgeReport | None
    copy_generated: CopyRate | None
    copy_reference: CopyRate | None
    adherence: Mapping[str, Adherence] | None

    @property
    def overlap(self) -> float | None:
        """The mean overlapped area over the features that have one."""
        found = [f.distance.overlap for f in self.features.values()]
        known = [value for value in found if value is not None]
        return float(np.mean(known)) if known else None

    def rows(self) -> list[Row]:
        """Return the table, top to bottom; the first row is the number of pieces."""
        counts = str(len(self.generated_names)), str(len(self.reference_names))
        rows = [Row("pieces", *counts, "")]
        for feature in self.features.values():
            rows.append(_feature_row(feature))
        rows.append(Row("overlapped area, mean", "", "", f"{_text(self.overlap)} (1 is best)"))
        rows.append(
            Row("similarity error SE", "", "", f"{_text(self.similarity_error)} (0 is best)")
        )
        if self.judge is not None:
            found = f"{self.judge.accuracy:.1%} +- {self.judge.standard_error:.1%}"
            rows.append(Row("judge's accuracy", "", "", f"{found} (50 % is best)"))
        if self.copy_generated is not None and self.copy_reference is not None:
            rows += _copy_rows(self.copy_generated, self.copy_reference)
        if self.adherence is not None:
            kept = sum(one.kept for one in self.adherence.values())
            rows.append(Row("promises kept", f"{kept} of {len(self.adherence)}", "", ""))
        return rows

    def summary(self) -> dict[str, object]:
        """Return all figures as JSON values; what is not defined is None."""
        tables = {name: _feature_summary(f) for name, f in self.features.items()}
        kept = None
        if self.adherence is not None:
            kept = {
                name: [violation.text for violation in one.violations]
                for name, one in self.adherence.items()
            }
        out = {
            "generated": list(self.generated_names),
            "reference": list(self.reference_names),
            "overlap": self.overlap,
            "similarity_error": self.similarity_error,
            "similarity_generated": self.similarity_generated.similarity.tolist(),
            "similarity_reference": self.similarity_reference.similarity.tolist(),
            "judge": None if self.judge is None else asdict(self.judge),
            "copy_generated": None if self.copy_generated is None else asdict(self.copy_generated),
            "copy_reference": None if self.copy_reference is None else asdict(self.copy_reference),
            "promises_broken": kept,
            "features": tables,
        }
        plain = _plain(out)
        assert isinstance(plain, dict)
        return plain

    def to_json(self) -> str:
        """Return ``summary`` as JSON text."""
        return json.dumps(self.summary(), ensure_ascii=False, indent=2, allow_nan=False)


def _plain(value: object) -> object:
    """Return JSON values alone: NaN and infinities become None, tuples lists."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value


def _text(value: float | None) -> str:
    return "-" if value is None or not math.isfinite(value) else f"{value:.3f}"


def _moments(values: Floats) -> tuple[float, float]:
    """Return (mean, standard deviation) of the finite values; NaN without any."""
    known = values[np.isfinite(values)]
    if not len(known):
        return math.nan, math.nan
    return float(known.mean()), float(known.std())


def _feature_row(feature: FeatureComparison) -> Row:
    far = feature.distance
    comparison = f"OA {_text(far.overlap)}, KLD {_text(far.kld)}"
    if feature.generated.ndim > 1:
        comparison += f", shared {_text(far.value_overlap)}"
        return Row(f"{feature.name} (histogram)", "", "", comparison)

    def side(values: Floats) -> str:
        mean, spread = _moments(values)
        return "-" if math.isnan(mean) else f"{mean:.3f} +- {spread:.3f}"

    measure = f"{feature.name} ({feature.unit})"
    return Row(measure, side(feature.generated), side(feature.reference), comparison)


def _feature_summary(feature: FeatureComparison) -> dict[str, object]:
    out: dict[str, object] = {"unit": feature.unit, **asdict(feature.distance)}
    for side, values in (("generated", feature.generated), ("reference", feature.reference)):
        if values.ndim > 1:
            known = values[np.isfinite(values).all(axis=1)]
            out[f"{side}_mean"] = known.mean(axis=0).tolist() if len(known) else None
        else:
            out[f"{side}_mean"], out[f"{side}_std"] = _moments(values)
    return out


def _copy_rows(made: CopyRate, real: CopyRate) -> list[Row]:
    def share(rate: CopyRate) -> str:
        return "-" if math.isnan(rate.share) else f"{rate.share:.1%}"

    def longest(rate: CopyRate) -> str:
        if not rate.worst:
            return "none"
        return f"{rate.longest_max} notes ({rate.worst}: {rate.reports[rate.worst].source})"

    def mean(rate: CopyRate) -> str:
        return f"{rate.longest_mean:.1f} notes"

    return [
        Row("copied share of n-grams", share(made), share(real), ""),
        Row("longest copied run, mean", mean(made), mean(real), ""),
        Row("longest copied run", longest(made), longest(real), ""),
    ]


def _comparisons(
    generated: Mapping[str, Score], reference: Mapping[str, Score]
) -> dict[str, FeatureComparison]:
    made = [features(score).as_dict() for score in generated.values()]
    real = [features(score).as_dict() for score in reference.values()]
    out = {}
    for name, unit in {**SCALARS, **HISTOGRAMS}.items():
        first = np.array([one[name] for one in made], dtype=np.float64)
        second = np.array([one[name] for one in real], dtype=np.float64)
        distance = compare_values(first, second)
        out[name] = FeatureComparison(name, unit, first, second, distance)
    return out


def _has_notes(pieces: Mapping[str, Score]) -> dict[str, Score]:
    return {name: score for name, score in pieces.items() if any(t.notes for t in score.tracks)}


def compare(
    generated: Mapping[str, Score],
    reference: Mapping[str, Score],
    rng: np.random.Generator,
    copy_index: CopyIndex | None = None,
    promises: Promises | None = None,
) -> Report:
    """Return how ``generated`` pieces compare with ``reference`` pieces, both by name.

    ``rng`` deals the pieces to the judge's folds; the same generator state gives the same report.
    With ``copy_index`` both sets are held against the training music; with ``promises`` each
    generated piece is held to them.

    Raises:
        MusicError: if either set is empty.
    """
    for what, pieces in (("generated", generated), ("reference", reference)):
        if not pieces:
            raise MusicError(f"there are no {what} pieces to compare; give at least one")
    made, real = _has_notes(generated), _has_notes(reference)
    curves = [similarity_curve(pieces.values()) for pieces in (generated, reference)]
    enough = min(len(made), len(real)) >= LEAST_PIECES
    return Report(
        generated_names=tuple(generated),
        reference_names=tuple(reference),
        features=_comparisons(generated, reference),
        similarity_generated=curves[0],
        similarity_reference=curves[1],
        similarity_error=similarity_error(*curves),
        judge=judge(made, real, rng) if enough else None,
        copy_generated=copy_rate(copy_index, generated) if copy_index else None,
        copy_reference=copy_rate(copy_index, reference, leave_one_out=True) if copy_index else None,
        adherence=None
        if promises is None
        else {name: adherence(score, promises) for name, score in generated.items()},
    )
