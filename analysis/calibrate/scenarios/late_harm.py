"""Scenario 19: harm that begins after a long time without any, and how seldom the e-detector alarms without."""

from __future__ import annotations

import math

import numpy as np

from analysis.betting import log_mean_exp
from analysis.calibrate.scenarios.paired_errors import DISCORDANCE, harm_crossed
from analysis.calibrate.study import Bar, Measure, Part, Samples, Scenario
from analysis.e_detector import alarm_threshold, difference_increments, shiryaev_roberts
from analysis.simulate import Counts, Floats, PairLooks, first_look

_CLEAN, _AFTER = 10_000, 9_000
_HARM = 0.02
_RUN_LENGTH = 300_000
"""Pairs between false alarms on average, at least."""
_SEGMENT, _MOST_PAIRS = 10_000, 20_000_000


def late_harm(rng: np.random.Generator, replicates: int) -> Samples:
    """Draw 10,000 pairs without an effect, then a treatment that is 2 points worse.

    An experiment that alarmed before the harm began has no delay and is left out of it, for each method by itself.
    """
    differences = np.concatenate(
        [_differences(rng, replicates, _CLEAN, 0.0), _differences(rng, replicates, _AFTER, _HARM)], axis=1
    )
    detector = alarm_times(differences)
    process = _process_times(differences)
    return {
        "detector": _delays(detector),
        "process": _delays(process),
        "detector early": detector < _CLEAN,
        "process early": process < _CLEAN,
        "process in time": process < _CLEAN + _AFTER,
    }


def nothing(rng: np.random.Generator, replicates: int) -> Samples:
    """Draw pairs without an effect until the e-detector alarms, each replicate by itself."""
    return {"run length": np.array([_run_length(rng) for _ in range(replicates)], dtype=np.float64)}


def _run_length(rng: np.random.Generator) -> int:
    """Return the pairs up to and with the false alarm."""
    state: Floats | float = 0.0
    for start in range(0, _MOST_PAIRS, _SEGMENT):
        path = _path(_differences(rng, 1, _SEGMENT, 0.0), state)
        found = int(first_look(_alarms(path))[0])
        if found < _SEGMENT:
            return start + found + 1
        state = path[-1]
    return _MOST_PAIRS


def alarm_times(differences: Counts) -> Counts:
    """Return the pairs before the product's e-detector alarms, shape (replicates,); all pairs if it does not."""
    return first_look(_alarms(_path(differences, 0.0)))


def _path(differences: Counts, start: Floats | float) -> Floats:
    """Return log(1 + M) of each bet after each pair, shape (pairs, bets, replicates)."""
    factors = difference_increments([-1.0, 0.0, 1.0], 0.0, "harm")
    increments = np.moveaxis(factors[differences.T + 1], -1, 1)
    return shiryaev_roberts(increments, start)


def _alarms(path: Floats) -> np.ndarray:
    """Return where the average over the bets is at the threshold, shape (replicates, pairs)."""
    return np.asarray(log_mean_exp(np.moveaxis(path, 1, 0)) >= alarm_threshold(_RUN_LENGTH)).T


def _process_times(differences: Counts) -> Counts:
    """Return the pairs before the plain harm e-process, begun at the first pair, is across."""
    losses, wins = ((differences == side).cumsum(axis=1) for side in (-1, 1))
    seen = np.arange(1, differences.shape[1] + 1)
    return first_look(harm_crossed(PairLooks(losses=losses, ties=seen - losses - wins, wins=wins), 0.0))


def _differences(rng: np.random.Generator, replicates: int, pairs: int, harm: float) -> Counts:
    """Draw -1, 0 or 1 for each pair, shape (replicates, pairs)."""
    drawn = rng.random((replicates, pairs))
    loss, win = (DISCORDANCE + harm) / 2, (DISCORDANCE - harm) / 2
    return (drawn > 1 - win).astype(np.int64) - (drawn < loss)


def _delays(times: Counts) -> Floats:
    return np.asarray(times[times >= _CLEAN] - _CLEAN + 1.0)


LATE_HARM = Scenario(
    19,
    "Harm after 10,000 clean pairs: delay",
    "Discordance 6 %; from pair 10,000 on the treatment is 2 points worse. The e-detector's threshold promises at "
    f"least {_RUN_LENGTH:,} pairs between false alarms on average; the plain e-process has alpha .05. Looked at every "
    "pair.",
    (
        Part(
            "Late harm",
            late_harm,
            (
                Measure("detector", "e-detector: median delay", "median", Bar("at most", 2500), "1,900", unit="n"),
                Measure("process", "plain e-process: median delay", "median", None, "4,500", "naive", "n"),
                Measure("detector early", "e-detector: alarm before the harm"),
                Measure("process early", "plain e-process: alarm before the harm", method="naive"),
            ),
            block_size=10,
        ),
        Part(
            "No harm at all",
            nothing,
            (
                Measure(
                    "run length",
                    "e-detector: mean pairs to a false alarm",
                    "waiting time",
                    Bar("within", _RUN_LENGTH, math.inf),
                    ">= 300,000",
                    unit="n",
                ),
            ),
            weight=0.05,
            block_size=5,
        ),
    ),
)
