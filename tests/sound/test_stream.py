"""Streams: joined chunks are the offline render, and memory stays where it is."""

from __future__ import annotations

import numpy as np
import pytest

from partimento.errors import MusicError
from partimento.music import Audio, Note, Pedal, Score, Tempo, Track
from partimento.sound import StreamRenderer, render
from partimento.sound.stream import STREAM_GAIN, limit

RATE = 16_000


def piece(index: int, tempos: tuple[Tempo, ...] = ()) -> Score:
    """One bar; notes and the pedal outlast it, the open hi-hat is choked in the next."""
    up = index % 3
    piano = Track(
        "Piano",
        (Note(0, 60 + up, 480, 60), Note(480, 60 + up, 600, 50), Note(1680, 64 + up, 900, 60)),
        0,
        pedals=(Pedal(960, 1200),),
    )
    strings = Track("Strings", (Note(120, 55 + up, 2300, 50), Note(1000, 62, 100, 70)), 48, pan=90)
    drums = Track("Drums", (Note(0, 42, 60, 70), Note(1680, 46, 60, 70)), is_drum=True)
    return Score((piano, strings, drums), tempos=tempos, written_length_ticks=1920)


def joined(pieces: list[Score]) -> Score:
    tracks: dict[str, Track] = {}
    tempos: list[Tempo] = []
    for index, part in enumerate(pieces):
        at = index * 1920
        tempos += [Tempo(t.onset_ticks + at, t.quarters_per_minute) for t in part.tempos]
        for track in part.tracks:
            moved = tuple(
                Note(n.onset_ticks + at, n.pitch, n.duration_ticks, n.velocity) for n in track.notes
            )
            pedals = tuple(Pedal(p.onset_ticks + at, p.duration_ticks) for p in track.pedals)
            known = tracks.get(track.name)
            tracks[track.name] = Track(
                track.name,
                (known.notes if known else ()) + moved,
                track.program,
                track.is_drum,
                (known.pedals if known else ()) + pedals,
                pan=track.pan,
            )
    return Score(
        tuple(tracks.values()),
        tempos=tuple(tempos),
        written_length_ticks=1920 * len(pieces),
    )


def streamed(pieces: list[Score]) -> list[Audio]:
    renderer = StreamRenderer(RATE)
    state, out = renderer.start(), []
    for part in pieces:
        audio, state = renderer.feed(state, part)
        out.append(audio)
    return [*out, renderer.finish(state)]


@pytest.mark.parametrize("with_tempos", [False, True])
def test_chunks_joined_are_the_offline_render(with_tempos: bool) -> None:
    tempos = {1: (Tempo(0, 97.3),), 2: (Tempo(700, 151.0),)} if with_tempos else {}
    pieces = [piece(index, tempos.get(index, ())) for index in range(4)]
    stream = np.concatenate([audio.samples for audio in streamed(pieces)], axis=1)
    whole = render(joined(pieces), sample_rate_hz=RATE).samples
    assert stream.shape == whole.shape
    assert np.abs(stream).max() < 0.6, "the limiter would bend this; make the pieces quieter"
    gain = float((stream * whole).sum() / (whole * whole).sum())
    assert np.abs(stream - gain * whole).max() < 1e-4


def test_chunks_are_as_long_as_their_pieces() -> None:
    chunks = streamed([piece(0), piece(1)])
    assert [chunk.samples.shape[1] for chunk in chunks[:2]] == [2 * RATE, 2 * RATE]
    assert chunks[2].duration_seconds > 1


def test_the_first_tempo_is_the_renderer_s() -> None:
    renderer = StreamRenderer(RATE, 60.0)
    audio, _ = renderer.feed(renderer.start(), piece(0))
    assert audio.duration_seconds == pytest.approx(4.0)


def test_state_does_not_grow() -> None:
    renderer = StreamRenderer(8_000)
    state, sizes = renderer.start(), []
    for _ in range(12):
        _, state = renderer.feed(state, piece(0))
        sizes.append((len(state.held), len(state.pedals), state.tail.shape))
    assert len(set(sizes[2:])) == 1


def test_one_state_may_be_fed_twice() -> None:
    renderer = StreamRenderer(8_000)
    _, state = renderer.feed(renderer.start(), piece(0))
    first, _ = renderer.feed(state, piece(1))
    again, _ = renderer.feed(state, piece(1))
    assert first.samples.tobytes() == again.samples.tobytes()


def test_nothing_fed_is_nothing_heard() -> None:
    renderer = StreamRenderer(8_000)
    assert renderer.finish(renderer.start()).samples.shape == (2, 0)


def test_a_note_beyond_its_piece_is_refused() -> None:
    late = Score((Track("a", (Note(2000, 60, 10),)),), written_length_ticks=1920)
    renderer = StreamRenderer(8_000)
    with pytest.raises(MusicError, match="starts at tick 2000"):
        renderer.feed(renderer.start(), late)


def test_the_limiter_leaves_quiet_sound_alone_and_never_clips() -> None:
    ramp = np.linspace(-8, 8, 2001, dtype=np.float32)
    bent = limit(ramp)
    quiet = np.abs(ramp) <= 0.6
    assert (bent[quiet] == ramp[quiet]).all()
    assert np.abs(bent).max() <= 10 ** (-1 / 20) + 1e-6
    assert (np.diff(bent) >= 0).all()


def test_four_voices_stay_below_the_limiter_at_its_gain() -> None:
    voices = tuple(Track(f"{pitch}", (Note(0, pitch, 960, 80),), 52) for pitch in (72, 67, 60, 48))
    renderer = StreamRenderer(RATE)
    audio, _ = renderer.feed(renderer.start(), Score(voices))
    assert 0.15 < audio.peak < 0.6
    assert STREAM_GAIN > 0
