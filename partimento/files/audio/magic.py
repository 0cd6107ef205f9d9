"""Whether bytes are sound, by how they begin: what libsndfile reads, whatever a file is called."""

from __future__ import annotations

__all__ = ["SOUND_HEAD_BYTES", "is_sound"]

SOUND_HEAD_BYTES = 16
_FIRST = (b"fLaC", b"OggS", b".snd", b"caff", b"ID3", b"RF64", b"Creative Voice F")
_W64 = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb"
_FORMS = {b"RIFF": (b"WAVE",), b"RIFX": (b"WAVE",), b"FORM": (b"AIFF", b"AIFC", b"8SVX", b"16SV")}


def is_sound(head: bytes) -> bool:
    """Return whether the first ``SOUND_HEAD_BYTES`` of a file are those of a kind of sound.

    An MP3 without a tag is recognised by its name alone: its first two bytes say too little.
    """
    if head[8:12] in _FORMS.get(head[:4], ()):
        return True
    return head.startswith((*_FIRST, _W64))
