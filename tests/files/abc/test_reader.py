from __future__ import annotations

import time
import warnings
import zipfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from partimento.errors import FileError
from partimento.files import open_corpus, read_score
from partimento.files.abc.reader import read_abc, score_of_abc, tune_count
from partimento.files.unsupported import LeftOut
from partimento.music import ChordSymbol, Key, KeySignature, Note, Score, Tempo, TimeSignature
from partimento.music.chords import parse_chord

from support.score_strategies import only_file_errors

JIG = """X:1
T:A Jig
M:6/8
L:1/8
Q:3/8=100
K:G
% a comment
D|"G"GAB "Am7"c2d|"D7/f+"^g2g "^slowly"g3|(3GAB [CEG]3- [CEG]|"what"z6|]
"""
BOOK = f"%abc-2.1\nL:1/4\n\n{JIG}\nX:7\nT:Second\nK:C\nC4|\n\nX:9\nT:Third\nM:3/4\nK:Am\nA3|\n"


def abc(body: str, head: str = "L:1/4\nM:4/4\nK:C") -> Score:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LeftOut)
        return score_of_abc(f"X:1\n{head}\n{body}\n".encode())


def left_out(text: str) -> dict[str, int]:
    """Return what reading a file counts as left out."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", LeftOut)
        score_of_abc(text.encode())
    found = [each.message for each in told if isinstance(each.message, LeftOut)]
    return {**found[0].notes, **found[0].signs} if found else {}


def sounding(score: Score) -> list[tuple[float, int, float]]:
    """Return (onset, pitch, length) in quarters."""
    per = score.ticks_per_quarter
    return [(n.onset_ticks / per, n.pitch, n.duration_ticks / per) for n in score.notes]


def test_a_small_jig() -> None:
    with pytest.warns(LeftOut, match="2 written words left out"):
        score = score_of_abc(JIG.encode())
    assert score.title == "A Jig"
    assert score.tempos == (Tempo(0, 150.0),)
    assert score.key_signatures == (KeySignature(0, Key(1)),)
    assert score.time_signatures == (
        TimeSignature(0, 1, 8), TimeSignature(240, 6, 8),
    )  # fmt: skip
    assert score.written_length_ticks == 240 + 4 * 1440
    assert score.chords == (
        ChordSymbol(240, parse_chord("G")),
        ChordSymbol(960, parse_chord("Am7")),
        ChordSymbol(1680, parse_chord("D7/F#")),
    )
    (track,) = score.tracks
    assert (track.name, track.program) == ("Acoustic Grand Piano", 0)
    assert track.notes[:6] == tuple(
        Note(240 * at, pitch, 480 if at == 4 else 240)
        for at, pitch in ((0, 62), (1, 67), (2, 69), (3, 71), (4, 72), (6, 74))
    )
    # An accidental holds to the bar line, the tied chord is one chord of four eighths.
    assert [n.pitch for n in track.notes[6:9]] == [80, 80, 80]
    assert track.notes[9:12] == tuple(
        Note(3120 + 160 * i, p, 160) for i, p in enumerate((67, 69, 71))
    )
    assert track.notes[12:] == tuple(Note(3600, p, 960) for p in (60, 64, 67))


@pytest.mark.parametrize(
    ("body", "notes"),
    [
        ("C D/ E// F3/2", [(0, 60, 1), (1, 62, 0.5), (1.5, 64, 0.25), (1.75, 65, 1.5)]),
        ("C>D E<<F", [(0, 60, 1.5), (1.5, 62, 0.5), (2, 64, 0.25), (2.25, 65, 1.75)]),
        ("C, c c' z x2 B", [(0, 48, 1), (1, 72, 1), (2, 84, 1), (6, 71, 1)]),
        ("^C C c|C", [(0, 61, 1), (1, 61, 1), (2, 73, 1), (3, 60, 1)]),
        ("^C4-|C C|", [(0, 61, 5), (5, 60, 1)]),
        ("^C-|C =B, _B,|", [(0, 61, 2), (2, 59, 1), (3, 58, 1)]),
        ("C !trill(!D ~E .F TG", [(i, p, 1) for i, p in enumerate((60, 62, 64, 65, 67))]),
        ("[CE]2 [C2E]", [(0, 60, 2), (0, 64, 2), (2, 60, 2), (2, 64, 1)]),
        ("(3:2:2 C2 D E", [(0, 60, 4 / 3), (4 / 3, 62, 2 / 3), (2, 64, 1)]),
        ("C2D2&E4|F", [(0, 60, 2), (0, 64, 4), (2, 62, 2), (4, 65, 1)]),
        ("[K:D]F [L:1/8]F2 [K:F clef=bass]B", [(0, 66, 1), (1, 66, 1), (2, 70, 0.5)]),
        ("C|Z2|D", [(0, 60, 1), (9, 62, 1)]),
        ("[V:A]C2|[V:B]E2|[V:A]D2", [(0, 60, 2), (0, 64, 2), (2, 62, 2)]),
        ("C|:D:|1E:|2F||[1G|]A", [(i, p, 1) for i, p in enumerate((60, 62, 64, 65, 67, 69))]),
    ],
)  # fmt: skip
def test_signs_of_music(body: str, notes: list[tuple[float, int, float]]) -> None:
    assert sounding(abc(body)) == [pytest.approx(note) for note in notes]


@pytest.mark.parametrize(
    ("key", "signature", "pitches"),
    [
        ("Am", Key(0, True), (65, 71)),
        ("D dorian", Key(0), (65, 71)),
        ("Ebmin", Key(-6, True), (65, 70)),
        ("A Mixolydian", Key(2), (66, 71)),
        ("G ^f _b", Key(1), (66, 70)),
        ("C exp ^f", Key(0), (66, 71)),
        ("HP", Key(2), (66, 71)),
        ("none", Key(0), (65, 71)),
        ("C octave=-1", Key(0), (53, 59)),
        ("C clef=treble-8 transpose=2", Key(0), (55, 61)),
    ],
)
def test_keys(key: str, signature: Key, pitches: tuple[int, int]) -> None:
    score = abc("F2 B2", f"L:1/4\nK:{key}")
    assert score.key_signatures == (KeySignature(0, signature),)
    assert tuple(note.pitch for note in score.notes) == pitches


def test_grace_notes_are_said_to_be_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.abc"
    path.write_text("X:1\nK:C\n{cd}e{/f}g|\n")
    with pytest.warns(LeftOut, match=r"a\.abc: 3 grace notes left out"):
        assert len(read_score(path).notes) == 2
    corpus = open_corpus(tmp_path)
    assert len(next(corpus.pieces())[1].notes) == 2  # told once, by the preflight
    assert corpus.preflight().summary() == (
        "1 usable, 0 skipped; 3 grace notes left out (in 1 piece)"
    )


def test_voices_fields_and_defaults() -> None:
    score = score_of_abc(
        b'%%MIDI program 40\nX:1\nM:2/4\nQ:1/4=90\nV:1 name="High part"\n%%MIDI program 73\n'
        b"V:2 nm=Low octave=-1\nK:F\nV:1\nB4|\nM:3/4\nQ:60\nA4 z2|\nV:2\nd4|[M:3/4]c6|\n"
    )
    assert [(track.name, track.program) for track in score.tracks] == [
        ("High part", 73),
        ("Low", 73),
    ]
    assert sounding(score) == [(0, 62, 1), (0, 70, 1), (1, 60, 1.5), (1, 69, 1)]
    assert score.tempos == (Tempo(0, 90.0), Tempo(480, 15.0))
    assert [str(metre) for metre in score.time_signatures] == ["1/4", "3/4"]


def test_a_book_is_read_tune_by_tune(tmp_path: Path) -> None:
    path = tmp_path / "book.abc"
    path.write_text(BOOK)
    assert tune_count(BOOK.encode()) == 3
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert read_score(path).title == "A Jig"
    assert "holds 3 tunes, of which the first was read; as a corpus" in str(told[0].message)
    assert [read_abc(path, number).title for number in (2, 3)] == ["Second", "Third"]
    assert read_abc(path, 2).notes[0].duration_ticks == 4 * 480  # L: stands before all tunes
    with pytest.raises(FileError, match="no tune 4 in it"):
        read_abc(path, 4)


def test_a_corpus_sees_every_tune(tmp_path: Path) -> None:
    folder = tmp_path / "tunes"
    folder.mkdir()
    (folder / "book.abc").write_text(BOOK)
    (folder / "one.abc").write_text("X:1\nT:Alone\nK:C\nC|\n")
    (folder / "empty.abc").write_text("")
    ids = ["book.abc#1", "book.abc#2", "book.abc#3", "empty.abc", "one.abc"]
    corpus = open_corpus(folder)
    assert [item.id for item in corpus.items] == ids
    assert [item.group for item in corpus.items][1:4] == ["book#2", "book#3", "empty"]
    titles = [piece.title for _, piece in corpus.pieces() if isinstance(piece, Score)]
    assert titles == ["A Jig", "Second", "Third", "Alone"]
    assert "4 usable, 1 skipped: empty.abc: there is no ABC tune" in corpus.preflight().summary()
    archive = tmp_path / "tunes.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for path in folder.iterdir():
            packed.write(path, path.name)
    assert [name for name, _ in open_corpus(archive).pieces()] == [*ids[:3], ids[4]]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "there is no ABC tune in it"),
        ("no tune", "there is no ABC tune in it"),
        ("X:1\nT:Silent\nK:C\nz4|\n", "there are no notes in this tune"),
        ("X:1\nT:No key\nCDEF|\n", "there are no notes in this tune"),
        ("X:1\nM:four\nK:C\nC|\n", "line 2: 'four' is no metre"),
        ("X:1\nL:0\nK:C\nC|\n", "line 2: '0' is no length"),
        ("X:1\nK:C\nC|\nC,,,,,,,,|\n", "line 4: the note C,,,,,,,, lies outside"),
        ("X:1\nK:C\nC0|\n", "line 3: no note has the length 0"),
        ("X:1\nK:G# lyd\nC|\n", "line 2: .* more than seven accidentals"),
        ("X:1\nK:C\nZ9999|C\n", "line 3: a rest of 9999 bars"),
        ("X:1\nK:C\n^1/0C\n", "line 3: there is no accidental"),
        ("X:1\nM:1/64\nK:C\n" + "Z1000" * 200, "line 4: .* more than 100,000 bars"),
        ("X:1\nK:C\n" + "Z1000" * 200, "line 3: .* longer than 100,000 quarters"),
        ("X:1\nK:C\n" + "".join(f"V:{i}\nC\n" for i in range(300)), "more than 256 voices"),
        ("X:1\nK:C\n" + "C" * 300_000, "a tune is longer than 200,000 characters"),
    ],
)
def test_bad_files_say_what_is_wrong(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "bad.abc"
    path.write_text(text)
    with pytest.raises(FileError, match=says) as caught:
        read_abc(path)
    assert str(path) in str(caught.value)


@given(st.text("ABcz^_=,'23/()[]|:\"!{}<>-&ZXKLMVQ% \n", max_size=60), st.booleans())
@example('"', True)
@example("[V:]C", True)
@settings(max_examples=200, deadline=None)
def test_any_text_raises_file_error_alone(text: str, is_tune: bool) -> None:
    with only_file_errors(), warnings.catch_warnings():
        warnings.simplefilter("ignore", LeftOut)
        score_of_abc((f"X:1\nK:C\n{text}" if is_tune else text).encode(), number=1)


@given(st.binary(max_size=60))
@settings(max_examples=50, deadline=None)
def test_any_bytes_raise_file_error_alone(data: bytes) -> None:
    with only_file_errors():
        score_of_abc(data, number=1)


HEAD = "X:1\nT:t\nL:1/4\nM:4/4\nK:C\n"


@pytest.mark.parametrize(
    ("text", "pitches"),
    [
        (HEAD + "CDEF|\nw: one two\n+: a bad cab\nG4|]", (60, 62, 64, 65, 67)),
        (HEAD + "CDEF|\nw: a\n% a comment between\n+: bad cab\nG4|]", (60, 62, 64, 65, 67)),
        (HEAD + "+: bad cab\nC4|]", (60,)),
        (HEAD + "C4|]\n\nAbe Baggage gave it, Dec. 1901.\n", (60,)),
        (HEAD + "C4|]\n \t\nA bad cabbage.\n\nX:2\nK:C\nG4|", (60,)),
        (HEAD + "C4|\n%%begintext\nA bad\n\ncabbage\n%%endtext\nD4|]", (60, 62)),
        (HEAD + "C4|\n%%beginps\n(A) show\n%%endps\nD4|]", (60, 62)),
        ("%%begintext\nX:0 is no tune\nK:\n%%endtext\n" + HEAD + "C4|]", (60,)),
        (HEAD + "%%begintext\nC4|]", (60,)),  # without an end it is a line like others
        ("A bad cabbage.\n\nQ: is it?\n\n" + HEAD + "C4|]", (60,)),
        ("X:1\nT:t\n\nK:C\nC4|]", (60,)),  # an empty line in the header ends nothing
        ("T:no number\nK:C\nC4|]\n\nA bad cabbage.", (60,)),
    ],
)
def test_prose_is_no_music(text: str, pitches: tuple[int, ...]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert tuple(note.pitch for note in score_of_abc(text.encode()).notes) == pitches


def test_free_text_that_looks_like_music_is_said_to_be_left_out() -> None:
    assert left_out(HEAD + "C4|]\n\nsome prose, a|b\n") == {}
    assert left_out(HEAD + "C4|\n\nD4|E4|\nV:2\n") == {"music-like free-text lines": 2}


@pytest.mark.parametrize(
    ("directives", "track"),
    [
        ("%%MIDI program 73\n%%MIDI transpose -12", ("Flute", 73, False, 48)),
        ("%%MIDI program 2 73", ("Flute", 73, False, 60)),
        ("I:MIDI program 73", ("Flute", 73, False, 60)),
        ("%%MIDI channel 10", ("Drums", 0, True, 60)),
        ("V:1\n%%MIDI transpose 2", ("Acoustic Grand Piano", 0, False, 62)),
    ],
)
def test_midi_directives(directives: str, track: tuple[str, int, bool, int]) -> None:
    for text in (f"X:1\nL:1/4\n{directives}\nK:C\nC4|", f"X:1\nL:1/4\nK:C\n{directives}\nC4|"):
        (found,) = score_of_abc(text.encode()).tracks
        assert (found.name, found.program, found.is_drum, found.notes[0].pitch) == track
    inline = abc("C[I:MIDI transpose 12]C")
    assert [note.pitch for note in inline.notes] == [60, 72]


def test_microtones_sound_at_the_nearest_key() -> None:
    score = abc("^/c _/c|^3/2c|c|^3/4c _1/4c")
    assert [note.pitch for note in score.notes] == [72, 72, 73, 72, 73, 72]
    assert left_out(HEAD + "^/c ^c ^2/2c") == {"microtones": 1}


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("(CD) (EF)", {"slurs": 2}),
        ("!f!C ~D .E uF +trill+G", {"decorations": 5}),
        ("[!f!CE.]", {"decorations": 2}),
        ("C4|\nw: la le-li\nW: words", {"lyrics": 4}),
        ("|:C4:|1D4:|[2E4|]", {"repeat signs": 4}),
        ("C ? * # D", {"unknown signs": 3}),
        ('"slow"C "Hxyz"D "Fxyz"E', {"written words": 2, "unknown chord symbols": 1}),
        ("%%MIDI gchord fzcz\nC", {"MIDI directives": 1}),
        ("N:a note\nP:A\nm: ~n = n\ns: v\nC", {
            "text fields": 1, "part marks": 1, "macros": 1, "symbol lines": 1,
        }),
        ("C\\\n`D$)E y C", {}),
    ],
)  # fmt: skip
def test_what_is_left_out_is_counted(text: str, counts: dict[str, int]) -> None:
    assert left_out(HEAD + text) == counts


def test_an_overlay_at_the_end_keeps_its_notes() -> None:
    assert sounding(abc("C2&")) == [(0, 60, 2)]


@pytest.mark.parametrize(
    "body",
    ["{" * 60_000, "[K:" * 20_000, '"' * 60_000, "C>" * 30_000, "V:1\n" * 15_000,
     "w:a\n" + "+:a\n" * 20_000, "z/1024|" * 9_000],
)  # fmt: skip
def test_no_text_takes_long(body: str) -> None:
    start = time.process_time()
    with only_file_errors(), warnings.catch_warnings():
        warnings.simplefilter("ignore", LeftOut)
        score_of_abc(f"X:1\nK:C\n{body}".encode())
    assert time.process_time() - start < 10
