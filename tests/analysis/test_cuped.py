"""CUPED against regression, and what it is for: less variance, the same mean."""

import math

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st

from analysis.cuped import Cuped, cuped, cuped_variance_factor
from analysis.joint_moments import JointMoments
from analysis.result import NotEstimable
from analysis.sequential import MeanState
from analysis.two_sample import welch


def _arms(seed: int, effect: float, sizes: tuple[int, int] = (120, 80)) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    arm = np.repeat([1, 0], sizes)
    x = generator.normal(5, 2, arm.size)
    return 0.7 * x + effect * arm + generator.normal(0, 1, arm.size), x, arm


def _moments(y: np.ndarray, x: np.ndarray, arm: np.ndarray) -> tuple[JointMoments, JointMoments]:
    return JointMoments.of(y[arm == 1], x[arm == 1]), JointMoments.of(y[arm == 0], x[arm == 0])


@given(st.integers(0, 1000), st.floats(-3, 3))
def test_the_slope_within_arms_is_that_of_the_regression_on_arm_and_covariate(seed: int, effect: float) -> None:
    y, x, arm = _arms(seed, effect)
    found = cuped(*_moments(y, x, arm))
    fitted = sm.OLS(y, sm.add_constant(np.column_stack([arm, x]))).fit()

    assert isinstance(found, Cuped)
    assert math.isclose(found.theta, fitted.params[2], rel_tol=1e-8)
    assert math.isclose(found.adjusted.value, fitted.params[1], rel_tol=1e-7, abs_tol=1e-9)


def test_the_slope_of_the_whole_sample_ignores_arms() -> None:
    y, x, arm = _arms(1, 5.0)
    found = cuped(*_moments(y, x, arm), slope="whole_sample")

    assert isinstance(found, Cuped)
    assert math.isclose(found.theta, np.cov(y, x)[0, 1] / np.var(x, ddof=1), rel_tol=1e-9)


def test_unadjusted_is_welch() -> None:
    y, x, arm = _arms(2, 1.0)
    found = cuped(*_moments(y, x, arm))
    plain = welch(MeanState.of(y[arm == 1]), MeanState.of(y[arm == 0]))

    assert isinstance(found, Cuped)
    assert not isinstance(plain, NotEstimable)
    assert np.allclose([found.unadjusted.lower, found.unadjusted.p_value], [plain.lower, plain.p_value])


def test_the_variance_left_is_one_minus_the_squared_correlation() -> None:
    y, x, arm = _arms(3, 1.0, (20_000, 20_000))
    found = cuped(*_moments(y, x, arm))
    correlation = float(np.corrcoef(y - arm, x)[0, 1])

    assert isinstance(found, Cuped)
    assert math.isclose(found.variance_factor, cuped_variance_factor(correlation), rel_tol=0.01)


def test_a_covariate_keeps_the_level_and_the_effect() -> None:
    missed, values = 0, []
    for seed in range(400):
        found = cuped(*_moments(*_arms(seed, 0.5)))
        assert isinstance(found, Cuped)
        values.append(found.adjusted.value)
        missed += not found.adjusted.lower <= 0.5 <= found.adjusted.upper

    assert abs(float(np.mean(values)) - 0.5) < 0.03
    assert missed / 400 < 0.085


def test_nothing_to_adjust_by_is_not_estimable() -> None:
    fine = JointMoments.of([1, 2, 4], [1, 1, 2])

    assert isinstance(cuped(JointMoments.of([1, 2, 4], [3, 3, 3]), JointMoments.of([1, 2], [3, 3])), NotEstimable)
    assert isinstance(cuped(JointMoments(), fine), NotEstimable)
    assert isinstance(cuped(fine, JointMoments.of([1], [1])), NotEstimable)
    assert isinstance(cuped(*[JointMoments.of([1, 2, 4], [2, 4, 8])] * 2), NotEstimable)


def test_bad_input_is_named_with_its_rule() -> None:
    fine = JointMoments.of([1, 2, 4], [1, 1, 2])

    with pytest.raises(ValueError, match="slope == 'other', must be within_arms or whole_sample"):
        cuped(fine, fine, slope="other")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"level == 1, must be in \(0, 1\)"):
        cuped(fine, fine, level=1)
    with pytest.raises(ValueError, match=r"correlation == 1.1, must be in \[-1, 1\]"):
        cuped_variance_factor(1.1)
