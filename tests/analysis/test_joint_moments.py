"""Sums of two numbers per unit."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.joint_moments import JointMoments

units = st.lists(st.tuples(st.floats(-50, 50), st.floats(-50, 50)), max_size=20)


def _of(rows: list[tuple[float, float]]) -> JointMoments:
    return JointMoments.of([row[0] for row in rows], [row[1] for row in rows])


def _close(one: JointMoments, other: JointMoments) -> bool:
    fields = ("n", "mean_y", "mean_x", "m2_y", "m2_x", "cross")
    return np.allclose([getattr(one, f) for f in fields], [getattr(other, f) for f in fields], atol=1e-8)


@given(units, units, units)
def test_shards_merge_in_any_order_to_the_whole(
    one: list[tuple[float, float]], two: list[tuple[float, float]], three: list[tuple[float, float]]
) -> None:
    whole = _of([*one, *two, *three])

    assert _close(whole, _of(one).merge(_of(two)).merge(_of(three)))
    assert _close(whole, _of(three).merge(_of(one).merge(_of(two))))


@given(units)
def test_sums_give_the_same_as_values(rows: list[tuple[float, float]]) -> None:
    y, x = (np.array([row[i] for row in rows]) for i in (0, 1))
    sums = (float(y.sum()), float(x.sum())), (float((y * y).sum()), float((x * x).sum())), float((y * x).sum())

    assert _close(_of(rows), JointMoments.of_sums(len(rows), *sums))


@given(st.lists(st.tuples(st.floats(-50, 50), st.floats(-50, 50)), min_size=2, max_size=20), st.floats(-3, 3))
def test_the_residual_variance_is_that_of_the_residuals(rows: list[tuple[float, float]], slope: float) -> None:
    residuals = [y - slope * x for y, x in rows]

    assert math.isclose(_of(rows).residual_variance(slope), float(np.var(residuals, ddof=1)), abs_tol=1e-8)


def test_a_perfect_fit_leaves_no_variance() -> None:
    x = np.array([0.1, 0.7, 1.3, 2.9]) * 1e6

    assert JointMoments.of(x / 3, x).residual_variance(1 / 3) == 0


def test_without_units_everything_is_zero() -> None:
    assert JointMoments.of([], []) == JointMoments() == JointMoments.of_sums(0, (0, 0), (0, 0), 0)
    assert JointMoments().merge(JointMoments()) == JointMoments()


def test_bad_input_is_named_with_its_rule() -> None:
    with pytest.raises(ValueError, match=r"len\(x\) == 1, must be len\(y\) == 2"):
        JointMoments.of([1, 2], [1])
    with pytest.raises(ValueError, match=r"x\[0\] == inf, must be finite"):
        JointMoments.of([1], [math.inf])
    with pytest.raises(ValueError, match="n == -1, must be >= 0"):
        JointMoments.of_sums(-1, (0, 0), (0, 0), 0)
    with pytest.raises(ValueError, match=r"squares\[1\] == nan, must be finite"):
        JointMoments.of_sums(2, (0, 0), (0, math.nan), 0)
