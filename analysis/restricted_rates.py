"""The maximum-likelihood rates of two samples under the restriction that they differ by a given amount.

All score methods for a difference of proportions rest on them. statsmodels 0.14 and 0.15 compute them wrongly for a
difference other than 0 (its issue #10269).
"""

from __future__ import annotations

import math

from analysis.checks import check_count, check_null_mean, check_positive, check_probability


def restricted_rates(x1: int, n1: int, x2: int, n2: int, difference: float) -> tuple[float, float]:
    """Return the maximum-likelihood rates (p1, p2) under the restriction p1 - p2 = `difference`.

    Args:
        x1: Events of the first sample.
        n1: Size of the first sample, at least 1.
        x2: Events of the second sample.
        n2: Size of the second sample, at least 1.
        difference: In (-1, 1).

    Raises:
        ValueError: Negative counts, more events than the sample's size, an empty sample or `difference` out of range.

    Source:
        Farrington & Manning 1990, Statistics in Medicine 9:1447-1454; Miettinen & Nurminen 1985.

    >>> tuple(round(rate, 4) for rate in restricted_rates(20, 35, 30, 55, -0.3))
    (0.3685, 0.6685)
    """
    check_samples(x1, n1, x2, n2)
    check_null_mean(difference, "difference")
    if n1 == 0 or n2 == 0:
        raise ValueError(f"min(n1, n2) == {min(n1, n2)!r}, must be >= 1")
    return _by_sign(x1, n1, x2, n2, difference)


def restricted_shares(p1: float, p2: float, ratio: float, difference: float) -> tuple[float, float]:
    """Return the likeliest rates with p1 - p2 = `difference` where none has been counted yet: for planning.

    Args:
        p1: Rate that the first sample is expected to show, in [0, 1].
        p2: Rate that the second is expected to show, in [0, 1].
        ratio: Size of the second sample for each unit of the first.
        difference: In (-1, 1).

    Raises:
        ValueError: An argument is out of range.

    >>> tuple(round(rate, 4) for rate in restricted_shares(20 / 35, 30 / 55, 55 / 35, -0.3))
    (0.3685, 0.6685)
    """
    check_probability(p1, "p1")
    check_probability(p2, "p2")
    check_positive(ratio, "ratio")
    check_null_mean(difference, "difference")
    return _by_sign(p1, 1.0, p2 * ratio, ratio, difference)


def _by_sign(x1: float, n1: float, x2: float, n2: float, difference: float) -> tuple[float, float]:
    if difference < 0:
        q2, q1 = _restricted(x2, n2, x1, n1, -difference)
        return q1, q2
    return _restricted(x1, n1, x2, n2, difference)


def _restricted(x1: float, n1: float, x2: float, n2: float, d: float) -> tuple[float, float]:
    """Return the restricted rates for d >= 0.

    The rate nearer to its edge is the one that is solved for: of rare events no digit is lost to a difference with 1.
    """
    if d == 0:
        pooled = (x1 + x2) / (n1 + n2)
        return pooled, pooled
    low = min(max(_cubic_root(x1, n1, x2, n2, d) - d, 0.0), 1 - d)
    if low <= (1 - d) / 2:
        low = _polished(low, x1, n1, x2, n2, d)
        return low + d, low
    # In failures the samples change places: the rates are 1 - p2 = (1 - p1) + d and 1 - p1.
    failures = _polished(1 - d - low, n2 - x2, n2, n1 - x1, n1, d)
    return 1 - failures, max(0.0, 1 - d - failures)


def _cubic_root(x1: float, n1: float, x2: float, n2: float, d: float) -> float:
    """Return the closed-form root p1 of the likelihood equation, which is a cubic."""
    ratio, p1, p2 = n2 / n1, x1 / n1, x2 / n2
    a = 1 + ratio
    b = -(1 + ratio + p1 + ratio * p2 + d * (ratio + 2))
    c = d * d + d * (2 * p1 + ratio + 1) + p1 + ratio * p2
    v = b**3 / (27 * a**3) - b * c / (6 * a * a) - p1 * d * (1 + d) / (2 * a)
    u = math.copysign(math.sqrt(max(0.0, b * b / (9 * a * a) - c / (3 * a))), v)
    # Three equal roots leave no angle. Rounding can push the cosine past 1.
    angle = math.acos(min(1.0, max(-1.0, v / u**3))) if u**3 else 0.0
    return 2 * u * math.cos((math.pi + angle) / 3) - b / (3 * a)


def _polished(low: float, x1: float, n1: float, x2: float, n2: float, d: float) -> float:
    """Return the root to the last digits: p2 of the rates (p2 + d, p2), by Newton steps within a bracket from `low`.

    The closed form is right to 1e-8 where roots coincide, which is not enough for a rate of 1e-6.
    """
    if x2 == 0 and x1 / d - (n1 - x1) / (1 - d) - n2 <= 0:
        return 0.0
    room = 1 - d
    below, above = 0.0, room
    for _ in range(100):
        if not below < low < above:
            low = (below + above) / 2
            if not below < low < above:
                break
        others = x1 / (low + d) - (n1 - x1) / (room - low) - (n2 - x2) / (1 - low)
        slope = others - low * (x1 / (low + d) ** 2 + (n1 - x1) / (room - low) ** 2 + (n2 - x2) / (1 - low) ** 2)
        excess = x2 + low * others  # the likelihood equation, times p2
        below, above = (low, above) if excess > 0 else (below, low)
        following = low - excess / slope if slope else low
        if abs(following - low) <= 1e-15 * low:
            break
        low = following
    return min(max(low, 0.0), room)


def check_samples(x1: int, n1: int, x2: int, n2: int) -> None:
    """Check the counts of two samples.

    Raises:
        ValueError: Negative counts, or more events than the sample's size.
    """
    check_count(x1, "x1", most=check_count(n1, "n1"))
    check_count(x2, "x2", most=check_count(n2, "n2"))
