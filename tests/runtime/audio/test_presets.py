"""Configs of systems that make sound."""

from __future__ import annotations

from typing import Any

import pytest

from partimento.config import validate_config
from partimento.errors import ConfigError
from partimento.runtime.audio.presets import AudioData, CodecConfig, GameConfig, MusikaPreset


def test_a_preset_goes_through_a_file_unchanged() -> None:
    preset = MusikaPreset(defaults={"variation": 0.9})
    assert MusikaPreset.model_validate_json(preset.model_dump_json()) == preset
    assert preset.codec.latent_samples == 4096
    assert GameConfig(blocks=6, kernel=7).margin == 18


@pytest.mark.parametrize(
    ("schema", "values", "told"),
    [
        (AudioData, {"tempo": (1.2, 0.8)}, "from low to high"),
        (AudioData, {"tempo": (0, 1)}, "tempo factors"),
        (AudioData, {"velocity": (0, 127)}, "velocities"),
        (AudioData, {"room": (0, 2)}, "room is"),
        (AudioData, {"programs": ((),)}, "programs"),
        (AudioData, {"programs": ((200,),)}, "programs"),
        (AudioData, {"hour": 1}, "unknown option"),
        (CodecConfig, {"hop": 500}, "must divide"),
        (CodecConfig, {"latent_frames": 16}, "must come to 16"),
        (CodecConfig, {"encoder_widths": (8,)}, "encoder_widths names 3 levels"),
    ],
)
def test_what_does_not_fit_is_refused(schema: type, values: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        validate_config(schema, values)


def test_minutes_are_shared_out() -> None:
    steps = MusikaPreset()
    assert steps.trainings() == (steps.codec_training, steps.discriminator_training, steps.training)
    timed = MusikaPreset(training=steps.training.model_copy(update={"minutes": 60.0}))
    assert [each.minutes for each in timed.trainings()] == pytest.approx([30, 12, 18])
    assert [each.steps for each in timed.trainings()] == [None] * 3
    assert timed.trainings()[0].learning_rate == steps.codec_training.learning_rate


def test_a_stage_that_names_nothing_takes_steps_in_proportion() -> None:
    plain = MusikaPreset()
    counted = MusikaPreset(training=plain.training.model_copy(update={"steps": 3}))
    assert [each.steps for each in counted.trainings()] == [5, 2, 3]
    own = counted.model_copy(
        update={"codec_training": plain.codec_training.model_copy(update={"steps": 7})}
    )
    assert [each.steps for each in own.trainings()] == [7, 2, 3]
