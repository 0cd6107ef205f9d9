"""Facts of a note, staff, part or instrument are taken for what they are."""

from __future__ import annotations

import pytest

from partimento.files.musicxml.reader import score_of_musicxml
from partimento.files.musicxml.writer import musicxml_bytes
from partimento.files.unsupported import LeftOut
from partimento.music import Lyric, Note, RepeatMark, Score, TimeSignature, Track

LISTED = '<score-part id="{}"><part-name>{}</part-name>{}</score-part>'
FOUR = "<time><beats>4</beats><beat-type>4</beat-type></time>"


def attributes(more: str = "", key: str = "") -> str:
    signature = f"<key><fifths>{key}</fifths></key>" if key else ""
    return f"<attributes><divisions>1</divisions>{signature}{FOUR}{more}</attributes>"


def note(pitch: str, duration: int = 4, more: str = "", first: str = "") -> str:
    step, octave = pitch
    return (
        f"<note>{first}<pitch><step>{step}</step><octave>{octave}</octave></pitch>"
        f"<duration>{duration}</duration>{more}</note>"
    )


def drum(display: str = "C5", instrument: str = "") -> str:
    named = f'<instrument id="{instrument}"/>' if instrument else ""
    return (
        f"<note><unpitched><display-step>{display[0]}</display-step><display-octave>{display[1]}"
        f"</display-octave></unpitched><duration>1</duration>{named}</note>"
    )


def read(*parts: str, listed: str = "") -> Score:
    names = "".join(LISTED.format(f"P{n}", f"Part {n}", "") for n in range(len(parts)))
    bodies = "".join(f'<part id="P{n}">{body}</part>' for n, body in enumerate(parts))
    head = f"<part-list>{listed or names}</part-list>"
    return score_of_musicxml(f"<score-partwise>{head}{bodies}</score-partwise>".encode())


def measure(*content: str) -> str:
    return f"<measure>{''.join(content)}</measure>"


@pytest.mark.filterwarnings("ignore::partimento.files.unsupported.LeftOut")
def test_cue_notes_take_their_time_and_grace_notes_none() -> None:
    cue, grace = note("C5", 2, first="<cue/>"), note("C5", 2, first="<grace/>")
    score = read(measure(attributes(), cue, grace, note("E4", 2)) + measure(note("F4")))
    assert [(n.onset_ticks, n.pitch) for n in score.notes] == [(960, 64), (1920, 65)]
    assert score.time_signatures == (TimeSignature(0, 4, 4),)


@pytest.mark.parametrize(
    ("midi", "notes", "pitches"),
    [
        ('<midi-instrument id="I"><midi-unpitched>39</midi-unpitched></midi-instrument>',
         drum(instrument="I"), [38]),
        ("", drum("C5") + drum("F4") + drum("G5"), [38, 36, 42]),
        ('<score-instrument id="I"><instrument-name>Cowbell</instrument-name></score-instrument>',
         drum(instrument="I"), [56]),
        ("".join(
            f'<midi-instrument id="I{n}"><midi-channel>10</midi-channel><midi-unpitched>{n}'
            "</midi-unpitched></midi-instrument>" for n in (38, 39)),
         drum(instrument="I38") + drum(instrument="I39"), [37, 38]),
    ],
)  # fmt: skip
def test_unpitched_notes_are_drums(midi: str, notes: str, pitches: list[int]) -> None:
    listed = LISTED.format("P0", "Kit", midi)
    (track,) = read(measure(attributes(), notes), listed=listed).tracks
    assert track.is_drum
    assert [n.pitch for n in track.notes] == pitches


def test_a_part_of_pitched_and_unpitched_notes_is_two_tracks() -> None:
    pitched, drums = read(measure(attributes(), note("C4", 2), drum("C5"))).tracks
    assert (pitched.name, pitched.is_drum, len(pitched.notes)) == ("Part 0", False, 1)
    assert (drums.name, drums.is_drum, len(drums.notes)) == ("Part 0 (percussion)", True, 1)


def test_the_instrument_that_plays_gives_the_program() -> None:
    midi = "".join(
        f'<midi-instrument id="I{n}"><midi-program>{n}</midi-program></midi-instrument>'
        for n in (1, 74)
    )
    played = note("C4", 4, '<instrument id="I74"/>')
    score = read(measure(attributes(), played), listed=LISTED.format("P0", "Flute", midi))
    assert score.tracks[0].program == 73


def transpose(chromatic: int, more: str = "", number: str = "") -> str:
    staff = f' number="{number}"' if number else ""
    return f"<transpose{staff}><chromatic>{chromatic}</chromatic>{more}</transpose>"


