"""The graphs of a tiny model are its networks; priors step by step are priors at once."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from partimento.runtime.audio_tokens.performer import CodesPerformer
from partimento.systems.jukebox import PRESETS
from partimento.systems.jukebox.training import JukeboxTask
from partimento.training.audio_tokens.codec_stage import sound_of_frames
from partimento.training.nn.code_prior import CodePrior
from partimento.training.nn.codec import log_features
from partimento.training.nn.spectral_vqvae import SpectralVQVAE

from support.tiny_models import roughen

NAMES = {"artists": ("unknown", "Ann", "Bob"), "genres": ("unknown", "slow", "loud")}


def lively(task: JukeboxTask) -> JukeboxTask:
    """Return a task whose weights are far from zero."""
    torch.manual_seed(0)
    for network in task.networks.values():
        roughen(network)
        for name, value in network.named_parameters():
            if "norm" not in name:
                torch.nn.init.normal_(value, std=0.3)
    return task


@pytest.fixture(scope="module")
def task() -> JukeboxTask:
    return lively(JukeboxTask(PRESETS["tiny"].model_copy(update=NAMES)))


@pytest.fixture(scope="module")
def player(task: JukeboxTask, tmp_path_factory: pytest.TempPathFactory) -> CodesPerformer:
    folder = task.export(tmp_path_factory.mktemp("graphs") / "tiny", {}, ("fp32",))
    return CodesPerformer.load(folder, threads=1, precision="fp32")


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("chunk", [1, 3, 16])
def test_a_prior_step_by_step_is_the_prior(
    task: JukeboxTask, player: CodesPerformer, level: int, chunk: int
) -> None:
    prior = task.priors[level].eval()
    assert isinstance(prior, CodePrior)
    draw = np.random.default_rng(0)
    codes = draw.integers(prior.entries, size=(2, 16))
    artist, genres = np.array([1, 2]), np.array([[1, 2, 0, 0, 0], [0, 0, 0, 0, 0]])
    told = draw.integers(8, size=(2, 4)) if level == 0 else draw.integers(128, size=(2, 16, 3))
    batch = {
        "codes": codes,
        "artist": artist,
        "genres": genres,
        "upper" if level == 0 else "time": told,
    }
    with torch.no_grad():
        wanted = prior({name: torch.from_numpy(value) for name, value in batch.items()}).numpy()
    session = player.priors[level]
    state = session.begin(artist, genres, told)
    made = [session.append(state, codes[:, :0])]
    places = [0]
    for at in range(0, 15, chunk):
        part = codes[:, at : min(15, at + chunk)]
        made.append(session.append(state, part))
        places.append(at + part.shape[1])
    np.testing.assert_allclose(np.stack(made, 1), wanted[:, places], atol=2e-4)
    assert wanted.std() > 0.1
    with pytest.raises(ValueError, match="more than the window holds"):
        session.append(state, codes[:, :1])


@pytest.mark.parametrize("level", [0, 1])
def test_the_codec_that_plays_is_the_one_that_learnt(
    task: JukeboxTask, player: CodesPerformer, level: int
) -> None:
    codec, playing = task.codecs[level], player.codecs[level]
    assert isinstance(codec, SpectralVQVAE)
    codec.eval()
    draw = np.random.default_rng(0)
    samples = (0.1 * draw.standard_normal(40 * playing.hop)).astype(np.float32)
    with torch.no_grad():
        vectors = codec.encoder(log_features(codec.spectra(torch.from_numpy(samples)[None])))[0]
        apart = torch.cdist(vectors, codec.quantiser.get_buffer("codebook"))
    codes = playing.encode(samples)
    chosen = apart.gather(1, torch.from_numpy(codes)[:, None])[:, 0]
    torch.testing.assert_close(chosen, apart.min(1).values, atol=1e-3, rtol=1e-3)
    with torch.no_grad():
        wanted = sound_of_frames(codec, codec.decode(torch.from_numpy(codes)[None]))
    made = playing.decode_all(codes)
    # Phases add up: the first frames are the same closely, the whole in how loud it is.
    np.testing.assert_allclose(made[:2048], wanted[:2048], atol=1e-3 * np.abs(wanted).max())
    assert np.abs(made).mean() == pytest.approx(np.abs(wanted).mean(), rel=0.02)


@pytest.mark.parametrize("level", [0, 1])
def test_a_stream_of_codes_sounds_as_the_whole(player: CodesPerformer, level: int) -> None:
    codec = player.codecs[level]
    count = 700 * 512 // codec.hop
    codes = np.random.default_rng(0).integers(codec.entries, size=count)
    whole, state, pieces, at = codec.decode_all(codes), codec.begin(), [], 0
    for size in (1, 0, 7, 20, 3, 50, 100, 400, 1000):
        part = codes[at : at + size]
        at += len(part)
        samples, state = codec.decode(state, part, is_last=at == count)
        pieces.append(samples)
        if at == count:
            break
    assert at == count
    np.testing.assert_array_equal(np.concatenate(pieces)[: len(whole)], whole)
    assert len(state.codes) <= codec.reach


@pytest.mark.parametrize("level", [0, 1])
def test_what_surrounds_a_code_is_enough(player: CodesPerformer, level: int) -> None:
    """No code beyond the reach changes what is said of a code; one at the reach's edge does."""
    codec = player.codecs[level]
    session, reach = codec._decoder, codec.reach
    split = codec.config.split(level)
    codes = np.random.default_rng(0).integers(codec.entries, size=(1, 4 * reach + split))
    middle = 2 * reach
    frames = codec.config.frames(level)
    inside = slice(middle // split * frames, (middle // split + 1) * frames)
    said = session.run(["frames"], {"codes": codes})[0][0, inside]
    far = codes.copy()
    far[0, : middle - reach] = (far[0, : middle - reach] + 1) % codec.entries
    far[0, middle + reach + split :] = (far[0, middle + reach + split :] + 1) % codec.entries
    np.testing.assert_allclose(
        session.run(["frames"], {"codes": far})[0][0, inside], said, atol=1e-5
    )
    near = codes.copy()
    near[0, middle - reach] = (near[0, middle - reach] + 1) % codec.entries
    assert np.abs(session.run(["frames"], {"codes": near})[0][0, inside] - said).max() > 1e-6
