"""Roots of many functions at once."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from analysis.roots import increasing_roots

Floats = NDArray[np.float64]


@given(st.lists(st.floats(-8, 8), min_size=1, max_size=8))
def test_each_root_is_found_whatever_stands_beside_it(targets: list[float]) -> None:
    goal = np.array(targets)

    def excess(which: NDArray[np.intp], at: Floats) -> tuple[Floats, Floats]:
        return np.sinh(at) - goal[which], np.cosh(at)

    found = increasing_roots(excess, np.zeros(len(goal)), np.full(len(goal), -10.0), np.full(len(goal), 10.0))

    np.testing.assert_allclose(found, np.arcsinh(goal), atol=1e-11)
    for index in range(len(goal)):
        alone = increasing_roots(
            lambda which, at, i=index: excess(which + i, at), np.zeros(1), np.full(1, -10.0), np.full(1, 10.0)
        )
        assert alone[0] == found[index]


def test_a_flat_function_falls_back_to_halving_the_bracket() -> None:
    found = increasing_roots(
        lambda _, at: (np.where(at < 0.3, -1.0, 1.0), np.zeros_like(at)), np.zeros(1), np.zeros(1), np.ones(1)
    )

    np.testing.assert_allclose(found, 0.3, atol=1e-12)


def test_without_a_root_the_end_of_the_bracket_comes_back() -> None:
    low, high = np.full(2, -1.0), np.full(2, 1.0)

    found = increasing_roots(lambda which, at: (at + np.array([5.0, -5.0])[which], np.ones_like(at)), low, low, high)

    np.testing.assert_allclose(found, [-1.0, 1.0], atol=1e-12)


def test_no_function_at_all_gives_no_root() -> None:
    assert increasing_roots(lambda _, at: (at, at), *[np.zeros(0)] * 3).size == 0
