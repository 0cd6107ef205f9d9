"""Does the sound do as it is told? Asked density, tempo and loudness against what is measured.

    python -m benchmarks.musika_control [--model NAME]

For each control, values over its usable range (from a tenth to nine tenths of the music the model
learnt from lie in it), pieces of 20 s of several seeds a value; all else is as in the data.
``density_r``, ``tempo_r`` and ``loudness_r`` are the correlations of asked and measured values over
all pieces; ``..._slope`` how much of a change that is asked is measured. Onsets, tempi and levels
are measured by ``evaluate.audio_features``; a tempo is looked for within the range that is asked
and a tenth beyond, so neither half nor double tempi count, nor help. Where the music's tempo never
changed, or is not known, ``tempo_r`` is null and why is said.

``change_heard_s``: loudness is asked otherwise in the middle of a stream; how much later is the
first sample that differs, at the worst of several places?
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.audio_clips import F32, MODEL
from benchmarks.harness import Options, say, start
from partimento.analysis.audio import loudness, onset_times, tempo
from partimento.catalog import open_model
from partimento.runtime.audio.performer import LatentAudioPerformer, MusikaControls
from partimento.runtime.contract import AUDIO_RATE_HZ, Controls, Request

SECONDS = 20.0
SEEDS = 5
VALUES = 6
LEAST_R = 0.8
MOST_HEARD_SECONDS = 0.5
CHANGES = (3.0, 3.1, 3.2, 3.3, 3.35)
HEARD = 1e-4
LEAST_SPAN = {"density": 0.5, "tempo": 10.0, "loudness": 3.0}
UNITS: Mapping[str, Callable[[float], float]] = {
    "density": lambda told: told * 8,
    "tempo": lambda told: 60 + 120 * told,
    "loudness": lambda told: 60 * told - 60,
}


def sound(performer: LatentAudioPerformer, request: Request, controls: Controls, seed: int) -> F32:
    """Return the samples that a request comes to."""
    draw = np.random.default_rng(seed)
    return np.concatenate([p.samples for p in performer.stream(request, controls, draw)], axis=1)


def usable(known: Mapping[str, list[float]], name: str) -> tuple[float, float] | None:
    """Return the range of a control that the music fills; None if it is too narrow to matter."""
    quantiles = known.get(name)
    if not quantiles:
        return None
    low, high = (UNITS[name](float(np.quantile(quantiles, share))) for share in (0.1, 0.9))
    return (low, high) if high - low >= LEAST_SPAN[name] else None


def measured(name: str, samples: F32, span: tuple[float, float]) -> float:
    """Return what a sound has of a control."""
    if name == "density":
        return float(len(onset_times(samples, AUDIO_RATE_HZ)) * AUDIO_RATE_HZ / samples.shape[1])
    if name == "tempo":
        return float(tempo(samples, AUDIO_RATE_HZ, span[0] / 1.1, span[1] * 1.1))
    return float(10 * np.log10(np.mean(10 ** (loudness(samples) / 10))))


def obeyed(
    performer: LatentAudioPerformer, name: str, span: tuple[float, float], seeds: int
) -> tuple[float, float]:
    """Return correlation and slope of what is measured over what is asked."""
    pairs = []
    request = Request(duration_seconds=SECONDS)
    for asked in np.linspace(*span, VALUES).tolist():
        found = []
        for seed in range(seeds):
            controls = MusikaControls.model_validate({name: asked})
            found.append(measured(name, sound(performer, request, controls, seed), span))
        say(f"{name} {asked:.1f}: {np.mean(found):.2f} +- {np.std(found):.2f}")
        pairs += [(asked, value) for value in found]
    x, y = np.array(pairs).T
    if not y.std():
        return 0.0, 0.0
    return float(np.corrcoef(x, y)[0, 1]), float(np.polyfit(x, y, 1)[0])


def change_heard(performer: LatentAudioPerformer, low: float, high: float) -> float:
    """Return the longest time from a change of loudness to the first sample that differs."""
    latest = 0.0
    soft, loud = MusikaControls(loudness=low), MusikaControls(loudness=high)
    still = sound(performer, Request(duration_seconds=6.0, steer=lambda _at: soft), soft, 1)
    for change in CHANGES:

        def steer(at: float, change: float = change) -> Controls:
            return loud if at >= change else soft

        other = sound(performer, Request(duration_seconds=6.0, steer=steer), soft, 1)
        differs: npt.NDArray[np.bool_] = np.abs(other - still).max(axis=0) > HEARD
        first = float(np.argmax(differs)) / AUDIO_RATE_HZ if differs.any() else np.inf
        latest = max(latest, first - change)
    return latest


def run(options: Options) -> dict[str, Any]:
    """Measure."""
    folder = open_model(options.more.get("model") or MODEL)
    performer = LatentAudioPerformer.load(folder)
    known = folder.config["network"].get("conditions") or {}
    figures: dict[str, Any] = {}
    for name in UNITS:
        span = usable(known, name)
        if span is None:
            say(f"{name}: the music knows one value of it only, or none")
            figures[f"{name}_r"] = None
            continue
        r, slope = obeyed(performer, name, span, 1 if options.quick else SEEDS)
        figures |= {f"{name}_r": round(r, 3), f"{name}_slope": round(slope, 3)}
        figures[f"{name}_range"] = [round(each, 1) for each in span]
    figures["change_heard_s"] = round(change_heard(performer, -40.0, -15.0), 3)
    return {**figures, "model": folder.name}


if __name__ == "__main__":
    start(
        __doc__,
        run,
        {
            "density_r": lambda value: value is None or value >= LEAST_R,
            "tempo_r": lambda value: value is None or value >= LEAST_R,
            "change_heard_s": lambda value: value <= MOST_HEARD_SECONDS,
        },
        {"model": "the model that plays: a name or a folder"},
    )
