"""From arrays of requests to the statistics' state: one observation per randomised unit.

Users are randomised, so users are counted. A user's requests resemble each other; to count them as if they were
independent raises false alarms from 5 % to 20 % at 50 requests a user (`analysis.design_effect` says by how much in
given data). So a unit's requests become one mean, made of its first `unit_cap` requests and taken once it cannot change
any more. What does not enter is counted.

States merge by `merge`, as long as no unit is spread over two calls.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.checks import check_positive
from analysis.eprocess import DifferenceCounts
from analysis.grouping import Groups, Ids, Ints, group, group_pairs, labelled_groups
from analysis.lattice import difference_counts
from analysis.outcomes import Missing, Outcomes
from analysis.rendering import Rendered
from analysis.request_log import Requests, check_requests, check_rows, first_stages
from analysis.sequential import MeanState

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]
State = DifferenceCounts | MeanState
Sessions = Literal["first", "every"]


class SampleKey(NamedTuple):
    """What a state is about."""

    metric: str
    slice: str = ""
    """`attribute=value`; empty for all traffic."""
    stage: str = ""
    """Stage of the ramp; empty for all stages together."""


class Used(NamedTuple):
    """Where the requests went: the parts add up to the total."""

    total: int
    used: int
    over_cap: int
    """Beyond the first `unit_cap` of their unit (or session)."""
    later_sessions: int
    """In another than the unit's first session."""
    still_open: int
    """Of units (or sessions) that may still change."""


@dataclass(frozen=True, slots=True)
class UnitStates(Rendered):
    """Sufficient statistics, one observation per unit."""

    states: Mapping[SampleKey, State]
    observations: int
    """Units; or sessions, if every session counts."""
    still_open: int
    """Observations that are not finished yet."""
    requests: Used
    missing: Mapping[str, Missing]
    """Per metric."""
    without_value: Mapping[str, int]
    """Observations none of whose requests has a value, per metric."""
    on_lattice: tuple[SampleKey, ...]
    """States with so many distinct values that they were brought onto the lattice of `analysis.lattice`."""
    assumptions: tuple[str, ...]


def unit_states(
    requests: Requests,
    outcomes: Mapping[str, Outcomes],
    unit_cap: int | None = None,
    sessions: Sessions = "first",
) -> UnitStates:
    """Return the state of every metric: overall, per value of each slice, and per stage.

    Args:
        requests: Where each request belongs.
        outcomes: Metric -> value of each request.
        unit_cap: Only the first so many requests of an observation count; all of them if not given.
        sessions: `first` takes the unit's first session, so that observations are units and independent. `every` takes
            each session of a unit as an observation: valid only if a user's session says nothing about the next one.

    Returns:
        States by `SampleKey`. A unit is in every slice that its counted requests fall into, with the mean over those.

    Raises:
        ValueError: Arrays differ in shape, ids are neither integers nor strings, or an argument is out of range.

    >>> from analysis.outcomes import paired_differences
    >>> requests = Requests(np.array([7, 8, 7, 7]), slices={"language": np.array(["de", "fr", "de", ""])})
    >>> found = unit_states(requests, {"correct": paired_differences([1, 1, 1, 0], [1, 0, 0, 1])}, unit_cap=2)
    >>> found.states[SampleKey("correct")]
    DifferenceCounts(counts=((-1.0, 1), (-0.5, 1)))
    >>> found.states[SampleKey("correct", "language=de")]
    DifferenceCounts(counts=((-0.5, 1),))
    >>> found.requests
    Used(total=4, used=3, over_cap=1, later_sessions=0, still_open=0)
    """
    _check(requests, outcomes, unit_cap, sessions)
    selection = _select(requests, unit_cap, sessions)
    divisions = [_Division.of(name, np.asarray(ids), selection.groups) for name, ids in requests.slices.items()]
    states: dict[SampleKey, State] = {}
    on_lattice: list[SampleKey] = []
    without: dict[str, int] = {}
    for metric, found in outcomes.items():
        means = _Means(found.values[selection.groups.order], complete=found.missing.excluded == 0)
        without[metric] = int(np.count_nonzero(np.isnan(means.of(selection.groups.starts))))
        for key, part in _parts(metric, means, selection, divisions):
            states[key], coarse = _state(part[~np.isnan(part)], bounded=found.bounded)
            on_lattice += [key] if coarse else []
    return UnitStates(
        states=states,
        observations=len(selection.groups.starts),
        still_open=selection.open_observations,
        requests=selection.used,
        missing={metric: found.missing for metric, found in outcomes.items()},
        without_value=without,
        on_lattice=tuple(on_lattice),
        assumptions=_assumptions(requests, sessions),
    )


# --- which requests count ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Selection:
    groups: Groups
    """Counted requests by observation."""
    stages: Ints
    """Stage number of each observation."""
    stage_labels: tuple[str, ...]
    used: Used
    open_observations: int


def _select(requests: Requests, unit_cap: int | None, sessions: Sessions) -> _Selection:
    units = group(requests.units, "units")
    found = _of_sessions(units, requests.sessions, sessions)
    in_session = len(found.order)
    finished, still_open = _finished(found, requests.still_open, unit_cap)
    counted = _first_rows(finished, unit_cap)
    stages, labels = _stages(requests, units, counted)
    used = Used(
        total=len(units.order),
        used=len(counted.order),
        over_cap=len(finished.order) - len(counted.order),
        later_sessions=len(units.order) - in_session,
        still_open=in_session - len(finished.order),
    )
    return _Selection(counted, stages, labels, used, still_open)


