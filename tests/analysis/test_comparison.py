"""An estimate and its test, which have to agree."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from analysis.comparison import (
    Alternative,
    Comparison,
    Measurement,
    compare,
    equivalence,
    no_variance,
    welch_degrees_of_freedom,
)

measurements = st.builds(
    Measurement,
    value=st.floats(-100, 100),
    standard_error=st.floats(1e-3, 100),
    n=st.integers(2, 1000),
    method=st.just("any"),
    degrees_of_freedom=st.one_of(st.just(math.inf), st.floats(1, 1000)),
)
alternatives = st.sampled_from(["two-sided", "greater", "less"])
levels = st.floats(0.5, 0.999)


@given(measurements, alternatives, levels, st.floats(-100, 100))
def test_p_is_below_alpha_exactly_when_the_null_is_outside(
    measured: Measurement, alternative: Alternative, level: float, null: float
) -> None:
    found = compare(measured, null=null, alternative=alternative, level=level)
    assume(abs(found.p_value - (1 - level)) > 1e-9)

    assert found.lower <= found.value <= found.upper
    assert found.rejected == (found.p_value < 1 - level)
    assert 0 <= found.p_value <= 1


@given(measurements, levels, st.floats(-100, 100))
def test_the_mirror_image_has_the_mirrored_interval(measured: Measurement, level: float, null: float) -> None:
    mirror = Measurement(
        -measured.value,
        measured.standard_error,
        measured.n,
        measured.method,
        degrees_of_freedom=measured.degrees_of_freedom,
    )
    one = compare(measured, null=null, alternative="greater", level=level)
    other = compare(mirror, null=-null, alternative="less", level=level)

    assert (one.lower, one.p_value) == (-other.upper, other.p_value)


@given(measurements, st.floats(-100, 0), st.floats(0.1, 100), st.floats(0.001, 0.499))
def test_equivalence_is_its_interval_inside_the_bounds(
    measured: Measurement, low: float, width: float, alpha: float
) -> None:
    found = equivalence(measured, low, low + width, alpha)
    assume(abs(found.p_value - alpha) > 1e-9)

    assert (found.p_value < alpha) == (low < found.lower and found.upper < low + width)
    assert found.p_value == max(found.p_low, found.p_high)


@given(st.floats(1e-200, 1e100), st.floats(1e-200, 1e100), st.integers(2, 10**6), st.integers(2, 10**6))
def test_degrees_of_freedom_lie_between_the_smaller_arms_and_the_pooled(
    first: float, second: float, n_first: int, n_second: int
) -> None:
    degrees = welch_degrees_of_freedom(first, n_first, second, n_second)

    assert min(n_first, n_second) - 1 <= degrees * (1 + 1e-9)
    assert degrees <= (n_first + n_second - 2) * (1 + 1e-9)


def test_a_normal_interval_is_the_textbooks() -> None:
    found = compare(Measurement(0.0, 1.0, 9, "normal"))

    assert np.allclose([found.lower, found.upper], [-1.959964, 1.959964])
    assert found.p_value == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: compare(m, level=1.0), "level == 1.0, must be in (0, 1)"),
        (lambda m: compare(m, null=math.nan), "null == nan, must be finite"),
        (lambda m: compare(m, alternative="both"), "alternative == 'both', must be one of two-sided, greater, less"),
        (lambda m: equivalence(m, 1, 1), "low == 1, must be < high == 1"),
        (lambda m: equivalence(m, 0, 1, 0.5), "alpha == 0.5, must be in (0, 0.5)"),
        (lambda m: equivalence(m, -math.inf, 1), "low == -inf, must be finite"),
    ],
)
def test_bad_input_is_named_with_its_rule(call: object, message: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        call(Measurement(0.0, 1.0, 9, "normal"))  # type: ignore[operator]

    assert str(raised.value) == message


def test_the_reason_names_what_does_not_vary() -> None:
    assert no_variance("the differences").reason.startswith("the differences do not vary")


def test_a_comparison_is_frozen() -> None:
    found = compare(Measurement(0.0, 1.0, 9, "normal"))

    assert isinstance(found, Comparison)
    with pytest.raises(AttributeError):
        found.value = 1.0  # type: ignore[misc]
