"""The performer of every token model: request, constraint, decoder, pieces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from partimento.errors import NotSupported
from partimento.music import Piece
from partimento.representations import realiser_for, token_representation
from partimento.representations.base import TokenRepresentation, input_columns
from partimento.representations.closing import ClosingConstraint
from partimento.runtime.contract import Controls, Request, SamplingControls
from partimento.runtime.decoders import TokenDecoder, decoder_kind
from partimento.runtime.model_folder import MAIN_PART, ModelFolder
from partimento.runtime.sessions import open_session
from partimento.samplers.autoregressive import sample
from partimento.samplers.closing import sample_closing
from partimento.samplers.picks import Pick

__all__ = ["TokenPerformer"]


class TokenPerformer:
    """Plays a token model. It holds weights only."""

    def __init__(
        self,
        decoder: TokenDecoder[Any],
        representation: TokenRepresentation,
        config: Mapping[str, Any],
    ) -> None:
        self.decoder, self.representation, self.config = decoder, representation, config

    @classmethod
    def load(
        cls, folder: ModelFolder, threads: int | None = None, precision: str = "int8"
    ) -> TokenPerformer:
        """Return the performer of a model folder.

        Raises:
            ModelError: if the folder's graph cannot be read, is of an unknown kind, or is not what
                the config says.
        """
        with folder.reading():
            representation = token_representation(folder.config["representation"])
            kind = decoder_kind(folder.config["network"])
            facts = folder.section("network", kind.facts)
            session = open_session(folder.part(MAIN_PART, precision), threads)
            return cls(kind(session, representation, facts), representation, folder.config)

    def stream(
        self, request: Request, controls: Controls, rng: np.random.Generator
    ) -> Iterator[Piece]:
        """Yield the answer bar by bar; see ``contract.Performer``."""
        if not isinstance(controls, SamplingControls):
            raise NotSupported("a token model takes temperature, top_p, top_k and min_p")
        if request.promises.bars is None and not request.endless and self._never_ends:
            raise NotSupported("this model has no notion of an end; ask for bars or for a stream")
        realiser = realiser_for(self.representation, request, self.config)
        pick = Pick(controls.temperature, controls.top_k, controls.top_p, controls.min_p)
        # The walk of this request knows its metre and its end; the weights are shared.
        decoder = self.decoder.following(realiser.representation)
        constraint, prompt = realiser.constraint, realiser.prompt().tolist()
        if isinstance(constraint, ClosingConstraint):
            return realiser.pieces(sample_closing(decoder, pick, constraint, rng, prompt))
        return realiser.pieces(sample(decoder, pick, constraint, rng, prompt))

    @property
    def _never_ends(self) -> bool:
        return self.representation.end_token is None

    def nll(self, tokens: np.ndarray[Any, np.dtype[np.int64]]) -> np.ndarray[Any, np.dtype[Any]]:
        """Return the negative log-likelihood of each token, in nats, by the graph that plays.

        Long pieces are read in windows of which each token sees at least half.
        """
        columns = input_columns(
            tokens,
            self.representation.features(tokens),
            self.representation.start_token,
            self.decoder.local_width,
        )
        window = min(self.decoder.window, len(tokens))
        out = np.zeros(len(tokens))
        done = 0
        while done < len(tokens):
            begin = max(0, done - window // 2) if done else 0
            end = min(len(tokens), begin + window)
            logits = self.decoder.all_logits(columns[begin:end]).astype(np.float64)
            peak = logits.max(axis=1, keepdims=True)
            normaliser = np.log(np.exp(logits - peak).sum(axis=1)) + peak[:, 0]
            picked = logits[np.arange(end - begin), tokens[begin:end]]
            out[done:end] = (normaliser - picked)[done - begin :]
            done = end
        return out
