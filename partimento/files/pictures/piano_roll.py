"""Piano rolls: scores as pictures, time to the right, pitch upwards, a colour for each track.

Long pieces run over several rows. Drums have a lane of their own under each row. A louder note is
brighter.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from os import PathLike

from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from partimento.files.atomic import atomic_path
from partimento.files.pictures.metadata import PNG_RECIPE_KEY
from partimento.music import Note, Score, Timeline, Track
from partimento.music.instruments import DRUMS
from partimento.music.timeline import Bar

__all__ = ["draw_piano_roll", "write_piano_roll"]

_Colour = tuple[int, int, int]

_BACKGROUND: _Colour = (16, 18, 24)
_WHITE_KEY: _Colour = (27, 30, 39)
_BLACK_KEY: _Colour = (22, 24, 32)
_OCTAVE: _Colour = (48, 53, 68)
_BEAT: _Colour = (35, 39, 51)
_BAR: _Colour = (70, 77, 97)
_TEXT: _Colour = (232, 235, 242)
_FAINT: _Colour = (140, 148, 168)
_CHORD: _Colour = (255, 214, 140)
_PALETTE: tuple[_Colour, ...] = (
    (86, 190, 255), (255, 176, 72), (118, 226, 136), (255, 116, 176), (190, 148, 255),
    (250, 220, 96), (72, 212, 200), (255, 136, 108),
)  # fmt: skip
_IS_BLACK = frozenset((1, 3, 6, 8, 10))
_SCALE = 2  # drawn so many times larger, then made smaller: smooth edges
_MARGIN, _GUTTER = 24, 62
_QUARTER_PX = 26.0  # how wide a quarter is meant to be
_MAX_ROWS = 10
_ROWS_HEIGHT_PX = 1500
_DRUM_PX = 11
_SHORT_NAMES = {
    "Acoustic ": "", "Electric ": "E. ", "Cymbal": "Cym.", "Open": "O.", "Closed": "Cl.",
    "Pedal": "Ped.", "Floor": "Fl.", "-Mid": "-M.",
}  # fmt: skip


def draw_piano_roll(score: Score, width_px: int = 1600) -> Image.Image:
    """Return a piano roll of the score as an RGB image; its height follows from its length.

    Track colours with a legend, bar numbers, beat lines, octave labels, chord symbols, title.
    """
    layout = _layout(score, width_px)
    image = Image.new("RGB", (width_px * _SCALE, layout.height * _SCALE), _BACKGROUND)
    pen = _Pen(image)
    _draw_head(pen, layout)
    for index, row in enumerate(layout.rows):
        top = layout.head + index * layout.row_height
        _draw_grid(pen, layout, row, top)
        _draw_notes(pen, layout, row, top)
        _draw_labels(pen, layout, row, top)
    return image.resize((width_px, layout.height), Image.Resampling.LANCZOS)


def write_piano_roll(score: Score, path: str | PathLike[str], width_px: int = 1600) -> None:
    """Write the piano roll as PNG, with the recipe in a text chunk; whole or not at all.

    Raises:
        FileError: if it cannot be written.
    """
    image = draw_piano_roll(score, width_px)
    info = PngInfo()
    if score.recipe:
        info.add_itxt(PNG_RECIPE_KEY, score.recipe)
    with atomic_path(path) as temporary:
        image.save(temporary, "PNG", pnginfo=info)


class _Pen:
    """Draws in pixels of the finished picture."""

    def __init__(self, image: Image.Image) -> None:
        self._draw = ImageDraw.Draw(image)
        self._fonts: dict[int, ImageFont.ImageFont | ImageFont.FreeTypeFont] = {}

    def font(self, size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
        if size not in self._fonts:
            self._fonts[size] = ImageFont.load_default(size * _SCALE)
        return self._fonts[size]

    def text_width(self, text: str, size: int) -> float:
        return self._draw.textlength(text, self.font(size)) / _SCALE

    def text(self, x: float, y: float, text: str, size: int, fill: _Colour, at: str = "lm") -> None:
        place = (x * _SCALE, y * _SCALE)
        self._draw.text(place, text, fill=fill, font=self.font(size), anchor=at)

    def box(self, x0: float, y0: float, x1: float, y1: float, fill: _Colour) -> None:
        right, bottom = x1 * _SCALE - 1, y1 * _SCALE - 1
        if right >= x0 * _SCALE and bottom >= y0 * _SCALE:
            self._draw.rectangle((x0 * _SCALE, y0 * _SCALE, right, bottom), fill=fill)

    def round_box(
        self, x0: float, y0: float, x1: float, y1: float, radius: float, fill: _Colour
    ) -> None:
        box = (x0 * _SCALE, y0 * _SCALE, max(x0 + 1, x1) * _SCALE - 1, y1 * _SCALE - 1)
        self._draw.rounded_rectangle(box, radius * _SCALE, fill=fill)

    def diamond(self, x: float, y: float, radius: float, fill: _Colour) -> None:
        points = [(x - radius, y), (x, y - radius), (x + radius, y), (x, y + radius)]
        self._draw.polygon([(a * _SCALE, b * _SCALE) for a, b in points], fill=fill)


@dataclass(frozen=True, slots=True)
class _Row:
    start: int  # ticks
    end: int
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where everything is; pixels of the finished picture."""

    score: Score
    width: int
    rows: tuple[_Row, ...]
    pixels_per_tick: float
    low: int
    high: int
    semitone: float
    drums: tuple[int, ...]  # pitches from the top of the drum lane down
    above: int  # room over a row for bar numbers and chord symbols
    row_height: int

    @property
    def head(self) -> int:
        """Room for the title and the legend."""
        return 96 if self.score.title else 60

    @property
    def legend(self) -> list[tuple[str, _Colour]]:
        tracks = enumerate(self.score.tracks)
        return [(_label(track), _colour(index)) for index, track in tracks if track.notes]

    @property
    def height(self) -> int:
        return self.head + len(self.rows) * self.row_height + _MARGIN // 2

    @property
    def pitched_height(self) -> float:
        return (self.high - self.low + 1) * self.semitone if self.high >= self.low else 0.0

    @property
    def lanes_height(self) -> float:
        gap = 8 if self.drums and self.pitched_height else 0
        return self.pitched_height + gap + len(self.drums) * _DRUM_PX

    def x(self, row: _Row, tick: int) -> float:
        return _GUTTER + (tick - row.start) * self.pixels_per_tick

    def y(self, top: float, pitch: int) -> float:
        """Return the upper edge of a pitch's lane."""
        return top + self.above + (self.high - pitch) * self.semitone

    def drum_y(self, top: float, pitch: int) -> float:
        below = self.lanes_height - len(self.drums) * _DRUM_PX
        return top + self.above + below + self.drums.index(pitch) * _DRUM_PX


