from __future__ import annotations

from functools import partial

from partimento.files import Corpus, CorpusItem, together
from partimento.music import Score

from support.works import changed, tune


def corpus(name: str, *items: tuple[str, str, Score]) -> Corpus:
    def given(score: Score) -> Score:
        return score

    made = [CorpusItem(id_, split, id_, partial(given, score)) for id_, split, score in items]
    return Corpus(name, "", tuple(made))


def test_a_work_that_another_corpus_holds_out_is_not_learnt() -> None:
    one = corpus(
        "one",
        ("whole", "train", tune(1)),
        ("other", "train", tune(2)),
        ("checked", "valid", tune(3)),
        ("copied", "train", tune(4)),
    )
    two = corpus(
        "two",
        ("movement", "test", changed(tune(1), 3, 2.0, 12 * 1920)),
        ("again", "test", changed(tune(3), -2, 1.0)),
        ("copy", "train", changed(tune(4), 1, 1.0, 20 * 1920)),
        ("alone", "train", tune(5)),
    )
    found = together([one, two], [one.preflight(), two.preflight()])
    assert found.held_out == (("one/whole", "two/movement"), ("one/checked", "two/again"))
    assert found.copies == (("two/copy", "one/copied"),)
    assert [item.id for item in found.corpora[0].items] == ["other", "copied"]
    assert [item.id for item in found.corpora[1].items] == ["movement", "again", "alone"]
    assert found.summary().startswith("2 left out, since another corpus holds out the same work: ")
    assert found.summary(1).count("; and 1 more") == 1


def test_pairs_inside_one_corpus_are_its_own_affair() -> None:
    one = corpus("one", ("a", "train", tune(1)), ("b", "test", changed(tune(1), 2, 1.0)))
    found = together([one], [one.preflight()])
    assert (found.held_out, found.copies, found.summary()) == ((), (), "")
    assert found.corpora[0].items == one.items
