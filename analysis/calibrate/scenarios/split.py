"""Scenario 11: the sequential test of the sample ratio, hour by hour for two weeks."""

from __future__ import annotations

import math
from functools import cache, partial

import numpy as np

from analysis.calibrate import comparators as other
from analysis.calibrate.study import Bar, Measure, Part, Samples, Scenario
from analysis.simulate import Booleans, Counts, Floats, ever, first_look
from analysis.srm import StageCounts, srm_log_bayes_factor

_ALPHA = 0.001
_HOURS, _UNITS_PER_HOUR = 336, 300
_RAMP = (0.01, 0.05, 0.25, 0.50)
_LOOKS_PER_STAGE, _UNITS_PER_LOOK = 10, 500


@cache
def alarm_bounds() -> tuple[Counts, Counts]:
    """Return the treated counts (at most, at least) at which the product's test alarms, at each hour.

    The evidence against an even split rises with the distance from the expected count: each bound is found by halving.
    """
    hours = np.arange(1, _HOURS + 1)
    above = np.array([_least_alarming(int(hour) * _UNITS_PER_HOUR) for hour in hours])
    return hours * _UNITS_PER_HOUR - above, above


def _least_alarming(total: int) -> int:
    """Return the least count above a half that alarms; one more than all if even all do not."""
    low, high = total // 2, total + 1
    while high - low > 1:
        middle = (low + high) // 2
        stage = StageCounts((middle, total - middle), (0.5, 0.5))
        if srm_log_bayes_factor([stage]) >= -math.log(_ALPHA):
            high = middle
        else:
            low = middle
    return high


def hourly(share: float, rng: np.random.Generator, replicates: int) -> Samples:
    """Draw an even split that is really `share`."""
    treated = rng.binomial(_UNITS_PER_HOUR, share, size=(replicates, _HOURS)).cumsum(axis=1)
    total = np.arange(1, _HOURS + 1) * _UNITS_PER_HOUR
    below, above = alarm_bounds()
    alarms = np.asarray((treated <= below) | (treated >= above))
    return {
        "ours": ever(alarms),
        "hours": _hours(alarms),
        **{f"chi2 {alpha:g}": ever(other.chi2_split(treated, total, 0.5, alpha)) for alpha in (0.001, 0.01, 0.05)},
    }


def _hours(alarms: Booleans) -> Floats:
    return np.asarray(np.minimum(first_look(alarms) + 1.0, _HOURS))


def ramp(rng: np.random.Generator, replicates: int) -> Samples:
    """Draw the configured split of a ramp; each stage keeps its evidence, and the stages multiply."""
    shares = np.repeat(_RAMP, _LOOKS_PER_STAGE)
    treated = rng.binomial(_UNITS_PER_LOOK, shares, size=(replicates, len(shares)))
    return {"ours": np.array([_ramp_alarms(counts) for counts in treated])}


def _ramp_alarms(treated: Counts) -> bool:
    earlier: list[StageCounts] = []
    for share, counts in zip(_RAMP, treated.reshape(len(_RAMP), -1).cumsum(axis=1), strict=True):
        stages = [
            StageCounts((_UNITS_PER_LOOK * look - int(count), int(count)), (1 - share, share))
            for look, count in enumerate(counts, start=1)
        ]
        if any(srm_log_bayes_factor([*earlier, stage]) >= -math.log(_ALPHA) for stage in stages):
            return True
        earlier.append(stages[-1])
    return False


_BAR = Bar("error", _ALPHA)
SPLIT = Scenario(
    11,
    "Sample ratio: false alarm",
    f"{_UNITS_PER_HOUR} units an hour for two weeks, looked at every hour; alpha .001.",
    (
        Part(
            "Split of 50 : 50, as configured",
            partial(hourly, 0.5),
            (
                Measure("ours", "sequential Dirichlet test", bar=_BAR, reference="0.08 %"),
                Measure("chi2 0.001", "chi-square, p < .001", reference="2.2 %", method="naive"),
                Measure("chi2 0.01", "chi-square, p < .01", reference="15 %", method="naive"),
                Measure("chi2 0.05", "chi-square, p < .05", reference="46 %", method="naive"),
            ),
            weight=10,
        ),
        Part(
            "Ramp of 1, 5, 25 and 50 %, as configured",
            ramp,
            (Measure("ours", "sequential Dirichlet test, stages multiplied", bar=_BAR),),
        ),
        Part(
            "Really 51 : 49",
            partial(hourly, 0.51),
            (
                Measure("ours", "found within the two weeks"),
                Measure("hours", "median hours", "median", reference="136", unit="n"),
            ),
        ),
    ),
)
