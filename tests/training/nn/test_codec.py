"""The flowing codec: causal, streamed as the whole, its graphs and its numpy sound the same."""

from __future__ import annotations

from math import pi

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch

from partimento.representations.phase_tracks import PhaseTrack
from partimento.representations.spectra import (
    Framing,
    analyse,
    left_right,
    log_magnitudes,
    mid_side,
    overlap_add,
    overlap_start,
)
from partimento.runtime.audio.presets import CodecConfig
from partimento.runtime.presets import TrainingConfig
from partimento.runtime.sessions import session_of
from partimento.systems.musika.published_codec import TwoLevelCodec
from partimento.training.audio.codec_stages import CodecStages
from partimento.training.export.codec_graph import decoder_graph, encoder_graph
from partimento.training.export.int8_weights import rounded
from partimento.training.loop.optimizer import PlayerOptimizer
from partimento.training.nn.codec import StreamingCodec, log_features
from partimento.training.nn.discriminators.stft import STFTDiscriminators

from support.tiny_models import roughen

CONFIG = CodecConfig(
    size=256, hop=64, latent_width=6, expansion=2, kernel=3, encoder_widths=(16, 16, 24),
    decoder_widths=(24, 16, 16), encoder_blocks=(1, 1, 1), decoder_blocks=(1, 2, 1),
    discriminator_sizes=(128, 64), discriminator_width=4,
)  # fmt: skip
STEP = CONFIG.latent_samples
COUNT = 12


def sound(seed: int = 0, count: int = COUNT) -> torch.Tensor:
    """Return two channels of gliding tones, (1, 2, count * STEP)."""
    draw = np.random.default_rng(seed)
    time = np.arange(count * STEP)
    pitches = 0.05 + 0.4 * draw.random((2, 3))
    tones = 0.2 * np.sin(pitches[..., None] * time + 6 * draw.random((2, 3, 1)))
    return torch.from_numpy(tones.sum(1).astype(np.float32))[None]


@pytest.fixture(scope="module")
def codec() -> StreamingCodec:
    torch.manual_seed(0)
    made = StreamingCodec(CONFIG).eval()
    roughen(made, 0.5)
    made.measure(made.spectra(sound()))
    return made


@torch.no_grad()
def test_shapes_and_ranges(codec: StreamingCodec) -> None:
    latents = codec.encode(sound())
    assert latents.shape == (1, COUNT, 6)
    assert latents.abs().max() <= 1
    assert codec.decode(latents).shape == (1, 2, COUNT * STEP)
    assert codec.encode(sound()[..., : 3 * STEP + 1]).shape[1] == 4


@torch.no_grad()
def test_a_latent_hears_nothing_that_comes_after_it(codec: StreamingCodec) -> None:
    changed = sound()
    changed[..., 7 * STEP :] += 0.3
    one, other = codec.encode(sound()), codec.encode(changed)
    torch.testing.assert_close(one[:, :7], other[:, :7], rtol=0, atol=1e-6)
    assert (one[:, 7] - other[:, 7]).abs().max() > 1e-3


@torch.no_grad()
def test_a_stream_with_its_states_is_the_whole(codec: StreamingCodec) -> None:
    features = log_features(codec.spectra(sound()))
    whole, _ = codec.encoder(features, codec.encoder.start(1))
    states, parts = codec.encoder.start(1), []
    for part in torch.split(features, 3 * CONFIG.latent_frames, dim=1):
        made, states = codec.encoder(part, states)
        parts.append(made)
    torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=0, atol=1e-5)
    said, _ = codec.decoder(whole, codec.decoder.start(1))
    states, levels = codec.decoder.start(1), []
    for part in torch.split(whole, 1, dim=1):
        frames, states = codec.decoder(part, states)
        levels.append(frames.level)
    torch.testing.assert_close(torch.cat(levels, 1), said.level, rtol=0, atol=1e-5)


