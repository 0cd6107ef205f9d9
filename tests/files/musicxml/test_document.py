"""Containers as programs write them, and files that mean harm."""

from __future__ import annotations

import io
import struct
import time
import zipfile

import pytest

from partimento.errors import FileError
from partimento.files.musicxml.reader import score_of_musicxml

pytestmark = pytest.mark.filterwarnings("ignore::partimento.files.unsupported.LeftOut")


def song(step: str, more: str = "") -> str:
    return (
        '<score-partwise><part-list><score-part id="P1"><part-name>A</part-name></score-part>'
        f'</part-list><part id="P1"><measure>{more}<note><pitch><step>{step}</step>'
        "<octave>4</octave></pitch><duration>1</duration></note></measure></part></score-partwise>"
    )


def container(*paths: str, media: str = "") -> str:
    files = "".join(
        f'<rootfile full-path="{path}"' + (f' media-type="{media}"/>' if media else "/>")
        for path in paths
    )
    return f"<container><rootfiles>{files}</rootfiles></container>"


def packed(
    members: dict[str, str | bytes], container_xml: str = "", at: str = "META-INF/container.xml"
) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        if container_xml:
            archive.writestr(at, container_xml)
        for name, text in members.items():
            archive.writestr(name, text)
    return out.getvalue()


@pytest.mark.parametrize(
    ("named", "member"),
    [
        ("b.xml", "b.xml"),
        ("./b.xml", "b.xml"),
        ("/b.xml", "b.xml"),
        ("my%20song.xml", "my song.xml"),
        ("parts\\b.xml", "parts/b.xml"),
        ("parts/b.xml", "parts\\b.xml"),
        ("B.XML", "b.xml"),
        ("x/../b.xml", "b.xml"),
    ],
)
def test_the_score_that_the_container_names_is_read(named: str, member: str) -> None:
    data = packed({"a.xml": song("C"), member: song("D")}, container(named))
    assert score_of_musicxml(data).notes[0].pitch == 62


def test_other_documents_in_a_container_are_passed_over() -> None:
    members = {"a.xml": song("C"), "score.pdf": b"%PDF-1.4", "b.xml": song("D")}
    two = container("score.pdf", "b.xml")
    assert score_of_musicxml(packed(members, two)).notes[0].pitch == 62
    by_type = container("score.pdf", media="application/pdf").replace(
        "</rootfiles>", '<rootfile full-path="b.xml"/></rootfiles>'
    )
    assert score_of_musicxml(packed(members, by_type)).notes[0].pitch == 62
    elsewhere = packed(members, container("b.xml"), at="meta-inf/Container.xml")
    assert score_of_musicxml(elsewhere).notes[0].pitch == 62


def test_a_container_that_names_what_is_not_there() -> None:
    assert score_of_musicxml(packed({"b.xml": song("D")}, container("gone.xml"))).notes
    two = packed({"a.xml": song("C"), "b.xml": song("D")}, container("gone.xml"))
    with pytest.raises(FileError, match=r"gone\.xml"):
        score_of_musicxml(two)


ATTRIBUTES = "<!DOCTYPE a [<!ATTLIST note x CDATA '{}'>]>".format("y" * 5000)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ((ATTRIBUTES + song("C")).encode(), "attributes"),
        ((ATTRIBUTES + song("C")).encode("utf-16"), "attributes"),
        (packed({"a.xml": ATTRIBUTES + song("C")}), "attributes"),
        (packed({"a.xml": song("C")}, ATTRIBUTES + container("a.xml")), "attributes"),
        (song("C", "<attributes><divisions>1e9999999</divisions></attributes>").encode(), "range"),
        (song("C", "<forward><duration>1e99999999</duration></forward>").encode(), "range"),
        (song("C", "<forward><duration>9999999</duration></forward>").encode(), "quarters"),
        (song("C", "<backup><duration>-1</duration></backup>").encode(), "duration"),
        (
            song("C", "<direction><offset>1e99999999</offset></direction>").encode(),
            "range",
        ),
        (b"<a>" * 5000 + b"</a>" * 5000, "nested"),
        (b"<score-partwise>" + b"<a/>" * 2_100_000 + b"</score-partwise>", "tags"),
        (
            b"<score-partwise>" + b"<part/>" * 1001 + b"</score-partwise>",
            "1000 parts",
        ),
    ],
)
def test_what_would_grow_is_refused(data: bytes, says: str) -> None:
    began = time.process_time()
    with pytest.raises(FileError, match=says):
        score_of_musicxml(data)
    assert time.process_time() - began < 5


def with_method(data: bytes, method: int) -> bytes:
    """Return a container whose members say that they are compressed otherwise."""
    out = bytearray(data)
    for mark, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        at = out.find(mark)
        struct.pack_into("<H", out, at + offset, method)
    return bytes(out)


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, 99])
def test_other_compression_is_refused(method: int) -> None:
    with pytest.raises(FileError, match="deflated"):
        score_of_musicxml(with_method(packed({"a.xml": song("C")}), method))


def test_a_list_of_too_many_members_is_refused() -> None:
    data = bytearray(packed({"a.xml": song("C")}))
    struct.pack_into("<I", data, data.rfind(b"PK\x05\x06") + 12, 2**30)
    with pytest.raises(FileError, match="too many members"):
        score_of_musicxml(bytes(data))


def test_ties_that_never_end_take_linear_time() -> None:
    tied = (
        "<note><pitch><step>C</step><octave>4</octave></pitch><duration>1</duration>"
        '<tie type="{}"/></note>'
    )
    back = "<backup><duration>1</duration></backup>"
    starts = (tied.format("start") + back) * 15_000
    stops = (tied.format("stop") + back) * 15_000
    data = song("C", starts + "<forward><duration>1</duration></forward>" + stops).encode()
    began = time.process_time()
    score_of_musicxml(data)
    assert time.process_time() - began < 10


def test_many_parts_beside_one_long_part() -> None:
    part = '<part id="P1">' + "<measure/>" * 20_000 + "</part>"
    data = f"<score-partwise>{part}{'<part/>' * 900}</score-partwise>".encode()
    began = time.process_time()
    assert score_of_musicxml(data).length_ticks == 20_000 * 1920
    assert time.process_time() - began < 10
