"""The performer of grid models, over dice: tasks, windows, ranking, and no state."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice, pairwise
from typing import Any

import numpy as np
import pytest

from partimento.errors import CannotBeMet, NotSupported
from partimento.metrics.adherence import adherence
from partimento.music import (
    ChordSymbol,
    Note,
    PitchRange,
    Promises,
    Score,
    TimeSignature,
    Track,
    parse_chord,
    parse_key,
)
from partimento.music.regions import Region
from partimento.music.transform import join
from partimento.representations.track_grid import BLOCK, EMPTY, UNKNOWN
from partimento.runtime.contract import Request, Task
from partimento.runtime.grids.performer import GridPerformer

from support.grid_doubles import (
    CHOIR,
    NAMES,
    PLAIN,
    QUICK,
    Dice,
    infill,
    performer,
    piece,
    played,
    rewritten,
    rng,
)

# --- generate ---


@pytest.mark.parametrize("metre", ["4/4", "3/4", "6/8", "5/8", "17/16", "1/64", "9/4"])
def test_so_many_bars_in_the_metre(metre: str) -> None:
    player, _ = performer()
    signature = TimeSignature(0, *map(int, metre.split("/")))
    promises = Promises(bars=5, time_signature=signature)
    score = played(player, promises)
    assert adherence(score, promises).kept
    assert score.length_ticks == score.written_length_ticks
    assert [track.name for track in score.tracks] == list(NAMES)
    assert all(track.notes for track in score.tracks)


def test_the_same_seed_gives_the_same_piece_and_another_another() -> None:
    player, _ = performer()
    first, again, other = (played(player, Promises(bars=10), seed) for seed in (3, 3, 4))
    assert first == again
    assert first.notes != other.notes


def test_two_streams_do_not_disturb_each_other() -> None:
    player, _ = performer(PLAIN, window=96)
    request = Request(Task.GENERATE, Promises(bars=8))
    both = [player.stream(request, QUICK, rng(seed)) for seed in (1, 2)]
    mixed = [list(pair) for pair in zip(*both, strict=True)]
    for at, seed in enumerate((1, 2)):
        alone = list(player.stream(request, QUICK, rng(seed)))
        assert [pair[at] for pair in mixed] == alone


def test_an_endless_stream_goes_on_in_constant_memory() -> None:
    player, dice = performer(PLAIN, window=96)
    request = Request(Task.GENERATE, endless=True)
    bars = list(islice(player.stream(request, QUICK, rng()), 40))
    assert len(bars) == 40
    assert all(isinstance(bar, Score) and bar.written_length_ticks == 1920 for bar in bars)
    assert {asked["cells"].shape[2] for asked in dice.asked} <= {16 * n for n in range(1, 7)}
    sounds = [bool(bar.notes) for bar in bars if isinstance(bar, Score)]
    assert sum(sounds) > 20


def test_windows_see_what_was_written_before_them() -> None:
    player, dice = performer(PLAIN, window=96, rest=0.0)
    request = Request(Task.GENERATE, Promises(bars=12))
    score = join(player.stream(request, QUICK, rng()))  # type: ignore[arg-type]
    whole = PLAIN.encode(score).cells
    first = next(asked for asked in dice.asked if asked["cells"].shape[2] == 96)
    cells, features = first["cells"][0], first["features"][0]
    known = (cells[:2] < UNKNOWN).all(axis=(0, 2)) & (features[:, 1] > 0)
    width = int(known.sum())
    assert width >= 32
    starts = [
        at
        for at in range(0, whole.shape[1] - width, BLOCK)
        if (whole[:2, at : at + width, 0] == cells[:2, known, 0]).all()
    ]
    assert starts


def test_the_edges_of_the_piece_are_shown() -> None:
    player, dice = performer(window=160)
    played(player, Promises(bars=4))
    features = dice.asked[0]["features"][0]
    assert len(features) == 4 * 16 + 2 * BLOCK
    assert not features[:BLOCK].any()
    assert not features[-BLOCK:].any()
    assert features[BLOCK:-BLOCK, 1].all()
    given = dice.asked[0]["given"][0].tolist()
    assert given == [1, 0, 1, 0, 1, 0, 1, 0, 0]


def test_a_quartet_has_two_voices_a_part_and_its_own_names() -> None:
    player, dice = performer()
    score = played(player, Promises(bars=2), ensemble="strings")
    assert [t.name for t in score.tracks] == ["Violin I", "Violin II", "Viola", "Cello"]
    assert [t.program for t in score.tracks] == [40, 40, 41, 42]
    assert dice.asked[0]["given"][0].tolist() == [1] * 8 + [0]
    assert dice.asked[0]["context"][0, 1] == 1


def test_two_voices_of_a_part_do_not_sound_one_pitch_together() -> None:
    player, _ = performer(window=96, rest=0.0)
    promises = Promises(bars=8, ranges={"*": PitchRange(60, 62)})
    for track in played(player, promises, ensemble="strings").tracks:
        for pitch in (60, 61, 62):
            same = [note for note in track.notes if note.pitch == pitch]
            assert all(a.end_ticks <= b.onset_ticks for a, b in pairwise(same))


def test_new_music_has_tempo_and_key() -> None:
    player, _ = performer()
    request = Request(Task.GENERATE, Promises(bars=1, key=parse_key("G minor")))
    first = next(player.stream(request, QUICK, rng()))
    assert isinstance(first, Score)
    assert first.tempos[0].quarters_per_minute == 84.0
    assert first.key_signatures[0].key == parse_key("G minor")
    faster = replace(request, tempo_quarters_per_minute=120.0)
    first = next(player.stream(faster, QUICK, rng()))
    assert isinstance(first, Score)
    assert first.tempos[0].quarters_per_minute == 120.0


# --- continue ---


def test_continuing_sees_the_prompt_and_adds_bars() -> None:
    player, dice = performer()
    prompt = piece(3)
    request = Request(Task.CONTINUE, Promises(bars=5), (prompt,))
    pieces = list(player.stream(request, QUICK, rng()))
    assert len(pieces) == 5
    asked = dice.asked[0]
    assert asked["cells"].shape[2] == 8 * 16 + 2 * BLOCK
    encoded = CHOIR.encode(prompt).cells
    assert (asked["cells"][0][:, BLOCK : BLOCK + 48] == encoded).all()


def test_continuing_keeps_the_prompts_parts() -> None:
    player, dice = performer()
    prompt = piece(2, ("Violoncello", "Violin 1"))
    request = Request(Task.CONTINUE, Promises(bars=2), (prompt,))
    score = join(player.stream(request, QUICK, rng()))  # type: ignore[arg-type]
    assert [track.name for track in score.tracks] == ["Violoncello", "Violin 1"]
    assert dice.asked[0]["given"][0].tolist() == [1, 0, 0, 0, 0, 0, 1, 0, 0]
    twins = Request(Task.CONTINUE, Promises(bars=2), (piece(2, ("Piano", "Piano")),))
    score = join(player.stream(twins, QUICK, rng()))  # type: ignore[arg-type]
    assert len(score.tracks) == 2


def test_a_long_prompt_is_seen_from_its_end() -> None:
    player, dice = performer(window=160)
    request = Request(Task.CONTINUE, Promises(bars=2), (piece(40),))
    assert len(list(player.stream(request, QUICK, rng()))) == 2
    assert dice.asked[0]["cells"].shape[2] == 7 * 16 + BLOCK
    assert dice.asked[0]["features"][0, 0, 1] == 16  # it does not begin here


def test_continuing_drums_alone_or_too_many_parts_is_refused() -> None:
    player, _ = performer()
    drums = Score((Track("Drums", (Note(0, 36, 480, 80),), is_drum=True),))
    with pytest.raises(NotSupported, match="drums alone"):
        player.stream(Request(Task.CONTINUE, Promises(bars=2), (drums,)), QUICK, rng())
    many = piece(1, tuple(f"p{i}" for i in range(5)))
    with pytest.raises(NotSupported, match="4 tracks at once"):
        player.stream(Request(Task.CONTINUE, Promises(bars=2), (many,)), QUICK, rng())


# --- infill and accompany ---


@pytest.mark.parametrize(
    ("quarter", "metre"), [(480, "4/4"), (96, "3/4"), (24, "17/16"), (10, "5/8"), (1024, "6/8")]
)
def test_what_was_not_asked_for_does_not_change(quarter: int, metre: str) -> None:
    player, _ = performer()
    prompt = piece(6, quarter=quarter, metre=metre)
    regions = (Region(1, 3, frozenset({2})), Region(4, 6))
    for seed in range(3):
        result = rewritten(player, infill(prompt, *regions), seed)
        bar = prompt.written_length_ticks // 6
        for index, (old, new) in enumerate(zip(prompt.tracks, result.tracks, strict=True)):
            for at in range(6):
                mine, theirs = (
                    [n for n in t.notes if at * bar <= n.onset_ticks < (at + 1) * bar]
                    for t in (old, new)
                )
                if any(region.holds(at, index) for region in regions):
                    continue
                assert mine == theirs
        inside = [n for n in result.tracks[2].notes if bar <= n.onset_ticks < 3 * bar]
        assert inside
        assert all(n.end_ticks <= 3 * bar for n in inside)


def test_pieces_cover_the_whole_piece_on_its_ticks() -> None:
    player, _ = performer()
    prompt = piece(5, quarter=96)
    pieces = list(player.stream(infill(prompt, Region(2, 3, frozenset({1}))), QUICK, rng()))
    scores = [p for p in pieces if isinstance(p, Score)]
    assert [p.written_length_ticks for p in scores] == [384] * 5
    assert {p.ticks_per_quarter for p in scores} == {96}
    assert [len(p.tracks) for p in scores] == [4] * 5
    assert [bool(p.notes) for p in scores] == [False, False, True, False, False]
    assert all(note.velocity == 80 for p in scores for note in p.notes)


def test_old_notes_of_the_region_are_not_looked_at() -> None:
    player, dice = performer()
    prompt = piece(4)
    quiet = prompt.with_tracks(
        replace(t, notes=tuple(n for n in t.notes if not 1920 <= n.onset_ticks < 3840))
        if i == 1
        else t
        for i, t in enumerate(prompt.tracks)
    )
    region = Region(1, 2, frozenset({1}))
    assert rewritten(player, infill(prompt, region)) == rewritten(player, infill(quiet, region))
    cells = dice.asked[0]["cells"][0]
    assert (cells[2, BLOCK + 16 : BLOCK + 32] == [UNKNOWN, 65]).all()


def test_conditions_are_shown_and_nothing_else_is_masked() -> None:
    player, dice = performer()
    prompt = piece(4)
    rewritten(player, infill(prompt, Region(0, 4, frozenset({3}))))
    asked = dice.asked[0]
    encoded = CHOIR.encode(prompt).cells
    assert (asked["cells"][0][:6, BLOCK:-BLOCK] == encoded[:6]).all()
    assert asked["given"][0].tolist() == [2, 0, 2, 0, 2, 0, 1, 0, 0]


def test_long_pieces_are_written_in_windows_that_see_what_is_there() -> None:
    player, dice = performer(window=160)
    prompt = piece(40)
    result = rewritten(player, infill(prompt, Region(0, 40, frozenset({1, 2}))))
    assert result.tracks[0] == prompt.tracks[0]
    bar_of = {n.onset_ticks // 1920 for n in result.tracks[1].notes}
    assert len(bar_of) > 30
    assert max(asked["cells"].shape[2] for asked in dice.asked) <= 160
    windows = len(dice.asked) / 7  # three steps, then the lengths, each half in two
    assert windows <= 40 / 4
    dice.asked.clear()
    rewritten(player, infill(prompt, Region(20, 21, frozenset({1})), Region(38, 40)))
    assert len(dice.asked) <= 3 * 7  # bars in which nothing is to be written cost nothing


def test_a_note_that_sounds_into_the_region_is_kept_and_not_doubled() -> None:
    player, _ = performer(rest=-2.0)
    held = piece(4)
    alto = tuple(sorted((*held.tracks[1].notes[:6], Note(1920 + 960, 65, 1920, 70))))
    prompt = held.with_tracks((held.tracks[0], replace(held.tracks[1], notes=alto)))
    result = rewritten(player, infill(prompt, Region(2, 3, frozenset({1}))))
    fresh = [n for n in result.tracks[1].notes if n not in alto]
    assert fresh
    assert min(n.onset_ticks for n in fresh) >= 4800  # where the held note ends


def test_a_pedal_note_over_the_whole_region_does_not_leave_it_empty() -> None:
    player, _ = performer()
    prompt = piece(4)
    pedal = replace(prompt.tracks[3], notes=(Note(0, 36, 1920 * 4, 70),))
    prompt = prompt.with_tracks((*prompt.tracks[:3], pedal))
    result = rewritten(player, infill(prompt, Region(2, 3, frozenset({3}))))
    assert len(result.tracks[3].notes) > 1


def test_locks_win_and_locked_notes_are_conditions() -> None:
    player, dice = performer()
    prompt = piece(4)
    note = prompt.tracks[1].notes[5]
    request = infill(
        prompt,
        Region(0, 4, frozenset({0, 1})),
        locks=(Region(2, 3, frozenset({0})),),
        locked_notes=((1, note),),
    )
    result = rewritten(player, request)
    locked = prompt.tracks[0].notes[8:12]
    assert [n for n in result.tracks[0].notes if 3840 <= n.onset_ticks < 5760] == list(locked)
    assert note in result.tracks[1].notes
    cells = dice.asked[0]["cells"][0]
    assert cells[2, BLOCK + 16 + 4].tolist() == [note.pitch + 1, 4]
    assert (cells[0, BLOCK + 32 : BLOCK + 48] < UNKNOWN).all()


def test_locks_that_cover_everything_are_refused() -> None:
    player, _ = performer()
    request = infill(piece(2), Region(0, 1), locks=(Region(0, 2),))
    with pytest.raises(CannotBeMet, match="locks cover all"):
        player.stream(request, QUICK, rng())


@pytest.mark.parametrize("rest", [9.0, 40.0])
def test_a_region_is_never_empty(rest: float) -> None:
    player, _ = performer(rest=rest)
    prompt = piece(6)
    regions = (Region(1, 2, frozenset({1})), Region(4, 6, frozenset({2, 3})))
    for seed in range(3):
        result = rewritten(player, infill(prompt, *regions), seed)
        for region in regions:
            for track in region.tracks or ():
                inside = [
                    n
                    for n in result.tracks[track].notes
                    if region.first_bar * 1920 <= n.onset_ticks < region.end_bar * 1920
                ]
                assert inside
        assert all(t.notes for t in played(player, Promises(bars=3), seed).tracks)


def test_accompanying_writes_parts_that_were_added_empty() -> None:
    player, dice = performer()
    melody = piece(3, ("Cantus firmus",))
    added = tuple(Track(name, program=52) for name in NAMES[1:])
    prompt = melody.with_tracks((*melody.tracks, *added))
    request = Request(
        Task.ACCOMPANY, Promises(), (prompt,), regions=(Region(0, 3, frozenset({1, 2, 3})),)
    )
    result = rewritten(player, request)
    assert result.tracks[0] == prompt.tracks[0]
    assert all(track.notes for track in result.tracks)
    assert dice.asked[0]["given"][0].tolist() == [2, 0, 1, 0, 1, 0, 1, 0, 0]


def test_bars_cut_short_by_a_change_of_metre_are_kept() -> None:
    player, _ = performer(rest=-1.0)
    prompt = replace(piece(4), time_signatures=(TimeSignature(0, 4, 4), TimeSignature(2400, 3, 4)))
    request = infill(prompt, Region(0, 4, frozenset({1})))
    pieces = [p for p in player.stream(request, QUICK, rng()) if isinstance(p, Score)]
    assert [p.written_length_ticks for p in pieces][:3] == [1920, 480, 1440]
    assert max(n.onset_ticks for n in pieces[1].notes) < 480


# --- what is seen of a piece of other parts ---


def test_forty_tracks_are_no_hindrance_but_too_many_targets_are() -> None:
    player, dice = performer()
    prompt = piece(2, tuple(f"part {i}" for i in range(40)))
    prompt = prompt.with_tracks(
        replace(t, notes=tuple(replace(n, pitch=40 + n.pitch % 36) for n in t.notes))
        for t in prompt.tracks
    )
    result = rewritten(player, infill(prompt, Region(0, 1, frozenset({7, 30}))))
    assert [a == b for a, b in zip(prompt.tracks, result.tracks, strict=True)].count(False) == 2
    assert dice.asked[0]["given"][0].tolist().count(2) == 2
    with pytest.raises(NotSupported, match=r"writes 4 tracks at once .*not 40"):
        player.stream(infill(prompt, Region(0, 1)), QUICK, rng())


def test_drums_are_never_written() -> None:
    player, _ = performer()
    drums = Track("Kit", (Note(0, 36, 480, 80),), is_drum=True)
    prompt = piece(2).with_tracks((*piece(2).tracks, drums))
    with pytest.raises(NotSupported, match="no drums"):
        player.stream(infill(prompt, Region(0, 1, frozenset({4}))), QUICK, rng())
    result = rewritten(player, infill(prompt, Region(0, 1, frozenset({0}))))
    assert result.tracks[4] == drums
    alone = Score((drums,), written_length_ticks=1920)
    with pytest.raises(NotSupported, match="no drums"):
        player.stream(infill(alone, Region(0, 1)), QUICK, rng())


def test_a_track_of_chords_is_written_with_one_voice() -> None:
    player, _ = performer()
    chords = Track("Organ", tuple(Note(0, p, 1920, 80) for p in (60, 64, 67)))
    prompt = Score((chords, Track("Bass", (Note(0, 40, 3840, 80),))), written_length_ticks=3840)
    result = rewritten(player, infill(prompt, Region(1, 2, frozenset({0}))))
    assert {*chords.notes} <= {*result.tracks[0].notes}
    assert any(n.onset_ticks >= 1920 for n in result.tracks[0].notes)


def test_a_piece_with_one_note() -> None:
    player, _ = performer()
    prompt = Score((Track("Flute", (Note(0, 80, 480, 80),)), Track("Bass")))
    result = rewritten(player, infill(prompt, Region(0, 1, frozenset({1}))))
    assert result.tracks[0] == prompt.tracks[0]
    assert result.tracks[1].notes


def test_the_ensemble_goes_by_the_prompts_programs() -> None:
    player, dice = performer()
    prompt = piece(2)
    strings = prompt.with_tracks(replace(t, program=40 + i) for i, t in enumerate(prompt.tracks))
    for given, wanted in ((prompt, 0), (strings, 1)):
        dice.asked.clear()
        request = infill(given, Region(0, 1, frozenset({0})))
        rewritten(player, request)
        assert dice.asked[0]["context"][0, 1] == wanted
        assert player.ensemble_of(request, None) == ("choir", "strings")[wanted]
        assert player.ensemble_of(request, "strings") == "strings"
    dice.asked.clear()
    rewritten(player, infill(strings, Region(0, 1, frozenset({0}))), ensemble="choir")
    assert dice.asked[0]["context"][0, 1] == 0


# --- chords ---


def test_chords_of_the_prompt_are_told_to_the_model() -> None:
    player, dice = performer()
    symbols = (ChordSymbol(0, parse_chord("Am")), ChordSymbol(1920, parse_chord("F")))
    prompt = replace(piece(2), chords=symbols)
    rewritten(player, infill(prompt, Region(0, 2, frozenset({1}))))
    row = dice.asked[0]["cells"][0][-1, BLOCK:-BLOCK]
    assert row[::4, 0].tolist() == [10] * 4 + [6] * 4
    assert dice.asked[0]["given"][0, -1] == 2


def test_promised_chords_are_told_to_the_model() -> None:
    player, dice = performer()
    played(player, Promises(bars=3, chords=(parse_chord("G"), None)))
    row = dice.asked[0]["cells"][0][-1, BLOCK:-BLOCK, 0]
    assert row[::4].tolist() == [8] * 4 + [UNKNOWN] * 4 + [8] * 4
    assert dice.asked[0]["given"][0, -1] == 1
    dice.asked.clear()
    played(player, Promises(bars=3, chords=(parse_chord("G"),)))
    assert dice.asked[0]["given"][0, -1] == 2


# --- ranking ---


def test_the_likelier_answer_has_the_higher_score() -> None:
    class Wants(Dice):
        """Finds middle C for four sixteenths at every quarter likely."""

        def run(self, names: Any, feed: Any) -> Any:
            what, length = (np.zeros_like(out) for out in super().run(names, feed))
            what[..., EMPTY] = 3.0
            beat = feed["features"][0, :, 0] % 4 == 0
            what[:, :, beat, 61] = 9.0
            length[..., 4] = 5.0
            return [what, length]

    player = GridPerformer(Wants(CHOIR), CHOIR, performer()[0].config)
    prompt = piece(4)
    request = infill(prompt, Region(1, 3, frozenset({1})))
    likely = tuple(Note(at, 60, 480, 80) for at in range(1920, 5760, 480))
    other = tuple(Note(at, 67, 360, 80) for at in range(1920, 5760, 480))
    outside = [n for n in prompt.tracks[1].notes if not 1920 <= n.onset_ticks < 5760]
    scores = []
    for notes in (likely, other):
        alto = replace(prompt.tracks[1], notes=tuple(sorted((*outside, *notes))))
        answer = prompt.with_tracks((prompt.tracks[0], alto, *prompt.tracks[2:]))
        scores.append(player.score_of(request, answer))
    assert 0 > scores[0] > scores[1]


@pytest.mark.parametrize("task", [Task.GENERATE, Task.CONTINUE, Task.INFILL])
def test_every_answer_can_be_judged(task: Task) -> None:
    player, dice = performer(window=96)
    prompts = () if task is Task.GENERATE else (piece(6),)
    request = Request(task, Promises(bars=9), prompts, regions=(Region(2, 4),))
    before = player.score_of(request, piece(9))
    assert before == player.score_of(request, piece(9))
    assert before < 0
    assert len(dice.asked) % 4 == 0