def session(model: onnx.ModelProto) -> ort.InferenceSession:
    return session_of(model.SerializeToString())


def run(
    model: onnx.ModelProto, feed: str, values: np.ndarray, step: int, outputs: list[str]
) -> list[np.ndarray]:
    """Return a graph's outputs (1, T, ...) of values given ``step`` at a time."""
    graph = session(model)
    states = {
        each.name: np.zeros((1, *each.shape[1:]), dtype=np.float32)
        for each in graph.get_inputs()
        if each.name != feed
    }
    made = []
    for at in range(0, values.shape[1], step):
        names = [*outputs, *(f"new_{name}" for name in states)]
        found = graph.run(names, {feed: values[:, at : at + step], **states})
        states = dict(zip(states, found[len(outputs) :], strict=True))
        made.append(found[: len(outputs)])
    return [np.concatenate(each, axis=1) for each in zip(*made, strict=True)]


def features_of(samples: torch.Tensor) -> np.ndarray:
    logs = log_magnitudes(analyse(mid_side(samples[0].numpy()), Framing(256, 64)))
    frames = COUNT * CONFIG.latent_frames
    return np.ascontiguousarray(logs[:, :frames].transpose(1, 0, 2)).reshape(1, frames, -1)


def played(frames: np.ndarray, noise: np.ndarray, step: int) -> np.ndarray:
    """Return the samples of what a decoder's graph says, ``step`` frames at a time."""
    ahead, framing = CONFIG.lookahead * CONFIG.latent_frames, Framing(256, 64)
    track, tail = PhaseTrack.start(2, framing.bins, frame=ahead), overlap_start(framing, 2)
    pieces = []
    for at in range(ahead, frames.shape[1], step):
        spectra, track = track.spectra(frames[0, at : at + step], noise[0, at : at + step])
        piece, tail = overlap_add(tail, spectra)
        pieces.append(piece)
    rest = np.zeros((2, framing.overlap - 1, framing.bins), dtype=np.complex64)
    pieces.append(overlap_add(tail, rest)[0])
    return left_right(np.concatenate(pieces, axis=1)[:, framing.lag :])


@torch.no_grad()
def test_the_graphs_are_the_networks_however_a_stream_is_cut(codec: StreamingCodec) -> None:
    encoder, decoder = encoder_graph(codec), decoder_graph(codec)
    latents = codec.encode(sound())
    heard = [run(encoder, "features", features_of(sound()), s, ["latents"])[0] for s in (8, 96)]
    np.testing.assert_allclose(heard[0], heard[1], atol=1e-5)
    np.testing.assert_allclose(heard[0], latents.numpy(), atol=2e-3)  # logarithms of near nothing
    given = torch.cat([latents, latents[:, -1:]], dim=1).numpy()
    names = ["frames", "noise"]
    frames, noise = run(decoder, "latents", given, 13, names)
    said = codec.frames(latents)
    np.testing.assert_allclose(frames[:, 8:, 0::2], said.level, atol=1e-4)
    np.testing.assert_allclose(frames[:, 8:, 1::2], said.advance, atol=1e-4)
    np.testing.assert_allclose(noise[:, 8:], said.noise, atol=1e-4)
    cut, _ = run(decoder, "latents", given, 2, names)
    np.testing.assert_allclose(cut, frames, atol=1e-5)


@torch.no_grad()
def test_the_sound_of_numpy_is_that_of_torch(codec: StreamingCodec) -> None:
    latents = codec.encode(sound())
    given = torch.cat([latents, latents[:, -1:]], dim=1)
    said, _ = codec.decoder(given, codec.decoder.start(1))
    frames = torch.stack([said.level, said.advance], dim=3).flatten(2, 3).numpy()
    whole = played(frames, said.noise.numpy(), 1000)
    np.testing.assert_array_equal(played(frames, said.noise.numpy(), 5), whole)
    wanted = codec.decode(latents)[0].numpy()
    assert np.abs(wanted).max() > 1e-2
    np.testing.assert_allclose(whole, wanted, atol=2e-4)


