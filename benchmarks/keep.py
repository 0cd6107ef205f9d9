"""200 files of the corpora edited at random places: is the rest of each document as it was?

MusicXML from OpenScore Lieder, OpenScore quartets, OpenEWLD and the Hauptstimme orchestra, and MIDI
from Mutopia and Nottingham, in turn. Of each file, one to four bars of one to four random tracks
get synthetic notes instead of their own (every eighth file new velocities, every eighth a new part,
every eighth two bars more), and the file is patched.

``kept`` counts the files of which every element (MusicXML: in canonical form) or event (MIDI)
outside is the same as before, and which read again hold just the notes that were wanted; it must
equal ``tried``. ``refused`` counts, by reason, edits that a file cannot express, for which a new
document would be written; they count as tried, but not as kept. Where ``--musescore`` names a
program (default: ``mscore3`` or ``musescore3``, if there is one), the MusicXML files are also
exported to MIDI by it before and after: ``same_in_musescore`` of ``musescore_tried`` play the same
notes outside. Repeats are taken out for this, so that time runs as in the score.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import tempfile
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from benchmarks.harness import Options, say, start
from partimento import seeds
from partimento.errors import NotSupported, PartimentoError
from partimento.files.formats import piece_of_bytes
from partimento.files.midi.chunks import MidiFile, parse
from partimento.files.midi.events import Event
from partimento.files.midi.patch import patched as patched_midi
from partimento.files.musicxml.document import document_of
from partimento.files.musicxml.patch import patched as patched_musicxml
from partimento.files.unsupported import LeftOut
from partimento.music import Note, Score, Timeline, Track
from partimento.music.regions import Region
from partimento.music.replace_regions import graft

MUSICXML = ("openscore_lieder", "openscore_quartets", "openewld_pd", "hauptstimme_orchestra")
MIDI = ("mutopia", "nottingham")
FILES = 200
MOST_BARS = 4
MOST_TRACKS = 4
MOST_BYTES = 400_000  # of a packed file; the largest take a minute each
LENGTHS = (1, 1, 2, 2, 2, 3, 4, 6, 8)  # of synthetic notes, in sixteenths
NOTE_TAGS = ("note", "backup", "forward")
PROGRAMS = ("mscore3", "musescore3")


@dataclass(frozen=True)
class Edit:
    """An edit that was made: which bars of which tracks, and which ticks they are."""

    before: Score
    after: Score
    kind: str


def main() -> None:
    """Run the benchmark."""
    start(
        __doc__,
        run,
        {
            "kept": lambda kept: kept == LAST["tried"],
            "same_in_musescore": lambda same: same is None or same == LAST["musescore_tried"],
        },
        {
            "musescore": "the program that exports MIDI, or none",
            "files": f"how many files ({FILES})",
        },
    )


LAST: dict[str, Any] = {}  # the figures of the run, which targets compare


def run(options: Options) -> dict[str, Any]:
    """Return the figures."""
    count = int(options.more.get("files") or (6 if options.quick else FILES))
    rng = seeds.generator(1)
    differences: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    kept, tried = 0, 0
    played: list[tuple[bytes, bytes, Edit]] = []
    for name, data in files(count, rng):
        edit = random_edit(name, data, tried, rng)
        if edit is None:
            continue
        tried += 1
        is_midi = name.endswith((".mid", ".midi"))
        try:
            made = (patched_midi if is_midi else patched_musicxml)(data, edit.before, edit.after)
        except NotSupported as error:
            refused[str(error)] += 1
            say(f"{name}: {edit.kind}: refused: {error}")
            continue
        found = different_midi(data, made, edit) if is_midi else different(data, made, edit)
        if read(name, made).tracks != edit.after.tracks and not same_notes(name, made, edit):
            found.add("notes")
        differences.update(found)
        kept += not found
        if found:
            say(f"{name}: {edit.kind}: {', '.join(sorted(found))}")
        if not is_midi:
            played.append((data, made, edit))
        if tried % 20 == 0:
            say(f"{kept} of {tried}")
    program = options.more.get("musescore") or next(filter(None, map(shutil.which, PROGRAMS)), "")
    same = None
    if program not in ("", "none"):
        same = sum(same_in_musescore(program, played))
    LAST.update(
        kept=kept,
        tried=tried,
        same_in_musescore=same,
        musescore_tried=0 if same is None else len(played),
        refused=dict(refused),
        differences=dict(differences),
    )
    return LAST


def files(count: int, rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    """Yield (name, bytes) of files of the corpora in turn, each corpus in random order."""
    rows = []
    for corpus in (*MUSICXML, *MIDI):
        folder = Path(os.environ["PARTIMENTO_DATA"]) / corpus
        packed = next(folder.glob("*.zip"))
        with zipfile.ZipFile(packed) as archive:
            names = sorted(
                info.filename
                for info in archive.infolist()
                if info.filename.lower().endswith((".mxl", ".musicxml", ".mid", ".midi"))
                and info.file_size <= MOST_BYTES
            )
        rows.append((packed, [names[n] for n in rng.permutation(len(names))]))
    for n in range(count):
        packed, names = rows[n % len(rows)]
        if names:
            name = names.pop()
            with zipfile.ZipFile(packed) as archive:
                yield name, archive.read(name)


def read(name: str, data: bytes) -> Score:
    """Return the score of a file without a word."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LeftOut)
        piece = piece_of_bytes(data, name)
    assert isinstance(piece, Score)
    return piece


