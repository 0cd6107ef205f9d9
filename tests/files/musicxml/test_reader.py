from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partimento.errors import FileError
from partimento.files import open_corpus
from partimento.files.musicxml.reader import read_musicxml, score_of_musicxml
from partimento.files.musicxml.writer import musicxml_bytes, write_musicxml
from partimento.files.notation import spelt, values_of
from partimento.files.unsupported import LeftOut
from partimento.music import (
    Chord,
    ChordSymbol,
    Key,
    KeySignature,
    Lyric,
    Note,
    Pedal,
    Score,
    Tempo,
    Timeline,
    TimeSignature,
    Track,
)

from support.score_strategies import only_file_errors, scores, with_whole_bars


def xml(measures: str, part: str = "<part-name>Flute</part-name>", parts: str = "") -> bytes:
    return (
        f'<score-partwise><part-list><score-part id="P1">{part}</score-part></part-list>'
        f'<part id="P1">{measures}</part>{parts}</score-partwise>'
    ).encode()


def note(
    step: str = "C", octave: int = 4, duration: int = 1, more: str = "", first: str = ""
) -> str:
    pitch = f"<pitch><step>{step}</step><octave>{octave}</octave></pitch>"
    return f"<note>{first}{pitch}<duration>{duration}</duration>{more}</note>"


FOUR_FOUR = (
    "<attributes><divisions>1</divisions><key><fifths>-3</fifths><mode>minor</mode></key>"
    "<time><beats>4</beats><beat-type>4</beat-type></time></attributes>"
)


@pytest.mark.parametrize(
    "spans",
    [((162, 36), (168, 36)), ((0, 6), (0, 102), (6, 102)), ((0, 102), (6, 186))],
    ids=["lengths that are written in two", "voices that change", "the later note ends later"],
)
def test_notes_of_one_pitch_are_tied_each_to_its_own(spans: tuple[tuple[int, int], ...]) -> None:
    notes = tuple(Note(onset, 60, length, 64) for onset, length in spans)
    above = Note(0, 61, 192, 64)  # so that chords change the voices too
    signature = TimeSignature(0, 4, 4)  # bar lines at 96 and 192
    score = Score((Track("a", (*notes, above)),), 24, time_signatures=(signature,))
    again = score_of_musicxml(musicxml_bytes(with_whole_bars(score)))
    found = [(n.onset_ticks, n.duration_ticks) for n in again.tracks[0].notes if n.pitch == 60]
    assert found == list(spans)


@given(scores())
@settings(max_examples=40, deadline=None)
def test_what_is_written_is_read_again(score: Score) -> None:
    score = with_whole_bars(score)
    assert score_of_musicxml(musicxml_bytes(score)) == score


@given(st.binary(max_size=80))
@settings(max_examples=200, deadline=None)
def test_any_bytes_raise_file_error_alone(data: bytes) -> None:
    for bytes_ in (data, b"PK" + data, b"<score-partwise>" + data + b"</score-partwise>"):
        with only_file_errors():
            score_of_musicxml(bytes_)


@given(scores(), st.integers(0, 10_000), st.integers(32, 126))
@settings(max_examples=30, deadline=None)
def test_a_changed_byte_raises_file_error_alone(score: Score, at: int, value: int) -> None:
    data = bytearray(musicxml_bytes(score))
    data[at % len(data)] = value
    with only_file_errors():
        score_of_musicxml(bytes(data))


def test_packed_round_trip_with_recipe(tmp_path: Path) -> None:
    score = Score(
        (Track("Drums", (Note(0, 36, 120), Note(0, 42, 120)), is_drum=True),),
        tempos=(Tempo(0, 96.5),),
        time_signatures=(TimeSignature(0, 1, 4), TimeSignature(480, 3, 4)),
        recipe='{"seed": 1}',
        written_length_ticks=480 + 3 * 480,
    )
    path = tmp_path / "a.mxl"
    write_musicxml(score, path)
    again = read_musicxml(path)
    assert again == score
    assert again.recipe == score.recipe
    first = path.read_bytes()
    write_musicxml(score, path)
    assert path.read_bytes() == first


def test_pickup_is_written_as_one_and_read_as_its_own_bar() -> None:
    score = Score(
        (Track("A", (Note(0, 67, 480), Note(480, 72, 1920))),),
        time_signatures=(TimeSignature(0, 1, 4), TimeSignature(480, 4, 4)),
        tempos=(Tempo(0, 120.0),),
        written_length_ticks=2400,
    )
    data = musicxml_bytes(score)
    assert b'<measure number="0" implicit="yes">' in data
    assert data.count(b"<beats>") == 1
    assert score_of_musicxml(data) == score


