"""Macro-F1: scikit-learn's own example, by hand, and what is left out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.scoring.macro_f1 import MOST_CLASSES, LabelCounts

labels = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abcd")), min_size=1, max_size=30)


def counted(pairs: list[tuple[str, str | None]]) -> LabelCounts:
    counts = LabelCounts()
    for expected, answered in pairs:
        counts.add(expected, answered)
    return counts


def test_the_example_of_scikit_learn() -> None:
    """Its documentation of `f1_score(average="macro")`: 0.26. Class 0 has 4 / 5, the others have no hit."""
    pairs = list(zip("012012", "021001", strict=True))

    assert counted(pairs).macro_f1() == pytest.approx((4 / 5 + 0 + 0) / 3)


def test_an_answer_without_a_label_is_a_miss_and_no_class() -> None:
    assert counted([("a", "a"), ("a", None)]).macro_f1() == pytest.approx(2 / 3)


def test_a_label_that_was_answered_and_never_right_is_a_class_with_nothing() -> None:
    assert counted([("a", "a"), ("a", "x")]).macro_f1() == pytest.approx((2 / 3 + 0) / 2)


def test_without_a_label_there_is_no_figure() -> None:
    assert LabelCounts().macro_f1() is None


@given(labels)
def test_it_is_the_mean_over_classes_of_two_hits_over_all_that_were_seen(pairs: list[tuple[str, str]]) -> None:
    found = []
    for label in {label for pair in pairs for label in pair}:
        hits = sum(expected == answered == label for expected, answered in pairs)
        precise = sum(answered == label for _, answered in pairs)
        recalled = sum(expected == label for expected, _ in pairs)
        found.append(2 * hits / (precise + recalled))

    assert counted(pairs).macro_f1() == pytest.approx(sum(found) / len(found))


def test_what_a_model_makes_up_does_not_fill_the_memory() -> None:
    counts = LabelCounts()
    for number in range(3 * MOST_CLASSES):
        counts.add("right", f"made up {number}")

    assert counts.macro_f1() == 0
    assert len(counts._classes) == MOST_CLASSES + 1
