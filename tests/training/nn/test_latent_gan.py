"""The networks of the latent game: margins, graph, published sizes, paths drawn on the device."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from partimento.errors import ConfigError
from partimento.representations.latent_coordinates import Interpolation, blend
from partimento.runtime.audio.presets import GameConfig
from partimento.runtime.sessions import session_of
from partimento.training.export.latent_graph import latent_graph
from partimento.training.nn.latent_gan import (
    ConditionPredictor,
    LatentDiscriminator,
    StreamingGenerator,
    draw_inputs,
    draw_path,
)
from partimento.training.nn.latent_gan_halves import HalvesDiscriminator, HalvesGenerator
from partimento.training.objectives.adversarial import gradient_penalty

LATENTS = 8
SMALL = GameConfig(
    coordinate=6, style=5, noise=3, anchor_every=20, style_every=30, width=16, blocks=2,
    discriminator_width=16, discriminator_blocks=3, crop=32,
)  # fmt: skip


def generator() -> StreamingGenerator:
    network = StreamingGenerator(SMALL, LATENTS)
    with torch.no_grad():
        network.mix.copy_(torch.randn(LATENTS, LATENTS) * 0.3)
        network.center.normal_()
        network.usual.normal_()
        network.unusual.uniform_(0.1, 2.0)
    return network


def inputs(count: int = 2, length: int = 50) -> torch.Tensor:
    return draw_inputs(SMALL, torch.rand(count, length, 5))


def test_latents_depend_on_their_margin_alone() -> None:
    network, given = generator(), inputs()
    whole = network(given)
    assert network.margin == SMALL.margin == 6
    part = network(given[:, 10:40])[:, 6:-6]
    assert torch.allclose(part, whole[:, 16:34], atol=1e-6)
    changed = given.clone()
    changed[:, 30] += 1
    moved = (network(changed) - whole).abs().amax(dim=(0, 2)) > 0
    assert moved.nonzero()[:, 0].tolist() == list(range(24, 37))


def test_the_graph_says_what_the_network_says() -> None:
    network, given = generator(), inputs(3, 31)
    session = session_of(latent_graph(network).SerializeToString())
    played = session.run(None, {"inputs": given.numpy()})[0]
    assert played.shape == (3, 31, LATENTS)
    assert np.allclose(played, network(given).detach().numpy(), atol=1e-5)


def test_the_published_generator_is_not_played() -> None:
    with torch.device("meta"):
        network = HalvesGenerator(GameConfig(kind="halves"), 8)
    with pytest.raises(ConfigError, match="flowing"):
        latent_graph(network)


def test_published_sizes() -> None:
    """The official generator has 15.5 M and its discriminator 20.8 M weights."""
    config = GameConfig(kind="halves", noise=0, conditions=0)
    with torch.device("meta"):
        networks = HalvesGenerator(config, 128), HalvesDiscriminator(config, 128)
    counts = [sum(weight.numel() for weight in network.parameters()) for network in networks]
    assert counts == [15_499_530, 20_786_689]
    assert [round(count / 1e6, 1) for count in counts] == [15.5, 20.8]


def test_the_published_halves_know_nothing_of_each_other() -> None:
    config = GameConfig(kind="halves", coordinate=4, style=4, noise=0, conditions=0)
    network = HalvesGenerator(config, 6, base=4)
    given = torch.randn(2, 256, 8)
    changed = given.clone()
    changed[:, 128:] = 0
    one, other = network(given), network(changed)
    assert one.shape == (2, 256, 6)
    assert torch.allclose(one[:, :128], other[:, :128])
    assert not torch.allclose(one[:, 128:], other[:, 128:])
    discriminator = HalvesDiscriminator(config, 6, base=4)
    assert [each.shape for each in discriminator(one, one[..., :0])] == [(2, 1)]


def test_the_published_game_is_of_256_latents() -> None:
    with pytest.raises(ConfigError, match="256 latents"):
        HalvesGenerator(GameConfig(kind="halves", crop=128), 6, base=4)


@pytest.mark.parametrize("kind", ["slerp", "linear"])
def test_paths_on_the_device_are_those_of_the_coordinates(
    kind: Interpolation, monkeypatch: pytest.MonkeyPatch
) -> None:
    anchors = torch.randn(2, 5, 6)
    monkeypatch.setattr(torch, "randn", lambda *_shape, **_keywords: anchors)
    path = draw_path(2, 30, 6, 10, kind, torch.device("cpu"))
    steps = np.arange(10) / 10
    for row in range(2):
        a = anchors[row].double().numpy()
        whole = np.concatenate([blend(a[k], a[k + 1], steps, kind) for k in range(4)])
        far = [np.abs(whole[at : at + 30] - path[row].numpy()).max() for at in range(11)]
        assert min(far) < 1e-5


def test_drawn_inputs_are_as_varied_as_those_of_the_stream() -> None:
    given = draw_inputs(SMALL, torch.rand(400, 20, 5))
    assert given.shape == (400, 20, 6 + 5 + 3 + 5)
    for part in (given[..., :6], given[..., 6:11], given[..., 11:14]):
        assert 0.9 < float(part.std()) < 1.1


def test_the_discriminator_judges_near_far_and_whole() -> None:
    discriminator = LatentDiscriminator(SMALL, LATENTS)
    verdict = discriminator(torch.randn(3, 32, LATENTS), torch.rand(3, 32, 5))
    assert [tuple(each.shape) for each in verdict] == [(3, 8), (3, 4), (3, 1)]


def test_the_penalty_reaches_all_weights_but_biases() -> None:
    discriminator = LatentDiscriminator(SMALL, LATENTS)
    latents = torch.randn(3, 32, LATENTS, requires_grad=True)
    gradient_penalty(discriminator(latents, torch.rand(3, 32, 5)), latents).backward()
    for name, weight in discriminator.named_parameters():
        assert name.endswith("bias") or weight.grad is not None, name


def test_the_listener_hears_each_latent() -> None:
    listener = ConditionPredictor(LATENTS, 5, 16)
    assert listener(torch.randn(2, 30, LATENTS)).shape == (2, 30, 5)


def test_style_moves_half_of_the_windows() -> None:
    style = draw_inputs(SMALL, torch.rand(300, 20, 5))[..., 6:11]
    still = (style.amax(dim=1) - style.amin(dim=1)).amax(dim=1) < 1e-6
    assert 0.35 < float(still.float().mean()) < 0.65
