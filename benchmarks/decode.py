"""Tokens a second of our decoder against Hugging Face's ``generate``.

GPT-2's shape in fp32 under PyTorch there, ours under ONNX Runtime with an in-place cache; random
weights, all cores, 400 tokens. Contestants take turns, five rounds; a figure is the ratio of the
medians. Rows, each at batch 1 and batch 16:

- ``ratio_b1``, ``ratio_b16``: 6 layers of 512 with 8 heads; ours in int8 with 2 key/value heads;
- ``fp32``: the same with 8 key/value heads in fp32: only the runtime differs;
- ``int8``: the same with 8 key/value heads in int8: the runtime and the number format;
- ``shipped``: 4 layers of 256 with 8 heads and relative attention in int8, as the chorales model
  that ships; there GPT-2 of 4 layers of 256.

``floor_ratio_b1`` is our time a token over the time that reading the weights once takes at the
memory bandwidth measured here. Needs ``pip install transformers``; without it only our own speeds
are printed, and the targets are missed.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from benchmarks.harness import Options, say, start, timed
from partimento.representations import BarEvents
from partimento.representations.base import Tokens, Vocabulary
from partimento.runtime.decoders import AttentionDecoder, AttentionFacts
from partimento.runtime.presets import TransformerConfig
from partimento.runtime.sessions import session_of
from partimento.samplers.autoregressive import sample, sample_batch
from partimento.samplers.picks import Pick
from partimento.systems.music_transformer import PRESETS
from partimento.training.export.graph_builder import transformer_graph
from partimento.training.export.writer import quantized
from partimento.training.nn.transformer import CausalTransformer

VOCABULARY, HEADS, CONTEXT = 400, 8, 1024
TARGETS: dict[str, Callable[[Any], bool]] = {
    "ratio_b1": lambda value: value >= 8,
    "ratio_b16": lambda value: value >= 6,
    "fp32_ratio_b1": lambda value: value >= 1,
    "int8_ratio_b1": lambda value: value >= 4,
    "shipped_ratio_b1": lambda value: value >= 4,
}
BATCHES = (1, 16)


def _shape(layers: int, width: int, kv_heads: int, attention: str = "rotary") -> TransformerConfig:
    return TransformerConfig.model_validate(
        {
            "layers": layers, "width": width, "heads": HEADS, "kv_heads": kv_heads,
            "feedforward": 4 * width, "attention": attention, "max_distance": CONTEXT,
            "local_width": 1, "token_width": width,
        }
    )  # fmt: skip


# Name of a row's keys: our network, whether in int8.
ROWS = {
    "": (_shape(6, 512, 2), True),
    "fp32_": (_shape(6, 512, 8), False),
    "int8_": (_shape(6, 512, 8), True),
    "shipped_": (PRESETS["chorales"].network, True),
}


class _Plain(BarEvents):
    """400 tokens without features, so that both contestants read the same input."""

    feature_sizes: tuple[int, ...] = ()

    def __init__(self) -> None:
        super().__init__()
        self.vocabulary = Vocabulary({"token": VOCABULARY})
        self.start_token = 0

    def walk(self) -> Any:
        return _NoWalk()


class _NoWalk:
    def features(self) -> tuple[int, ...]:
        return ()

    def push(self, token: int) -> None:
        pass


def ours(config: TransformerConfig, rounded: bool) -> tuple[AttentionDecoder, int]:
    """Return our decoder, in int8 if ``rounded``, and the bytes of its weights."""
    torch.manual_seed(0)
    network = CausalTransformer(config, VOCABULARY, ())
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    model = transformer_graph(config, weights, 0, CONTEXT)
    model = quantized(model) if rounded else model
    facts = AttentionFacts(
        kind="transformer",
        vocabulary=VOCABULARY,
        local_width=config.local_width,
        layers=config.layers,
        kv_heads=config.kv_heads,
        head_width=config.head_width,
        window=CONTEXT,
    )
    return AttentionDecoder(
        session_of(model.SerializeToString()), _Plain(), facts
    ), model.ByteSize()


def play(decoder: AttentionDecoder, batch: int, length: int) -> Tokens | list[list[int]]:
    """Decode ``length`` tokens in ``batch`` streams."""
    pick = Pick(temperature=1.0, top_k=50)
    rngs = [np.random.default_rng(seed) for seed in range(batch)]
    if batch == 1:
        stream = sample(decoder, pick, None, rngs[0])
        return np.array([next(stream) for _ in range(length)])
    return sample_batch(decoder, pick, [None] * batch, rngs, max_tokens=length)


def hugging_face(layers: int, width: int) -> Callable[[int, int], Any] | None:
    """Return a function that generates (batch, length) tokens with GPT-2's shape, or None."""
    try:
        from transformers import GPT2Config, GPT2LMHeadModel
    except ImportError:
        say("Hugging Face is left out: pip install transformers")
        return None

    config = GPT2Config(
        vocab_size=VOCABULARY, n_positions=CONTEXT, n_embd=width, n_layer=layers, n_head=HEADS,
        bos_token_id=0, eos_token_id=None, pad_token_id=0,
    )  # fmt: skip
    model = GPT2LMHeadModel(config)
    model.eval()

    def generate(batch: int, length: int) -> Any:
        start_tokens = torch.zeros((batch, 1), dtype=torch.long)
        with torch.no_grad():
            return model.generate(
                start_tokens,
                attention_mask=torch.ones_like(start_tokens),
                do_sample=True,
                top_k=50,
                min_new_tokens=length,
                max_new_tokens=length,
            )

    return generate


def bandwidth(size: int) -> float:
    """Return bytes a second at which ``size`` bytes are read, by the best of many sums."""
    data = np.ones(size // 8, dtype=np.int64)
    return size / min(timed(data.sum) for _ in range(50))


def row(name: str, quick: bool) -> dict[str, Any]:
    """Time both contestants of a row in turn."""
    config, rounded = ROWS[name]
    assert isinstance(config, TransformerConfig)
    rounds, length = (1, 8) if quick else (5, 1000)
    decoder, weight_bytes = ours(config, rounded)
    theirs = hugging_face(config.layers, config.width)
    figures: dict[str, Any] = {}
    for batch in BATCHES:
        mine, other = [], []
        play(decoder, batch, 20)
        if theirs is not None:
            theirs(batch, 20)
        for _ in range(rounds):
            if theirs is not None:
                other.append(batch * length / timed(partial(theirs, batch, length)))
            mine.append(batch * length / timed(partial(play, decoder, batch, length)))
        speed = statistics.median(mine)
        figures[f"{name}tokens_per_s_b{batch}"] = round(speed)
        if other:
            figures[f"{name}tokens_per_s_hf_b{batch}"] = round(statistics.median(other))
            figures[f"{name}ratio_b{batch}"] = round(speed / statistics.median(other), 2)
    say(f"{name or 'int8, 2 key/value heads'}: {figures}")
    floor = weight_bytes / bandwidth(weight_bytes)
    figures[f"{name}floor_ratio_b1"] = round(1 / figures[f"{name}tokens_per_s_b1"] / floor, 1)
    return figures


def run(options: Options) -> dict[str, Any]:
    """Time every row."""
    figures: dict[str, Any] = {}
    for name in ROWS:
        figures |= row(name, options.quick)
    return figures


if __name__ == "__main__":
    start(__doc__, run, TARGETS)
