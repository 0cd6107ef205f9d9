from __future__ import annotations

import pytest

from partimento.files.midi.texts import TextCoding, encode_text


@pytest.mark.parametrize(
    ("texts", "shown", "remark"),
    [
        (["ピアノ".encode("cp932"), "さ".encode("cp932")], "ピアノ", "Shift-JIS"),
        (["東京".encode("cp932")], "東京", "Shift-JIS"),
        (["ピアノ".encode()], "ピアノ", ""),
        (["Für Elise".encode("latin-1")], "Für Elise", ""),
        (["ét".encode("latin-1")], "ét", ""),
        (["Гитара".encode("cp1251")], "Гитара".encode("cp1251").decode("latin-1"), "unknown"),
    ],
)
def test_the_coding_is_guessed_and_a_doubtful_guess_said(
    texts: list[bytes], shown: str, remark: str
) -> None:
    coding = TextCoding(texts)
    assert coding.decode(texts[0]) == shown
    assert remark in coding.remark
    assert bool(remark) == bool(coding.remark)


def test_what_utf_8_cannot_say_becomes_a_question_mark() -> None:
    assert encode_text("a\ud800") == b"a?"