def test_one_part_with_everything() -> None:
    harmony = "<harmony><root><root-step>C</root-step></root><kind>minor-seventh</kind></harmony>"
    odd = "<harmony><root><root-step>C</root-step></root><kind>Tristan</kind></harmony>"
    start = '<tie type="start"/><lyric><syllabic>begin</syllabic><text>Hal</text></lyric>'
    stop = '<tie type="stop"/>'
    end = "<lyric><syllabic>end</syllabic><text>lo</text></lyric>"
    direction = (
        "<direction><direction-type><metronome><beat-unit>half</beat-unit>"
        "<per-minute>50</per-minute></metronome></direction-type></direction>"
        '<direction><direction-type><pedal type="start"/></direction-type></direction>'
        '<direction><sound dynamics="100"/></direction>'
    )
    up = '<direction><direction-type><pedal type="stop"/></direction-type></direction>'
    measures = (
        f'<measure implicit="yes">{FOUR_FOUR}{note("G", 4, 1)}</measure>'
        f"<measure>{harmony}{direction}{note('C', 5, 4, start)}{note('E', 5, 4, '', '<chord/>')}"
        f"<backup><duration>4</duration></backup><forward><duration>2</duration></forward>"
        f"{note('C', 4, 2)}</measure>"
        f"<measure>{odd}{up}<note><grace/><pitch><step>B</step><octave>4</octave></pitch></note>"
        f"{note('C', 5, 1, stop)}{note('D', 5, 3, end)}</measure>"
    )
    with pytest.warns(LeftOut, match="1 grace and cue notes, 1 unknown chord symbol left out"):
        score = score_of_musicxml(xml(measures))
    assert score.tracks[0].notes == (
        Note(0, 67, 480),
        Note(480, 72, 2400, 90),
        Note(480, 76, 1920, 90),
        Note(1440, 60, 960, 90),
        Note(2880, 74, 1440, 90),
    )
    assert score.time_signatures == (TimeSignature(0, 1, 4), TimeSignature(480, 4, 4))
    assert [bar.onset_ticks for bar in Timeline(score).bars] == [0, 480, 2400]
    assert score.key_signatures == (KeySignature(0, Key(-3, True)),)
    assert score.chords == (ChordSymbol(480, Chord(0, "m7")),)
    assert score.tempos == (Tempo(480, 100.0),)
    assert score.tracks[0].pedals == (Pedal(480, 1920),)
    assert score.tracks[0].lyrics == (Lyric(480, "Hal-"), Lyric(2880, "lo"))


def direction(*types: str) -> str:
    inside = "".join(f"<direction-type>{each}</direction-type>" for each in types)
    return f"<direction>{inside}</direction>"


def test_what_is_not_kept_is_told_once_and_not_by_a_corpus(tmp_path: Path) -> None:
    signs = (
        '<notations><tied type="start"/><tuplet type="start"/><slur type="start"/>'
        '<slur type="stop"/><slur type="continue"/><fermata/><fermata type="inverted"/>'
        "<articulations><staccato/><accent/></articulations><technical><up-bow/></technical>"
        "<ornaments><trill-mark/><accidental-mark/></ornaments><dynamics><p/></dynamics>"
        '<arpeggiate/><glissando type="start"/><glissando type="stop"/></notations>'
        "<lyric><text>a</text><extend/></lyric>"
    )
    above = direction(
        "<words>dolce</words>", "<rehearsal>A</rehearsal>", "<dynamics><mf/></dynamics>"
    )
    hairpin = direction('<wedge type="crescendo"/>') + direction('<wedge type="stop"/>')
    rest = "<note><rest/><duration>2</duration><lyric><text>hm</text></lyric></note>"
    bar = '<barline><ending type="stop"/><repeat direction="backward"/></barline>'
    other = direction("<damp/>", "<segno/>") + "<figured-bass><figure/></figured-bass>"
    data = xml(
        f"<measure>{FOUR_FOUR}{above}{hairpin}{note('C', 4, 2, signs)}{rest}{bar}{other}</measure>"
    ).replace(
        b"<part-list>",
        b"<work><work-title>Air</work-title></work><movement-title>Air</movement-title>"
        b'<identification><creator type="composer">Bach</creator></identification>'
        b"<credit><credit-words>Air</credit-words></credit>"
        b"<credit><credit-words>Leipzig</credit-words></credit><part-list>",
    )
    path = tmp_path / "a.musicxml"
    path.write_bytes(data)
    with pytest.warns(LeftOut) as told:
        score = read_musicxml(path)
    (message,) = [str(each.message) for each in told]
    assert message.endswith(
        "a.musicxml: 2 articulations, 1 ornament, 1 technical sign, 2 dynamics marks, 1 slur, "
        "2 fermatas, 1 arpeggio, 1 glide, 1 hairpin, 1 written word, 1 rehearsal mark, "
        "1 bass figure, 1 melisma line, 2 credits, 1 other sign left out"
    )
    assert next(open_corpus(tmp_path).pieces())[1] == score  # without a word
    assert open_corpus(tmp_path).preflight().summary() == "1 usable, 0 skipped"
    score_of_musicxml(musicxml_bytes(score))  # nothing is left to lose


