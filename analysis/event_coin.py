"""The event-coin e-process: rare bad events of two arms under any ramp, exact and valid at every look.

When a bad event happens, the arm that it happened in is a coin. If the treatment's risk is at most rr0 times control's,
that coin shows "treatment" with probability at most p rr0 / (p rr0 + 1 - p), where p is the logged probability with
which the unit was assigned to the treatment. Base rates may change as they like: only the p of each event enters. One
event (the first) per randomised unit. Conditional form of the count tests of Lindon & Malek 2020.

The state is a histogram of events by (propensity, arm): shards merge exactly, in any order. Stages with different
propensities are factors of one product, bet by bet: their log-capitals add, and only then are the bets averaged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from analysis.betting import Floats, Side, check_side, log_mean_exp
from analysis.checks import check_count, check_share

RELATIVE_RISKS: Floats = np.array([1.1, 1.2, 1.35, 1.5, 1.75, 2, 2.5, 3, 4, 6, 8, 12])
"""Alternatives that are bet on, as multiples of rr0; equally weighted and fixed."""


@dataclass(frozen=True, slots=True)
class EventCoin:
    """Events counted by (propensity of the treatment, arm): exact to merge, the same in any order."""

    counts: tuple[tuple[float, int, int], ...] = ()
    """(propensity in (0, 1), arm: 1 is the treatment, events), sorted."""

    def __post_init__(self) -> None:
        for propensity, arm, events in self.counts:
            check_share(propensity, "propensity")
            _check_arm(arm)
            check_count(events, "events")

    @classmethod
    def of(cls, events: Iterable[tuple[float, int]]) -> EventCoin:
        """Count events, each as (propensity, arm)."""
        return cls.of_counts(Counter(events))

    @classmethod
    def of_counts(cls, counts: Mapping[tuple[float, int], int]) -> EventCoin:
        """Take a mapping (propensity, arm) -> events."""
        return cls(tuple(sorted((float(p), _check_arm(arm), int(n)) for (p, arm), n in counts.items() if n)))

    @classmethod
    def of_arrays(cls, propensity: ArrayLike, arm: ArrayLike) -> EventCoin:
        """Count events given as two arrays of shape (events,): assignment probability and arm.

        >>> EventCoin.of_arrays([0.1, 0.5, 0.1], [1, 0, 1])
        EventCoin(counts=((0.1, 1, 2), (0.5, 0, 1)))
        """
        pairs = np.stack([np.asarray(propensity, dtype=np.float64), np.asarray(arm, dtype=np.float64)], axis=-1)
        keys, counts = np.unique(pairs.reshape(-1, 2), axis=0, return_counts=True)
        return cls.of_counts({(p, arm): n for (p, arm), n in zip(keys.tolist(), counts.tolist(), strict=True)})

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> EventCoin:
        """Take what `to_dict` gave."""
        return cls.of_counts({(p, arm): n for p, arm, n in data["counts"]})

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON, which keeps every bit."""
        return {"counts": [list(row) for row in self.counts]}

    def merge(self, other: EventCoin) -> EventCoin:
        """Add the events of another shard."""
        both = [Counter({(p, arm): n for p, arm, n in state.counts}) for state in (self, other)]
        return self.of_counts(both[0] + both[1])

    def strata(self) -> list[tuple[float, int, int]]:
        """Return (propensity, control events, treatment events), by rising propensity."""
        table: dict[float, list[int]] = {}
        for propensity, arm, events in self.counts:
            table.setdefault(propensity, [0, 0])[arm] += events
        return [(propensity, control, treatment) for propensity, (control, treatment) in table.items()]

    @property
    def n(self) -> int:
        """Number of events."""
        return sum(n for _, _, n in self.counts)


def log_e_event(state: EventCoin, rr0: float = 1.0, rr_grid: Floats = RELATIVE_RISKS, side: Side = "harm") -> float:
    """Return log evidence against "the treatment's risk is at most `rr0` times control's".

    Args:
        state: The events.
        rr0: Highest accepted relative risk, above 0.
        rr_grid: Alternatives as multiples of rr0, each above 1.
        side: `harm` as said; `noninferiority` is evidence against "it is at least `rr0` times control's", with the
            alternatives rr0 / rr_grid.

    Raises:
        ValueError: `rr0`, `rr_grid`, `side` or a propensity is out of range.

    >>> state = EventCoin.of([(0.1, 1)] * 6 + [(0.1, 0)] * 4)
    >>> round(log_e_event(state), 3)
    5.911
    """
    return float(log_e_event_many([state], rr0, rr_grid, side)[0])


def log_e_event_many(
    states: Sequence[EventCoin], rr0: ArrayLike = 1.0, rr_grid: Floats = RELATIVE_RISKS, side: Side = "harm"
) -> Floats:
    """Return the log e-values of many states at once, each to the bit what `log_e_event` gives.

    Args:
        states: The events of each metric and slice.
        rr0: Highest accepted relative risk of each, of shape () or (states,).
        rr_grid: As in `log_e_event`.
        side: As in `log_e_event`.

    Returns:
        Shape (states,).

    >>> log_e_event_many([EventCoin(), EventCoin.of([(0.1, 1)] * 6)]).round(3).tolist()
    [0.0, 8.356]
    """
    propensity, control, treatment = strata_table(states)
    limits = np.broadcast_to(np.asarray(rr0, dtype=np.float64), (len(states),))
    return log_e_event_counts(control, treatment, propensity, limits[:, None], rr_grid, side, stage_axis=-1)


