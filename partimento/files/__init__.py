"""Scores and audio to files and back; corpora of them. Writes happen whole or not at all."""

from partimento.files.atomic import CheckedFile, atomic_path, check_writable, write_error
from partimento.files.corpora.corpus import Corpus, Preflight, corpus_names, open_corpus
from partimento.files.corpora.hold_out import Together, together
from partimento.files.corpora.items import CorpusItem
from partimento.files.formats import (
    AUDIO_SUFFIXES,
    NOTATION_SUFFIXES,
    PICTURE_SUFFIXES,
    SCORE_SUFFIXES,
    SOUND_SUFFIXES,
    WRITABLE_SUFFIXES,
    Source,
    begin_spectrogram,
    patch,
    read,
    read_audio,
    read_score,
    read_with_source,
    write,
    write_audio,
    write_score,
)
from partimento.files.recipes import read_recipe

__all__ = [
    "AUDIO_SUFFIXES",
    "NOTATION_SUFFIXES",
    "PICTURE_SUFFIXES",
    "SCORE_SUFFIXES",
    "SOUND_SUFFIXES",
    "WRITABLE_SUFFIXES",
    "CheckedFile",
    "Corpus",
    "CorpusItem",
    "Preflight",
    "Source",
    "Together",
    "atomic_path",
    "begin_spectrogram",
    "check_writable",
    "corpus_names",
    "open_corpus",
    "patch",
    "read",
    "read_audio",
    "read_recipe",
    "read_score",
    "read_with_source",
    "together",
    "write",
    "write_audio",
    "write_error",
    "write_score",
]