def _of_sessions(units: Groups, sessions: Ids | None, which: Sessions) -> Groups:
    if sessions is None:
        return units
    found = group(sessions, "sessions")
    if which == "every":
        return group_pairs(units, found)
    codes = found.codes()[units.order]
    return units.keep(codes == units.spread(codes[units.starts]))


def _finished(groups: Groups, still_open: Booleans | None, unit_cap: int | None) -> tuple[Groups, int]:
    if still_open is None:
        return groups, 0
    unfinished = groups.any(np.asarray(still_open)[groups.order])
    if unit_cap is not None:
        unfinished &= groups.sizes < unit_cap
    return groups.keep(~groups.spread(unfinished)), int(np.count_nonzero(unfinished))


def _first_rows(groups: Groups, unit_cap: int | None) -> Groups:
    if unit_cap is None or groups.sizes.max(initial=0) <= unit_cap:
        return groups
    return groups.keep(np.arange(len(groups.order)) - groups.spread(groups.starts) < unit_cap)


def _stages(requests: Requests, units: Groups, observations: Groups) -> tuple[Ints, tuple[str, ...]]:
    """Return the stage number of each observation, and the stages' names; none if stages are not given."""
    if requests.stages is None:
        return np.zeros(len(observations.starts), dtype=np.int64), ()
    of_units, labels = first_stages(requests, units)
    return of_units[units.codes()[observations.first_rows]], labels


# --- means and states -------------------------------------------------------------------------------------------------


class _Means:
    """Means over consecutive values, of which some may be missing."""

    def __init__(self, values: Floats, *, complete: bool) -> None:
        self._present = None if complete else ~np.isnan(values)
        self._values = values if self._present is None else np.where(self._present, values, 0.0)

    def take(self, places: Ints) -> _Means:
        found = _Means(self._values[places], complete=True)
        found._present = None if self._present is None else self._present[places]
        return found

    def of(self, starts: Ints) -> Floats:
        """Return the mean of each group; NaN for one without a value."""
        if len(starts) == 0:
            return np.zeros(0)
        sums = np.add.reduceat(self._values, starts)
        if self._present is None:
            return np.asarray(sums / np.diff(starts, append=len(self._values)))
        counts = np.add.reduceat(self._present.astype(np.int64), starts)
        return np.asarray(np.divide(sums, counts, out=np.full(len(starts), np.nan), where=counts > 0))


@dataclass(frozen=True, slots=True, eq=False)
class _Division:
    """Counted requests by value of an attribute and, within it, by observation."""

    attribute: str
    labels: tuple[str, ...]
    places: Ints
    """Among the counted requests."""
    starts: Ints
    bounds: Ints
    """Observations of value i are those from bounds[i] to bounds[i + 1]."""

    @classmethod
    def of(cls, attribute: str, ids: Ids, observations: Groups) -> _Division:
        chosen = ids[observations.order]
        none = "" if chosen.dtype.kind in "UTO" else b"" if chosen.dtype.kind == "S" else -1
        kept = np.flatnonzero(chosen != none)
        by_value, labels = labelled_groups(chosen[kept], f"slices[{attribute!r}]")
        places = kept[by_value.order]
        begins = np.diff(observations.spread(np.arange(len(observations.starts)))[places], prepend=-1) != 0
        begins[by_value.starts] = True
        starts = np.flatnonzero(begins)
        bounds = np.append(np.searchsorted(starts, by_value.starts), len(starts))
        return cls(attribute, labels, places, starts, bounds)


def _parts(
    metric: str, means: _Means, selection: _Selection, divisions: list[_Division]
) -> Iterator[tuple[SampleKey, Floats]]:
    """Yield the means of each state's observations."""
    overall = means.of(selection.groups.starts)
    yield SampleKey(metric), overall
    for number, stage in enumerate(selection.stage_labels):
        yield SampleKey(metric, stage=stage), overall[selection.stages == number]
    for division in divisions:
        found = means.take(division.places).of(division.starts)
        for number, label in enumerate(division.labels):
            part = found[division.bounds[number] : division.bounds[number + 1]]
            yield SampleKey(metric, f"{division.attribute}={label}"), part


def _state(values: Floats, *, bounded: bool) -> tuple[State, bool]:
    return difference_counts(values) if bounded else (MeanState.of(values), False)


def _assumptions(requests: Requests, sessions: Sessions) -> tuple[str, ...]:
    if requests.sessions is not None and sessions == "every":
        return ("independent units", "a unit's sessions are independent of each other")
    return ("independent units",)


def _check(requests: Requests, outcomes: Mapping[str, Outcomes], unit_cap: int | None, sessions: str) -> None:
    check_requests(requests)
    for name, found in outcomes.items():
        check_rows(found.values, requests, f"outcomes[{name!r}].values")
    if unit_cap is not None:
        check_positive(unit_cap, "unit_cap")
    if sessions not in {"first", "every"}:
        raise ValueError(f"sessions == {sessions!r}, must be 'first' or 'every'")
