from __future__ import annotations

import json
from dataclasses import replace

import pytest

from partimento import api, files
from partimento.catalog import default_model
from partimento.errors import CannotBeMet, ConfigError, FileError, MusicError, NotSupported
from partimento.music import (
    Chord,
    KeySignature,
    Lyric,
    Note,
    Promises,
    Score,
    Tempo,
    Timeline,
    TimeSignature,
    Track,
    parse_key,
)
from partimento.recipe import Recipe, promises_from_record, promises_to_record
from partimento.runtime.contract import Task

VOICES = [{"name": n, "program": 52} for n in ("Soprano", "Alto", "Tenor", "Bass")]


@pytest.fixture
def instrument(make_model):
    make_model("filling", system="filler", defaults={"steps": 5}, tracks=VOICES)
    return api.load("filling")


@pytest.fixture
def requests(instrument):
    """The requests that the performer has seen."""
    return instrument._performer.log


def quartet(bars: int = 6, metre: tuple[int, int] = (3, 4)) -> Score:
    """Return four tracks with a quarter note a beat, words, and changes of tempo."""
    names = ("Violin 1", "Violin 2", "Viola", "Cello")
    count = bars * metre[0] * 4 // metre[1]
    tracks = tuple(
        Track(
            name,
            tuple(Note(480 * i, 76 - 7 * at + i % 3, 470, 40 + 10 * at + i) for i in range(count)),
            program=40 + at,
            lyrics=(Lyric(0, "la"),) if at == 2 else (),
            pan=30 * at,
        )
        for at, name in enumerate(names)
    )
    return Score(
        tracks,
        tempos=(Tempo(0, 80.0), Tempo(2000, 60.0)),
        time_signatures=(TimeSignature(0, *metre),),
        key_signatures=(KeySignature(0, parse_key("D")),),
        title="Quartet",
    )


def melody(name: str = "Soprano", bars: int = 4) -> Score:
    notes = tuple(Note(480 * i, 67 + i % 5, 480, 72) for i in range(4 * bars))
    return Score((Track(name, notes, program=73, volume=90),))


def outside(score: Score, track: int, first: int, end: int) -> list[Note]:
    """Return the notes of a track that start outside bars [first, end)."""
    bars = Timeline(score).bars
    start, stop = bars[first].onset_ticks, bars[end - 1].end_ticks
    return [n for n in score.tracks[track].notes if not start <= n.onset_ticks < stop]


def test_infill_writes_the_region_and_nothing_else(instrument, requests):
    prompt = quartet()
    result = instrument.infill(prompt, "3:4", "viola", seed=1)
    score = result.score
    assert [score.tracks[i] is prompt.tracks[i] for i in range(4)] == [True, True, False, True]
    assert outside(score, 2, 2, 4) == outside(prompt, 2, 2, 4)
    new = set(score.tracks[2].notes) - set(prompt.tracks[2].notes)
    assert {n.onset_ticks for n in new} == set(range(2 * 1440, 4 * 1440, 480))
    assert max(n.end_ticks for n in new) <= 4 * 1440
    assert 60 <= min(n.velocity for n in new) <= max(n.velocity for n in new) <= 78
    assert replace(score, tracks=()) == replace(prompt, tracks=())
    assert replace(score.tracks[2], notes=()) == replace(prompt.tracks[2], notes=())
    (request,) = requests
    assert request.task is Task.INFILL
    assert request.prompt is prompt
    assert request.promises.bars == 6
    assert request.promises.time_signature is None
    assert "Regenerated bars 3:4 of Viola with filling, seed 1" in result.summary()