def strata_table(states: Sequence[EventCoin]) -> tuple[Floats, Floats, Floats]:
    """Return (propensity, control events, treatment events), each of shape (states, strata), padded without events."""
    strata = [state.strata() for state in states]
    table = np.zeros((3, len(states), max((len(rows) for rows in strata), default=0)))
    table[0] = 0.5
    for index, rows in enumerate(strata):
        if rows:
            table[:, index, : len(rows)] = np.array(rows, dtype=np.float64).T
    return table[0], table[1], table[2]


def log_e_event_counts(
    control_events: ArrayLike,
    treatment_events: ArrayLike,
    propensity: ArrayLike,
    rr0: ArrayLike = 1.0,
    rr_grid: Floats = RELATIVE_RISKS,
    side: Side = "harm",
    stage_axis: int | None = None,
) -> Floats:
    """Return the log e-values of event counts, over arrays of looks, replicates, metrics or nulls.

    Args:
        control_events: Events in control; any shape.
        treatment_events: Events in the treatment.
        propensity: Assignment probability of all these events.
        rr0: As in `log_e_event`.
        rr_grid: As in `log_e_event`.
        side: As in `log_e_event`.
        stage_axis: Axis along which the stages of a ramp lie, with a propensity each; None: there is one stage.

    Returns:
        The shape that the first four arguments broadcast to, without the stage axis.

    Raises:
        ValueError: A count is negative, or another argument is out of range.

    >>> log_e_event_counts([0, 4, 8], [0, 6, 12], 0.1).round(3).tolist()
    [0.0, 5.911, 13.063]
    >>> log_e_event_counts([[4, 9]], [[6, 9]], [[0.1, 0.5]], stage_axis=-1).round(3).tolist()
    [1.49]
    """
    capitals = log_event_capitals(control_events, treatment_events, propensity, rr0, rr_grid, side)
    if stage_axis is not None:
        stages = np.moveaxis(capitals, stage_axis if stage_axis < 0 else stage_axis + 1, 0)
        capitals = np.zeros(stages.shape[1:])
        for stage in stages:
            capitals = capitals + stage
    return log_mean_exp(capitals)


def log_event_capitals(
    control_events: ArrayLike,
    treatment_events: ArrayLike,
    propensity: ArrayLike,
    rr0: ArrayLike = 1.0,
    rr_grid: Floats = RELATIVE_RISKS,
    side: Side = "harm",
) -> Floats:
    """Return the log-capital of each bet, which adds up over stages; `analysis.betting.log_mean_exp` averages the bets.

    Arguments as in `log_e_event_counts`.

    Returns:
        Shape (bets, ...), with the shape that the first four arguments broadcast to.

    >>> stages = log_event_capitals([4, 9], [6, 9], [0.1, 0.5])
    >>> round(float(log_mean_exp(stages[:, 0] + stages[:, 1])), 3)
    1.49
    """
    control, treatment = (np.asarray(x, dtype=np.float64) for x in (control_events, treatment_events))
    _check_all(control >= 0, control, "control_events", ">= 0")
    _check_all(treatment >= 0, treatment, "treatment_events", ">= 0")
    shares, limit, grid = (np.asarray(x, dtype=np.float64) for x in (propensity, rr0, rr_grid))
    _check_all((shares > 0) & (shares < 1), shares, "propensity", "in (0, 1)")
    _check_all((limit > 0) & (limit < np.inf), limit, "rr0", "> 0 and finite")
    _check_all((grid > 1) & (grid < np.inf), grid, "rr_grid", "> 1 and finite")
    odds = shares * limit / (1 - shares)
    if check_side(side) == "noninferiority":
        # The arms change places: "control's risk is at most 1 / rr0 times the treatment's".
        control, treatment, odds = treatment, control, 1 / odds
    bold = grid.reshape(-1, *[1] * odds.ndim)
    tails = np.log1p(odds) - np.log1p(bold * odds)
    heads = np.log(bold) + tails
    dimensions = np.broadcast(control, treatment, odds).ndim
    tails, heads = (x.reshape(len(x), *[1] * (dimensions - odds.ndim), *odds.shape) for x in (tails, heads))
    return np.asarray(treatment * heads + control * tails)


def _check_all(holds: np.ndarray[Any, Any], array: Floats, name: str, rule: str) -> None:
    if not np.all(holds):
        raise ValueError(f"{name} == {float(array[~holds].flat[0])!r}, must be {rule}")


def _check_arm(arm: float) -> int:
    if arm not in {0, 1}:
        raise ValueError(f"arm == {arm!r}, must be 0 (control) or 1 (treatment)")
    return int(arm)
