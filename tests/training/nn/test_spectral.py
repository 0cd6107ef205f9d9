"""Spectra in torch: equal to numpy's, differentiable, and distances as evaluation measures them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from partimento.metrics import audio_distances
from partimento.representations import spectra as plain
from partimento.training.nn import spectral

SMALL = plain.Framing(64, 16)
SCALES = ((64, 5), (128, 10))


def noise(*shape: int) -> torch.Tensor:
    return 0.2 * torch.randn(*shape)


@pytest.mark.parametrize("framing", [SMALL, plain.Framing()], ids=str)
@pytest.mark.parametrize("hops", [0.0, 3.4, 9.0])
def test_torch_and_numpy_are_one(framing: plain.Framing, hops: float) -> None:
    samples = noise(3, 2, int(hops * framing.hop))
    found = spectral.analyse(samples, framing)
    expected = np.stack([plain.analyse(each, framing) for each in samples.numpy()])
    assert found.shape == expected.shape
    assert np.allclose(found.numpy(), expected, atol=1e-4)
    back = np.stack([plain.synthesise(each, framing) for each in expected])
    assert np.allclose(spectral.synthesise(found, framing).numpy(), back, atol=1e-5)
    logs = np.stack([plain.log_magnitudes(each) for each in expected])
    assert np.allclose(spectral.log_magnitudes(found).numpy(), logs, atol=1e-4)
    middle = plain.mid_side(samples.numpy(), axis=1)
    assert np.allclose(spectral.mid_side(samples).numpy(), middle)
    assert torch.allclose(spectral.left_right(spectral.mid_side(samples)), samples, atol=1e-6)


def test_any_batch_shape_serves() -> None:
    samples = noise(2, 3, 2, 160)
    found = spectral.analyse(samples, SMALL)
    assert torch.equal(found[1, 2], spectral.analyse(samples[1, 2], SMALL))
    assert torch.allclose(spectral.synthesise(found, SMALL), samples, atol=1e-6)
    assert torch.equal(spectral.analyse(samples[0, 0, 0], SMALL), found[0, 0, 0])


def test_gradients_pass_through_both_ways() -> None:
    samples = noise(1, 2, 160).requires_grad_()
    back = spectral.synthesise(spectral.analyse(samples, SMALL), SMALL)
    (back * torch.arange(160.0)).sum().backward()
    assert samples.grad is not None
    assert torch.allclose(samples.grad, torch.arange(160.0).expand(1, 2, 160), rtol=1e-3, atol=1e-2)


def test_the_mel_distance_is_that_of_evaluation() -> None:
    x, y = noise(2, 1000), noise(2, 1000)
    found = spectral.mel_distance(x, y)
    expected = audio_distances.mel_distance(x.numpy(), y.numpy())
    assert found.item() == pytest.approx(expected, rel=1e-4)
    assert spectral.mel_distance(x, x).item() == 0


@pytest.mark.parametrize("distance", ["mel", "magnitude"])
def test_distances_are_zero_at_home_and_have_gradients_in_silence(distance: str) -> None:
    def far(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        if distance == "mel":
            return spectral.mel_distance(a, b, SCALES)
        return spectral.magnitude_distance(a, b, (64, 128))

    x = noise(2, 2, 512)
    assert far(x, x).item() == 0
    assert 0 < far(0.9 * x, x).item() < far(0.5 * x, x).item()
    for made, target in ((x, 0 * x), (0 * x, x), (x, x)):
        given = made.clone().requires_grad_()
        far(given, target).backward()
        assert given.grad is not None
        assert given.grad.isfinite().all()


def test_half_precision_does_not_reach_the_spectra() -> None:
    x, y = noise(1, 2, 512), noise(1, 2, 512)
    wanted = spectral.mel_distance(x, y, SCALES)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(spectral.mel_distance(x, y, SCALES), wanted)
        assert spectral.analyse(x, SMALL).dtype == torch.complex64


def test_windows_made_in_inference_mode_serve_training() -> None:
    spectral._window.cache_clear()
    spectral._mels.cache_clear()
    x = noise(1, 2, 512)
    with torch.inference_mode():
        spectral.mel_distance(x, x, SCALES)
    spectral.mel_distance(x.clone().requires_grad_(), 0 * x, SCALES).backward()
