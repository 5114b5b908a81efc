"""Where each request belongs: to which unit, session, stage and slice; and who was exposed to what.

Rows are requests (or pairs of mirrored requests) in the order of the log.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.checks import check_positive
from analysis.grouping import Groups, Ids, Ints, group, labelled_groups
from analysis.rendering import Rendered

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Requests:
    """Where each request belongs; all arrays of shape (requests,), in the order of the log."""

    units: Ids
    """What was randomised: integers or strings."""
    sessions: Ids | None = None
    """Session of the unit; the same number may come back with another unit."""
    stages: Ids | None = None
    """Stage of the ramp; a unit belongs to the stage of its first request, for good."""
    slices: Mapping[str, Ids] = field(default_factory=dict)
    """Attribute -> its value; -1 or an empty string is none. Attributes may overlap; each is a division of its own."""
    still_open: Booleans | None = None
    """Whether more requests of the same unit (and session) are to come: not counted yet, unless at its cap."""


@dataclass(frozen=True, slots=True)
class Exposures(Rendered):
    """Units per stage and variant, by each unit's first request: what `analysis.srm` asks about."""

    stages: tuple[str, ...]
    """In rising order; a single empty one if stages are not given."""
    counts: tuple[tuple[int, ...], ...]
    """Units of each variant, per stage."""
    switched: int
    """Units that were seen with more than one variant: 0 unless assignment is broken or was not by unit."""


def exposures(
    requests: Requests, variants: NDArray[np.integer], number: int = 2, present: Booleans | None = None
) -> Exposures:
    """Count units by their first stage and variant.

    Args:
        requests: Where each request belongs.
        variants: Assigned variant of each request, from 0, shape (requests,).
        number: Variants.
        present: Whether the request has an outcome: counts only units that have one, for the split of analysed units.

    Raises:
        ValueError: Arrays differ in shape, or a variant is out of range.

    >>> requests = Requests(np.array([1, 2, 1, 3]), stages=np.array([5, 5, 25, 25]))
    >>> exposures(requests, np.array([0, 1, 0, 1]))
    Exposures(stages=('5', '25'), counts=((1, 1), (0, 1)), switched=0)
    """
    check_requests(requests)
    codes = np.asarray(variants)
    check_rows(codes, requests, "variants")
    if codes.size and not (codes.min() >= 0 and codes.max() < number):
        raise ValueError(f"variants == {int(codes.min())} to {int(codes.max())}, must be in 0 to {number - 1}")
    units = group(requests.units, "units")
    first = codes[units.first_rows].astype(np.int64)
    switched = units.any(codes[units.order] != units.spread(first))
    stage, labels = first_stages(requests, units)
    counted = np.ones(len(first), dtype=np.bool_)
    if present is not None:
        check_rows(np.asarray(present), requests, "present")
        counted = units.any(np.asarray(present)[units.order])
    table = np.bincount((stage * number + first)[counted], minlength=len(labels) * number).reshape(-1, number)
    rows = tuple(tuple(row) for row in table.tolist())
    return Exposures(labels, rows, int(np.count_nonzero(switched)))


class SessionNumbers(NamedTuple):
    """Sessions told apart by time; both of shape (requests,), as `Requests` takes them."""

    sessions: Ints
    """0 for a unit's first session, 1 for its next."""
    still_open: Booleans
    """Whether the request's session may still go on."""


def sessions_by_gap(units: Ids, seconds: Floats, gap_seconds: float, now_seconds: float) -> SessionNumbers:
    """Split each unit's requests where it was quiet for longer than a gap; a session is closed once the gap is over.

    Args:
        units: Shape (requests,), in the order of the log.
        seconds: When each request was, shape (requests,), rising within a unit.
        gap_seconds: Quiet time that ends a session, fixed in advance.
        now_seconds: When the data were taken.

    Raises:
        ValueError: Shapes differ, or the gap is not above 0.

    >>> found = sessions_by_gap(np.array([1, 2, 1, 1]), np.array([0.0, 1.0, 5.0, 99.0]), 30.0, now_seconds=100.0)
    >>> found.sessions.tolist(), found.still_open.tolist()
    ([0, 0, 0, 1], [False, False, False, True])
    """
    check_positive(gap_seconds, "gap_seconds")
    groups = group(units, "units")
    times = np.asarray(seconds, dtype=np.float64)
    if times.shape != groups.order.shape:
        raise ValueError(f"seconds.shape == {times.shape!r}, must be {groups.order.shape!r}")
    ordered = times[groups.order]
    begins = np.diff(ordered, prepend=ordered[:1]) > gap_seconds
    begins[groups.starts] = True
    starts = np.flatnonzero(begins)
    total = np.cumsum(begins)
    sessions, still_open = np.empty(len(times), dtype=np.int64), np.empty(len(times), dtype=np.bool_)
    sessions[groups.order] = total - groups.spread(total[groups.starts])
    parts = Groups(groups.order, starts)
    last = np.maximum.reduceat(ordered, starts) if len(starts) else ordered
    still_open[groups.order] = parts.spread(now_seconds - last <= gap_seconds)
    return SessionNumbers(sessions, still_open)


def first_stages(requests: Requests, units: Groups) -> tuple[Ints, tuple[str, ...]]:
    """Return the stage number of each unit's first request, and the stages' names."""
    if requests.stages is None:
        return np.zeros(len(units.starts), dtype=np.int64), ("",)
    stages, labels = labelled_groups(np.asarray(requests.stages)[units.first_rows], "stages")
    return stages.codes(), labels


def check_requests(requests: Requests) -> None:
    """Check that all arrays are of one shape.

    Raises:
        ValueError: They are not.
    """
    for name in ("sessions", "stages", "still_open"):
        array = getattr(requests, name)
        if array is not None:
            check_rows(np.asarray(array), requests, name)
    for name, ids in requests.slices.items():
        check_rows(np.asarray(ids), requests, f"slices[{name!r}]")


def check_rows(array: NDArray[np.generic], requests: Requests, name: str) -> None:
    """Check that an array has one entry per request.

    Raises:
        ValueError: It has not.
    """
    expected = np.asarray(requests.units).shape
    if array.shape != expected:
        raise ValueError(f"{name}.shape == {array.shape!r}, must be that of units, {expected!r}")
