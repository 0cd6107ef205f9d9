"""Scores that Hypothesis makes up: odd tick grids, bars cut short, overlapping notes."""

from __future__ import annotations

from hypothesis import strategies as st

from partimento.music import Note, Pedal, Score, Tempo, TimeSignature, Track

ticks = st.integers(0, 6000)
notes = st.builds(
    Note,
    ticks,
    st.integers(0, 127) | st.integers(58, 62),
    st.integers(1, 3000),
    st.integers(1, 127),
)
tracks = st.builds(
    Track,
    st.sampled_from(["Soprano", "Bass", "Piano", "x"]),
    st.lists(notes, max_size=12).map(tuple),
    program=st.sampled_from([0, 40, 52, 127]),
    is_drum=st.booleans(),
    pedals=st.lists(st.builds(Pedal, ticks, st.integers(1, 900)), max_size=3).map(tuple),
)
metres = st.builds(
    TimeSignature, ticks, st.integers(1, 13), st.sampled_from([1, 2, 4, 8, 16, 32, 64])
)
scores = st.builds(
    Score,
    st.lists(tracks, max_size=4).map(tuple),
    ticks_per_quarter=st.sampled_from([7, 24, 96, 220, 480, 500, 1024]),
    tempos=st.lists(st.builds(Tempo, ticks, st.floats(10, 400)), max_size=3).map(tuple),
    time_signatures=st.lists(metres, max_size=3).map(tuple),
    written_length_ticks=ticks,
)