def test_defaults_may_be_those_of_the_task_and_in_it_of_the_ensemble(make_model):
    own = {"steps": 5, "infill": {"steps": 7, "band": {"steps": 9}}, "band": {"loudness": 70}}
    make_model("choosy", system="filler", defaults=own, tracks=VOICES)
    choosy = api.load("choosy")

    def steps(result):
        return [result.recipe.controls[name] for name in ("steps", "loudness")]

    assert steps(choosy.accompany(melody(), tracks="Bass", seed=1)) == [5, 80]
    assert steps(choosy.accompany(melody(), seed=1)) == [5, 70]
    assert steps(choosy.infill(melody(), "2", seed=1)) == [7, 80]
    assert steps(choosy.infill(quartet(), "2", seed=1)) == [9, 70]
    assert steps(choosy.infill(quartet(), "2", seed=1, steps=3, loudness=50)) == [3, 50]


def test_bars_or_tracks_may_be_left_out_but_not_both(instrument, requests):
    prompt = quartet().with_tracks((*quartet().tracks, Track("Kit", (Note(0, 36, 1),), 0, True)))
    instrument.infill(prompt, bars="2,4:5", seed=1)
    instrument.infill(prompt, tracks=["Cello", "1"], seed=1)
    spans = [[(r.first_bar, r.end_bar, sorted(r.tracks)) for r in one.regions] for one in requests]
    assert spans == [[(1, 2, [0, 1, 2, 3]), (3, 5, [0, 1, 2, 3])], [(0, 6, [0, 3])]]
    with pytest.raises(MusicError, match="name the bars or the tracks"):
        instrument.infill(prompt)


def test_locks_are_kept_inside_the_region(instrument, requests):
    prompt = quartet()
    result = instrument.infill(
        prompt, "2:4", "Viola,Cello", lock=["Cello:3", "Viola 2.2 D#4"], seed=2
    )
    held = prompt.tracks[2].notes[4]
    assert requests[0].locked_notes == ((2, held),)
    assert any(note is held for note in result.score.tracks[2].notes)
    third = [n for n in prompt.tracks[3].notes if 2880 <= n.onset_ticks < 4320]
    assert [n for n in result.score.tracks[3].notes if 2880 <= n.onset_ticks < 4320] == third
    with pytest.raises(CannotBeMet, match="the locks cover all"):
        instrument.infill(prompt, "2:4", "Viola", lock="2:4")


def test_accompany_adds_parts_in_their_order(instrument, requests):
    prompt = melody("Tenor")
    result = instrument.accompany(prompt, "bass, Soprano,Alto", seed=1)
    score = result.score
    assert [t.name for t in score.tracks] == ["Soprano", "Alto", "Tenor", "Bass"]
    assert score.tracks[2] is prompt.tracks[0]
    assert {(t.program, t.volume) for t in score.tracks if t.name != "Tenor"} == {(52, 90)}
    assert all(len(t.notes) == 16 for t in score.tracks)
    assert {n.velocity for n in score.notes} == {72}
    (request,) = requests
    assert request.task is Task.ACCOMPANY
    assert [t.notes == () for t in request.prompt.tracks] == [True, True, False, True]
    assert [(r.first_bar, r.end_bar, sorted(r.tracks)) for r in request.regions] == [
        (0, 4, [0, 1, 3])
    ]
    assert "Added Bass, Soprano, Alto to 4 bars" in result.summary()
    again = instrument.infill(score, "2", "4", seed=1)
    assert "Regenerated bar 2 of Bass" in again.summary()


@pytest.mark.parametrize(
    ("names", "added"),
    [(["Soprano"], ["Alto", "Tenor", "Bass"]), (["Lead"], ["Alto", "Tenor", "Bass"]),
     (["Lead", "Bass"], ["Alto", "Tenor"]), (["Tenor"], ["Soprano", "Alto", "Bass"])],
)  # fmt: skip
def test_accompany_alone_adds_what_the_piece_lacks(instrument, names, added):
    prompt = Score(tuple(melody(name).tracks[0] for name in names))
    score = instrument.accompany(prompt, seed=1).score
    assert [t.name for t in score.tracks if t.name not in names] == added
    with pytest.raises(MusicError, match="no part is missing: this piece has Soprano"):
        instrument.accompany(score.with_tracks(melody(str(v["name"])).tracks[0] for v in VOICES))


