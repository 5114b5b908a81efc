import pytest

from analysis.paired import tango_interval
from analysis.result import Estimate, NotEstimable
from experiments.benching.accuracy import Mark, contrasts


def marks(pairs: list[tuple[bool, bool]], **tags: str) -> list[Mark]:
    return [Mark(tags, *pair) for pair in pairs]


BOTH, LOST, WON = (True, True), (True, False), (False, True)


def test_it_counts_who_alone_is_right_overall_and_by_tag() -> None:
    found = contrasts([*marks([BOTH, LOST, LOST], language="hi"), *marks([WON], language="en"), *marks([BOTH])])

    assert (found.overall.n, found.overall.right_a, found.overall.right_b) == (5, 4, 3)
    assert (found.overall.only_a, found.overall.only_b) == (2, 1)
    assert {value: one.difference for value, one in found.by_tag["language"].items()} == {"hi": -2 / 3, "en": 1.0}
    assert found.overall.interval == tango_interval(1, 2, 5)
    assert found.overall.p_value == found.overall.p_mid


def test_clusters_are_the_units_of_interval_and_test_and_no_slice() -> None:
    """Twenty losses in one template weigh less than twenty in twenty."""
    alike = [one for n in range(20) for one in marks([LOST if n == 0 else BOTH] * 20, template=str(n))]
    apart = [one for n in range(20) for one in marks([LOST] + [BOTH] * 19, template=str(n))]

    together, spread = (contrasts(one, "template") for one in (alike, apart))

    assert (together.by_tag, together.overall.clusters) == ({}, 20)
    assert together.overall.p_mid == spread.overall.p_mid
    assert together.overall.p_value > 0.3
    assert spread.overall.p_value < 1e-4
    assert isinstance(together.overall.interval, Estimate)
    assert together.overall.interval.upper == 0.0
    assert contrasts(alike, "template", clustered_interval=False).overall.interval == tango_interval(0, 20, 400)


def test_few_clusters_are_too_few_for_an_interval() -> None:
    found = contrasts([one for n in range(3) for one in marks([BOTH, LOST], template=str(n))], "template")

    assert found.overall.interval == NotEstimable("3 clusters, the bootstrap needs at least 10")


def test_four_templates_that_lose_and_none_that_wins_are_too_few_to_be_sure() -> None:
    """A bootstrap alone would be: it draws none of them in 2 of 100 samples. Four coins fall alike in 1 of 8 cases."""
    found = contrasts(
        [one for n in range(66) for one in marks([LOST if n < 4 else BOTH] * 3, template=str(n))], "template"
    )

    assert isinstance(found.overall.interval, Estimate)
    assert found.overall.interval.upper < 0
    assert found.overall.p_value == pytest.approx(1 / 16)


def test_where_no_pair_differs_each_cluster_counts_as_one_pair() -> None:
    found = contrasts([one for n in range(30) for one in marks([BOTH] * 9, template=str(n))], "template")

    assert found.overall.interval == tango_interval(0, 0, 30)


def test_an_item_without_the_clusters_tag_stands_for_itself() -> None:
    found = contrasts([*marks([BOTH, BOTH], template="0"), *marks([BOTH, BOTH])], "template")

    assert found.overall.clusters == 3


def test_no_mark_is_refused() -> None:
    with pytest.raises(ValueError, match="marks is empty"):
        contrasts([])
