"""What ``benchmarks.fuzz`` tries: for each format small valid files, a way to spoil them, a reader.

The files are made here by the project's own writers, or by hand where it has none.
"""

from __future__ import annotations

import io
import shutil
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.mutations import mutated, mutated_config, mutated_zip
from partimento import catalog, files
from partimento.files.abc.reader import score_of_abc
from partimento.files.audio.sound_files import audio_of_bytes
from partimento.files.audio.sound_fonts import font_samples, load_sample
from partimento.files.chord_charts import score_of_chart
from partimento.files.corpora.same_work import shingles_of
from partimento.files.corpora.splits import content_hash
from partimento.files.kern.reader import score_of_kern
from partimento.files.midi.reader import score_of_midi
from partimento.files.musicxml.reader import score_of_musicxml
from partimento.files.pictures.metadata import png_recipe, svg_recipe
from partimento.generation.loading import load
from partimento.music import (
    Audio,
    ChordSymbol,
    Key,
    KeySignature,
    Lyric,
    Note,
    Pedal,
    Piece,
    Score,
    Tempo,
    Timeline,
    TimeSignature,
    Track,
)
from partimento.music.chords import parse_chord
from partimento.representations import BarEvents

__all__ = ["FORMATS", "Format"]

_ABC = (
    b'X:1\nT:A Jig\nM:6/8\nL:1/8\nQ:3/8=100\nK:G\n% note\nD|"G"GAB "Am7"c2d|^g2{cd}g g3|(3GAB '
    b"[CEG]3- [CEG]|!trill!z6|]\nw: la la_ le-lu\n+: more\n",
    b'%%MIDI program 40\nX:2\nM:C|\nL:1/4\nV:1 name="High" clef=treble-8\nV:2\nK:D dor\nV:1\n'
    b"A>B Z2|:^/c _3/2d:|1[K:F]e[V:2]C&E|\nV:2\nz4|[M:3/4]c3|\n\n%%begintext\nA bad\n%%endtext\n",
)
_KERN = (
    b"!!!OTL: A Waltz\n**kern\t**kern\t**dynam\n*part1\t*part1\t*part1\n*k[f#]\t*k[f#]\t*\n"
    b"*e:\t*e:\t*\n*M3/4\t*M3/4\t*\n*MM120\t*MM120\t*\n4r\t4b\tp\n=1\t=1\t=1\n*\t*^\t*\n"
    b"*ped\t*\t*\t*\n.\t8qc#/\t.\t.\n2.EE 2.E\t[4ee\t4g\tf\n.\t2ee_\t2g\t.\n*Xped\t*\t*\t*\n"
    b"*\t*v\t*v\t*\n=2:|!\t=2:|!\t=2:|!\n12B\t4ee]\t.\n12B#\t.\t.\n12c##\t.\t.\n2d-;\t2r\t.\n"
    b"==\t==\t==\n*-\t*-\t*-\n",
    b'**kern\t**kern\t**text\n*Icello\t*Ivioln\t*\n*I"Cello\t*I"Violin\t*\n4%3C\t0cc\tla\n'
    b"2.D\t.\t.\n*-\t*-\t*-\n",
)
_CHART = (
    b"# title: Song\n# metre: 4/4\n\n0.0\tsilence\n1.0\tA, intro, | A:min | (2/4) G:maj | x2\n"
    b"9.0\t| C:maj . F:7(#9)/b7 N |, (voice)\n13.0\tend\n",
)
_MODEL = "tts-gan-groove"  # the smallest that ships


@dataclass(frozen=True)
class Format:
    """``make`` returns seeds, ``spoil`` an input from them; ``read`` may raise project errors."""

    make: Callable[[], Sequence[bytes]]
    read: Callable[[bytes], object]
    spoil: Callable[[Sequence[bytes], np.random.Generator], bytes] = mutated


def _score() -> Score:
    notes = tuple(Note(240 * i, 60 + (i * 7) % 12, 240, 40 + i) for i in range(16))
    voice = Track("Voice", notes, 52, lyrics=(Lyric(0, "la"),), pedals=(Pedal(0, 480),))
    drums = Track("Drums", (Note(0, 36, 120), Note(480, 38, 120)), is_drum=True)
    return Score(
        (voice, Track("Piano", (Note(0, 48, 960), Note(0, 52, 1920))), drums),
        480,
        (Tempo(0, 90.0), Tempo(960, 120.0)),
        (TimeSignature(0, 3, 4), TimeSignature(1440, 4, 4)),
        (KeySignature(0, Key(2)),),
        (ChordSymbol(0, parse_chord("D7/F#")),),
        "A piece",
        recipe='{"system": "x"}',
    )