def test_a_strange_track_stands_for_the_part_that_lies_nearest(instrument):
    low = Track("MIDI out", tuple(Note(480 * i, 41 + i % 5, 480) for i in range(16)))
    score = instrument.accompany(Score((low,)), seed=1).score
    assert [t.name for t in score.tracks] == ["MIDI out", "Soprano", "Alto", "Tenor"]


def test_the_order_of_tracks_makes_no_faults(instrument):
    prompt = quartet()
    upside_down = prompt.with_tracks(prompt.tracks[::-1])
    first, second = (
        instrument.infill_many(1, given, bars="2:5", tracks="Violin 1", seed=7)[0].measures
        for given in (prompt, upside_down)
    )
    assert first["faults"] == second["faults"]


def test_accompany_takes_empty_tracks_and_rewrites_those_that_are_named(instrument):
    prompt = Score((*melody().tracks, Track("alto", program=7), *melody("Tenor").tracks))
    score = instrument.accompany(prompt, ["Alto", "Tenor", "Violin II"], seed=1).score
    assert [(t.name, t.program) for t in score.tracks] == [
        ("Soprano", 73), ("alto", 7), ("Tenor", 73), ("Violin II", 40)
    ]  # fmt: skip
    assert score.tracks[0] is prompt.tracks[0]
    assert score.tracks[2].notes != prompt.tracks[2].notes
    assert score.tracks[1].notes


def test_wishes_are_those_that_mean_something_inside_a_piece(instrument, requests):
    prompt = quartet()
    wishes = {"key": "D", "range": "Viola=C3-C6", "polyphony": 4, "chords": "D A"}
    result = instrument.infill(prompt, "2:4", "Viola", seed=1, steps=3, **wishes)
    promises = requests[0].promises
    told = [str(promises.chord_of_bar(bar)) for bar in range(6)]
    assert told == ["None", "D", "A", "D", "None", "None"]  # of bars where something is written
    assert (promises.max_polyphony, str(promises.key)) == (4, "D major")
    new = set(result.score.tracks[2].notes) - set(prompt.tracks[2].notes)
    assert {n.pitch % 12 for n in new} <= parse_key("D").pitch_classes
    assert result.score.chords == ()  # the piece has none, and gets none
    assert result.recipe.controls["steps"] == 3
    with pytest.raises(MusicError, match="a range names 'Oboe'; this score has: Cello"):
        instrument.infill(prompt, "2:4", range="Oboe=C4-C5")
    with pytest.raises(ConfigError, match=r"controls\.tempo: unknown option"):
        instrument.infill(prompt, "2:4", tempo=90)
    with pytest.raises(NotSupported, match="infill keeps the piece's own tempo"):
        instrument.infill_many(1, prompt, bars="2:4", tempo=90)


@pytest.mark.parametrize("empty", [(), []])
def test_no_chords_are_no_chord_line(instrument, requests, empty):
    instrument.infill(quartet(), "2:3", "Viola", chords=empty, seed=1)
    assert requests[0].promises.chords == ()


def test_chords_are_recognised_in_what_is_kept(instrument, requests):
    chord = tuple(
        Note(1920 * bar, pitch, 1920)
        for bar, tones in enumerate(((60, 64, 67), (57, 60, 64), (66, 70, 73), (62, 65, 69)))
        for pitch in tones
    )
    prompt = Score((Track("Organ", chord), Track("Lead", (Note(0, 61, 1920),))))
    instrument.infill(prompt, tracks="Lead", chords="recognise", seed=1)
    instrument.infill(prompt, "2:3", "Lead", chords="recognise", key="C", seed=1)
    assert [str(c) for c in requests[0].promises.chords] == ["C", "Am", "F#", "Dm"]
    assert [str(c) for c in requests[1].promises.chords] == ["None", "Am", "None", "None"]


