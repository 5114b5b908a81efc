"""The e-detector: harm that starts late, after promotion or after months without any.

An e-process that has watched a long time without harm has lost most of its capital and answers slowly when harm begins.
The Shiryaev-Roberts e-detector M_t = (M_(t-1) + 1) e_t adds a fresh capital of 1 with every unit instead: it is the sum
of the e-processes that start at each unit. An alarm at M >= A comes, while nothing is wrong, after A units or more on
average (Shin, Ramdas & Rinaldo 2024, "E-detectors"); it has no error probability, since in the end it always comes.

Here e_t is the factor of one bet, each bet of the fixed grid has its own M, and their average is what alarms: the
average of e-detectors is an e-detector. All is kept as log(1 + M), which starts at 0, never overflows and fits JSON.

The order of the units matters, so it takes units in log time order, and detectors of shards cannot be merged into the
one of the whole stream. Their sum of M, though, is an e-detector whose time is the number of units of all shards.
Replaying the same batches gives the same bits; other batches of the same units agree up to rounding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from analysis.betting import GRID, Floats, Side, check_null_means, check_side, log_mean_exp
from analysis.checks import check_count, check_positive

_BLOCK = 4096
"""Units computed at once."""


@dataclass(frozen=True, slots=True)
class EDetector:
    """A detector after some units."""

    log1p_m: tuple[float, ...] = (0.0,) * len(GRID)
    """log(1 + M) of each bet."""
    peak: float = 0.0
    """Highest log(1 + average M) after any unit so far: an alarm once raised stays raised."""
    n: int = 0

    def __post_init__(self) -> None:
        check_count(self.n, "n")
        for value in (*self.log1p_m, self.peak):
            if not 0 <= value < np.inf:
                raise ValueError(f"log1p_m or peak == {value!r}, must be >= 0 and finite")

    def after(self, log_increments: ArrayLike) -> EDetector:
        """Take units in log time order.

        Args:
            log_increments: Log factors, shape (units, bets), for example of `difference_increments`.

        Raises:
            ValueError: The number of bets is another one.

        >>> EDetector().after(difference_increments([-1, 0, -1], 0.0, "harm")).n
        3
        """
        increments = np.asarray(log_increments, dtype=np.float64)
        if increments.ndim != 2 or increments.shape[1] != len(self.log1p_m):
            raise ValueError(f"log_increments.shape == {increments.shape!r}, must be (units, {len(self.log1p_m)})")
        if not len(increments):
            return self
        path = shiryaev_roberts(increments, np.array(self.log1p_m))
        peak = max(self.peak, float(log_mean_exp(path.T).max()))
        return EDetector(tuple(path[-1].tolist()), peak, self.n + len(increments))

    @property
    def statistic(self) -> float:
        """log(1 + average M) after the last unit."""
        return float(log_mean_exp(np.array(self.log1p_m)))

    def alarms(self, average_run_length: float) -> bool:
        """Return whether the peak has reached the threshold for a wanted average run length.

        >>> EDetector().after(difference_increments([-1] * 30, 0.0, "harm")).alarms(300_000)
        True
        """
        return self.peak >= alarm_threshold(average_run_length)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> EDetector:
        """Take what `to_dict` gave."""
        return cls(tuple(data["log1p_m"]), data["peak"], data["n"])

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON, which keeps every bit."""
        return {"log1p_m": list(self.log1p_m), "peak": self.peak, "n": self.n}


def alarm_threshold(average_run_length: float) -> float:
    """Return the value of log(1 + M) at which to alarm, for at least so many units on average between false alarms.

    Args:
        average_run_length: Units, above 0.

    Raises:
        ValueError: It is not above 0.

    >>> round(alarm_threshold(300_000), 4)
    12.6115
    """
    return float(np.log1p(check_positive(average_run_length, "average_run_length")))


