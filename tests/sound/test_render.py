"""The mix and the stems: level, length, bytes, place, loudness, pedal and tempo."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from partimento.errors import MusicError
from partimento.files.midi.reader import score_of_midi
from partimento.files.midi.writer import midi_bytes
from partimento.music import Audio, Note, Pedal, RepeatMark, Score, Tempo, Track
from partimento.sound import mix, render, render_stems
from partimento.sound.render import forget_sounds

RATE = 16_000
PEAK = 10 ** (-1 / 20)


def line(pitches: list[int], velocity: int = 90, duration: int = 480) -> tuple[Note, ...]:
    return tuple(Note(480 * i, pitch, duration, velocity) for i, pitch in enumerate(pitches))


def one(note: Note, program: int = 0, **settings: int) -> Score:
    return Score((Track("one", (note,), program, **settings),))


def quartet() -> Score:
    return Score(
        (
            Track("Soprano", line([72, 74, 76]), 52),
            Track("Piano", line([60, 64, 67]), 0, pan=30, pedals=(Pedal(0, 1400),)),
            Track("Bass", line([36, 43, 36]), 33, volume=80, pan=90),
            Track("Drums", line([36, 38, 46]), is_drum=True),
        ),
        tempos=(Tempo(0, 140),),
    )


def brightness_hz(samples: np.ndarray) -> float:
    power = np.abs(np.fft.rfft(samples.sum(axis=0))) ** 2
    return float((power * np.fft.rfftfreq(samples.shape[1], 1 / RATE)).sum() / power.sum())


def rms(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(samples**2)))


def test_a_mix_is_stereo_finite_and_peaks_at_minus_one_decibel() -> None:
    audio = render(quartet(), sample_rate_hz=RATE)
    assert audio.samples.shape[0] == 2
    assert np.isfinite(audio.samples).all()
    assert audio.peak == pytest.approx(PEAK, abs=1e-4)
    assert audio.peak <= PEAK + 1e-6
    assert abs(float(audio.samples.mean())) < 1e-3


def test_release_and_room_sound_on_after_the_last_note_and_die() -> None:
    score = quartet()
    audio = render(score, sample_rate_hz=RATE)
    written = 3 * 60 / 140
    assert audio.duration_seconds > written + 0.8
    assert np.abs(audio.samples[:, -80:]).max() < 1e-3


@pytest.mark.parametrize(("length", "seconds"), [(0, 0.1), (960, 1.0), (48, 0.1)])
def test_no_notes_give_silence_of_the_score_s_length(length: int, seconds: float) -> None:
    audio = render(Score((Track("empty"),), written_length_ticks=length), sample_rate_hz=RATE)
    assert audio.samples.shape == (2, round(seconds * RATE))
    assert audio.peak == 0


def test_the_same_score_gives_the_same_bytes_whatever_was_rendered_before() -> None:
    forget_sounds()
    first = render(quartet(), sample_rate_hz=RATE).samples
    forget_sounds()
    render_stems(one(Note(0, 64, 480), 52), sample_rate_hz=RATE)
    assert render(quartet(), sample_rate_hz=RATE).samples.tobytes() == first.tobytes()


def test_the_order_of_tracks_does_not_matter() -> None:
    score = quartet()
    turned = score.with_tracks(score.tracks[::-1])
    a, b = render(score, sample_rate_hz=RATE), render(turned, sample_rate_hz=RATE)
    assert a.samples.tobytes() == b.samples.tobytes()


def test_a_nearly_silent_score_stays_quiet() -> None:
    assert 0 < render(one(Note(0, 60, 480, 1)), sample_rate_hz=RATE).peak < 0.1


@pytest.mark.parametrize("program", [0, 4, 16, 24, 48, 52, 56, 71, 73, 89])
def test_velocity_is_loudness_and_brightness(program: int) -> None:
    together = render_stems(
        Score(
            tuple(
                Track(f"v{velocity}", (Note(0, 60, 480, velocity),), program)
                for velocity in (30, 75, 120)
            )
        ),
        sample_rate_hz=RATE,
    )
    soft, middle, loud = (stem.samples for stem in together.values())
    assert rms(soft) < 0.5 * rms(middle) < 0.5 * rms(loud)
    assert brightness_hz(soft) < brightness_hz(middle) < brightness_hz(loud)


@pytest.mark.parametrize("program", [0, 48])
def test_pan_moves_the_sound_and_keeps_its_strength(program: int) -> None:
    note = Note(0, 60, 480)
    score = Score(tuple(Track(f"{pan}", (note,), program, pan=pan) for pan in (0, 32, 64, 96, 127)))
    stems = render_stems(score, sample_rate_hz=RATE)
    sides = [np.sqrt((stem.samples**2).mean(axis=1)) for stem in stems.values()]
    leans = [right / (left + right) for left, right in sides]
    assert leans == sorted(leans)
    assert leans[0] < 0.15
    assert leans[-1] > 0.85
    strengths = [float(np.hypot(*side)) for side in sides]
    assert max(strengths) < 1.4 * min(strengths)


def test_volume_is_the_square_of_the_controller() -> None:
    note = Note(0, 60, 480)
    score = Score((Track("full", (note,)), Track("half", (note,), volume=50)))
    full, half = render_stems(score, sample_rate_hz=RATE).values()
    assert rms(half.samples) == pytest.approx(0.25 * rms(full.samples), rel=1e-3)


def test_the_pedal_lets_notes_ring() -> None:
    track = Track("Piano", (Note(0, 60, 240),))
    held = replace(track, name="Held", pedals=(Pedal(120, 1440),))
    stems = render_stems(Score((track, held)), sample_rate_hz=RATE)
    late = slice(int(1.0 * RATE), int(1.4 * RATE))
    damped, ringing = (rms(stem.samples[:, late]) for stem in stems.values())
    assert ringing > 10 * damped


def test_the_tempo_map_is_honoured() -> None:
    track = Track("Drums", (Note(0, 37, 60), Note(960, 37, 60)), is_drum=True)
    score = Score((track,), tempos=(Tempo(0, 60), Tempo(480, 240)))
    samples = np.abs(render(score, sample_rate_hz=RATE).samples).max(axis=0)
    second = np.flatnonzero(samples[int(0.8 * RATE) :] > 0.3)[0] / RATE + 0.8
    assert second == pytest.approx(1.25, abs=0.005)


def test_notes_start_and_end_without_clicks() -> None:
    for program in (0, 19, 48, 52, 56, 73, 89):
        samples = render(one(Note(0, 57, 480), program), sample_rate_hz=RATE).samples
        jumps = np.abs(np.diff(samples, axis=1)).max(axis=0)
        steady = jumps[int(0.1 * RATE) : int(0.45 * RATE)].max()
        assert jumps[int(0.49 * RATE) : int(0.6 * RATE)].max() < 1.5 * steady
        assert np.abs(samples[:, 0]).max() < 0.01


def test_stems_are_equally_long_and_add_up_to_the_mix() -> None:
    score = quartet()
    stems = render_stems(score, sample_rate_hz=RATE)
    assert list(stems) == ["Soprano", "Piano", "Bass", "Drums"]
    assert len({stem.samples.shape for stem in stems.values()}) == 1
    whole = render(score, sample_rate_hz=RATE)
    total = mix(stems)
    assert total.samples.shape == whole.samples.shape
    assert np.abs(total.samples - whole.samples).max() < 1e-4


def test_stems_of_tracks_that_share_a_name_get_numbers() -> None:
    note = Note(0, 60, 240)
    names = ("Horn", "Horn", "Horn 2", "")
    stems = render_stems(Score(tuple(Track(name, (note,)) for name in names)), sample_rate_hz=RATE)
    assert list(stems) == ["Horn", "Horn 2", "Horn 2 2", "track"]


def test_a_mix_wants_stems_of_one_shape() -> None:
    a = Audio(np.zeros((2, 10), dtype=np.float32), RATE)
    with pytest.raises(MusicError, match="at least one"):
        mix({})
    with pytest.raises(MusicError, match="one rate"):
        mix({"a": a, "b": Audio(a.samples, 8_000)})
    loud = Audio(np.ones((2, 10), dtype=np.float32), RATE)
    assert mix({"a": loud, "b": loud}).peak == pytest.approx(PEAK)


@pytest.mark.parametrize("rate", [0, 100, 1_000_000])
def test_a_rate_that_nobody_hears_is_refused(rate: int) -> None:
    with pytest.raises(MusicError, match="sample_rate_hz must be in 8000"):
        render(quartet(), sample_rate_hz=rate)


def test_the_recipe_travels_with_the_sound() -> None:
    score = replace(quartet(), recipe='{"seed": 7}')
    assert render(score, sample_rate_hz=RATE).recipe == score.recipe


def test_repeats_are_played_out() -> None:
    bars = (Note(0, 60, 480), Note(1920, 64, 480))
    score = Score(
        (Track("one", bars),),
        repeats=(RepeatMark(1920, "backward"),),
        written_length_ticks=3840,
    )
    twice = render(score, sample_rate_hz=RATE)
    once = render(replace(score, repeats=()), sample_rate_hz=RATE)
    bar_seconds = 4 * 60 / 120
    assert twice.duration_seconds - once.duration_seconds == pytest.approx(bar_seconds, abs=0.1)
    written = score_of_midi(midi_bytes(score))
    assert [note.onset_ticks for note in written.notes] == [0, 1920, 3840]


def test_notes_after_the_written_end_are_heard() -> None:
    notes = (Note(0, 60, 480), Note(1920, 64, 480))
    stale = Score((Track("Piano", notes),), written_length_ticks=1920)
    whole = Score((Track("Piano", notes),), written_length_ticks=2400)
    np.testing.assert_array_equal(render(stale).samples, render(whole).samples)
