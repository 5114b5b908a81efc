"""The cost of the statistics: one look at an experiment, and the state of ten million outcomes.

    python -m benchmarks.statistics_look

20 metrics in 10 slices, each a histogram of up to 21 distinct unit means: three e-values and a confidence sequence of
every one of the 200. Then one pass over ten million request-level outcomes. Numbers are simulated, times are not.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
from rich.console import Console
from rich.table import Table

from analysis.confidence import confidence_sequences
from analysis.eprocess import DifferenceCounts, log_e_many
from analysis.outcomes import paired_differences
from analysis.request_log import Requests
from analysis.samples import unit_states

_STATES, _OUTCOMES, _UNITS = 200, 10_000_000, 1_000_000


def one_look(states: list[DifferenceCounts]) -> None:
    """Do what a look does with the states of all metrics and slices."""
    for null_mean, side in ((0.0, "harm"), (-0.01, "harm"), (-0.02, "noninferiority")):
        log_e_many(states, null_mean, side)
    confidence_sequences(states, 0.05)


def histories(rng: np.random.Generator) -> list[DifferenceCounts]:
    """Draw 200 histograms of means over up to 10 pairs."""
    return [DifferenceCounts.of_array(rng.integers(-10, 11, 5_000) / 10) for _ in range(_STATES)]


def build(rng: np.random.Generator) -> Callable[[], None]:
    """Return the building of one metric's state from ten million paired outcomes of a million users."""
    users = rng.integers(0, _UNITS, _OUTCOMES)
    control, treatment = (rng.random(_OUTCOMES) < share for share in (0.9, 0.88))

    def run() -> None:
        outcomes = {"correct": paired_differences(control.astype(float), treatment.astype(float))}
        unit_states(Requests(users), outcomes, unit_cap=20)

    return run


def seconds(action: Callable[[], None], times: int) -> list[float]:
    """Time an action."""
    found = []
    for _ in range(times):
        started = time.perf_counter()
        action()
        found.append(time.perf_counter() - started)
    return found


def main() -> None:
    """Measure and print."""
    rng = np.random.default_rng(1)
    states = histories(rng)
    one_look(states)  # warm up
    looks, builds = seconds(lambda: one_look(states), 20), seconds(build(rng), 3)
    table = Table("", "median", "range", "bar")
    for name, found, unit, bar in (
        (f"one look at {_STATES} states", [s * 1e3 for s in looks], "ms", "50 ms"),
        (f"the state of {_OUTCOMES:,} outcomes", builds, "s", "5 s"),
    ):
        table.add_row(name, f"{statistics.median(found):.1f} {unit}", f"{min(found):.1f}-{max(found):.1f}", bar)
    Console().print(table)


if __name__ == "__main__":
    main()
