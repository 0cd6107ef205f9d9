"""How the parts of a MusicXML score sound: instruments, drums, volume, pan, from the part list."""

from __future__ import annotations

from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from partimento.files.musicxml.numbers import decimal, integer
from partimento.music.instruments import DRUMS

__all__ = ["ScoreInstrument", "Sound", "sounds_of"]

_DRUM_CHANNEL = 10
_SNARE = 38
# Where a drum kit is written on the five lines (step, octave) -> General MIDI drum.
_PLACES = {
    ("D", 4): 44, ("E", 4): 35, ("F", 4): 36, ("G", 4): 41, ("A", 4): 43, ("B", 4): 45,
    ("C", 5): 38, ("D", 5): 47, ("E", 5): 48, ("F", 5): 51, ("G", 5): 42, ("A", 5): 49,
    ("B", 5): 57,
}  # fmt: skip
_DRUM_WORDS = (
    ("bass drum", 36), ("kick", 36), ("side stick", 37), ("snare", 38), ("hi-hat", 42),
    ("hihat", 42), ("hi hat", 42), ("crash", 49), ("ride", 51), ("cowbell", 56),
    ("tambourine", 54), ("triangle", 81), ("clap", 39), ("claves", 75), ("wood", 76),
    ("maracas", 70), ("cabasa", 69), ("guiro", 73), ("tom", 45), ("cymbal", 49),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ScoreInstrument:
    """One instrument of a part; ``drum`` is the MIDI pitch of an unpitched one."""

    id: str
    name: str = ""
    channel: int | None = None
    program: int = 0
    volume: int = 100
    pan: int = 64
    drum: int | None = None


@dataclass
class Sound:
    """The name of a part and its instruments, as the part list has them."""

    name: str
    instruments: dict[str, ScoreInstrument] = field(default_factory=dict)

    def main(self, used: dict[str, int]) -> ScoreInstrument:
        """Return the instrument that plays most of a part's notes, else the first."""
        known = [i for i in self.instruments.values() if i.id in used]
        first = next(iter(self.instruments.values()), ScoreInstrument(""))
        return max(known, key=lambda i: used[i.id], default=first)

    def is_drum(self, instrument: ScoreInstrument) -> bool:
        """Return whether the instrument plays on the channel of the drums."""
        return instrument.channel == _DRUM_CHANNEL

    def drum(self, instrument: str, step: str, octave: int) -> int:
        """Return the MIDI pitch of an unpitched note.

        Asked in this order: the instrument's ``midi-unpitched``, that of the only instrument that
        has one, the instrument's name, the place on the staff.
        """
        found = self.instruments.get(instrument)
        if found is not None and found.drum is not None:
            return found.drum
        drums = [i.drum for i in self.instruments.values() if i.drum is not None]
        if len(drums) == 1:
            return drums[0]
        name = (found.name if found is not None else self.name).lower()
        exact = next((pitch for pitch, drum in DRUMS.items() if drum.lower() == name), None)
        if exact is None:
            exact = next((pitch for word, pitch in _DRUM_WORDS if word in name), None)
        return exact if exact is not None else _PLACES.get((step, octave), _SNARE)


def sounds_of(root: Element) -> dict[str, Sound]:
    """Return the sound of each part by its id.

    Raises:
        ValueError: if a number does not parse.
    """
    sounds = {}
    for number, element in enumerate(root.findall("part-list/score-part"), 1):
        name = " ".join((element.findtext("part-name") or "").split())
        names = {
            each.get("id", ""): " ".join((each.findtext("instrument-name") or "").split())
            for each in element.findall("score-instrument")
        }
        sound = Sound(name or next(filter(None, names.values()), "") or f"Part {number}")
        for key, title in names.items():
            sound.instruments[key] = ScoreInstrument(key, title)
        for midi in element.findall("midi-instrument"):
            key = midi.get("id", "")
            sound.instruments[key] = _instrument(midi, key, names.get(key, ""))
        # An instrument without MIDI values says nothing that the others could lack.
        valued = {each.get("id", "") for each in element.findall("midi-instrument")}
        if valued:
            order = sorted(sound.instruments, key=lambda key: key not in valued)
            sound.instruments = {key: sound.instruments[key] for key in order}
        sounds[element.get("id", "")] = sound
    return sounds


def _instrument(midi: Element, key: str, name: str) -> ScoreInstrument:
    channel, drum = midi.findtext("midi-channel"), midi.findtext("midi-unpitched")
    return ScoreInstrument(
        key,
        name,
        integer(channel) if (channel or "").strip() else None,
        _byte(integer(midi.findtext("midi-program"), "1") - 1),
        _scaled(midi.findtext("volume"), 0, 100, 100),
        _scaled(midi.findtext("pan"), -90, 90, 64),
        None if drum is None else _byte(integer(drum, "1") - 1),
    )


def _byte(value: int) -> int:
    return min(127, max(0, value))


def _scaled(text: str | None, low: int, high: int, default: int) -> int:
    """Return a MusicXML volume (per cent) or pan (degrees) as 0..127."""
    if text is None:
        return default
    return _byte(round(float(decimal(text) - low) / (high - low) * 127))
