from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from partimento.errors import FileError, NotSupported
from partimento.files import open_corpus, write
from partimento.files.chord_charts import chord_of_harte, score_of_chart
from partimento.files.corpora.items import member_names
from partimento.files.corpora.named import work_of_chopin
from partimento.files.corpora.splits import content_hash, split_of
from partimento.music import Chord, Note, Score, Tempo, TimeSignature, Track


def line(*pitches: int, name: str = "A") -> Score:
    notes = tuple(Note(i * 480, pitch, 480) for i, pitch in enumerate(pitches))
    return Score((Track(name, notes),), time_signatures=(TimeSignature(0, 4, 4),))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "songs"
    (root / "deep" / "er").mkdir(parents=True)
    write(line(60, 62), root / "a.mid")
    write(line(60, 62, name="Other"), root / "deep" / "same.musicxml")
    write(line(64, 65), root / "deep" / "er" / "b.mid")
    (root / "broken.mid").write_bytes(b"MThd")
    (root / ".hidden.mid").write_bytes(b"")
    (root / "notes.txt").write_text("not music")
    write(Score(), root / "silent.mid")
    return root


def test_a_folder_is_searched_to_the_bottom(folder: Path) -> None:
    corpus = open_corpus(folder)
    names = ["a.mid", "broken.mid", "deep/er/b.mid", "deep/same.musicxml", "silent.mid"]
    assert [item.id for item in corpus.items] == names
    assert [id_ for id_, _ in corpus.pieces()] == [n for n in names if n != "broken.mid"]
    assert {item.split for item in corpus.items} <= {"train", "valid", "test"}
    assert all(item.split == split_of("songs", item.group) for item in corpus.items)


def test_preflight_tells_what_is_usable(folder: Path) -> None:
    seen: list[tuple[int, int]] = []
    corpus = open_corpus(folder)
    found = corpus.preflight(progress=lambda done, total: seen.append((done, total)))
    assert found.usable == ("a.mid", "deep/er/b.mid")
    assert found.duplicates == (("deep/same.musicxml", "a.mid"),)
    assert [id_ for id_, _ in found.skipped] == ["broken.mid", "silent.mid"]
    assert found.summary() == (
        "2 usable, 1 duplicates, 2 skipped: broken.mid: the file is cut short in its header; "
        "silent.mid: there are no notes in it"
    )
    assert found.summary(1).endswith("; and 1 more")
    assert seen[-1] == (5, 5)
    assert found.notes == 4
    assert len(corpus.only(found.usable)) == 2


