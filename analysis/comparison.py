"""An estimate together with the test that is dual to its interval: one record, so that the two never disagree."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from scipy.stats import t as student

from analysis.checks import check_finite, check_share
from analysis.rendering import Rendered
from analysis.result import NotEstimable

Alternative = Literal["two-sided", "greater", "less"]
"""What the test looks for: a value other than, above or below the null value."""


@dataclass(frozen=True, slots=True)
class Measurement(Rendered):
    """A value whose error is normal, or t distributed, with a known standard error above 0."""

    value: float
    standard_error: float
    n: int
    """Independent observations."""
    method: str
    assumptions: tuple[str, ...] = ()
    degrees_of_freedom: float = math.inf
    """Of the standard error; inf for the normal distribution."""


@dataclass(frozen=True, slots=True)
class Comparison(Rendered):
    """A value, its interval and its test: `p_value` < 1 - `level` exactly when `null` is outside of the interval."""

    value: float
    lower: float
    """-inf where the alternative is "less"."""
    upper: float
    """inf where the alternative is "greater"."""
    level: float
    """Confidence of the interval, 0.95 for 95 %; one-sided where the alternative is."""
    null: float
    """The value that the test is about."""
    statistic: float
    p_value: float
    standard_error: float
    degrees_of_freedom: float
    """inf where the normal distribution is used."""
    n: int
    """Independent observations."""
    method: str
    assumptions: tuple[str, ...] = ()

    @property
    def rejected(self) -> bool:
        """Whether the null value is outside of the interval."""
        return not self.lower <= self.null <= self.upper


@dataclass(frozen=True, slots=True)
class Equivalence(Rendered):
    """Two one-sided tests: the value is above `low` and below `high`."""

    value: float
    lower: float
    upper: float
    level: float
    """1 - 2 alpha: equivalent at alpha exactly when this interval is inside of (low, high)."""
    low: float
    high: float
    statistic_low: float
    """Of "the value is `low` or less"."""
    statistic_high: float
    """Of "the value is `high` or more"."""
    p_low: float
    p_high: float
    n: int
    method: str
    assumptions: tuple[str, ...] = ()

    @property
    def p_value(self) -> float:
        """The larger of the two: both hypotheses have to fall."""
        return max(self.p_low, self.p_high)


def check_alternative(alternative: str) -> None:
    """Check the name of an alternative.

    Raises:
        ValueError: It is not one of the three.
    """
    if alternative not in get_args(Alternative):
        raise ValueError(f"alternative == {alternative!r}, must be one of {', '.join(get_args(Alternative))}")


def compare(
    measured: Measurement, *, null: float = 0.0, alternative: Alternative = "two-sided", level: float = 0.95
) -> Comparison:
    """Return the interval of a measurement, and the test that its value is `null`.

    Args:
        measured: The estimate with its standard error.
        null: The value to test.
        alternative: Which side the test looks at; the interval is one-sided where the test is.
        level: Confidence.

    Raises:
        ValueError: `alternative` or `level` is out of range, or `null` is not finite.

    >>> found = compare(Measurement(2.0, 1.0, n=50, method="normal"))
    >>> (round(found.lower, 4), round(found.upper, 4), round(found.p_value, 4), found.rejected)
    (0.04, 3.96, 0.0455, True)
    """
    check_share(level, "level")
    check_alternative(alternative)
    statistic = (measured.value - check_finite(null, "null")) / measured.standard_error
    tail = (1 - level) / (2 if alternative == "two-sided" else 1)
    reach = float(student.isf(tail, measured.degrees_of_freedom)) * measured.standard_error
    return Comparison(
        value=measured.value,
        lower=-math.inf if alternative == "less" else measured.value - reach,
        upper=math.inf if alternative == "greater" else measured.value + reach,
        level=level,
        null=null,
        statistic=statistic,
        p_value=_p_value(statistic, measured.degrees_of_freedom, alternative),
        standard_error=measured.standard_error,
        degrees_of_freedom=measured.degrees_of_freedom,
        n=measured.n,
        method=measured.method,
        assumptions=measured.assumptions,
    )


def _p_value(statistic: float, degrees_of_freedom: float, alternative: Alternative) -> float:
    if alternative == "two-sided":
        return min(1.0, 2 * float(student.sf(abs(statistic), degrees_of_freedom)))
    return float(student.sf(statistic if alternative == "greater" else -statistic, degrees_of_freedom))


def welch_degrees_of_freedom(first: float, n_first: int, second: float, n_second: int) -> float:
    """Return the Welch-Satterthwaite degrees of freedom of two variances of means, s^2 / n each.

    Source:
        Satterthwaite 1946; Welch 1947.

    >>> welch_degrees_of_freedom(1.0, 11, 1.0, 11)
    20.0
    """
    # Scaled first: squares of tiny variances would underflow.
    total = first + second
    first, second = first / total, second / total
    return 1 / (first**2 / (n_first - 1) + second**2 / (n_second - 1))


def equivalence(measured: Measurement, low: float, high: float, alpha: float = 0.05) -> Equivalence:
    """Return the two one-sided t tests (TOST) of "the value is outside of (low, high)".

    Args:
        measured: The estimate with its standard error.
        low: Lower equivalence bound.
        high: Upper equivalence bound.
        alpha: Error of each test; the interval has level 1 - 2 alpha.

    Raises:
        ValueError: `low` is not below `high`, or `alpha` is not in (0, 0.5).

    Source:
        Schuirmann 1987, Journal of Pharmacokinetics and Biopharmaceutics 15:657-680.

    >>> round(equivalence(Measurement(0.0, 1.0, n=9, method="t", degrees_of_freedom=8), -2, 2).p_value, 4)
    0.0403
    """
    check_bounds(low, high, alpha)
    distribution = student(measured.degrees_of_freedom)
    reach = float(distribution.isf(alpha)) * measured.standard_error
    statistic_low = (measured.value - low) / measured.standard_error
    statistic_high = (measured.value - high) / measured.standard_error
    return Equivalence(
        value=measured.value,
        lower=measured.value - reach,
        upper=measured.value + reach,
        level=1 - 2 * alpha,
        low=low,
        high=high,
        statistic_low=statistic_low,
        statistic_high=statistic_high,
        p_low=float(distribution.sf(statistic_low)),
        p_high=float(distribution.cdf(statistic_high)),
        n=measured.n,
        method=measured.method,
        assumptions=measured.assumptions,
    )


def check_bounds(low: float, high: float, alpha: float) -> None:
    """Check the bounds and the error of an equivalence test.

    Raises:
        ValueError: `low` is not below `high`, or `alpha` is not in (0, 0.5).
    """
    if not check_finite(low, "low") < check_finite(high, "high"):
        raise ValueError(f"low == {low!r}, must be < high == {high!r}")
    if not 0 < alpha < 0.5:
        raise ValueError(f"alpha == {alpha!r}, must be in (0, 0.5)")


def no_variance(what: str) -> NotEstimable:
    """Say that a standard error of 0 is no knowledge: the data are too few, or too coarse, to show their spread."""
    return NotEstimable(f"{what} do not vary: a standard error cannot be estimated")
