"""Pictures of a report; needs matplotlib (the ``plots`` extra)."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from partimento.errors import FileError, MissingExtra
from partimento.metrics.features import HISTOGRAMS, SCALARS
from partimento.metrics.report import FeatureComparison, Report
from partimento.metrics.writing import write_whole

__all__ = ["save_plots"]

_MADE, _REAL, _INK, _FAINT = "#c8553d", "#2f6690", "#22252b", "#d9dce1"
_COLUMNS = 4
_DPI = 130
_DEGREES = ("1", "b2", "2", "b3", "3", "4", "#4", "5", "b6", "6", "b7", "7")
_SPANS = {0: "1/16", 2: "1/8", 4: "1/4", 6: "1/2", 8: "1", 10: "2", 12: "4", 14: "8", 16: "16"}


def save_plots(report: Report, folder: str | Path) -> tuple[Path, ...]:
    """Write ``features.png``, ``histograms.png`` and ``similarity.png``; returns their paths.

    The folder is made if it does not exist; each file is written whole or not at all.

    Raises:
        MissingExtra: if matplotlib is not installed.
        FileError: if the folder or a file cannot be written.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtra("drawing plots", "plots") from None
    folder = Path(folder)
    sizes = {"features": (12.0, 10.0), "histograms": (12.0, 7.0), "similarity": (9.0, 4.5)}
    draw = {"features": _features, "histograms": _histograms, "similarity": _similarity}
    paths = []
    for name, size in sizes.items():
        figure: Any = Figure(figsize=size, dpi=_DPI, facecolor="white")
        canvas = FigureCanvasAgg(figure)
        draw[name](figure, report)
        path = folder / f"{name}.png"
        _write(path, canvas)
        paths.append(path)
    return tuple(paths)


def _write(path: Path, canvas: Any) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(
            path, f"cannot be written ({error.strerror})", "check the folder and its space"
        ) from None
    drawn = io.BytesIO()
    canvas.print_png(drawn)
    write_whole(path, drawn.getvalue())


def _tidy(axes: Any, title: str, unit: str) -> None:
    axes.set_title(title.replace("_", " "), fontsize=10, color=_INK, loc="left", weight="bold")
    axes.set_xlabel(unit, fontsize=8, color=_INK)
    axes.tick_params(labelsize=8, colors=_INK, length=2)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(_FAINT)


def _legend(figure: Any, report: Report) -> None:
    handles = []
    for names, colour, what in (
        (report.generated_names, _MADE, "generated"),
        (report.reference_names, _REAL, "reference"),
    ):
        label = f"{what} ({len(names)})"
        handles += figure.axes[0].plot([], [], color=colour, linewidth=6, alpha=0.8, label=label)
    figure.legend(handles=handles, loc="upper right", ncols=2, frameon=False, fontsize=10)


def _curve(values: npt.NDArray[np.float64], at: npt.NDArray[np.float64]) -> Any:
    width = max(float(values.std()) * max(len(values), 1) ** -0.2, float(np.ptp(at)) / 60)
    apart = (at[:, None] - values[None, :]) / width
    return np.exp(-0.5 * apart**2).mean(axis=1) / (width * math.sqrt(2 * math.pi))


