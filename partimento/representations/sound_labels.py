"""Labels of recordings and of places in them, for priors over codes: who, what, where in the whole.

- a recording's artist and genres, from its name and folders                    -> labels_of_name
- the place in a piece as bins: total length, time, fraction (Dhariwal et al. 2020, Section 3.3
  and Appendix B.2)                                                              -> time_bins
- the characters of lyrics about a place, interpolated (Section 3.4.1)           -> lyrics_window
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import numpy.typing as npt

__all__ = [
    "GENRES_AT_MOST",
    "LETTERS",
    "LONGEST_SECONDS",
    "TIME_BINS",
    "UNKNOWN",
    "Labels",
    "labels_of_name",
    "letters_of",
    "lyrics_window",
    "time_bins",
]

Ints = npt.NDArray[np.int64]
UNKNOWN = "unknown"
GENRES_AT_MOST = 5
TIME_BINS = 128
LONGEST_SECONDS = 600.0
# Number 0 is a place before the first or after the last character.
LETTERS = "\0\n ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.,:;!?-'\"()"


@dataclass(frozen=True)
class Labels:
    """Who made a recording, and of what kinds it is, at most five."""

    artist: str = UNKNOWN
    genres: tuple[str, ...] = ()


def labels_of_name(name: str) -> Labels:
    """Return the labels of a recording ``CORPUS/GENRE/../ARTIST - TITLE``.

    Without ``" - "`` the artist is unknown. Folders between are genres, the last five.
    """
    path = PurePosixPath(name.replace(" / ", " & "))  # two names, no folders
    artist, dash, _ = path.name.partition(" - ")
    genres = tuple(dict.fromkeys(path.parts[1:-1]))[-GENRES_AT_MOST:]
    return Labels(artist.strip() if dash and artist.strip() else UNKNOWN, genres)


def time_bins(times_seconds: npt.NDArray[np.float64], total_seconds: float) -> Ints:
    """Return (n, 3): bins 0..127 of the total length, of the time, and of its share of the whole.

    Lengths and times are 0 to ``LONGEST_SECONDS``; what is beyond counts as the last bin.
    """
    share = times_seconds / max(total_seconds, 1e-9)
    columns = [
        np.full(len(times_seconds), total_seconds / LONGEST_SECONDS),
        times_seconds / LONGEST_SECONDS,
        share,
    ]
    bins = np.floor(np.stack(columns, axis=1) * TIME_BINS).astype(np.int64)
    out: Ints = np.clip(bins, 0, TIME_BINS - 1)
    return out


def letters_of(text: str) -> Ints:
    """Return the numbers of a text's characters; those that are not known become spaces."""
    known = {letter: at for at, letter in enumerate(LETTERS)}
    return np.array([known.get(letter, known[" "]) for letter in text], dtype=np.int64)


def lyrics_window(letters: Ints, count: int, place: float) -> Ints:
    """Return ``count`` characters about a place, 0 the beginning and 1 the end of the words.

    The place in the words is that in the music, as if they were sung evenly. Beyond the ends of the
    words stands 0; words shorter than the window stand at its end.
    """
    if len(letters) <= count:
        return np.concatenate([np.zeros(count - len(letters), dtype=np.int64), letters])
    middle = int(place * len(letters))
    first = min(max(0, middle - count // 2), len(letters) - count)
    return letters[first : first + count]