@torch.no_grad()
def test_rounded_weights_sound_the_same(codec: StreamingCodec) -> None:
    full = decoder_graph(codec)
    small = rounded(full)
    assert len(small.SerializeToString()) < 0.85 * len(full.SerializeToString())
    latents = codec.encode(sound()).numpy()
    one, other = (run(each, "latents", latents, COUNT, ["frames"])[0] for each in (full, small))
    assert np.abs(one - other).mean() < 0.05 * one.std()


class Sounds:
    """Crops of tones."""

    def crops(
        self, draw: np.random.Generator, count: int, latents: int
    ) -> tuple[np.ndarray, np.ndarray]:
        made = [sound(int(draw.integers(4)), latents)[0].numpy() for _ in range(count)]
        return np.stack(made), np.zeros((count, latents, 5), dtype=np.float32)


def test_the_losses_fall() -> None:
    torch.manual_seed(0)
    codec = StreamingCodec(CONFIG)
    stages = CodecStages(
        codec, STFTDiscriminators(CONFIG.discriminator_sizes, CONFIG.discriminator_width), 44_100
    )
    stages.take({"train": Sounds(), "valid": Sounds()})
    training = TrainingConfig(
        steps=25, batch_size=2, length=6, learning_rate=5e-3, warmup_steps=3, ema=0.9
    )
    first, second = stages.stages(training, training)
    draw = np.random.default_rng(0)
    optimizer = PlayerOptimizer(first.players[0], training)
    losses = []
    for step in range(25):
        loss = first.players[0].loss(first.batches(draw))
        optimizer.update(loss, step, 25)
        losses.append(float(loss.total.detach()))
    assert np.mean(losses[-5:]) < 0.9 * np.mean(losses[:5])
    with torch.no_grad():
        figures = stages.validate()
    assert set(figures) == {"loss", "mel", "contrast"}
    assert np.isfinite(list(figures.values())).all()
    batch = second.batches(draw)
    discriminator, game = (player.loss(batch) for player in second.players)
    assert torch.isfinite(discriminator.total)
    assert {"game", "features", "mel"} <= set(game.parts)
    game.total.backward()
    assert all(weight.grad is None for weight in stages.discriminators.parameters())


def test_the_first_sound_is_as_loud_as_the_music() -> None:
    torch.manual_seed(0)
    codec = StreamingCodec(CONFIG).eval()
    music = torch.cat([sound(seed) for seed in range(4)])
    with torch.no_grad():
        codec.measure(codec.spectra(music))
        made = codec.decode(codec.encode(music))
    assert 0.05 < made.square().mean().sqrt() / music.square().mean().sqrt() < 2


def test_gradients_reach_advances_through_the_sound(codec: StreamingCodec) -> None:
    latents = torch.rand(1, 4, 6) * 2 - 1
    said = codec.frames(latents)
    start = torch.rand(1, 2, codec.framing.bins) * pi
    said.advance.retain_grad()
    codec.sound(said, start).square().sum().backward()
    assert said.advance.grad is not None
    assert said.advance.grad.abs().sum() > 0


def test_the_published_codec_has_the_published_sizes() -> None:
    config = CodecConfig(kind="two_level", size=1024, hop=256, latent_frames=16)
    with torch.device("meta"):
        made = TwoLevelCodec(config)
        magnitudes = torch.zeros(2, 513, 128)
        latents = made.encode(magnitudes)
        levels, phases = made.decode(latents)
    millions = {
        name: round(sum(weight.numel() for weight in part.parameters()) / 1e6, 1)
        for name, part in made.named_children()
    }
    assert millions == {
        "frame_encoder": 4.8,
        "frame_decoder": 12.7,
        "latent_encoder": 4.0,
        "latent_decoder": 6.6,
    }
    assert latents.shape == (2, 64, 8)
    assert levels.shape == phases.shape == magnitudes.shape
