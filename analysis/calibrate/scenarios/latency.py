"""Scenario 9: the asymptotic confidence sequence of log-latency, and what it does on raw latency."""

from __future__ import annotations

import math
from functools import cache, partial

import numpy as np

from analysis.calibrate.study import Bar, Measure, Part, Samples, Scenario
from analysis.result import Estimate
from analysis.sequential import MeanState, halfwidth, halfwidth_one_sided
from analysis.simulate import Booleans, Floats, ever, simulate_lognormal
from analysis.two_arm_sequential import asymptotic_cs_difference

_ALPHA = 0.05
_N, _BURN_IN, _N_STAR = 10_000, 100, 500
_UNITS, _UNITS_PER_LOOK, _SHARE = 20_000, 200, 0.1


@cache
def boundary(n_star: float, *, one_sided: bool) -> Floats:
    """Return the product's half-width at 1, 2, ... n values of standard deviation 1; it is proportional to that."""
    form = halfwidth_one_sided if one_sided else halfwidth
    return np.array([form(1.0, n, n_star, _ALPHA) for n in range(1, _N + 1)])


def latencies(sigma: float, rng: np.random.Generator, replicates: int) -> Samples:
    """Draw lognormal latencies and follow the sequences of both means, of the logarithm and of the raw values."""
    raw = simulate_lognormal(rng, replicates, _N, sigma)
    on_log, on_raw = _errors(np.log(raw), 0.0), _errors(raw, math.exp(sigma**2 / 2))
    return {
        "log": ever(misses(on_log, _BURN_IN, _N_STAR)),
        "log, too slow": ever(_above(on_log)),
        "log, too fast": ever(_above((-on_log[0], on_log[1]))),
        "raw": ever(misses(on_raw, _BURN_IN, _N_STAR)),
        "raw, no burn-in": ever(misses(on_raw, 2, 100)),
    }


def _errors(values: Floats, truth: float) -> tuple[Floats, Floats]:
    """Return (running mean - truth, running sample standard deviation), each of shape (replicates, n)."""
    n = np.arange(1, values.shape[1] + 1)
    # Around the truth, so that no digits cancel.
    centred = values - truth
    mean = centred.cumsum(axis=1) / n
    variance = ((centred**2).cumsum(axis=1) - n * mean**2) / np.maximum(n - 1, 1)
    return mean, np.sqrt(np.maximum(variance, 0))


def misses(errors: tuple[Floats, Floats], burn_in: int, n_star: float) -> Booleans:
    """Return where the two-sided sequence does not hold the truth, from the burn-in on."""
    mean, sd = errors
    return np.asarray(np.abs(mean) > sd * boundary(n_star, one_sided=False))[:, burn_in - 1 :]


def _above(errors: tuple[Floats, Floats]) -> Booleans:
    mean, sd = errors
    return np.asarray(mean > sd * boundary(_N_STAR, one_sided=True))[:, _BURN_IN - 1 :]


# --- two arms ---------------------------------------------------------------------------------------------------------


def two_arms(sigma: float, rng: np.random.Generator, replicates: int) -> Samples:
    """Draw the same latencies for both arms, with Bernoulli assignment."""
    raw = simulate_lognormal(rng, replicates, _UNITS, sigma)
    treated = rng.random(raw.shape) < _SHARE
    return {
        name: np.array([difference_misses(*units) for units in zip(values, treated, strict=True)])
        for name, values in (("log", np.log(raw)), ("raw", raw))
    }


def difference_misses(values: Floats, treated: Booleans) -> bool:
    """Return whether the product's sequence of the difference ever misses 0."""
    looks = zip(_states(values, ~treated), _states(values, treated), strict=True)
    found = [asymptotic_cs_difference(control, treatment, _ALPHA, _UNITS / 4) for control, treatment in looks]
    return any(isinstance(at, Estimate) and not at.lower <= 0 <= at.upper for at in found)


def _states(values: Floats, chosen: Booleans) -> list[MeanState]:
    """Return the state of one arm at each look."""
    n, total, squares = (
        np.where(chosen, powers, 0.0).reshape(-1, _UNITS_PER_LOOK).sum(axis=1).cumsum().tolist()
        for powers in (1.0, values, values**2)
    )
    return [MeanState.from_sums(int(count), *sums) for count, *sums in zip(n, total, squares, strict=True)]


def _two_arm_part(sigma: float) -> Part:
    measures = (
        Measure("log", "difference of log-latency, two-sided", bar=Bar("error", _ALPHA)),
        Measure("raw", "difference of raw means, burn-in of 100 per arm", method="peer"),
    )
    name = f"Two arms, {100 * _SHARE:g} % share, lognormal, sigma {sigma:g}"
    return Part(name, partial(two_arms, sigma), measures, block_size=50)


# --- the scenario -----------------------------------------------------------------------------------------------------


def _part(sigma: float, log: str, raw: str, bare: str) -> Part:
    five = Bar("error", _ALPHA)
    measures = (
        Measure("log", "log-latency, two-sided", bar=five, reference=log),
        Measure("log, too slow", "log-latency, one-sided: falsely slower", bar=five),
        Measure("log, too fast", "log-latency, one-sided: falsely faster", bar=five),
        Measure("raw", "raw mean, burn-in of 100", reference=raw, method="peer"),
        Measure("raw, no burn-in", "raw mean, no burn-in, n* = 100", reference=bare, method="peer"),
    )
    return Part(f"Lognormal latency, sigma {sigma:g}", partial(latencies, sigma), measures, block_size=50)


LATENCY = Scenario(
    9,
    "Latency: miscoverage at any time",
    f"{_N:,} lognormal latencies, looked at after each one from the {_BURN_IN}th on; asymptotic confidence sequence of "
    f"the mean, n* = {_N_STAR}. Two arms: {_UNITS:,} units, looked at every {_UNITS_PER_LOOK}, n* = {_UNITS // 4:,}.",
    (_part(1.0, "3.3 %", "8.7 %", "37 %"), _part(2.0, "2.3 %", "41 %", "81 %"), _two_arm_part(2.0)),
)