def difference_increments(differences: ArrayLike, null_mean: float, side: Side) -> Floats:
    """Return the log factors of each difference for each bet of the fixed grid.

    Args:
        differences: In [-1, 1], one per independent unit, shape (units,).
        null_mean: m in (-1, 1).
        side: `harm` watches for E[D] < m, `noninferiority` for E[D] > m.

    Returns:
        Shape (units, bets).

    Raises:
        ValueError: An argument is out of range.
    """
    sign = 1.0 if check_side(side) == "harm" else -1.0
    null = sign * float(check_null_means(null_mean))
    values = sign * np.asarray(differences, dtype=np.float64)
    outside = ~((values >= -1) & (values <= 1))
    if np.any(outside):
        raise ValueError(f"difference == {float(sign * values[outside].flat[0])!r}, must be in [-1, 1]")
    return np.asarray(np.log1p(GRID * ((null - values) / (1.0 - null))[:, None]))


def event_increments(shares: ArrayLike, arms: ArrayLike, max_relative: float) -> Floats:
    """Return the log factors of bad events for each bet of the fixed grid: late harm that shows in events, not pairs.

    If the treatment's risk is at most `max_relative` times control's, the arm of an event is the treatment's with a
    chance of at most q = p r / (p r + 1 - p). A bet of share c multiplies by 1 + c (1 - q) / q on an event of the
    treatment and by 1 - c on one of control: at most 1 on average. Time is counted in events.

    Args:
        shares: p, the probability with which each event's unit was the treatment's, in (0, 1); shape (events,).
        arms: 1 for an event of the treatment, 0 for one of control; shape (events,).
        max_relative: r, the highest accepted relative risk, above 0.

    Returns:
        Shape (events, bets).

    Raises:
        ValueError: An argument is out of range.

    >>> np.expm1(event_increments([0.9, 0.9], [1, 0], 1.0)[:, -1]).round(4).tolist()
    [0.1056, -0.95]
    """
    share, arm = (np.asarray(x, dtype=np.float64) for x in (shares, arms))
    limit = check_positive(max_relative, "max_relative")
    for values, inside, name, rule in (
        (share, (share > 0) & (share < 1), "share", "in (0, 1)"),
        (arm, (arm == 0) | (arm == 1), "arm", "0 (control) or 1 (treatment)"),
    ):
        if not np.all(inside):
            raise ValueError(f"{name} == {float(values[~inside].flat[0])!r}, must be {rule}")
    odds = share * limit / (1 - share)
    return np.asarray(np.log1p(GRID * np.where(arm == 1, 1 / odds, -1.0)[:, None]))


def shiryaev_roberts(log_increments: ArrayLike, log1p_start: ArrayLike = 0.0) -> Floats:
    """Return log(1 + M) after each step, with M_t = (M_(t-1) + 1) e_t.

    Args:
        log_increments: log e_t, shape (steps, ...): bets or replicates beside each other.
        log1p_start: log(1 + M) before the first step.

    Returns:
        Shape (steps, ...).

    Raises:
        ValueError: An increment is not finite.

    >>> np.expm1(shiryaev_roberts(np.log([1.2, 0.9, 1.1]))).round(4).tolist()
    [1.2, 1.98, 3.278]
    """
    increments = np.asarray(log_increments, dtype=np.float64)
    infinite = ~np.isfinite(increments)
    if np.any(infinite):
        raise ValueError(f"log_increments == {float(increments[infinite].flat[0])!r}, must be finite")
    path = np.empty(increments.shape)
    last = np.broadcast_to(np.asarray(log1p_start, dtype=np.float64), increments.shape[1:])
    for start in range(0, len(increments), _BLOCK):
        part = slice(start, start + _BLOCK)
        product = np.add.accumulate(increments[part], axis=0)
        # M_t = e_1..e_t (1 + M_0 + sum of 1 / (e_1..e_j) over j < t), all in logs.
        fresh = np.logaddexp.accumulate(np.concatenate([last[None], -product[:-1]]), axis=0)
        path[part] = np.logaddexp(0.0, product + fresh)
        last = path[part][-1]
    return path