def test_transposition_of_one_staff_and_in_octaves() -> None:
    low = note("C3", 4, "<staff>2</staff>")
    back = "<backup><duration>4</duration></backup>"
    own = attributes("<staves>2</staves>" + transpose(-12, number="2"))
    assert [n.pitch for n in read(measure(own, note("C5"), back, low)).notes] == [36, 72]
    for more, pitches in (("<double/>", [48, 60]), ('<double above="yes"/>', [60, 72])):
        score = read(measure(attributes(transpose(0, more)), note("C4")))
        assert [n.pitch for n in score.notes] == pitches


def test_the_key_is_that_of_parts_that_are_written_as_they_sound() -> None:
    horn = measure(attributes(transpose(-7), "0"), note("C5"))
    flute = measure(attributes(key="2"), note("D5"))
    assert [str(k.key) for k in read(horn, flute).key_signatures] == ["D major"]
    clarinet = measure(attributes(transpose(-2), "4"), note("E5"))
    assert [str(k.key) for k in read(horn, clarinet).key_signatures] == ["D major"]


def test_chord_symbols_of_transposing_parts_sound_as_their_notes() -> None:
    harmony = "<harmony><root><root-step>D</root-step></root><kind>major</kind></harmony>"
    score = read(measure(attributes(transpose(-2)), harmony, note("D5")))
    assert str(score.chords[0].chord) == "C"


@pytest.mark.parametrize(
    ("mark", "quarters"),
    [
        ("<beat-unit>half</beat-unit><per-minute>c. 66-72</per-minute>", 132.0),
        ("<beat-unit>quarter</beat-unit><per-minute>=80,5</per-minute>", 80.5),
        ("<beat-unit>quarter</beat-unit><beat-unit-dot/><per-minute>60</per-minute>", 90.0),
        ("<beat-unit>half</beat-unit><beat-unit-dot/><beat-unit-dot/><per-minute>40</per-minute>",
         140.0),
    ],
)  # fmt: skip
def test_metronome_marks(mark: str, quarters: float) -> None:
    direction = (
        f"<direction><direction-type><metronome>{mark}</metronome></direction-type></direction>"
    )
    score = read(measure(attributes(), direction, note("C4")))
    assert [t.quarters_per_minute for t in score.tempos] == [quarters]


def test_what_is_not_understood_is_counted() -> None:
    modulation = "<beat-unit>quarter</beat-unit><beat-unit>half</beat-unit>"
    content = (
        f"<direction><direction-type><metronome>{modulation}</metronome></direction-type>"
        '<sound damper-pedal="yes"/></direction><listening/>' + note("C4", 4, "<listen/>")
    )
    other = measure(attributes(key="3").replace(">4</beats>", ">3</beats>"), note("C4"))
    with pytest.warns(LeftOut) as told:
        read(measure(attributes(key="2"), content), other)
    (signs,) = [each.message.signs for each in told]  # type: ignore[union-attr]
    assert signs == {
        "unread tempo marks": 1,
        "pedal marks": 1,
        "unknown elements": 2,
        "key signatures of single parts": 1,
        "metres of single parts": 1,
    }


def test_every_syllable_comes_back() -> None:
    notes = (Note(0, 60, 480), Note(0, 64, 960), Note(960, 62, 480))
    sung = (Lyric(0, "up"), Lyric(0, "down"), Lyric(0, "more"), Lyric(480, "hm-"), Lyric(960, "o"))
    track = Track("Choir", notes, lyrics=sung)
    score = Score((track,), time_signatures=(TimeSignature(0, 4, 4),), written_length_ticks=1920)
    again = score_of_musicxml(musicxml_bytes(score))
    assert sorted(again.tracks[0].lyrics) == sorted(sung)
    assert again.tracks[0].notes == notes


def test_repeats_are_read_and_written() -> None:
    first = (
        '<barline location="left"><repeat direction="forward"/></barline>',
        "<direction><direction-type><segno/></direction-type></direction>",
        note("C4"),
    )
    one = (
        '<barline location="left"><ending number="1, 2" type="start"/></barline>',
        note("D4"),
        '<barline location="right"><ending number="1, 2" type="stop"/>'
        '<repeat direction="backward" times="3"/></barline>',
    )
    two = (
        '<barline location="left"><ending number="3" type="start"/></barline>',
        "<direction><direction-type><words>D.S. al Fine</words></direction-type></direction>",
        note("E4"),
        '<barline location="right"><ending number="3" type="discontinue"/></barline>',
    )
    score = read(measure(attributes(), *first) + measure(*one) + measure(*two))
    assert score.repeats == (
        RepeatMark(0, "forward"),
        RepeatMark(0, "segno"),
        RepeatMark(1920, "ending", (1, 2), 3840),
        RepeatMark(3840, "backward", times=3),
        RepeatMark(3840, "ending", (3,), 5760),
        RepeatMark(5760, "dalsegno"),
    )
    assert score_of_musicxml(musicxml_bytes(score)).repeats == score.repeats