def random_edit(name: str, data: bytes, number: int, rng: np.random.Generator) -> Edit | None:
    """Return an edit of a file; None where it cannot be read or has no notes."""
    try:
        before = read(name, data)
    except PartimentoError as error:
        say(f"{name}: {error}")
        return None
    if not before.notes:
        return None
    kind = {3: "velocities", 5: "part", 7: "bars"}.get(number % 8, "notes")
    changed = EDITS[kind](before, rng)
    return Edit(before, replace(changed, recipe='{"benchmark": "keep"}'), kind)


def new_notes(score: Score, rng: np.random.Generator) -> Score:
    """Return the score with other notes in a region."""
    bars = Timeline(score).bars
    with_notes = [n for n, track in enumerate(score.tracks) if track.notes]
    size = int(rng.integers(1, min(MOST_TRACKS, len(with_notes)) + 1))
    tracks = frozenset(rng.choice(with_notes, size, replace=False).tolist())
    first = int(rng.integers(len(bars)))
    last = min(len(bars), first + int(rng.integers(1, MOST_BARS + 1)))
    span = bars[first].onset_ticks, min(bars[last - 1].end_ticks, score.length_ticks)
    made = score.with_tracks(
        replace(track, notes=synthetic(track, span, score.ticks_per_quarter, rng))
        for track in score.tracks
    )
    return graft(score, made, [Region(first, last, tracks)])


