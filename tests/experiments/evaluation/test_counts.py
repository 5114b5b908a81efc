"""What is counted of a metric: moments in one pass, and who did better."""

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_builders import make_outcome

from experiments.evaluation.counts import Moments, PairCounts


@given(st.lists(st.floats(-10, 10), min_size=2, max_size=50))
def test_moments_in_one_pass_are_those_of_all_values(values: list[float]) -> None:
    moments = Moments()
    for value in values:
        moments.add(value)

    assert moments.n == len(values)
    assert moments.mean == pytest.approx(statistics.fmean(values), abs=1e-9)
    assert moments.m2 / (moments.n - 1) == pytest.approx(statistics.variance(values), abs=1e-9)


def test_pairs_are_counted_by_who_did_better() -> None:
    counts = PairCounts()
    for value in (-1.0, -0.5, 0.0, 1.0):
        counts.add(make_outcome("a", value))

    assert (counts.pairs, counts.losses, counts.wins) == (4, 2, 1)
    assert (counts.control, counts.treatment) == (4.0, 3.5)
