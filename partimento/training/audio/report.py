"""What is said of sound before it is learnt from: how much, how good, what was left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from partimento.training.audio.inventory import Inventory
from partimento.training.audio.shards import Made

__all__ = ["account", "expectation"]

_SHOWN = 3
_CLIPPED = 1e-4
_DC = 0.005
_LOW_RATE_HZ = 32_000
_QUIET_DB = -45.0
_CHANNELS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}


def account(found: Inventory, parts: Sequence[tuple[str, Made]]) -> list[str]:
    """Return lines that describe the data: amounts, rates, silence, clipping, DC, what is skipped.

    ``parts`` are (name of the piece, what became of it).
    """
    kept = [(name, made) for name, made in parts if made.latents]
    seconds = sum(made.figures["seconds"] for _, made in kept)
    what = [f"{found.scores} scores"] if found.scores else []
    what += [f"{found.recordings} recordings"] if found.recordings else []
    lines = [
        f"sound: {' and '.join(what) or 'nothing'}, {_minutes(found.seconds)}; "
        f"made of them: {_minutes(seconds)}"
    ]
    if found.recordings:
        rates = ", ".join(f"{n} at {rate} Hz" for rate, n in sorted(found.rates.items()))
        channels = ", ".join(
            f"{n} {_CHANNELS.get(c, f'of {c} channels')}" for c, n in sorted(found.channels.items())
        )
        formats = ", ".join(f"{n} {kind}" for kind, n in sorted(found.formats.items()))
        lines.append("recordings: " + "; ".join(filter(None, (formats, rates, channels))))
        low = [rate for rate in found.rates if rate < _LOW_RATE_HZ]
        if low:
            lines.append(
                f"recordings at {min(low)} Hz hold nothing above {min(low) // 2} Hz, and so will "
                "what learns from them"
            )
    lines += _faults(kept, seconds)
    skipped = [*(f"{name}: {why}" for name, why in found.skipped), *_problems(parts)]
    if skipped:
        lines.append(f"skipped {len(skipped)}: {_shown(skipped)}")
    if found.duplicates:
        lines.append(f"{found.duplicates} scores that repeat another are left out")
    return lines


def _problems(parts: Sequence[tuple[str, Made]]) -> list[str]:
    """Return one line a piece and problem, with how much of the piece it takes where not all."""
    of = Counter(name for name, _ in parts)
    counts = Counter((name, made.problem) for name, made in parts if made.problem)
    return [
        f"{name}: {why}" + (f" ({count} of {of[name]} parts)" if count < of[name] else "")
        for (name, why), count in counts.items()
    ]


def _faults(kept: Sequence[tuple[str, Made]], seconds: float) -> list[str]:
    def share(key: str) -> float:
        total = sum(float(made.figures[key] * made.figures["seconds"]) for _, made in kept)
        return total / max(seconds, 1e-9)

    def names(limit: float, key: str) -> list[str]:
        return list(dict.fromkeys(name for name, made in kept if made.figures[key] > limit))

    lines = []
    if share("silence") > 0.02:
        lines.append(f"silence (under -60 dBFS): {share('silence'):.0%}")
    if clipped := names(_CLIPPED, "clipped"):
        lines.append(f"clipped ({share('clipped'):.2%} of samples), kept: {_shown(clipped)}")
    if dc := names(_DC, "dc"):
        lines.append(f"off centre (DC), removed: {_shown(dc)}")
    quiet = list(dict.fromkeys(n for n, made in kept if made.figures["rms_db"] < _QUIET_DB))
    if quiet:
        lines.append(f"very quiet, kept as they are: {_shown(quiet)}")
    damaged = list(dict.fromkeys(f"{name} ({made.note})" for name, made in kept if made.note))
    if damaged:
        lines.append(f"read as far as possible: {_shown(damaged)}")
    return lines


def _shown(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return "; ".join([*names[:_SHOWN], *([f"and {more} more"] if more > 0 else [])])


def _minutes(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds >= 3600 else f"{seconds / 60:.1f} minutes"


def expectation(seconds: float) -> str:
    """Return a line on what may be hoped for of so much sound."""
    much = _minutes(seconds)
    if seconds < 15 * 60:
        return (
            f"{much} to train on: the codec learns this sound, and the generator soon memorises "
            "the pieces: expect their textures again in another order, not new music"
        )
    if seconds < 2 * 3600:
        return f"{much} to train on: enough for one instrument or one kind of texture"
    if seconds < 10 * 3600:
        return f"{much} to train on: enough for one narrow style"
    return f"{much} to train on: enough for a style with some variety"
