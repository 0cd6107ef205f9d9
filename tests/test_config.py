from __future__ import annotations

import pytest
from pydantic import Field, model_validator

from partimento.config import Config, read_config, validate_config
from partimento.errors import ConfigError, FileError


class Inner(Config):
    rate: float = Field(0.5, gt=0, le=1)
    count: int | None = Field(None, ge=1)
    free: float = 0.0


class Outer(Config):
    inner: Inner = Inner()

    @model_validator(mode="after")
    def _fits(self) -> Outer:
        if self.inner.free < 0:
            raise ValueError("free is not negative")
        return self


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rate": float("nan")}, r"^c\.inner\.rate: must be a number > 0 and <= 1, not nan$"),
        ({"rate": 2}, r"^c\.inner\.rate: must be a number > 0 and <= 1, not 2$"),
        ({"count": 0}, r"^c\.inner\.count: must be a number >= 1, not 0$"),
        ({"count": "x" * 900}, r"^c\.inner\.count: must be an integer >= 1, not 'xx"),
        ({"free": float("inf")}, r"^c\.inner\.free: .*finite number, not inf$"),
        ({"fre": 1}, r"^c\.inner\.fre: unknown option; did you mean 'free'\?; known here: count, "),
        ({"free": -1}, r"^c: Value error, free is not negative, not "),
    ],
)
def test_what_is_wrong_is_said_with_the_bounds(values, message):
    with pytest.raises(ConfigError, match=message) as caught:
        validate_config(Outer, {"inner": values}, "c")
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("text", ["x = " + "1" * 5000, "x = [" * 5000, "x ="])
def test_a_file_that_does_not_parse_is_refused(tmp_path, text):
    path = tmp_path / "c.toml"
    path.write_text(text)
    with pytest.raises(FileError, match="does not parse"):
        read_config(path)
