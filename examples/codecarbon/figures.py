"""Energy and carbon of 1,000 answers, with what is known of how wrong that is. Pure.

Two kinds of uncertainty, and they are not the same. How much rounds differ is seen, and gives an interval (Student's t
over the logarithms of the rounds; of a ratio: over its logarithm, round by round). How wrong the watts are is not seen
by repeating: it is the percentage that is assumed, as `power.uncertainty_percent` of a backend is. In a ratio what is
wrong for both variants alike cancels.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import msgspec
from scipy import stats


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the questions through one variant."""

    answers: int
    energy_wh: float
    """Of the whole machine, as metered."""
    processor_wh: float
    """The part of it that is the processor's."""
    co2e_g: float
    server_cpu_s: float
    """Processor time of the servers alone, in seconds."""


FIELDS = ("energy_wh", "processor_wh", "co2e_g", "server_cpu_s")


class Mean(msgspec.Struct, frozen=True, kw_only=True):
    """A geometric mean over rounds with its 95 % interval."""

    value: float
    lower: float
    upper: float


def per_thousand(rounds: Sequence[Round], field: str) -> Mean:
    """Return a field for 1,000 answers.

    Args:
        rounds: At least two, each with an answer.
        field: One of `FIELDS`, above 0 in all rounds.

    Raises:
        ValueError: A round has nothing of it: it was too short for the meter.
    """
    return _mean([_log(one, field) + math.log(1000) for one in rounds])


def ratio(copy: Sequence[Round], original: Sequence[Round], field: str) -> Mean:
    """Return how many times as much the copy takes as the original; arguments as in `per_thousand`, round by round."""
    return _mean([_log(a, field) - _log(b, field) for a, b in zip(copy, original, strict=True)])


def widened(mean: Mean, percent: float) -> tuple[float, float]:
    """Return the interval with the watts' assumed uncertainty beside that of the rounds, their logarithms as squares.

    >>> widened(Mean(value=100.0, lower=80.0, upper=125.0), 0.0)
    (80.0, 125.0)
    >>> [round(end, 1) for end in widened(Mean(value=100.0, lower=100.0, upper=100.0), 30.0)]
    [76.9, 130.0]
    """
    half = math.hypot(math.log(mean.upper / mean.value), math.log1p(percent / 100))
    return mean.value * math.exp(-half), mean.value * math.exp(half)


def _log(one: Round, field: str) -> float:
    amount = float(getattr(one, field))
    if amount <= 0:
        raise ValueError(f"a round of {one.answers} answers has no {field}: it was too short for the meter")
    return math.log(amount / one.answers)


def _mean(logs: Sequence[float]) -> Mean:
    value = statistics.fmean(logs)
    half = float(stats.t.ppf(0.975, len(logs) - 1)) * statistics.stdev(logs) / math.sqrt(len(logs))
    return Mean(value=math.exp(value), lower=math.exp(value - half), upper=math.exp(value + half))