def test_all_verses_are_kept_and_equal_names_come_back() -> None:
    verses = (
        '<lyric number="part1verse2"><syllabic>begin</syllabic><text>wa</text></lyric>'
        '<lyric number="1"><text>go</text></lyric><lyric number="3"><text>be</text></lyric>'
    )
    second = '<score-part id="P2"><part-name>Flute</part-name></score-part></part-list>'
    measure = f"<measure>{FOUR_FOUR}{note('C', 4, 4, verses)}</measure>"
    other = f'<part id="P2"><measure>{FOUR_FOUR}{note("C", 4, 4)}</measure></part>'
    data = xml(measure, parts=other).replace(b"</part-list>", second.encode())
    score = score_of_musicxml(data)
    assert [track.name for track in score.tracks] == ["Flute", "Flute 2"]
    sung = (Lyric(0, "wa-", 2), Lyric(0, "go"), Lyric(0, "be", 3))
    assert score.tracks[0].lyrics == sung
    again = musicxml_bytes(score)
    assert again.count(b"<part-name>Flute</part-name>") == 2
    assert set(score_of_musicxml(again).tracks[0].lyrics) == set(sung)
    twice = data.replace(b'number="3"', b'number="1"')
    assert len(score_of_musicxml(twice).tracks[0].lyrics) == 3


def test_transposing_instruments_sound_where_they_sound() -> None:
    attributes = FOUR_FOUR.replace(
        "</attributes>",
        "<transpose><chromatic>-2</chromatic></transpose></attributes>",
    ).replace("<time>", "<time>")
    score = score_of_musicxml(xml(f"<measure>{attributes}{note('D', 4, 4)}</measure>"))
    assert score.notes[0].pitch == 60


def test_voices_may_tie_in_any_order() -> None:
    back = "<backup><duration>4</duration></backup>"
    first = note("C", 4, 2, '<tie type="start"/>')
    rest = "<note><rest/><duration>2</duration></note>"
    second = note("C", 4, 2, '<tie type="stop"/>')
    measure = f"<measure>{FOUR_FOUR}{rest}{second}{back}{first}</measure>"
    assert score_of_musicxml(xml(measure)).notes == (Note(0, 60, 1920),)


def test_container_that_is_not_well_formed(tmp_path: Path) -> None:
    path = tmp_path / "a.mxl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("META-INF/container.xml", "<container><rootfile full-path='It's.xml'/>")
        archive.writestr("score.xml", xml(f"<measure>{FOUR_FOUR}{note()}</measure>"))
    assert len(read_musicxml(path).notes) == 1


def packed(method: int = zipfile.ZIP_STORED, **members: str | bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b"<a><b></a>", "broken XML"),
        (b"<html/>", "no MusicXML"),
        (b"<score-timewise/>", "timewise"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><score-partwise/>', "entities"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><score-partwise/>'.encode("utf-16"), "entities"),
        (b"PK\x03\x04 broken", "damaged .mxl"),
        (packed(readme="hello"), "no score"),
        (xml("<measure><attributes><divisions>0</divisions></attributes></measure>"), "divisions"),
        (xml(f"<measure>{FOUR_FOUR}{note('C', 12)}</measure>"), "0..127"),
        (xml(f"<measure>{FOUR_FOUR}{note('H', 4)}</measure>"), "damaged MusicXML"),
    ],
)
def test_bad_files_say_what_is_wrong(tmp_path: Path, data: bytes, says: str) -> None:
    path = tmp_path / "bad.musicxml"
    path.write_bytes(data)
    with pytest.raises(FileError, match=says):
        read_musicxml(path)


def test_a_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("partimento.files.musicxml.document._MAX_BYTES", 1000)
    with pytest.raises(FileError, match="unpacks to over"):
        score_of_musicxml(packed(**{"a.xml": " " * 20_000}, method=zipfile.ZIP_DEFLATED))


def test_lengths_are_written_in_few_signs() -> None:
    assert [(v.type, v.dots) for v in values_of(720, 480)] == [("quarter", 1)]
    assert [v.tuplet for v in values_of(160, 480)] == [(3, 2)]
    assert [v.ticks for v in values_of(600, 480)] == [480, 120]
    assert [v.type for v in values_of(7, 480)] == [None]


def test_spelling_follows_the_key() -> None:
    assert spelt(10, 0) == ("B", -1)
    assert spelt(6, 1) == ("F", 1)
    assert spelt(6, -4) == ("G", -1)
    assert spelt(11, -6) == ("C", -1)


def test_chords_alone_need_no_track() -> None:
    score = Score(
        tempos=(Tempo(0, 120.0),),
        time_signatures=(TimeSignature(0, 4, 4),),
        chords=(ChordSymbol(0, Chord(9, "7b9", 1)), ChordSymbol(480, Chord(2, "add9"))),
        written_length_ticks=1920,
    )
    assert score_of_musicxml(musicxml_bytes(score)) == score
    assert score_of_musicxml(musicxml_bytes(replace(score, chords=()))).tracks == ()