def test_alternatives_are_ranked_with_reasons(instrument):
    ranked = instrument.infill_many(4, quartet(), bars="2:5", tracks="Viola", seed=7)
    assert [one.place for one in ranked] == [1, 2, 3, 4]
    assert sorted(one.result.seed for one in ranked) == [7, 8, 9, 10]
    assert {*ranked[0].measures} == {"log_likelihood", "faults", "outside_key", "clashes"}
    assert all(one.reasons for one in ranked)
    told = "; ".join(reason for one in ranked for reason in one.reasons)
    for words in ("fewest voice-leading faults", "fewest notes outside", "likeliest to the model"):
        assert words in told
    best = instrument.infill(quartet(), "2:5", "Viola", num_samples=4, seed=7)
    assert best.score == ranked[0].result.score
    (alone,) = instrument.accompany_many(1, melody(), tracks="Bass", seed=7)
    assert alone.reasons == ()
    same = instrument.accompany(melody(), "Bass", seed=7)
    assert alone.result.score == same.score
    with pytest.raises(MusicError, match="num_samples must be in 1"):
        instrument.infill(quartet(), "2", num_samples=0)


@pytest.mark.parametrize("suffix", [".mid", ".musicxml"])
def test_replay_makes_the_same_bytes(instrument, tmp_path, suffix):
    prompt = tmp_path / "in.mid"
    files.write(quartet(3), prompt)
    before = prompt.read_bytes()
    result = instrument.infill(
        prompt, "2:3", "Viola,Cello", lock=["Cello:3"], chords="recognise", seed=4
    )
    path = result.save(tmp_path / f"out{suffix}")
    assert api.replay(path).is_same()
    assert prompt.read_bytes() == before
    added = instrument.accompany(prompt, "Bass", seed=4).save(tmp_path / f"bass{suffix}")
    assert api.replay(added).is_same()
    recipe = json.loads(result.score.recipe)
    assert recipe["task"] == "infill"
    assert recipe["rewrite"] == {
        "bars": "2:3", "tracks": ["Viola", "Cello"], "locks": ["Cello:3"]
    }  # fmt: skip


def test_what_is_outside_comes_back_from_a_midi_file(instrument, tmp_path):
    files.write(quartet(), tmp_path / "in.mid")
    prompt = api.read_score(tmp_path / "in.mid")
    path = instrument.infill(tmp_path / "in.mid", "2:3", "Viola", seed=4).save(tmp_path / "out.mid")
    again = api.read_score(path)
    assert outside(again, 2, 1, 3) == outside(prompt, 2, 1, 3)
    assert [again.tracks[i] == prompt.tracks[i] for i in range(4)] == [True, True, False, True]
    assert replace(again, tracks=()) == replace(prompt, tracks=())


def test_the_piece_that_was_read_is_not_written_over(instrument, tmp_path):
    prompt = tmp_path / "in.mid"
    files.write(quartet(), prompt)
    result = instrument.infill(prompt, "2", seed=1)
    with pytest.raises(FileError, match="is the piece that was read"):
        result.save(tmp_path / "." / "in.mid")


def test_a_recipe_of_new_music_says_nothing_of_rewriting():
    text = Recipe(system="s", model="m", model_hash="h", seed=1).to_json()
    assert "rewrite" not in json.loads(text)


def test_the_default_model_is_one_that_can(make_model, instrument):
    make_model("humming")
    assert api.load(task=Task.INFILL).name == "filling"
    assert default_model(Task.ACCOMPANY, quartet()) == "filling"
    make_model("getmusic-four-voices", system="filler")
    assert default_model(Task.INFILL) == "getmusic-four-voices"


def test_no_model_that_can(hum):
    with pytest.raises(NotSupported, match=r"can infill \(there are: humming\)"):
        api.load(task=Task.INFILL)


# What is odd or wrong, each with what becomes of it.


def one_note() -> Score:
    return Score((Track("Soprano", (Note(0, 60, 480),)),))


def crowd() -> Score:
    return Score(tuple(Track(f"Part {i}", (Note(0, 30 + i, 1920),)) for i in range(40)))


