"""One metric's value of each request, with missing answers decided on: nothing is dropped silently.

Time-outs, refusals and crashes are not missing at random: they come from the side that is worse. A missing score is a
failure and counts as one; a latency that does not exist is left out of the latency, counted, and must be a failure
in a metric of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


class Missing(NamedTuple):
    """Requests without an outcome, before any cap."""

    control: int
    treatment: int
    excluded: int
    """Those of them that have no value at all, since no failure value makes sense; counted in another metric."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """One metric's value of each request."""

    values: Floats
    """Shape (requests,); NaN where excluded."""
    bounded: bool
    """Whether all values are differences in [-1, 1]; they have a histogram for a state, others a mean and variance."""
    missing: Missing


def paired_differences(control: ArrayLike, treatment: ArrayLike) -> Outcomes:
    """Return treatment - control of scores in [0, 1]. A missing score (NaN) is a failure: it counts as 0.

    Args:
        control: Shape (requests,).
        treatment: Shape (requests,).

    Raises:
        ValueError: Shapes differ, or a score is outside of [0, 1].

    >>> found = paired_differences([1, 1, np.nan], [1, np.nan, np.nan])
    >>> found.values.tolist(), found.missing
    ([0.0, -1.0, 0.0], Missing(control=1, treatment=2, excluded=0))
    """
    arms = [np.array(np.asarray(scores), dtype=np.float64) for scores in (control, treatment)]
    _check_same_shape(arms[1], arms[0].shape, "treatment")
    lost = []
    for scores, name in zip(arms, ("control", "treatment"), strict=True):
        # Comparisons with NaN are false: what is left is missing, or out of range.
        wrong = ~((scores >= 0) & (scores <= 1))
        absent = np.isnan(scores) if np.any(wrong) else wrong
        if np.any(wrong & ~absent):
            raise ValueError(f"{name} == {float(scores[wrong & ~absent][0])!r}, must be in [0, 1] or NaN")
        scores[absent] = 0.0
        lost.append(int(np.count_nonzero(absent)))
    return Outcomes(arms[1] - arms[0], bounded=True, missing=Missing(lost[0], lost[1], 0))


def paired_log_ratios(control: ArrayLike, treatment: ArrayLike) -> Outcomes:
    """Return log(treatment / control) of latencies or costs. A pair with a missing side (NaN) has none.

    A request that failed has no latency: to leave it out favours the side that fails. It is counted here, and must be a
    failure in a metric of its own.

    Args:
        control: Shape (requests,).
        treatment: Shape (requests,).

    Raises:
        ValueError: Shapes differ, or a value is not above 0 and finite.

    >>> found = paired_log_ratios([2.0, 1.0], [1.0, np.nan])
    >>> found.values.round(3).tolist(), found.missing
    ([-0.693, nan], Missing(control=0, treatment=1, excluded=1))
    """
    arms = [np.asarray(values, dtype=np.float64) for values in (control, treatment)]
    _check_same_shape(arms[1], arms[0].shape, "treatment")
    absent = []
    for values, name in zip(arms, ("control", "treatment"), strict=True):
        missing = np.isnan(values)
        wrong = ~((values > 0) & np.isfinite(values)) & ~missing
        if np.any(wrong):
            raise ValueError(f"{name} == {float(values[wrong][0])!r}, must be > 0 and finite, or NaN")
        absent.append(missing)
    counts = [int(np.count_nonzero(missing)) for missing in (*absent, absent[0] | absent[1])]
    return Outcomes(np.log(arms[1]) - np.log(arms[0]), bounded=False, missing=Missing(counts[0], counts[1], counts[2]))


def plain_outcomes(values: ArrayLike, *, bounded: bool, missing_as: float | None = None) -> Outcomes:
    """Return values as they are.

    Args:
        values: Shape (requests,).
        bounded: Whether they are differences in [-1, 1].
        missing_as: What a missing value (NaN) counts as. Without it, missing values are refused.

    Raises:
        ValueError: A value is missing and `missing_as` is not given, or a value is out of range.

    >>> plain_outcomes([0.5, np.nan], bounded=True, missing_as=-1.0).values.tolist()
    [0.5, -1.0]
    """
    # Arrow gives what cannot be written to, even when a copy is asked for.
    array = np.array(np.asarray(values), dtype=np.float64)
    _check_same_shape(array, array.shape, "values")
    absent = np.isnan(array)
    count = int(np.count_nonzero(absent))
    if count and missing_as is None:
        raise ValueError(f"missing_as == None, must say what {count} missing values count as")
    array[absent] = missing_as
    wrong = ~((array >= -1) & (array <= 1)) if bounded else ~np.isfinite(array)
    if np.any(wrong):
        rule = "in [-1, 1]" if bounded else "finite"
        raise ValueError(f"values == {float(array[wrong][0])!r}, must be {rule}")
    return Outcomes(array, bounded=bounded, missing=Missing(0, count, 0))


def _check_same_shape(values: Floats, shape: tuple[int, ...], name: str) -> None:
    if values.shape != shape or values.ndim != 1:
        raise ValueError(f"{name}.shape == {values.shape!r}, must be {shape!r} and one row of requests")
