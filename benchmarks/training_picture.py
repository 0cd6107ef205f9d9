"""Draw the log of a run: the likelihood, both sides of the game, and what validation found.

    python -m benchmarks.training_picture RUN PICTURE.png

RUN is the folder of a run of ``seqgan``, ``transformer_gan`` or ``tts_gan``; its
``training/log.jsonl`` is read.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_BELIEFS = ("discriminator_real", "discriminator_fake", "discriminator_made")
_RIGHT = ("discriminator_right_steps", "discriminator_right_whole")
_SCORES = ("generator_score_steps", "generator_score_whole")
_OVER_TIME = ("valid_js_velocity_autocorrelation", "valid_js_offset_autocorrelation")
_PANELS = (
    ("likelihood", "nats a token", ("model_nll", "valid_loss")),
    ("discriminator", "how often it is right of pairs", _RIGHT),
    ("adversarial", "the discriminator's belief that it is real", _BELIEFS),
    ("adversarial", "how often the discriminator is right", _RIGHT),
    ("adversarial", "log-odds the discriminator gives", _SCORES),
    ("adversarial", "against validation music", ("valid_bleu", "valid_self_bleu", "valid_overlap")),
    ("adversarial", "manifold and new, 1: as the data", ("valid_diversity", "valid_novelty")),
    ("adversarial", "curves, Jensen-Shannon distance", ("valid_js_velocity", "valid_js_offset")),
    ("adversarial", "the same of autocorrelations", _OVER_TIME),
    ("adversarial", "spread, 1: as the data", ("valid_spread",)),
)


def read(run: Path) -> list[dict[str, Any]]:
    """Return the lines of a run's log."""
    text = (run / "training" / "log.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def draw(lines: Sequence[dict[str, Any]], out: Path) -> None:
    """Draw one panel beside the other, those without figures left out."""
    from matplotlib.figure import Figure

    shown = []
    for stage, title, keys in _PANELS:
        own = [line for line in lines if line["stage"] == stage]
        curves = {
            key: [(line["step"], line[key]) for line in own if key in line]
            for key in keys
            if any(key in line for line in own)
        }
        if curves:
            shown.append((f"{stage}: {title}", curves))
    figure = Figure(figsize=(4 * len(shown), 3), layout="constrained", dpi=100)
    panels = figure.subplots(1, len(shown), squeeze=False)[0]
    for axes, (title, curves) in zip(panels, shown, strict=True):
        for name, points in curves.items():
            axes.plot(*zip(*points, strict=True), label=name, linewidth=1.2)
        axes.set_title(title, fontsize=9)
        axes.set_xlabel("step", fontsize=8)
        axes.tick_params(labelsize=8)
        axes.legend(fontsize=7)
        axes.grid(alpha=0.3)
    figure.savefig(out)


def main() -> None:
    """Draw the picture that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("picture", type=Path)
    given = parser.parse_args()
    draw(read(given.run), given.picture)


if __name__ == "__main__":
    main()
