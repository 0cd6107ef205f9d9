"""The performer of every token model: request, constraint, decoder, pieces."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from partimento.errors import ModelError, NotSupported
from partimento.music import Piece
from partimento.representations import realiser_for, token_representation
from partimento.representations.base import TokenRepresentation, input_columns
from partimento.runtime.contract import Controls, Request, SamplingControls
from partimento.runtime.decoders import AttentionDecoder, RecurrentDecoder
from partimento.runtime.model_folder import ModelFolder
from partimento.runtime.sessions import open_session
from partimento.samplers.autoregressive import Decoder, sample
from partimento.samplers.picks import Pick

__all__ = ["TokenDecoder", "TokenPerformer"]

TokenDecoder = AttentionDecoder | RecurrentDecoder
_KINDS: dict[str, type[AttentionDecoder] | type[RecurrentDecoder]] = {
    "transformer": AttentionDecoder,
    "recurrent": RecurrentDecoder,
}


class TokenPerformer:
    """Plays a token model. It holds weights only."""

    def __init__(
        self, decoder: TokenDecoder, representation: TokenRepresentation, config: dict[str, Any]
    ) -> None:
        self.decoder, self.representation, self.config = decoder, representation, config

    @classmethod
    def load(
        cls, folder: ModelFolder, threads: int | None = None, precision: str = "int8"
    ) -> TokenPerformer:
        """Return the performer of a model folder.

        Raises:
            ModelError: if the folder's graph cannot be read or is of an unknown kind.
        """
        config = dict(folder.config)
        representation = token_representation(config["representation"])
        network = config["network"]
        if network.get("kind") not in _KINDS:
            raise ModelError(f"{folder.name}: networks of kind {network.get('kind')!r} are unknown")
        session = open_session(folder.graph(precision), threads)
        decoder = _KINDS[network["kind"]](session, representation, network)
        return cls(decoder, representation, config)

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
        decoder: Decoder[Any] = self.decoder.following(realiser.representation)
        tokens = sample(decoder, pick, realiser.constraint, rng, realiser.prompt().tolist())
        return realiser.pieces(tokens)

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