def drums() -> Score:
    return Score((Track("Kit", (Note(0, 36, 480), Note(1920, 38, 480)), is_drum=True),))


def chords_in_one_track() -> Score:
    notes = tuple(Note(1920 * b, p, 1920) for b in range(2) for p in (60, 64, 67, 72))
    return Score((Track("Organ", notes),))


@pytest.mark.parametrize(
    ("prompt", "bars", "tracks", "error", "message"),
    [
        (quartet(), "2:3", "Oboe", MusicError, "has: Violin 1, Violin 2, Viola, Cello"),
        (quartet(), "5:7", None, MusicError, "there is no bar 7; this piece has 6 bars"),
        (quartet(), "", None, MusicError, "no bars are named"),
        (quartet(), "2", [], MusicError, "the list of tracks is empty"),
        (one_note(), "2", None, MusicError, "there is no bar 2; this piece has 1 bar"),
        (drums(), "1", None, MusicError, "only drums; name the tracks"),
        (Score((Track("Soprano"),)), "1", None, MusicError, "the prompt has no notes"),
        (Score(), "1", None, MusicError, "the prompt has no notes"),
    ],
)
def test_a_region_that_is_not_there_is_refused(instrument, prompt, bars, tracks, error, message):
    with pytest.raises(error, match=message) as caught:
        instrument.infill(prompt, bars, tracks, seed=1)
    assert "\n" not in str(caught.value)


def test_a_part_that_no_one_knows_is_refused_with_those_that_exist(instrument):
    message = (
        "no track is called 'Altoo'; this score has: Soprano; "
        "the model can add: Soprano, Alto, Tenor, Bass"
    )
    with pytest.raises(MusicError, match=message):
        instrument.accompany(melody(), "Altoo")
    with pytest.raises(MusicError, match="the prompt has no notes"):
        instrument.accompany(Score(), "Alto")


@pytest.mark.parametrize(
    ("prompt", "bars"),
    [(one_note(), 1), (crowd(), 1), (drums(), 2), (chords_in_one_track(), 2),
     (quartet(3, (17, 16)), 3)],
)  # fmt: skip
def test_odd_pieces_get_parts(instrument, tmp_path, prompt, bars):
    result = instrument.accompany(prompt, "Bass", seed=1)
    added = next(t for t in result.score.tracks if t.name == "Bass")
    assert added.notes
    assert [t for t in result.score.tracks if t is not added] == list(prompt.tracks)
    assert len(Timeline(result.score).bars) == bars
    again = api.read_score(result.save(tmp_path / "out.mid"))
    assert [t.notes for t in again.tracks] == [t.notes for t in result.score.tracks]


def test_a_model_refuses_more_tracks_than_it_holds(make_model):
    make_model("narrow", system="filler", most_tracks=4)
    narrow = api.load("narrow")
    with pytest.raises(NotSupported, match="holds 4 tracks, not 40"):
        narrow.infill(crowd(), "1")
    with pytest.raises(MusicError, match="this model has no parts of its own"):
        narrow.accompany(melody())


def test_a_performer_that_stops_early_is_found_out(make_model):
    make_model("lazy", system="filler", bar_error=-1)
    with pytest.raises(CannotBeMet, match="lazy made 5 bars of 6"):
        api.load("lazy").infill(quartet(), "2", seed=1)


def test_progress_is_told_in_bars_of_the_piece(instrument):
    told: list[tuple[int, int]] = []
    instrument.infill(quartet(5), "2", seed=1, progress=lambda *bars: told.append(bars))
    assert told == [(2, 5), (4, 5), (5, 5)]


def test_bars_without_a_chord_are_recorded_as_such():
    promises = Promises(bars=3, chords=(None, Chord(9, "m", 4), None))
    record = promises_to_record(promises)
    assert record["chords"] == "N.C. Am/E N.C."
    assert promises_from_record(record) == promises
    assert promises.chord_of_bar(3) is None
