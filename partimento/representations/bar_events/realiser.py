"""How a request becomes bar events and how their tokens become bars."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from partimento.music import Score
from partimento.representations.bar_events.constraint import BarEventConstraint
from partimento.representations.bar_events.tokens import TEMPOS, BarEvents, Ruling
from partimento.representations.base import Tokens
from partimento.representations.constraint import Constraint
from partimento.representations.realiser import TokenRequest, metre_of, tempo_of, with_marks

__all__ = ["BarEventsRealiser"]


class BarEventsRealiser:
    """Bars of notes with durations, any instruments that the model was trained on."""

    def __init__(
        self, representation: BarEvents, request: TokenRequest, config: Mapping[str, Any]
    ) -> None:
        self.events, self.request = representation, request
        self.representation: Any = representation
        self.tempo = tempo_of(request, config)
        nearest = None
        if self.tempo is not None:
            nearest = int(np.abs(np.log(np.array(TEMPOS) / self.tempo)).argmin())
        instruments = config.get("instruments")
        promises = request.promises
        if promises.time_signature is None and (promises.bars is not None or request.score):
            promises = replace(promises, time_signature=metre_of(request))
        self.constraint: Constraint[Any] = BarEventConstraint(
            representation,
            promises,
            tempo_bin=nearest,
            instruments=tuple(instruments) if instruments else None,
            endless=request.endless,
        )

    def prompt(self) -> Tokens:
        """Return the tokens of the prompt, its end token left out."""
        if self.request.score is None:
            return np.zeros(0, dtype=np.int64)
        tokens = self.events.encode(self.request.score)
        return np.asarray(tokens[tokens != self.events.end_token])

    def pieces(self, tokens: Iterator[int]) -> Iterator[Score]:
        """Yield one bar at a time."""
        bar_token = self.events.vocabulary.first("bar")
        ruling = Ruling()
        if self.request.score is not None:
            _, ruling = self.events.decode_after(ruling, self.prompt())
        bar: list[int] = []
        for token in tokens:
            if token == bar_token and bar:
                score, ruling = self.events.decode_after(ruling, bar)
                yield with_marks(score, self.request, self.tempo)
                bar = []
            bar.append(token)
            if token == self.events.end_token:
                break
        if bar and bar[0] == bar_token:
            score, ruling = self.events.decode_after(ruling, bar)
            yield with_marks(score, self.request, self.tempo)
