"""Edits of MusicXML files: what is asked for changes, and nothing else."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from partimento.errors import NotSupported
from partimento.files.musicxml.document import document_of
from partimento.files.musicxml.patch import patched
from partimento.files.musicxml.reader import score_of_musicxml
from partimento.music import Lyric, Note, Score, TimeSignature, Track

pytestmark = pytest.mark.filterwarnings("ignore::partimento.files.unsupported.LeftOut")


def note(step: str, duration: int, more: str = "", voice: int = 1, first: str = "") -> str:
    return (
        f"<note>{first}<pitch><step>{step}</step><octave>4</octave></pitch>"
        f"<duration>{duration}</duration><voice>{voice}</voice>{more}</note>"
    )


ATTRIBUTES = (
    "<attributes><divisions>2</divisions><key><fifths>0</fifths></key>"
    "<time><beats>4</beats><beat-type>4</beat-type></time></attributes>"
)
SLUR = '<notations><slur type="{}" number="1"/></notations>'
FIRST = (
    '<measure number="1"><!-- mine -->' + ATTRIBUTES + "<direction><direction-type><dynamics><p/>"
    "</dynamics></direction-type><sound dynamics='50'/></direction>"
    + note("C", 4, "<type>half</type>" + SLUR.format("start") + "<lyric><text>la</text></lyric>")
    + note("D", 4, "<type>half</type><lyric><text>lu</text></lyric>")
    + "</measure>"
)
SECOND = (
    '<measure number="2">'
    + note("E", 4, "<type>half</type>" + SLUR.format("stop") + "<lyric><text>li</text></lyric>")
    + "<direction><direction-type><words>dolce</words></direction-type></direction>"
    + note("F", 4, "<type>half</type><lyric><text>lo</text></lyric>")
    + '<barline location="right"><repeat direction="backward"/></barline></measure>'
)
THIRD = '<measure number="3">' + note("G", 8) + "</measure>"
DOCUMENT = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE score-partwise PUBLIC "a" "b">\n'
    "<score-partwise><identification><creator>Me</creator></identification><part-list>"
    '<score-part id="P1"><part-name>Voice</part-name></score-part></part-list>'
    f'<part id="P1">{FIRST}{SECOND}{THIRD}</part></score-partwise>'
).encode()


@pytest.fixture
def before() -> Score:
    return score_of_musicxml(DOCUMENT)


def with_notes(score: Score, *notes: Note) -> Score:
    return score.with_tracks([replace(score.tracks[0], notes=notes)])


def second_bar(score: Score, *notes: Note) -> Score:
    """Return the score with other notes in its second bar."""
    kept = [n for n in score.tracks[0].notes if not 1920 <= n.onset_ticks < 3840]
    return with_notes(score, *sorted([*kept, *notes]))


def measure(data: bytes, index: int) -> ElementTree.Element:
    return ElementTree.fromstring(document_of(data, "x").xml).findall("part/measure")[index]


def test_nothing_asked_nothing_changed(before: Score) -> None:
    assert patched(DOCUMENT, before, before) == DOCUMENT


def test_a_bar_changes_and_every_other_byte_stays(before: Score) -> None:
    after = second_bar(before, Note(1920, 67, 960, 50), Note(2880, 69, 960, 50))
    made = patched(DOCUMENT, before, after)
    assert score_of_musicxml(made) == after
    head, tail = DOCUMENT.split(SECOND.encode())
    assert made.startswith(head)
    assert made.endswith(tail)
    bar = measure(made, 1)
    assert bar.find("barline/repeat") is not None
    assert bar.findtext("direction/direction-type/words") == "dolce"
    assert [n.findtext("lyric/text") for n in bar.iter("note")] == ["li", "lo"]


def test_a_slur_that_came_from_before_ends_on_the_nearest_new_note(before: Score) -> None:
    after = second_bar(before, Note(2400, 67, 480, 50), Note(2880, 69, 960, 50))
    bar = measure(patched(DOCUMENT, before, after), 1)
    slurred = [n for n in bar.iter("note") if n.find("notations/slur") is not None]
    assert [n.findtext("pitch/step") for n in slurred] == ["G"]
    assert slurred[0].find("notations/slur").get("type") == "stop"  # type: ignore[union-attr]


def test_syllables_stay_where_their_notes_are_gone(before: Score) -> None:
    after = second_bar(before, Note(2400, 67, 1440, 50))
    made = patched(DOCUMENT, before, after)
    assert score_of_musicxml(made).tracks[0].lyrics == before.tracks[0].lyrics
    hidden = [n for n in measure(made, 1).iter("note") if n.get("print-object") == "no"]
    assert [n.findtext("lyric/text") for n in hidden] == ["li", "lo"]


def test_finer_notes_get_finer_divisions_in_their_bar_alone(before: Score) -> None:
    fast = [Note(1920 + 120 * n, 60 + n, 120, 50) for n in range(16)]
    made = patched(DOCUMENT, before, second_bar(before, *fast))
    bar = measure(made, 1)
    assert [d.text for d in bar.iter("divisions")] == ["4", "2"]
    assert [b.text for b in bar.iter("beam") if b.get("number") == "2"][:4] == [
        "begin",
        "continue",
        "continue",
        "end",
    ]
    assert THIRD.encode() in made


def test_notes_that_overlap_go_to_a_voice_of_their_own(before: Score) -> None:
    after = second_bar(before, Note(1920, 60, 1440, 50), Note(2400, 67, 960, 50))
    bar = measure(patched(DOCUMENT, before, after), 1)
    assert {n.findtext("voice") for n in bar.iter("note")} >= {"1", "2"}


def test_a_note_may_be_tied_over_the_bar_line(before: Score) -> None:
    notes = (Note(0, 60, 960, 50), Note(960, 62, 1920, 50), Note(3840, 67, 1920, 50))
    after = with_notes(before, *notes)
    made = patched(DOCUMENT, before, after)
    assert score_of_musicxml(made).tracks[0].notes == notes
    ties = [tie.get("type") for tie in ElementTree.fromstring(made).iter("tie")]
    assert ties == ["start", "stop"]


def test_one_voice_of_two_changes() -> None:
    other = "<backup><duration>8</duration></backup>" + note("A", 8, SLUR.format("start"), 2)
    data = DOCUMENT.replace(THIRD.encode(), (THIRD[:-10] + other + "</measure>").encode())
    before = score_of_musicxml(data)
    kept = [n for n in before.tracks[0].notes if n.pitch != 67]
    after = with_notes(before, *sorted([*kept, Note(3840, 71, 480, 50)]))
    bar = measure(patched(data, before, after), 2)
    (held,) = [n for n in bar.iter("note") if n.findtext("voice") == "2"]
    assert held.find("notations/slur") is not None
    first = [n for n in bar.iter("note") if n.findtext("voice") == "1"]
    assert [n.find("rest") is not None for n in first] == [False, True]


def test_velocities_change_an_attribute_alone(before: Score) -> None:
    track = before.tracks[0]
    after = with_notes(before, *(replace(n, velocity=n.velocity + 9) for n in track.notes))
    made = patched(DOCUMENT, before, after)
    assert score_of_musicxml(made) == after
    root = ElementTree.fromstring(made)
    for each in root.iter("note"):
        del each.attrib["dynamics"]
    old = ElementTree.fromstring(DOCUMENT)
    assert ElementTree.canonicalize(ElementTree.tostring(root)) == ElementTree.canonicalize(
        ElementTree.tostring(old)
    )


def test_a_new_part_has_the_file_s_bars_and_repeats(before: Score) -> None:
    flute = Track("Flute", (Note(0, 72, 480, 70), Note(1800, 74, 240, 70)), 73)
    after = before.with_tracks([*before.tracks, flute])
    made = patched(DOCUMENT, before, after)
    again = score_of_musicxml(made)
    assert again == after
    root = ElementTree.fromstring(made)
    assert [p.get("id") for p in root.findall("part")] == ["P1", "P2"]
    repeats = [m.find("barline/repeat") is not None for m in root.findall("part")[1]]
    assert repeats == [False, True, False]
    drums = Track("Kit", (Note(0, 36, 480, 70), Note(480, 38, 480, 70)), is_drum=True)
    with_drums = before.with_tracks([drums, *before.tracks])
    assert score_of_musicxml(patched(DOCUMENT, before, with_drums)) == with_drums


def test_bars_are_appended_with_a_new_metre_and_words(before: Score) -> None:
    track = before.tracks[0]
    more = (Note(5760, 72, 720, 66), Note(6480, 74, 720, 66))
    after = replace(
        with_notes(before, *track.notes, *more),
        time_signatures=(*before.time_signatures, TimeSignature(5760, 3, 4)),
        written_length_ticks=5760 + 1440,
    )
    sung = (*track.lyrics, Lyric(5760, "ah"))
    after = after.with_tracks([replace(after.tracks[0], lyrics=sung)])
    made = patched(DOCUMENT, before, after)
    assert score_of_musicxml(made) == after
    assert made.startswith(DOCUMENT[: DOCUMENT.index(b"</part></score-partwise>")])
    assert [m.get("number") for m in ElementTree.fromstring(made).iter("measure")] == list("1234")


def test_a_transposing_part_is_written_as_it_is_played() -> None:
    data = DOCUMENT.replace(
        b"</time></attributes>",
        b"</time><transpose><chromatic>-2</chromatic></transpose></attributes>",
    )
    before = score_of_musicxml(data)
    made = patched(data, before, second_bar(before, Note(1920, 65, 1920, 50)))
    assert [n.findtext("pitch/step") for n in measure(made, 1).iter("note")][:1] == ["G"]


def test_a_container_keeps_its_other_members_and_gets_the_recipe(before: Score) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.xml", DOCUMENT)
        archive.writestr("cover.png", b"picture")
    after = replace(second_bar(before, Note(1920, 67, 960, 50)), recipe='{"seed": 1}')
    made = patched(out.getvalue(), before, after)
    assert score_of_musicxml(made).recipe == after.recipe
    with zipfile.ZipFile(io.BytesIO(made)) as archive:
        assert archive.read("cover.png") == b"picture"
        assert archive.namelist() == ["a.xml", "cover.png"]


@pytest.mark.parametrize("encoding", ["utf-16", "iso-8859-1"])
def test_the_encoding_stays(encoding: str) -> None:
    text = DOCUMENT.decode().replace("UTF-8", encoding).replace("dolce", "größer")
    data = text.encode(encoding)
    before = score_of_musicxml(data)
    made = patched(data, before, second_bar(before, Note(1920, 67, 960, 50)))
    assert "größer" in made.decode(encoding)


def test_what_cannot_be_said_is_refused(before: Score) -> None:
    track = before.tracks[0]
    for after, says in (
        (replace(before, title="Other"), "title"),
        (before.with_tracks([]), "gone"),
        (replace(before, time_signatures=(TimeSignature(0, 3, 4),)), "time signatures"),
        (before.with_tracks([replace(track, program=5)]), "program"),
        (before.with_tracks([replace(track, lyrics=())]), "words"),
    ):
        with pytest.raises(NotSupported, match=says):
            patched(DOCUMENT, before, after)
    with pytest.raises(NotSupported, match="not the one"):
        patched(DOCUMENT, second_bar(before), before)
