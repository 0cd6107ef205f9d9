"""Several pieces in one batch, or one after another: what it gains, and what it changes.

    python -m benchmarks.batching [--samples N] [--quick]

The shipped model of chorales makes N pieces (8) of eight bars without a cadence, each with its own
seed, once one by one and once in lockstep in one batch, on one thread. ``gain`` is the processor
time of the first over that of the second; ``same`` counts the pieces whose tokens are equal. In
int8 a batch is rounded with one scale for all of its rows, so that a piece depends on its
neighbours: this is why ``--num-samples`` makes one after another. ``same_again`` counts the pieces
that are equal when each is made alone a second time: it must be ``tried``.
``first_of_batch`` is the time to the first piece in a batch over that of one alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from benchmarks.harness import Options, say, start
from partimento import catalog
from partimento.music import Promises
from partimento.representations.registry import realiser_for
from partimento.runtime.contract import Request, Task
from partimento.runtime.tokens.performer import TokenPerformer
from partimento.samplers.autoregressive import sample, sample_batch
from partimento.samplers.picks import Pick
from partimento.seeds import generator

_MODEL = "music-transformer-chorales"
_SAMPLES, _BARS = 8, 8


def _cpu_seconds(call: Callable[[], Any]) -> tuple[float, Any]:
    began = time.process_time()
    made = call()
    return time.process_time() - began, made


def run(options: Options) -> dict[str, Any]:
    """Make the pieces both ways and compare."""
    count = int(options.more.get("samples") or (2 if options.quick else _SAMPLES))
    bars = 1 if options.quick else _BARS
    folder = catalog.open_model(_MODEL)
    performer = TokenPerformer.load(folder, threads=1)
    request = Request(Task.GENERATE, promises=Promises(bars=bars))
    realiser = realiser_for(performer.representation, request, performer.config)
    decoder = performer.decoder.following(realiser.representation)
    prompt, rule = realiser.prompt().tolist(), realiser.constraint
    pick = Pick(temperature=0.95, top_p=0.97)

    def alone() -> list[list[int]]:
        return [list(sample(decoder, pick, rule, generator(n), prompt)) for n in range(count)]

    def together() -> list[list[int]]:
        rngs = [generator(n) for n in range(count)]
        return sample_batch(decoder, pick, [rule] * count, rngs, prompt)

    together()  # the first run of a graph prepares its memory
    seconds_alone, pieces = _cpu_seconds(alone)
    seconds_together, batch = _cpu_seconds(together)
    _, again = _cpu_seconds(alone)
    say(f"one after another {seconds_alone:.2f} s, in one batch {seconds_together:.2f} s")
    return {
        "tried": count,
        "gain": round(seconds_alone / seconds_together, 2),
        "first_of_batch": round(seconds_together / (seconds_alone / count), 2),
        "same": sum(a == b for a, b in zip(pieces, batch, strict=True)),
        "same_again": sum(a == b for a, b in zip(pieces, again, strict=True)),
        "holds": pieces == again,
    }


TARGETS: dict[str, Callable[[Any], bool]] = {"holds": bool, "gain": lambda gain: gain > 1}

if __name__ == "__main__":
    start(__doc__, run, TARGETS, {"samples": f"how many pieces ({_SAMPLES})"})