@pytest.mark.parametrize("error", [IndexError(), OverflowError("too\nlarge"), MemoryError()])
def test_one_bad_file_never_stops_the_rest(
    folder: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Whatever it raises: in listing, in reading, or in what is made of it."""

    def fail(*_: object) -> Score:
        raise error

    (folder / "book.abc").write_text("X:1\nK:C\nC|\n")
    monkeypatch.setattr("partimento.files.corpora.items.tune_count", fail)
    corpus = open_corpus(folder)
    items = [replace(i, loader=fail) if i.id == "a.mid" else i for i in corpus.items]
    corpus = replace(corpus, items=tuple(items))
    found = corpus.preflight()
    assert found.usable == ("book.abc", "deep/er/b.mid", "deep/same.musicxml")
    assert found.skipped[0][1].startswith(f"cannot be read ({type(error).__name__}")
    assert "\n" not in found.summary()
    assert [id_ for id_, _ in corpus.pieces()][:2] == ["book.abc", "deep/er/b.mid"]
    monkeypatch.setattr("partimento.files.corpora.corpus.content_hash", fail)
    assert corpus.preflight().usable == ()


def test_hostile_zips_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "songs.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("a.abc", "X:1\nK:C\nC|\n")
        packed.writestr("b.abc", "X:1\nK:C\n" + "z" * 10_000)
    monkeypatch.setattr("partimento.files.corpora.items.MAX_UNPACKED_BYTES", 5000)
    found = open_corpus(archive).preflight()
    assert found.usable == ("a.abc",)
    assert "unpacks to more than" in found.skipped[0][1]
    monkeypatch.setattr("partimento.files.corpora.items.MAX_MEMBERS", 1)
    with pytest.raises(FileError, match="holds more than 1 members"):
        open_corpus(archive)


def test_a_zip_is_a_folder(folder: Path, tmp_path: Path) -> None:
    archive = tmp_path / "songs.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for path in sorted(folder.rglob("*.mid")):
            packed.write(path, path.relative_to(folder).as_posix())
    corpus = open_corpus(archive)
    assert [item.id for item in corpus.items] == [
        "a.mid",
        "broken.mid",
        "deep/er/b.mid",
        "silent.mid",
    ]
    by_id = {item.id: item for item in open_corpus(folder).items}
    for item in corpus.items:
        assert (item.split, item.group) == (by_id[item.id].split, by_id[item.id].group)
    assert corpus.items[0].load() == by_id["a.mid"].load()
    bad = tmp_path / "bad.zip"
    bad.write_bytes(archive.read_bytes()[:100])
    with pytest.raises(FileError, match="no music"):
        open_corpus(bad)


def test_processes_read_the_same(folder: Path) -> None:
    for number in range(20):
        write(line(40 + number), folder / f"n{number}.mid")
    corpus = open_corpus(folder)
    assert list(corpus.pieces(workers=2)) == list(corpus.pieces())


def test_unknown_names_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PARTIMENTO_DATA", raising=False)
    with pytest.raises(FileError, match=r"did you mean jsb_chorales\? known corpora: chopin"):
        open_corpus("jsb_chorale")
    with pytest.raises(FileError, match="this data set is not there"):
        open_corpus("jsb_chorales")
    with pytest.raises(FileError, match="no music in it"):
        open_corpus(tmp_path)
    with pytest.raises(NotSupported, match="takes no option one_edition; these do: chopin"):
        open_corpus("nottingham", one_edition=True)
    with pytest.raises(NotSupported, match="no part 'flute'"):
        open_corpus("openscore_lieder", part="flute")
    with pytest.raises(NotSupported, match="takes no options"):
        open_corpus(tmp_path, part="piano")


def pack(root: Path, name: str, rows: list[dict[str, str]], **members: str) -> None:
    (root / name).mkdir(parents=True)
    lines = ["\t".join(rows[0]), *("\t".join(row.values()) for row in rows)]
    (root / name / "pieces.tsv").write_text("\n".join(lines) + "\n")
    with zipfile.ZipFile(root / name / f"{name}.zip", "w") as archive:
        for member, text in members.items():
            archive.writestr(member, text)


def test_jsb_chorales_are_four_voices(tmp_path: Path) -> None:
    grid = [[72, 67, 64, 48]] * 20 + [[-1, 67, 64, 48]]
    data = {"Jsb16thSeparated.json": json.dumps({"test": [grid]})}
    rows = [{"id": "test/000", "split": "test", "group": "test/000"}]
    pack(tmp_path, "jsb_chorales", rows, **data)
    corpus = open_corpus("jsb_chorales", tmp_path)
    ((id_, score),) = corpus.pieces("test")
    assert id_ == "test/000"
    assert isinstance(score, Score)
    assert [t.name for t in score.tracks] == ["Soprano", "Alto", "Tenor", "Bass"]
    assert [(n.onset_ticks, n.duration_ticks) for n in score.tracks[0].notes] == [
        (0, 1920),
        (1920, 480),
    ]
    assert score.written_length_ticks == 21 * 120
    assert list(corpus.pieces("train")) == []
    with pytest.raises(NotSupported, match="no split"):
        list(corpus.pieces("trian"))


def test_public_domain_and_editions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARTIMENTO_DATA", str(tmp_path))
    base = {"split": "train", "group": "g"}
    pack(
        tmp_path,
        "openewld_pd",
        [{"id": "a", **base, "pd": "pd_us"}, {"id": "b", **base, "pd": "pd_world"}],
    )
    assert [i.id for i in open_corpus("openewld_pd", pd_world=True).items] == ["b"]
    ids = ["003-1-Sm-piano", "003-1-Sm", "060-1-BH", "060-1-BR-001"]
    kern = "**kern\t**kern\t**text\n*part2\t*part1\t*part1\n4C\t4c\tla\n*-\t*-\t*-\n"
    pack(
        tmp_path,
        "chopin_first_editions",
        [{"id": id_, **base} for id_ in ids],
        **{"kern/060-1-BH.krn": kern},
    )
    corpus = open_corpus("chopin_first_editions", one_edition=True, part="piano")
    assert [item.id for item in corpus.items] == ["003-1-Sm", "060-1-BH"]
    piano = corpus.items[1].load()
    assert isinstance(piano, Score)
    assert [track.name for track in piano.tracks] == ["Piano"]
    (outcome, _) = corpus.outcomes()
    assert "cannot be read" in outcome.problem
    voice = open_corpus("chopin_first_editions", part="voice").items[2].load()
    assert isinstance(voice, Score)
    assert voice.notes[0].pitch == 60


@pytest.mark.parametrize(
    ("id_", "work"),
    [
        ("001-1a-HO", "001/001"),
        ("028-1-BH-004", "028/004"),
        ("028_1-12-1a-C-004", "028/004"),
        ("034_2-1-Sm-002", "034/002"),
        ("034_1-1a-Sm", "034/001"),
        ("072sep-1e-Sam-002-ecossaise", "072/004"),
        ("072-1-MEIf-004-ecossaise", "072/004"),
        ("072sep-1e-Sam-marche-funebre", "072/002"),
        ("073-1x-Sam-piano-primo", "073/001/primo"),
        ("073-1x-Sam-Secondo", "073/001"),
        ("008-1-Sm-002-piano", "008/002"),
        ("GDC-1c-Sam", "GDC/001"),
    ],
)
def test_works_of_chopin(id_: str, work: str) -> None:
    assert work_of_chopin(id_) == work


def test_chord_charts() -> None:
    text = (
        "# title: Song\n# metre: 4/4\n\n0.0\tsilence\n1.0\tA, intro, | A:min | (2/4) G:maj | x2\n"
        "9.0\t| C:maj . F:7(#9)/b7 N |, (voice)\n13.0\tend\n"
    )
    score = score_of_chart(text)
    assert score.title == "Song"
    assert score.tempos == (Tempo(0, 80.0),)
    assert [(c.onset_ticks, c.chord) for c in score.chords] == [
        (0, Chord(9, "m")),
        (1920, Chord(7)),
        (2880, Chord(9, "m")),
        (4800, Chord(7)),
        (5760, Chord(0)),
        (6720, Chord(5, "7", 3)),
    ]
    assert [str(t) for t in score.time_signatures] == ["4/4", "2/4", "4/4", "2/4", "4/4"]
    assert chord_of_harte("N") is None
    assert chord_of_harte("Bb:hdim7") == Chord(10, "m7b5")
    assert chord_of_harte("C/3") == Chord(0, "", 4)
    with pytest.raises(FileError, match="no bar"):
        score_of_chart("# title: Song\n")


def test_splits_follow_the_rule() -> None:
    digest = hashlib.sha256(b"split-v1|songs|a/b").hexdigest()
    fraction = int(digest[:12], 16) / 16**12
    expected = "valid" if fraction < 0.1 else "test" if fraction < 0.2 else "train"
    assert split_of("songs", "a/b") == expected
    counts = [split_of("songs", str(i)) for i in range(2000)]
    assert 150 < counts.count("valid") < 250
    assert 150 < counts.count("test") < 250


def test_content_counts_and_not_form() -> None:
    one = line(60, 62)
    other = Score((Track("B", tuple(Note(i * 96, p, 96, 9) for i, p in enumerate((60, 62)))),), 96)
    assert content_hash(one) == content_hash(other)
    assert content_hash(one) != content_hash(line(60, 63))


def test_a_member_without_a_name_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "nameless.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.mid", b"")
        archive.writestr("x", b"y")
    # The directory is made to lie: the name "x" becomes empty, its bytes the extra field.
    data = path.read_bytes()
    start = data.rindex(b"PK\x01\x02")
    entry = bytearray(data[start:])
    entry[28:32] = b"\x00\x00\x01\x00"
    path.write_bytes(data[:start] + bytes(entry))
    assert member_names(path) == ["a.mid"]