def _features(figure: Any, report: Report) -> None:
    rows = -(-len(SCALARS) // _COLUMNS)
    grid = figure.subplots(rows, _COLUMNS, squeeze=False).reshape(-1)
    figure.subplots_adjust(0.03, 0.05, 0.98, 0.92, wspace=0.16, hspace=0.55)
    for axes, name in zip(grid, SCALARS, strict=False):
        _one_feature(axes, report.features[name])
    for axes in grid[len(SCALARS) :]:
        axes.axis("off")
    _legend(figure, report)
    figure.suptitle(
        "Features, one value a piece", x=0.03, y=0.985, ha="left", color=_INK, weight="bold"
    )


def _one_feature(axes: Any, feature: FeatureComparison) -> None:
    sides = [v[np.isfinite(v)] for v in (feature.generated, feature.reference)]
    both = np.concatenate(sides)
    _tidy(axes, feature.name, feature.unit)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    if not len(both):
        axes.text(0.5, 0.5, "not defined", ha="center", va="center", transform=axes.transAxes)
        return
    room = max(float(np.ptp(both)) * 0.15, 0.1 * max(abs(float(both.max())), 1.0))
    if np.ptp(both) > 0.02 * max(abs(float(both.max())), 1.0):
        room = float(np.ptp(both)) * 0.15
    at = np.linspace(both.min() - room, both.max() + room, 300)
    for values, colour in zip(sides, (_MADE, _REAL), strict=True):
        if len(values):
            height = _curve(values, at)
            axes.fill_between(at, height, color=colour, alpha=0.28, linewidth=0)
            axes.plot(at, height, color=colour, linewidth=1.6)
            axes.axvline(values.mean(), color=colour, linewidth=1.0, linestyle=(0, (3, 2)))
    axes.set_ylim(bottom=0)
    axes.set_xlim(at[0], at[-1])
    axes.locator_params(axis="x", nbins=5)
    if feature.distance.overlap is not None:
        axes.set_title(f"OA {feature.distance.overlap:.2f}", loc="right", fontsize=9, color=_INK)


def _histograms(figure: Any, report: Report) -> None:
    grid = figure.subplots(2, 2).reshape(-1)
    figure.subplots_adjust(0.05, 0.07, 0.985, 0.89, wspace=0.12, hspace=0.32)
    titles = {
        "pitch_classes": ("pitch classes over the tonic", "scale degree"),
        "intervals": ("melodic intervals", "semitones"),
        "inter_onsets": ("time between onsets", "quarters"),
        "durations": ("durations", "quarters"),
    }
    for axes, name in zip(grid, HISTOGRAMS, strict=True):
        feature = report.features[name]
        _tidy(axes, *titles[name])
        bins = feature.generated.shape[1]
        at = np.arange(bins)
        for values, colour, move in (
            (feature.generated, _MADE, -0.21),
            (feature.reference, _REAL, 0.21),
        ):
            known = values[np.isfinite(values).all(axis=1)]
            if len(known):
                mean = known.mean(axis=0)
                axes.bar(at + move, mean, width=0.42, color=colour, alpha=0.85, linewidth=0)
        axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:g}%")
        axes.locator_params(axis="y", nbins=6, steps=[1, 2, 5, 10])
        axes.grid(axis="y", color=_FAINT, linewidth=0.6)
        axes.set_axisbelow(True)
        if name == "pitch_classes":
            axes.set_xticks(at, _DEGREES)
        elif name == "intervals":
            axes.set_xticks(range(0, bins, 2), [f"{k - 12:+d}" if k != 12 else "0" for k in
                                                range(0, bins, 2)])  # fmt: skip
        else:
            axes.set_xticks(list(_SPANS), list(_SPANS.values()))
    _legend(figure, report)
    figure.suptitle("Mean histograms", x=0.03, y=0.985, ha="left", color=_INK, weight="bold")


def _similarity(figure: Any, report: Report) -> None:
    axes = figure.subplots()
    figure.subplots_adjust(0.075, 0.11, 0.98, 0.87)
    lags = np.arange(1, len(report.similarity_generated.similarity) + 1)
    for curve, colour in (
        (report.similarity_generated, _MADE),
        (report.similarity_reference, _REAL),
    ):
        # Faint where few pairs of bars stand behind a point.
        sure = curve.pairs >= max(10, 0.02 * int(curve.pairs.max(initial=0)))
        axes.plot(lags, curve.similarity, color=colour, linewidth=1.2, alpha=0.35)
        axes.plot(
            lags, np.where(sure, curve.similarity, np.nan), color=colour, linewidth=2.0,
            marker="o", markersize=3.5,
        )  # fmt: skip
    _tidy(axes, "similarity of bars by distance", "bars apart")
    axes.set_ylabel("shared notes / all notes", fontsize=8, color=_INK)
    axes.set_ylim(bottom=0)
    axes.set_xlim(0.5, len(lags) + 0.5)
    axes.set_xticks([1, *range(4, len(lags) + 1, 4)])
    axes.grid(axis="y", color=_FAINT, linewidth=0.6)
    if report.similarity_error is not None:
        axes.text(
            0.99, 0.97, f"SE {report.similarity_error:.3f}", ha="right", va="top",
            transform=axes.transAxes, fontsize=9, color=_INK,
        )  # fmt: skip
    _legend(figure, report)
