"""Ratio metrics and cluster-robust rates, for reports at a fixed size.

The unit is what was randomised: a user or a conversation. A rate over requests is then a ratio of two sums over units,
and its error comes from the delta method; to treat the requests as independent would be wrong by the factor
`ClusterRate.design_effect`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student

from analysis.arm import Arm, difference, relative_change
from analysis.checks import check_count, check_share, check_values
from analysis.comparison import Alternative, Comparison, check_alternative, compare
from analysis.joint_moments import JointMoments
from analysis.rendering import Rendered
from analysis.result import NotEstimable


class RatioComparison(NamedTuple):
    """A ratio metric of both arms and how they differ."""

    treatment: float
    control: float
    difference: Comparison
    relative: Comparison | NotEstimable
    """The change relative to control."""


def ratio_metric(
    treatment: JointMoments,
    control: JointMoments,
    *,
    null: float = 0.0,
    alternative: Alternative = "two-sided",
    level: float = 0.95,
) -> RatioComparison | NotEstimable:
    """Return the difference of sum(y) / sum(x) between the arms, by the delta method.

    Examples: latency per request or errors per request, with users as units.

    Args:
        treatment: Numerator y and denominator x of each unit.
        control: The same.
        null: The absolute difference to test; the relative change is tested against 0.
        alternative: Which side to look at.
        level: Confidence.

    Raises:
        ValueError: `level` or `alternative` is out of range.

    Source:
        Deng, Knoblich & Lu 2018: Var = (s_y^2 - 2 R s_xy + R^2 s_x^2) / (mean_x^2 n); Welch's degrees of freedom.

    >>> arms = JointMoments.of([3, 5, 9, 4], [1, 2, 3, 1]), JointMoments.of([2, 4, 5, 3], [1, 2, 3, 1])
    >>> found = ratio_metric(*arms)
    >>> (found.treatment, found.control, round(found.difference.lower, 4), round(found.difference.upper, 4))
    (3.0, 2.0, 0.1927, 1.8073)
    """
    check_share(level, "level")
    check_alternative(alternative)
    arms = _ratio_arm(treatment, "treatment"), _ratio_arm(control, "control")
    if isinstance(arms[0], NotEstimable):
        return arms[0]
    if isinstance(arms[1], NotEstimable):
        return arms[1]
    measured = difference(arms[0], arms[1], "ratio metric by the delta method")
    if isinstance(measured, NotEstimable):
        return measured
    relative = relative_change(arms[0], arms[1], "relative change of a ratio metric by the delta method", level)
    return RatioComparison(
        treatment=arms[0].value,
        control=arms[1].value,
        difference=compare(measured, null=null, alternative=alternative, level=level),
        relative=relative
        if isinstance(relative, NotEstimable)
        else compare(relative, alternative=alternative, level=level),
    )


def _ratio_arm(state: JointMoments, name: str) -> Arm | NotEstimable:
    if state.n < 2:
        return NotEstimable(f"{name} has {state.n} units, a standard error needs at least 2")
    if state.mean_x == 0:
        return NotEstimable(f"the denominators of {name} sum to 0")
    ratio = state.mean_y / state.mean_x
    return Arm(ratio, state.residual_variance(ratio) / (state.mean_x**2 * state.n), state.n)


@dataclass(frozen=True, slots=True)
class ClusterRate(Rendered):
    """A rate over requests whose independent units are clusters: users or conversations."""

    value: float
    lower: float
    upper: float
    level: float
    variance: float
    """Of the rate, by clusters."""
    variance_naive: float
    """What it would be were the requests independent."""
    n: int
    """Clusters."""
    method: str
    assumptions: tuple[str, ...] = ()

    @property
    def design_effect(self) -> float:
        """How many times more requests are needed than if they were independent."""
        return self.variance / self.variance_naive


def cluster_rate(successes: ArrayLike, requests: ArrayLike, level: float = 0.95) -> ClusterRate | NotEstimable:
    """Return the rate over all requests with its cluster-robust variance.

    To compare two arms, give `ratio_metric` the successes as y and the requests as x.

    Args:
        successes: Of each cluster, shape (clusters,).
        requests: Of each cluster, at least 1.
        level: Confidence of the t interval, cut at 0 and 1.

    Raises:
        ValueError: More successes than requests, a cluster without a request, or `level` out of range.

    Source:
        Linearised ratio (delta method) with the factor n / (n - 1): with one request per cluster it is
        p (1 - p) / (n - 1), the sample variance over n, where the naive p (1 - p) / n has no such factor.

    >>> found = cluster_rate([2, 1, 3, 2, 1, 0], [3, 1, 5, 2, 4, 1])
    >>> (found.value, round(found.variance, 6), round(found.design_effect, 3))
    (0.5625, 0.013916, 0.905)
    """
    check_share(level, "level")
    _check_clusters(successes, requests)
    arm = _ratio_arm(JointMoments.of(successes, requests), "the sample")
    if isinstance(arm, NotEstimable):
        return arm
    total = int(np.sum(np.asarray(requests)))
    if arm.squared_error <= 0:
        return NotEstimable("all clusters have the same rate: their variance cannot be estimated")
    reach = float(student.isf((1 - level) / 2, arm.n - 1)) * math.sqrt(arm.squared_error)
    lower, upper = max(0.0, arm.value - reach), min(1.0, arm.value + reach)
    naive = arm.value * (1 - arm.value) / total
    assumptions = ("independent clusters", "enough clusters for a normal rate", "one look")
    method = "cluster-robust rate"
    return ClusterRate(arm.value, lower, upper, level, arm.squared_error, naive, arm.n, method, assumptions)


def _check_clusters(successes: ArrayLike, requests: ArrayLike) -> None:
    events, totals = check_values(successes, "successes"), check_values(requests, "requests")
    if events.size != totals.size:
        raise ValueError(f"len(successes) == {events.size}, must be len(requests) == {totals.size}")
    for place in np.flatnonzero((totals < 1) | (events < 0) | (events > totals))[:1].tolist():
        if totals[place] < 1:
            raise ValueError(f"requests[{place}] == {totals[place]:g}, must be >= 1")
        check_count(int(events[place]), f"successes[{place}]", most=int(totals[place]))
