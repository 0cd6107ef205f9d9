"""The role of a part (soprano to bass, first violin to cello), by name, else by its height."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache

from partimento.errors import NotSupported
from partimento.music import Score

__all__ = ["STRING_PARTS", "centre_pitch_of", "role_of", "seats"]

# What a quartet's parts are called in a model whose tracks are soprano, alto, tenor and bass.
STRING_PARTS = (("Violin I", 40), ("Violin II", 40), ("Viola", 41), ("Cello", 42))

_NAMES = (
    "s soprano sopran soprani discant diskant treble cantus canto superius dessus",
    "a alto alt altus alti contralto",
    "t tenor tenore tenors tenori viola violas va vla bratsche",
    "b bass basso bassus basse bassi cello violoncello violoncelle violoncell vc vcl vlc celli "
    "kontrabass contrabass contrabasso",
)
_FIDDLE = r"(?:violins?|violinos?|violini|violine|violons?|vln|vn|vl)"
_NUMBERED = (
    rf"{_FIDDLE} ?(?:1|i|primo|one)|(?:1st|first|1|i) {_FIDDLE}",
    rf"{_FIDDLE} ?(?:2|ii|secondo|two)|(?:2nd|second|2|ii) {_FIDDLE}",
)
_CENTRES = (71.0, 66.0, 59.0, 50.0)  # where the parts lie on the average
_UNSEEN = 200.0  # what it costs to leave a part unseen, in semitones: more than any misplacing
_MUST = 1e6


def role_of(name: str) -> int | None:
    """Return 0 for a soprano or first violin, 1, 2, up to 3 for a bass or cello; None for others.

    Capitals, dots and numbers of voices ("Soprano 1") make no difference.
    """
    words = re.sub(r"[^a-z0-9]+", " ", name.lower()).strip()
    for role, pattern in enumerate(_NUMBERED):
        if re.fullmatch(pattern, words):
            return role
    if words in ("double bass", "string bass"):
        return 3
    plain = re.sub(r" (?:\d+|i|ii)$", "", words)
    return next((r for r, known in enumerate(_NAMES) if plain in known.split()), None)


def centre_pitch_of(name: str) -> float | None:
    """Return the pitch about which the part of this name lies; None for names without a role."""
    role = role_of(name)
    return None if role is None else _CENTRES[role]


def seats(
    names: Sequence[str], score: Score, targets: Sequence[int], heights: Mapping[int, float]
) -> tuple[int | None, ...]:
    """Return for each named part the track of the score that goes there, None for none.

    Args:
        names: of a model's parts, in order from high to low.
        score: the piece.
        targets: tracks that are to be written; every one gets a place.
        heights: the mean pitch of what is known of each track; those that are neither here nor
            among the targets are not seen.

    Raises:
        NotSupported: if more tracks are to be written than there are parts, or drums.
    """
    known = ", ".join(names)
    drums = [score.tracks[i].name for i in targets if score.tracks[i].is_drum]
    if drums:
        raise NotSupported(f"this model writes no drums ({drums[0]}); it writes {known}")
    if len(targets) > len(names):
        raise NotSupported(
            f"this model writes {len(names)} tracks at once ({known}), not {len(targets)}; "
            "name fewer, and write the others in a second go"
        )
    order = [*targets, *(i for i in heights if i not in targets)]
    found = _by_name(names, score, order)
    # Targets that names have left over come first: those who only listen make room for them.
    left = [i for i in targets if i not in found.values()]
    for place in [p for p, i in found.items() if i not in targets]:
        if len(left) > len(names) - len(found):
            del found[place]
    free = [place for place in range(len(names)) if place not in found]
    silent = [i for i in left if i not in heights]
    items = sorted(
        (i for i in order if i in heights and i not in found.values()), key=lambda i: -heights[i]
    )
    found |= _by_height(names, items, targets, heights, free, len(free) - len(silent))
    rest = [place for place in free if place not in found]
    found |= dict(zip(rest, silent, strict=False))
    return tuple(found.get(place) for place in range(len(names)))


def _by_name(parts: Sequence[str], score: Score, order: Sequence[int]) -> dict[int, int]:
    """Return the tracks that have a place by their names: as it is written, then by its role."""
    found: dict[int, int] = {}
    names = [part.strip().lower() for part in parts]
    roles = [role_of(part) for part in parts]
    for index in order:
        name = score.tracks[index].name.strip().lower()
        if name in names and names.index(name) not in found:
            found[names.index(name)] = index
    for index in order:
        role = role_of(score.tracks[index].name)
        if index not in found.values() and role is not None and role in roles:
            found.setdefault(roles.index(role), index)
    return found


def _by_height(
    parts: Sequence[str],
    items: Sequence[int],
    targets: Sequence[int],
    heights: Mapping[int, float],
    free: Sequence[int],
    seats_left: int,
) -> dict[int, int]:
    """Return places for tracks in order from high to low, each near to where the place lies.

    Targets all get one; of the others as many as there is room for, those that fit best.
    """
    centres = []
    for place in free:
        role = role_of(parts[place])
        centres.append(None if role is None else _CENTRES[role])

    @cache
    def best(item: int, place: int, room: int) -> tuple[float, tuple[tuple[int, int], ...]]:
        if item == len(items):
            return 0.0, ()
        index = items[item]
        cost, rest = best(item + 1, place, room)
        found = cost + (_MUST if index in targets else _UNSEEN), rest
        if place < len(free) and room > 0:
            found = min(found, best(item, place + 1, room), key=lambda way: way[0])
            cost, rest = best(item + 1, place + 1, room - 1)
            centre = centres[place]
            cost += 0.0 if centre is None else abs(heights[index] - centre)
            found = min((cost, ((free[place], index), *rest)), found, key=lambda way: way[0])
        return found

    return dict(best(0, 0, seats_left)[1])
