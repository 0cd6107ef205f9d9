"""Tokens a second of our decoder against Hugging Face's ``generate``.

Both are 6 layers of width 512 with 8 heads over 400 tokens and random weights, on all cores:
GPT-2's shape in fp32 under PyTorch there; here the int8 graph under ONNX Runtime with 2 key/value
heads and an in-place cache. Contestants take turns, five rounds; the figure is the ratio of the
medians. Needs ``pip install transformers``. ``floor_ratio_b1`` is our time a token over the time
that reading the weights once takes at the memory bandwidth measured here.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.harness import Options, say, start, timed
from partimento.representations import BarEvents
from partimento.representations.base import Tokens, Vocabulary
from partimento.runtime.decoders import AttentionDecoder, AttentionFacts
from partimento.runtime.presets import TransformerConfig
from partimento.runtime.sessions import open_session
from partimento.samplers.autoregressive import sample, sample_batch
from partimento.samplers.picks import Pick
from partimento.training.export.graph_builder import transformer_graph
from partimento.training.export.writer import quantized
from partimento.training.nn.transformer import CausalTransformer

VOCABULARY, LAYERS, WIDTH, HEADS, CONTEXT = 400, 6, 512, 8, 1024
_CONFIG = TransformerConfig(
    layers=LAYERS,
    width=WIDTH,
    heads=HEADS,
    kv_heads=2,
    feedforward=4 * WIDTH,
    attention="rotary",
    max_distance=CONTEXT,
    local_width=1,
    token_width=WIDTH,
)


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


def ours() -> tuple[AttentionDecoder, int]:
    """Return our decoder and the bytes of its weights."""
    torch.manual_seed(0)
    network = CausalTransformer(_CONFIG, VOCABULARY, ())
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    model = quantized(transformer_graph(_CONFIG, weights, 0, CONTEXT))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "decoder.onnx"
        path.write_bytes(model.SerializeToString())
        session = open_session(path)
    facts = AttentionFacts(
        kind="transformer",
        vocabulary=VOCABULARY,
        local_width=1,
        layers=LAYERS,
        kv_heads=2,
        head_width=WIDTH // HEADS,
        window=CONTEXT,
    )
    return AttentionDecoder(session, _Plain(), facts), model.ByteSize()


def play(decoder: AttentionDecoder, batch: int, length: int) -> Tokens | list[list[int]]:
    """Decode ``length`` tokens in ``batch`` streams."""
    pick = Pick(temperature=1.0, top_k=50)
    rngs = [np.random.default_rng(seed) for seed in range(batch)]
    if batch == 1:
        stream = sample(decoder, pick, None, rngs[0])
        return np.array([next(stream) for _ in range(length)])
    return sample_batch(decoder, pick, [None] * batch, rngs, max_tokens=length)


def hugging_face() -> Callable[[int, int], Any]:
    """Return a function that generates (batch, length) tokens with GPT-2's shape."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=VOCABULARY, n_positions=CONTEXT, n_embd=WIDTH, n_layer=LAYERS, n_head=HEADS,
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


def run(options: Options) -> dict[str, Any]:
    """Time both contestants in turn."""
    rounds = 2 if options.quick else 5
    decoder, weight_bytes = ours()
    theirs = hugging_face()
    figures: dict[str, Any] = {}
    for batch, length in ((1, 1000), (16, 1000)):
        length = 60 if options.quick else length
        mine, other = [], []
        play(decoder, batch, 20)
        theirs(batch, 20)
        for _ in range(rounds):
            other.append(batch * length / timed(partial(theirs, batch, length)))
            mine.append(batch * length / timed(partial(play, decoder, batch, length)))
            say(f"batch {batch}: {mine[-1]:.0f} tokens/s, Hugging Face {other[-1]:.0f}")
        speed = statistics.median(mine)
        figures[f"tokens_per_s_b{batch}"] = round(speed)
        figures[f"tokens_per_s_hf_b{batch}"] = round(statistics.median(other))
        figures[f"ratio_b{batch}"] = round(speed / statistics.median(other), 2)
    floor = weight_bytes / bandwidth(weight_bytes)
    figures["floor_ratio_b1"] = round(1 / figures["tokens_per_s_b1"] / floor, 1)
    return figures


if __name__ == "__main__":
    start(
        __doc__, run, {"ratio_b1": lambda value: value >= 8, "ratio_b16": lambda value: value >= 6}
    )
