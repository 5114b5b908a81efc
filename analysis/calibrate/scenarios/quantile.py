"""Scenario 10: confidence sequences of quantiles, and what a sample maximum as a bound does to them."""

from __future__ import annotations

from functools import cache, partial

import numpy as np

from analysis.calibrate.study import Bar, Measure, Part, Samples, Scenario
from analysis.quantiles import quantile_sequence_ranks
from analysis.simulate import Counts, ever, simulate_below

_ALPHA = 0.05
_T_OPT = 1000
_N = 10_000
_SIZES = np.concatenate([np.arange(1, 1000), np.arange(1000, _N + 1, 10)])
"""Numbers of values at which there is a look."""
_LATER = _SIZES >= 50
"""Where the other form is looked at: before, it would miss nearly always."""


@cache
def ranks(level: float, *, sample_extremes: bool) -> tuple[Counts, Counts]:
    """Return the (lower, upper) ranks of the product's sequence at each look.

    An unbounded end has a rank that is never reached, unless the sample's smallest or largest value is to stand in
    for it, as in other code.
    """
    found = [quantile_sequence_ranks(int(n), level, _ALPHA, _T_OPT) for n in _SIZES]
    least = 1 if sample_extremes else 0
    most = _SIZES + (0 if sample_extremes else 1)
    lower = [least if at.lower is None else at.lower for at in found]
    upper = [int(end) if at.upper is None else at.upper for at, end in zip(found, most, strict=True)]
    return np.array(lower), np.array(upper)


def misses(below: Counts, level: float, *, sample_extremes: bool) -> np.ndarray:
    """Return where the sequence misses the quantile, below which there are `below` values at each look.

    The lower end lies above it if fewer values than its rank are below, the upper end lies below it if as many are.
    """
    lower, upper = ranks(level, sample_extremes=sample_extremes)
    return np.asarray((below < lower) | (below >= upper))


def values(level: float, rng: np.random.Generator, replicates: int) -> Samples:
    """Draw values of any continuous distribution; only how many lie below the true quantile matters."""
    below = simulate_below(rng, replicates, _N, level)[:, _SIZES - 1]
    return {
        "ours": ever(misses(below, level, sample_extremes=False)),
        "extremes": ever(misses(below, level, sample_extremes=True)[:, _LATER]),
    }


def _part(level: float, ours: str, extremes: str) -> Part:
    measures = (
        Measure("ours", "beta-binomial sequence", bar=Bar("error", _ALPHA), reference=ours),
        Measure("extremes", "sample extremes for unbounded ends", reference=extremes, method="peer"),
    )
    return Part(f"Quantile p{100 * level:g}", partial(values, level), measures, block_size=200)


QUANTILES = Scenario(
    10,
    "Quantiles: miscoverage at any time",
    f"{_N:,} values, looked at after each one up to 1,000 and after every tenth from there on; tightest at {_T_OPT:,} "
    "values. The other form, that of confseq's demonstration, takes the sample's extremes where a bound is infinite; "
    "it is looked at from the 50th value on only.",
    (_part(0.50, "2.3 %", "1.5 %"), _part(0.95, "1.7 %", "10 %"), _part(0.99, "1.9 %", "61 %")),
)
