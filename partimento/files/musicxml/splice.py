"""An XML document changed at some places; every byte elsewhere stays as it is."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element, tostring
from xml.parsers import expat

__all__ = ["ByteLayout", "Edit", "as_utf8", "layout_of", "repacked", "serialised", "spliced"]

_TAG = re.compile(rb"""<[^>"']*(?:"[^"]*"[^>"']*|'[^']*'[^>"']*)*>""")
_DECLARED = re.compile(rb"""^\s*<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
_UTF8 = ("utf-8", "utf8", "us-ascii", "ascii")

# (start, end, replacement) in bytes; equal start and end insert.
Edit = tuple[int, int, bytes]


@dataclass
class ByteLayout:
    """Where elements stand in a document, as (start, end) in bytes of UTF-8."""

    children: list[tuple[str, int, int]] = field(default_factory=list)  # of the root
    measures: list[list[tuple[int, int]]] = field(default_factory=list)  # by part
    score_parts: list[tuple[int, int]] = field(default_factory=list)
    miscellaneous: tuple[int, int] | None = None
    part_ids: list[str] = field(default_factory=list)

    def spans(self, tag: str) -> list[tuple[int, int]]:
        """Return where the root's children of a name stand."""
        return [(start, end) for name, start, end in self.children if name == tag]


def as_utf8(xml: bytes) -> tuple[bytes, str]:
    """Return a document in UTF-8 and the encoding that it has had.

    Raises:
        LookupError, ValueError: if its encoding is unknown or damaged.
    """
    if xml[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return xml.decode("utf-16").encode(), "utf-16"
    found = _DECLARED.match(xml)
    name = found[1].decode().lower() if found else "utf-8"
    return (xml, "utf-8") if name in _UTF8 else (xml.decode(name).encode(), name)


def layout_of(xml: bytes) -> ByteLayout:
    """Return where the elements of a ``score-partwise`` document in UTF-8 stand."""
    layout = ByteLayout()
    open_tags: list[tuple[str, int]] = []
    parser = expat.ParserCreate("utf-8")

    def begun(tag: str, attributes: dict[str, str]) -> None:
        open_tags.append((tag, parser.CurrentByteIndex))
        if len(open_tags) == 2 and tag == "part":
            layout.measures.append([])
            layout.part_ids.append(attributes.get("id", ""))

    def ended(tag: str) -> None:
        _, start = open_tags.pop()
        depth = len(open_tags)
        if depth > 2 or depth == 0:
            return
        at = parser.CurrentByteIndex
        # The end of <tag/> is reported where it starts.
        found = _TAG.match(xml, start if at == start else at)
        span = (start, found.end() if found else at)
        if depth == 1:
            layout.children.append((tag, *span))
        elif tag == "measure" and open_tags[1][0] == "part":
            layout.measures[-1].append(span)
        elif tag == "score-part":
            layout.score_parts.append(span)
        elif tag == "miscellaneous":
            layout.miscellaneous = span

    parser.StartElementHandler = begun
    parser.EndElementHandler = ended
    parser.Parse(xml, True)
    return layout


def serialised(element: Element) -> bytes:
    """Return an element as XML in UTF-8, without what follows it."""
    tail, element.tail = element.tail, None
    text: str = tostring(element, encoding="unicode")
    element.tail = tail
    return text.encode()


def spliced(xml: bytes, edits: Iterable[Edit]) -> bytes:
    """Return the document with edits that do not overlap; inserts at one place keep their order."""
    out, at = [], 0
    for start, end, body in sorted(edits, key=lambda edit: edit[:2]):
        out += [xml[at:start], body]
        at = end
    return b"".join([*out, xml[at:]])


def repacked(data: bytes, member: str, xml: bytes) -> bytes:
    """Return a container with another body of one member; the others stay as they are."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for info in old.infolist():
            body = xml if info.filename == member else old.read(info)
            new.writestr(info, body, compress_type=info.compress_type)
        new.comment = old.comment
    return out.getvalue()
