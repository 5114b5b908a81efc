"""The vocabulary of the study: scenarios are made of parts, parts yield samples, measures turn samples into rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, chi2, norm

from analysis.simulate import rate

Samples = Mapping[str, NDArray[np.generic]]
"""Name of a sample -> one value per replicate: did it alarm (bool), or after how many units did it stop (float)."""
Block = Callable[[np.random.Generator, int], Samples]
"""(source of randomness, replicates) -> samples. Top-level functions or partials of them: they travel to processes."""
Statistic = Literal["rate", "mean", "waiting time", "median", "exact"]
"""A waiting time is a mean, too, but of values that are nearly exponential: few of them need wider limits."""
Rule = Literal["error", "at most", "at least", "within"]
Method = Literal["product", "naive", "peer"]
"""`naive`: a fixed-sample test or a posterior, looked at again and again. `peer`: another sequential method."""
Unit = Literal["%", "x", "n"]
"""A probability, a multiple of a fixed sample size, or a number of units."""

LEVEL = 0.95
"""Confidence of the limits of every figure of the study."""


@dataclass(frozen=True, slots=True)
class Bar:
    """What a figure must reach."""

    rule: Rule
    """`error`: the lower confidence limit may not exceed `value`. `at most`, `at least`: the figure itself counts.
    `within`: the confidence interval must overlap [`value`, `upper`], and an exact figure must lie inside."""
    value: float
    upper: float = math.nan

    def passes(self, figure: Figure) -> bool:
        """Return whether a figure reaches the bar."""
        if self.rule == "error":
            return figure.lower <= self.value
        if self.rule == "at most":
            return figure.value <= self.value
        if self.rule == "at least":
            return figure.value >= self.value
        return figure.lower <= self.upper and figure.upper >= self.value


class Figure(NamedTuple):
    """A simulated or exact number with its 95 % limits; an exact one is its own limits."""

    value: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class Measure:
    """One row of the report, before it is measured."""

    key: str
    """Name of the sample."""
    label: str
    statistic: Statistic = "rate"
    bar: Bar | None = None
    """None: shown, not judged."""
    reference: str = ""
    """The figure of the independent simulation from which the bars were set."""
    method: Method = "product"
    unit: Unit = "%"


@dataclass(frozen=True, slots=True)
class Part:
    """One simulated situation of a scenario."""

    name: str
    block: Block | None
    """None: nothing is simulated, all figures are exact."""
    measures: tuple[Measure, ...]
    weight: float = 1.0
    """Replicates, as a multiple of the study's."""
    block_size: int = 500
    """Most replicates at once: bounds the memory."""
    exact: Callable[[], Mapping[str, float]] | None = None
    """Figures that need no simulation, by key."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One numbered question of the study."""

    number: int
    title: str
    what: str
    """What is simulated, in words."""
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """A measured measure."""

    measure: Measure
    figure: Figure
    replicates: int
    """0 for an exact figure."""

    @property
    def passed(self) -> bool | None:
        """Whether the bar is reached; None without a bar."""
        return None if self.measure.bar is None else self.measure.bar.passes(self.figure)


@dataclass(frozen=True, slots=True)
class PartResult:
    """A part with all its rows."""

    name: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class ScenarioResult:
    """A scenario with all its rows."""

    scenario: Scenario
    parts: tuple[PartResult, ...]

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows of all parts."""
        return tuple(row for part in self.parts for row in part.rows)

    @property
    def passed(self) -> bool:
        """Whether no bar is missed."""
        return all(row.passed is not False for row in self.rows)


def measure_part(part: Part, samples: Samples) -> PartResult:
    """Turn a part's samples into its rows.

    Raises:
        KeyError: A measure names a sample that the part did not yield.
    """
    exact = part.exact() if part.exact else {}
    rows = []
    for measure in part.measures:
        if measure.statistic == "exact":
            value = exact[measure.key]
            rows.append(Row(measure, Figure(value, value, value), 0))
        else:
            sample = samples[measure.key]
            rows.append(Row(measure, summarise(sample, measure.statistic), int(sample.size)))
    return PartResult(part.name, tuple(rows))


def summarise(sample: NDArray[np.generic], statistic: Statistic) -> Figure:
    """Return a figure with limits that fit it.

    Clopper-Pearson for a rate, normal for a mean, chi-square for a waiting time, order statistics for a median.

    Raises:
        ValueError: The sample is empty.

    >>> summarise(np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]), "median")
    Figure(value=4.5, lower=1.0, upper=8.0)
    """
    if sample.size == 0:
        raise ValueError("sample == [], must hold at least one replicate")
    if statistic == "rate":
        found = rate(sample.astype(bool), LEVEL)
        return Figure(found.value, found.lower, found.upper)
    values = np.sort(sample.astype(np.float64))
    if statistic == "mean":
        return _mean(values)
    if statistic == "waiting time":
        tail, doubled = (1 - LEVEL) / 2, 2 * float(values.sum())
        lower, upper = (doubled / float(chi2.isf(share, 2 * len(values))) for share in (tail, 1 - tail))
        return Figure(float(values.mean()), lower, upper)
    n = len(values)
    rank = max(0, int(binom.ppf((1 - LEVEL) / 2, n, 0.5)) - 1)
    return Figure(float(np.median(values)), float(values[rank]), float(values[n - 1 - rank]))


def _mean(values: NDArray[np.float64]) -> Figure:
    mean = float(values.mean())
    if len(values) == 1:
        return Figure(mean, -math.inf, math.inf)
    half = float(norm.ppf((1 + LEVEL) / 2)) * float(values.std(ddof=1)) / math.sqrt(len(values))
    return Figure(mean, mean - half, mean + half)