def synthetic(
    track: Track, span: tuple[int, int], ticks: int, rng: np.random.Generator
) -> tuple[Note, ...]:
    """Return notes that wander around the middle of a track, some of them chords, with rests."""
    sixteenth = max(1, ticks // 4)
    pitches = sorted({note.pitch for note in track.notes}) or [60]
    at, found = span[0], []
    while at < span[1]:
        length = int(rng.choice(LENGTHS)) * sixteenth
        end = min(at + length, span[1])
        if rng.random() < 0.85:
            middle = pitches[len(pitches) // 2]
            chord = {int(middle + rng.integers(-6, 7)) for _ in range(rng.integers(1, 3))}
            if track.is_drum:
                chord = {int(rng.choice(pitches))}
            found += [Note(at, min(127, max(0, p)), end - at, 70) for p in sorted(chord)]
        at = end
    return tuple(found)


def new_velocities(score: Score, rng: np.random.Generator) -> Score:
    """Return the score with every velocity a little higher or lower."""
    return score.with_tracks(
        replace(
            track,
            notes=tuple(
                replace(n, velocity=int(np.clip(n.velocity + rng.integers(-9, 10), 1, 127)))
                for n in track.notes
            ),
        )
        for track in score.tracks
    )


def new_part(score: Score, rng: np.random.Generator) -> Score:
    """Return the score with one part more."""
    span = (0, score.length_ticks)
    track = Track("Added Viola", (Note(0, 60, 1),), 41)
    notes = synthetic(track, span, score.ticks_per_quarter, rng)
    return score.with_tracks((*score.tracks, replace(track, notes=notes)))


def new_bars(score: Score, rng: np.random.Generator) -> Score:
    """Return the score with two bars more, where its last bar is whole."""
    last = Timeline(score).bars[-1]
    if last.end_ticks != score.length_ticks:
        return new_notes(score, rng)
    span = (last.end_ticks, last.end_ticks + 2 * last.length_ticks)
    tracks = (
        replace(t, notes=(*t.notes, *synthetic(t, span, score.ticks_per_quarter, rng)))
        for t in score.tracks
    )
    return replace(score.with_tracks(tracks), written_length_ticks=span[1])


EDITS = {"notes": new_notes, "velocities": new_velocities, "part": new_part, "bars": new_bars}


def same_notes(name: str, made: bytes, edit: Edit) -> bool:
    """Return whether a patched file reads as wanted, but for what files cannot tell apart."""
    again = read(name, made)
    return [(t.notes, t.program, t.is_drum) for t in again.tracks] == [
        (t.notes, t.program, t.is_drum) for t in edit.after.tracks
    ]


def touched(edit: Edit) -> dict[int, set[int]]:
    """Return for each track of the old score the bars in which a changed note sounds."""
    starts = [bar.onset_ticks for bar in Timeline(edit.after).bars]
    found: dict[int, set[int]] = {}
    for index, track in enumerate(edit.before.tracks):
        old, new = Counter(track.notes), Counter(edit.after.tracks[index].notes)
        found[index] = {
            bar
            for note in ((old - new) + (new - old))
            for bar in range(
                int(np.searchsorted(starts, note.onset_ticks, "right")) - 1,
                int(np.searchsorted(starts, note.end_ticks - 1, "right")),
            )
        }
    return found


def canonical(element: ElementTree.Element, inside: bool = False) -> str:
    """Return an element in canonical form; ``inside`` leaves divisions out of it."""
    copy = ElementTree.fromstring(ElementTree.tostring(element))
    copy.tail = None
    if inside:
        for child in copy.iter():
            if child.tag in ("offset", "divisions"):
                child.text = ""
    return ElementTree.canonicalize(ElementTree.tostring(copy, encoding="unicode"), strip_text=True)


def different(data: bytes, made: bytes, edit: Edit) -> set[str]:
    """Return what outside of an edit is not the same in a MusicXML file."""
    old = ElementTree.fromstring(document_of(data, "old").xml)
    new = ElementTree.fromstring(document_of(made, "new").xml)
    found = set()
    if [canonical(e) for e in heads(old)] != [canonical(e) for e in heads(new)]:
        found.add("head")
    if edit.kind == "velocities":
        for note in (*old.iter("note"), *new.iter("note")):
            note.attrib.pop("dynamics", None)
        changes: dict[int, set[int]] = {}
    else:
        changes = touched(edit)
    parts = {part.get("id"): part for part in new.findall("part")}
    for index, part in enumerate(old.findall("part")):
        measures = part.findall("measure")
        others = parts[part.get("id")].findall("measure")[: len(measures)]
        for bar, (mine, theirs) in enumerate(zip(measures, others, strict=True)):
            if bar in changes.get(index, ()):
                if signs(mine) != signs(theirs):
                    found.add("signs inside")
            elif ElementTree.tostring(mine) != ElementTree.tostring(theirs) and canonical(
                mine
            ) != canonical(theirs):  # the canonical form is slow to make
                found.add("measures")
    return found


def heads(root: ElementTree.Element) -> Iterator[ElementTree.Element]:
    """Yield what stands before the parts, without what an edit may add."""
    for field in root.iter("miscellaneous"):
        for child in list(field):
            if child.get("name") == "partimento-recipe":
                field.remove(child)
    for child in root:
        if child.tag == "identification":
            yield from (e for e in child if len(e) or e.tag != "miscellaneous")
        elif child.tag == "part-list":
            yield from (e for e in child if e.findtext("part-name") != "Added Viola")
        elif child.tag != "part":
            yield child


def signs(measure: ElementTree.Element) -> list[str]:
    """Return all but the notes of a measure."""
    found = [canonical(e, inside=True) for e in measure if e.tag not in NOTE_TAGS]
    return [text for text in found if text != "<attributes><divisions></divisions></attributes>"]


def different_midi(data: bytes, made: bytes, edit: Edit) -> set[str]:
    """Return what outside of an edit is not the same in a MIDI file: events that are no notes."""
    old, new = (events_of(parse(each)) for each in (data, made))
    return {"events"} if old - new else set()


def events_of(file: MidiFile) -> Counter[tuple[int, Event]]:
    """Return (chunk, event) of all events of a MIDI file but notes and ends of tracks."""
    return Counter(
        (number, event._replace(at=0))
        for number, chunk in enumerate(file.chunks)
        for event in (*chunk.events, *chunk.messages)
    )


def same_in_musescore(program: str, played: list[tuple[bytes, bytes, Edit]]) -> list[bool]:
    """Return for each file whether MuseScore plays the same notes outside of its edit."""
    same = []
    with tempfile.TemporaryDirectory() as folder:
        for at in range(0, len(played), 10):
            jobs = []
            for n, (old, new, _) in enumerate(played[at : at + 10]):
                for name, data in (("old", old), ("new", new)):
                    path = Path(folder, f"{at + n}-{name}.musicxml")
                    path.write_bytes(without_repeats(data))
                    jobs.append({"in": str(path), "out": str(path.with_suffix(".mid"))})
            job = Path(folder, "job.json")
            job.write_text(json.dumps(jobs), encoding="utf-8")
            subprocess.run(
                [program, "-j", str(job)],
                env={**os.environ, "QT_QPA_PLATFORM": "offscreen", "HOME": folder},
                capture_output=True,
                check=False,
                timeout=1200,
            )
            for n, (_, _, edit) in enumerate(played[at : at + 10]):
                paths = [Path(folder, f"{at + n}-{name}.mid") for name in ("old", "new")]
                same.append(all(p.exists() for p in paths) and same_outside(*paths, edit))
                if not same[-1]:
                    say(f"MuseScore: file {at + n} ({edit.kind}) differs")
            say(f"MuseScore: {sum(same)} of {len(same)}")
    return same


def without_repeats(data: bytes) -> bytes:
    """Return the XML of a file without repeats, endings and jumps."""
    root = ElementTree.fromstring(document_of(data, "old").xml)
    for barline in root.iter("barline"):
        for child in [c for c in barline if c.tag in ("repeat", "ending", "segno", "coda")]:
            barline.remove(child)
    for sound in root.iter("sound"):
        for name in ("dacapo", "dalsegno", "segno", "coda", "tocoda", "fine"):
            sound.attrib.pop(name, None)
    out = io.BytesIO()
    ElementTree.ElementTree(root).write(out, encoding="utf-8", xml_declaration=True)
    return out.getvalue()


def same_outside(old: Path, new: Path, edit: Edit) -> bool:
    """Return whether two MIDI files differ only where notes were changed."""
    before, after = (midi_notes(path) for path in (old, new))
    changed: Counter[tuple[int, int]] = Counter()
    scale = 480 / edit.before.ticks_per_quarter
    spans = []
    for index, track in enumerate(edit.after.tracks):
        had = edit.before.tracks[index].notes if index < len(edit.before.tracks) else ()
        differing = (Counter(track.notes) - Counter(had)) + (Counter(had) - Counter(track.notes))
        for note in differing:
            changed[round(note.onset_ticks * scale), note.pitch] += 1
            spans.append((note.onset_ticks * scale, note.end_ticks * scale))
    if edit.kind == "velocities":
        return Counter(n[:3] for n in before) == Counter(n[:3] for n in after)
    differing = (Counter(before) - Counter(after)) + (Counter(after) - Counter(before))
    wrong = [
        note for note in differing if not any(start - 30 <= note[0] < end for start, end in spans)
    ]
    return not wrong


def midi_notes(path: Path) -> list[tuple[int, int, int, int]]:
    """Return (onset, pitch, duration, velocity) of all notes of a MIDI file, at 480 a quarter."""
    score = read(path.name, path.read_bytes())
    scale = 480 / score.ticks_per_quarter
    return [
        (round(n.onset_ticks * scale), n.pitch, round(n.duration_ticks * scale), n.velocity)
        for n in score.notes
    ]


if __name__ == "__main__":
    main()
