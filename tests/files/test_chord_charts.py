from __future__ import annotations

import time
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partimento.errors import FileError
from partimento.files.chord_charts import score_of_chart

from support.score_strategies import only_file_errors


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no bar of chords"),
        ("# metre: 4/0\n0.0 | C:maj |\n", "line 1: a metre is"),
        ("0.0 | (99/4) C:maj |\n", "line 1: a metre is"),
        ("0.0 | C:maj | x999999\n", "line 1: the chart has more than 100,000 bars"),
    ],
)
def test_bad_charts_say_what_is_wrong(text: str, says: str) -> None:
    start = time.process_time()
    with pytest.raises(FileError, match=says):
        score_of_chart(text)
    assert time.process_time() - start < 10


def test_words_that_are_no_times_are_passed_over() -> None:
    score = score_of_chart("1.0 | C:maj |\n1x end\n3.0 end\n")
    assert score.tempos[0].quarters_per_minute == 120.0


@given(st.text("#metre: 0/4|()C:majx9.e-\nend ", max_size=60))
@settings(max_examples=100, deadline=None)
def test_any_text_raises_file_error_alone(text: str) -> None:
    with only_file_errors(), warnings.catch_warnings():
        score_of_chart(text)