def _written(*suffixes: str) -> Callable[[], Sequence[bytes]]:
    """Return a maker of a score or a sound in some formats."""

    def make() -> Sequence[bytes]:
        wave = 0.5 * np.sin(np.arange(3000) / 9)
        sound = Audio(np.stack([wave, -wave]).astype(np.float32), 22050, '{"system": "x"}')
        out = []
        with tempfile.TemporaryDirectory() as folder:
            for suffix in suffixes:
                path = Path(folder) / f"a{suffix}"
                files.write(sound if suffix in files.AUDIO_SUFFIXES else _score(), path)
                out.append(path.read_bytes())
        return out

    return make


def _archive() -> Sequence[bytes]:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in (("a.abc", _ABC[0] + b"\n\n" + _ABC[1]), ("b/c.krn", _KERN[0])):
            packed.writestr(name, data)
    return [out.getvalue()]


def _font() -> Sequence[bytes]:
    """Return a sound font of two short samples."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return name + len(body).to_bytes(4, "little") + body + b"\0" * (len(body) % 2)

    def record(name: bytes, start: int, end: int) -> bytes:
        numbers = b"".join(n.to_bytes(4, "little") for n in (start, end, start, end, 22050))
        return name.ljust(20, b"\0") + numbers + b"\x3c\0\0\0\1\0"

    table = record(b"Piano C4", 0, 50) + record(b"Piano D4", 50, 100) + record(b"EOS", 0, 0)
    body = chunk(b"LIST", b"sdta" + chunk(b"smpl", bytes(range(200))))
    body += chunk(b"LIST", b"pdta" + chunk(b"shdr", table))
    return [chunk(b"RIFF", b"sfbk" + body)]


@cache
def _encoder() -> BarEvents:
    return BarEvents()


def _after(piece: Piece) -> None:
    """Do with a piece what a corpus does: hash it, lay out its bars, encode it."""
    content_hash(piece)
    if isinstance(piece, Score):
        timeline = Timeline(piece)
        timeline.seconds(piece.length_ticks)
        shingles_of(piece)
        _encoder().encode(piece)


def _reader(read: Callable[[bytes], Piece]) -> Callable[[bytes], object]:
    return lambda data: _after(read(data))


def _read_in_folder(name: str, read: Callable[[Path], object]) -> Callable[[bytes], object]:
    """Return a reader of bytes that must stand in a file."""

    def reader(data: bytes) -> object:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.write_bytes(data)
            return read(path)

    return reader


def _read_archive(path: Path) -> object:
    return files.open_corpus(path).preflight()


def _read_font(path: Path) -> object:
    return [load_sample(str(path), sample.name) for sample in font_samples(path)[:50]]


def _model_config() -> Sequence[bytes]:
    return [(catalog.open_model(_MODEL).path / "config.json").read_bytes()]


def _spoilt_config(seeds: Sequence[bytes], draw: np.random.Generator) -> bytes:
    if draw.random() < 0.2:
        return mutated(seeds, draw)
    return mutated_config(seeds[0].decode(), draw).encode()


def _read_model(data: bytes) -> object:
    """Load a model folder whose config is the given one."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        shutil.copytree(catalog.open_model(_MODEL).path, path)
        (path / "config.json").write_bytes(data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return load(path, threads=1)


FORMATS: dict[str, Format] = {
    "midi": Format(_written(".mid"), _reader(score_of_midi)),
    "musicxml": Format(_written(".musicxml"), _reader(score_of_musicxml)),
    "mxl": Format(_written(".mxl"), _reader(score_of_musicxml), mutated_zip),
    "abc": Format(lambda: _ABC, _reader(lambda data: score_of_abc(data, number=1))),
    "kern": Format(lambda: _KERN, _reader(score_of_kern)),
    "chart": Format(
        lambda: _CHART, _reader(lambda data: score_of_chart(data.decode("utf-8", "replace")))
    ),
    "wav": Format(_written(".wav"), _reader(audio_of_bytes)),
    "flac": Format(_written(".flac"), _reader(audio_of_bytes)),
    "ogg": Format(_written(".ogg"), _reader(audio_of_bytes)),
    "mp3": Format(_written(".mp3"), _reader(audio_of_bytes)),
    "png": Format(_written(".png"), png_recipe),
    "svg": Format(lambda: [b"<svg><metadata>{}</metadata></svg>"], svg_recipe),
    "zip": Format(_archive, _read_in_folder("a.zip", _read_archive), mutated_zip),
    "soundfont": Format(_font, _read_in_folder("a.sf2", _read_font)),
    "model_folder": Format(_model_config, _read_model, _spoilt_config),
}
