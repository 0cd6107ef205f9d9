"""The texts of MIDI files, whose coding no file states."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["TextCoding", "encode_text"]

# Two characters of two bytes each, one after the other: a syllable of kana, or kanji whose first
# bytes are control characters in Latin-1.
_KANA = re.compile(rb"(?:[\x82\x83][\x40-\x7e\x80-\xf1])")
_KANJI = re.compile(rb"(?:[\x81-\x9f][\x40-\x7e\x80-\xfc]){2}")


class TextCoding:
    """The coding of a file's texts: UTF-8 where they are that, else Shift-JIS or Latin-1.

    ``remark`` says what was guessed, where that may be wrong; it is empty otherwise.
    """

    def __init__(self, texts: Iterable[bytes]) -> None:
        foreign = [text for text in texts if not _is_utf8(text)]
        self.fallback = "latin-1"
        self.remark = ""
        if foreign and all(_is_shift_jis(text) for text in foreign):
            self.fallback = "cp932"
            self.remark = "texts that are no UTF-8 are read as Shift-JIS"
        elif any(_is_mostly_high(text) for text in foreign):
            self.remark = "texts of an unknown coding are read as Latin-1"

    def decode(self, data: bytes) -> str:
        """Return the text of a meta event."""
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            return data.decode(self.fallback, errors="replace")


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _is_shift_jis(data: bytes) -> bool:
    try:
        data.decode("cp932")
    except UnicodeDecodeError:
        return False
    return bool(_KANA.search(data) or _KANJI.search(data))


def _is_mostly_high(data: bytes) -> bool:
    """Return whether most letters are none of ASCII: hardly a language that Latin-1 is for."""
    high = sum(byte > 127 for byte in data)
    letters = sum(65 <= byte & 0xDF <= 90 for byte in data)
    return high > max(1, letters)


def encode_text(text: str) -> bytes:
    """Return text as UTF-8; what cannot be said in UTF-8 becomes ``?``."""
    return text.encode("utf-8", errors="replace")
