"""The words of MIDI files: lyric events, and the texts of karaoke files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from partimento.files.midi.chunks import TrackChunk
from partimento.files.midi.events import LYRIC, TEXT, Event
from partimento.files.midi.parts import TrackPart
from partimento.files.midi.texts import TextCoding
from partimento.music import Lyric, Track

__all__ = ["Words", "with_words", "words_of"]

_HEADERS = (
    b"@",
    b"partimento-",
)  # begin texts that are no syllables: @K the kind of file, @L language, @T title
_Sung = tuple[Lyric, int]  # a syllable, and where its event lies in the file
_KIND, _TITLE = b"@K", b"@T"
_BREAKS = "\\/"  # before a syllable that begins a paragraph or a line


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a file.

    Attributes:
        lyrics: those of each track of the file.
        places: where the event of each of them lies in the file.
        sign: the kind of event that they are.
        title: of a karaoke file; empty for none.
    """

    lyrics: Sequence[tuple[Lyric, ...]]
    places: Sequence[tuple[int, ...]]
    sign: str = "lyrics"
    title: str = ""

    def kept(self, tracks: Iterable[Track]) -> dict[str, int]:
        """Return how many events of each kind are in the tracks, or are the title."""
        counts = Counter({self.sign: sum(len(track.lyrics) for track in tracks)})
        counts["texts"] += bool(self.title)
        return dict(counts)


def words_of(chunks: Sequence[TrackChunk], coding: TextCoding) -> Words:
    """Return the words of a file.

    Those of a karaoke file (.kar) without lyric events are the texts of the track that has most.
    """
    found = [
        [
            (Lyric(event.tick, coding.decode(event.data)), event.at)
            for event in chunk.events
            if event.status == 0xFF and event.kind == LYRIC and event.data
        ]
        for chunk in chunks
    ]
    if not _is_karaoke(chunks):
        return _words(found)
    titles = (e.data for chunk in chunks for e in _texts(chunk) if e.data.startswith(_TITLE))
    title = coding.decode(next(titles, b"")).removeprefix(_TITLE.decode()).strip()
    if any(found):
        return _words(found, title=title)
    sung = [_syllables(chunk, coding) for chunk in chunks]
    most = max(sung, key=len)
    return _words([each if each is most else [] for each in sung], "texts", title)


def _words(found: Sequence[Sequence[_Sung]], sign: str = "lyrics", title: str = "") -> Words:
    lyrics = [tuple(lyric for lyric, _ in each) for each in found]
    return Words(lyrics, [tuple(place for _, place in each) for each in found], sign, title)


def _is_karaoke(chunks: Sequence[TrackChunk]) -> bool:
    return any(e.data.startswith(_KIND) for chunk in chunks for e in _texts(chunk))


def _texts(chunk: TrackChunk) -> list[Event]:
    return [event for event in chunk.events if event.status == 0xFF and event.kind == TEXT]


def _syllables(chunk: TrackChunk, coding: TextCoding) -> list[_Sung]:
    texts = [event for event in _texts(chunk) if not event.data.startswith(_HEADERS)]
    sung = ((Lyric(e.tick, coding.decode(e.data).lstrip(_BREAKS)), e.at) for e in texts)
    return [(lyric, place) for lyric, place in sung if lyric.text]


def with_words(tracks: Sequence[Track], parts: Sequence[TrackPart], words: Words) -> list[Track]:
    """Return the tracks with the lyrics of their chunks, which the first track of a chunk gets.

    Where no track has words of its own, those of chunks without notes go to the pitched track that
    has a note under most of them.
    """
    out = list(tracks)
    taken: set[int] = set()
    for place, part in enumerate(parts):
        if part.chunk not in taken:
            taken.add(part.chunk)
            if words.lyrics[part.chunk]:
                out[place] = replace(out[place], lyrics=words.lyrics[part.chunk])
    loose = [
        lyric for number, each in enumerate(words.lyrics) if number not in taken for lyric in each
    ]
    if loose and out and not any(track.lyrics for track in out):
        ticks = {lyric.onset_ticks for lyric in loose}
        under = [len(ticks & {note.onset_ticks for note in track.notes}) for track in out]
        singer = max(range(len(out)), key=lambda i: (not out[i].is_drum, under[i], -i))
        ordered = sorted(loose, key=lambda lyric: lyric.onset_ticks)
        out[singer] = replace(out[singer], lyrics=tuple(ordered))
    return out