def _layout(score: Score, width: int) -> _Layout:
    bars = Timeline(score).bars
    plot = width - _GUTTER - _MARGIN
    total = max(1, bars[-1].end_ticks)
    quarters = total / score.ticks_per_quarter
    rows_wanted = min(_MAX_ROWS, max(1, round(quarters * _QUARTER_PX / plot)))
    rows = _rows(bars, -(-total // rows_wanted))
    longest = max(row.end - row.start for row in rows)
    pitches = [n.pitch for t in score.tracks if not t.is_drum for n in t.notes]
    drums = sorted({n.pitch for t in score.tracks if t.is_drum for n in t.notes}, reverse=True)
    low, high = (0, -1) if drums and not pitches else (54, 66)
    if pitches:
        low, high = max(0, min(pitches) - 2), min(127, max(pitches) + 2)
        while high - low < 18:
            low, high = max(0, low - 1), min(127, high + 1)
    room = _ROWS_HEIGHT_PX / len(rows) - len(drums) * _DRUM_PX
    semitone = min(12.0, max(3.0, room / max(1, high - low + 1)))
    above = 44 if score.chords else 26
    layout = _Layout(
        score, width, tuple(rows), plot / longest, low, high, semitone, tuple(drums), above, 0
    )
    return replace(layout, row_height=round(above + layout.lanes_height + 22))


def _rows(bars: tuple[Bar, ...], ticks_per_row: int) -> list[_Row]:
    """Return rows of whole bars, none much longer than ``ticks_per_row``."""
    rows: list[_Row] = []
    held: list[Bar] = []
    for bar in bars:
        if held and bar.end_ticks - held[0].onset_ticks > ticks_per_row * 1.05:
            rows.append(_Row(held[0].onset_ticks, held[-1].end_ticks, tuple(held)))
            held = []
        held.append(bar)
    rows.append(_Row(held[0].onset_ticks, held[-1].end_ticks, tuple(held)))
    return rows


def _label(track: Track) -> str:
    return track.name if len(track.name) <= 28 else track.name[:27] + "."


def _colour(index: int) -> _Colour:
    return _PALETTE[index % len(_PALETTE)]


def _mixed(low: _Colour, high: _Colour, share: float) -> _Colour:
    r, g, b = (round(x + (y - x) * share) for x, y in zip(low, high, strict=True))
    return r, g, b


def _draw_head(pen: _Pen, layout: _Layout) -> None:
    y = 34.0
    if layout.score.title:
        title = layout.score.title
        while len(title) > 4 and pen.text_width(title, 24) > layout.width - 2 * _MARGIN:
            title = title[:-5] + "..."
        pen.text(_MARGIN, y, title, 24, _TEXT)
        y += 36
    x = float(_MARGIN)
    for name, colour in layout.legend:
        room = pen.text_width(name, 14) + 46
        if x + room > layout.width - _MARGIN:
            pen.text(x, y, "...", 14, _FAINT)
            break
        pen.round_box(x, y - 6, x + 18, y + 6, 3, colour)
        pen.text(x + 26, y, name, 14, _FAINT)
        x += room


def _draw_grid(pen: _Pen, layout: _Layout, row: _Row, top: float) -> None:
    left, right = layout.x(row, row.start), layout.x(row, row.end)
    for pitch in range(layout.low, layout.high + 1):
        y = layout.y(top, pitch)
        fill = _BLACK_KEY if pitch % 12 in _IS_BLACK else _WHITE_KEY
        pen.box(left, y, right, y + layout.semitone, fill)
        if pitch % 12 == 0:
            pen.box(left, y + layout.semitone - 0.5, right, y + layout.semitone + 0.5, _OCTAVE)
    for index, pitch in enumerate(layout.drums):
        y = layout.drum_y(top, pitch)
        pen.box(left, y, right, y + _DRUM_PX, _BLACK_KEY if index % 2 else _WHITE_KEY)
    y0, y1 = top + layout.above, top + layout.above + layout.lanes_height
    ticks = layout.score.ticks_per_quarter
    for bar in row.bars:
        beat = 4 * ticks / bar.time_signature.denominator
        if bar.time_signature.denominator >= 8 and bar.time_signature.numerator % 3 == 0:
            beat *= 3
        if beat * layout.pixels_per_tick >= 5:
            for number in range(1, int(bar.length_ticks / beat - 1e-9) + 1):
                x = layout.x(row, round(bar.onset_ticks + number * beat))
                pen.box(x - 0.5, y0, x + 0.5, y1, _BEAT)
        x = layout.x(row, bar.onset_ticks)
        pen.box(x - 0.5, y0 - 5, x + 0.5, y1, _BAR)
    pen.box(right - 0.5, y0 - 5, right + 0.5, y1, _BAR)


def _draw_notes(pen: _Pen, layout: _Layout, row: _Row, top: float) -> None:
    for index, track in enumerate(layout.score.tracks):
        for note in track.notes:
            if note.end_ticks > row.start and note.onset_ticks < row.end:
                bright = _mixed(_WHITE_KEY, _colour(index), 0.4 + 0.6 * note.velocity / 127)
                if track.is_drum:
                    _draw_hit(pen, layout, row, top, note, bright)
                else:
                    _draw_note(pen, layout, row, top, note, bright)


def _draw_note(
    pen: _Pen, layout: _Layout, row: _Row, top: float, note: Note, colour: _Colour
) -> None:
    x0 = layout.x(row, max(row.start, note.onset_ticks))
    x1 = layout.x(row, min(row.end, note.end_ticks)) - 1
    y = layout.y(top, note.pitch)
    inset = 0.5 if layout.semitone >= 5 else 0.0
    y0, y1 = y + inset, y + layout.semitone - inset
    radius = min(3.0, (y1 - y0) / 2.5)
    x1 = max(x1, x0 + 1.5)
    # A dark rim keeps notes apart where tracks cross.
    pen.round_box(x0, y0, x1, y1, radius, _mixed(_BACKGROUND, colour, 0.45))
    if x1 - x0 > 3 and y1 - y0 > 3:
        pen.round_box(x0 + 0.5, y0 + 0.5, x1 - 0.5, y1 - 0.5, radius, colour)
    else:
        pen.round_box(x0, y0, x1, y1, radius, colour)


def _draw_hit(
    pen: _Pen, layout: _Layout, row: _Row, top: float, note: Note, colour: _Colour
) -> None:
    if note.onset_ticks >= row.start:
        y = layout.drum_y(top, note.pitch) + _DRUM_PX / 2
        pen.diamond(layout.x(row, note.onset_ticks) + 3, y, _DRUM_PX / 2 - 1, colour)


def _draw_labels(pen: _Pen, layout: _Layout, row: _Row, top: float) -> None:
    y0 = top + layout.above
    for pitch in range(layout.low, layout.high + 1):
        if pitch % 12 == 0:
            y = layout.y(top, pitch) + layout.semitone / 2
            pen.text(_GUTTER - 8, y, f"C{pitch // 12 - 1}", 12, _FAINT, "rm")
    for pitch in layout.drums:
        y = layout.drum_y(top, pitch) + _DRUM_PX / 2
        pen.text(_GUTTER - 6, y, _drum_label(pitch), 8, _FAINT, "rm")
    free = -1.0
    for bar in row.bars:
        x = layout.x(row, bar.onset_ticks)
        if x >= free:
            text = str(bar.index + 1)
            pen.text(x + 4, y0 - 10, text, 12, _FAINT)
            free = x + pen.text_width(text, 12) + 14
    free = -1.0
    for symbol in layout.score.chords:
        if row.start <= symbol.onset_ticks < row.end:
            x = layout.x(row, symbol.onset_ticks)
            if x >= free:
                pen.text(x + 3, y0 - 29, symbol.chord.name, 15, _CHORD)
                free = x + pen.text_width(symbol.chord.name, 15) + 10


def _drum_label(pitch: int) -> str:
    name = DRUMS.get(pitch, str(pitch))
    for long, short in _SHORT_NAMES.items():
        name = name.replace(long, short)
    return name[:13]
