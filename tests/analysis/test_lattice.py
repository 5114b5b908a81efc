"""Histograms on a lattice: the same mean, and never a larger e-value."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.eprocess import DifferenceCounts, log_e_harm, log_e_noninferior
from analysis.lattice import difference_counts, on_lattice

differences = st.lists(st.floats(-1, 1), min_size=1, max_size=200)


@given(differences, st.floats(-0.9, 0.9))
def test_the_lattice_keeps_number_and_mean_and_raises_no_e_value(values: list[float], null: float) -> None:
    exact = DifferenceCounts.of(values)
    coarse = on_lattice(exact)

    assert coarse.n == exact.n
    assert coarse.mean == pytest.approx(exact.mean, abs=1e-12)
    for log_e in (log_e_harm, log_e_noninferior):
        assert log_e(coarse, null) <= log_e(exact, null) + 1e-9


@given(st.lists(st.integers(-1024, 1024).map(lambda k: k / 1024), min_size=1, max_size=100))
def test_what_is_on_the_lattice_stays_as_it_is(values: list[float]) -> None:
    exact = DifferenceCounts.of(values)

    assert on_lattice(exact) == exact


def test_the_loss_of_evidence_is_negligible() -> None:
    values = np.random.default_rng(2).uniform(-1, 0.9, 200_000)
    exact = DifferenceCounts.of_array(values)
    coarse, moved = difference_counts(values)

    assert moved
    assert len(coarse.counts) < 4200
    for log_e, null in ((log_e_harm, -0.04), (log_e_noninferior, -0.06)):
        assert log_e(exact, null) - 0.02 < log_e(coarse, null) <= log_e(exact, null) + 1e-6


def test_few_distinct_values_are_counted_as_they_are() -> None:
    values = np.random.default_rng(3).choice([-1.0, -0.5, 1 / 3, 0.0, 1.0], 10_000)
    found, moved = difference_counts(values)

    assert not moved
    assert found == DifferenceCounts.of_array(values)


def test_many_values_after_few_are_noticed() -> None:
    values = np.concatenate([np.full(100_000, 0.25), np.linspace(-0.9, 0.9, 9000)])
    found, moved = difference_counts(values)

    assert moved
    assert found.n == len(values)
    assert found.mean == pytest.approx(values.mean())


@given(differences)
@settings(max_examples=30)
def test_shards_on_the_lattice_merge_in_any_order(values: list[float]) -> None:
    half = len(values) // 2
    first, second = (on_lattice(DifferenceCounts.of(part)) for part in (values[:half], values[half:]))

    assert first.merge(second) == second.merge(first)


def test_nothing_is_nothing() -> None:
    assert difference_counts(np.zeros(0)) == (DifferenceCounts(), False)
    assert on_lattice(DifferenceCounts()) == DifferenceCounts()


@pytest.mark.parametrize("wrong", [1.5, -1.01, float("nan")])
def test_a_difference_out_of_range_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match=r"must be in \[-1, 1\]"):
        difference_counts(np.array([0.0, 0.3, wrong]))
