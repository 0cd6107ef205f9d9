"""Scores and audio to files and back; corpora of them. Writes happen whole or not at all."""

from partimento.files.atomic import CheckedFile, atomic_path, check_writable, write_error
from partimento.files.corpora.corpus import Corpus, Preflight, corpus_names, open_corpus
from partimento.files.corpora.items import CorpusItem
from partimento.files.formats import (
    AUDIO_SUFFIXES,
    PICTURE_SUFFIXES,
    SCORE_SUFFIXES,
    WRITABLE_SUFFIXES,
    begin_spectrogram,
    read,
    read_audio,
    read_score,
    write,
    write_audio,
    write_score,
)
from partimento.files.recipes import read_recipe

__all__ = [
    "AUDIO_SUFFIXES",
    "PICTURE_SUFFIXES",
    "SCORE_SUFFIXES",
    "WRITABLE_SUFFIXES",
    "CheckedFile",
    "Corpus",
    "CorpusItem",
    "Preflight",
    "atomic_path",
    "begin_spectrogram",
    "check_writable",
    "corpus_names",
    "open_corpus",
    "read",
    "read_audio",
    "read_recipe",
    "read_score",
    "write",
    "write_audio",
    "write_error",
    "write_score",
]
