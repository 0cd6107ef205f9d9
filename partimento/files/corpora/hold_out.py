"""Several corpora together: no piece twice, and no piece to learn from whose work is held out.

Each data set is split on its own, and the same works stand in several of them. Pairs inside one
corpus are left alone: its own split rules there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from partimento.files.corpora.corpus import Corpus, Preflight
from partimento.files.corpora.same_work import same_works
from partimento.files.corpora.splits import SPLITS

__all__ = ["Together", "together"]

_COPY_SHARE = 0.9  # of the shingles of the smaller piece: it is in the larger one


@dataclass(frozen=True)
class Together:
    """Corpora without what another one has: names are ``corpus/id``.

    ``held_out`` holds (piece, piece of a later split that is the same work), ``copies`` (piece,
    piece of the same split that holds all of it); the first of each pair is left out.
    """

    corpora: tuple[Corpus, ...]
    held_out: tuple[tuple[str, str], ...]
    copies: tuple[tuple[str, str], ...]

    def summary(self, shown: int = 3) -> str:
        """Return one line; empty where nothing is left out."""
        parts = []
        for pairs, what in (
            (self.held_out, "left out, since another corpus holds out the same work"),
            (self.copies, "left out as copies of pieces in another corpus"),
        ):
            if pairs:
                named = "; ".join(f"{name} is {other}" for name, other in pairs[:shown])
                more = f"; and {len(pairs) - shown} more" if len(pairs) > shown else ""
                parts.append(f"{len(pairs)} {what}: {named}{more}")
        return ". ".join(parts)


def together(corpora: Sequence[Corpus], found: Sequence[Preflight]) -> Together:
    """Return the usable pieces of corpora whose preflights are given, each work in one split.

    A train piece whose work is in another corpus's valid or test split is left out, and a valid
    piece whose work is in another's test split.
    """
    rows: list[tuple[int, str, str, int]] = []  # (corpus, id, name, split)
    for number, (corpus, look) in enumerate(zip(corpora, found, strict=True)):
        splits = {item.id: SPLITS.index(item.split) for item in corpus.items}
        rows += [(number, id_, f"{corpus.name}/{id_}", splits[id_]) for id_ in look.usable]
    shingles = [each for look in found for each in look.shingles]
    held_out: dict[int, int] = {}
    copies: dict[int, int] = {}
    pairs = [p for p in same_works(shingles) if rows[p.first][0] != rows[p.second][0]]
    for pair in pairs:
        early, late = sorted((pair.first, pair.second), key=lambda index: rows[index][3])
        if rows[early][3] < rows[late][3]:
            held_out.setdefault(early, late)
    for pair in pairs:
        # Of two copies the smaller is left out, and of equal ones the later.
        larger, smaller = sorted(
            (pair.first, pair.second), key=lambda index: (-len(shingles[index]), index)
        )
        is_free = not {larger, smaller} & held_out.keys() and larger not in copies
        if pair.share >= _COPY_SHARE and rows[larger][3] == rows[smaller][3] and is_free:
            copies.setdefault(smaller, larger)
    gone = held_out.keys() | copies.keys()
    kept = [
        corpus.only(tuple(r[1] for i, r in enumerate(rows) if r[0] == number and i not in gone))
        for number, corpus in enumerate(corpora)
    ]
    return Together(tuple(kept), _named(held_out, rows), _named(copies, rows))


def _named(
    pairs: dict[int, int], rows: Sequence[tuple[int, str, str, int]]
) -> tuple[tuple[str, str], ...]:
    return tuple((rows[one][2], rows[other][2]) for one, other in sorted(pairs.items()))
