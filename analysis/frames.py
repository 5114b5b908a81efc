"""From a frame to what the methods take: counts of pairs, one mean a unit, events and units of each arm.

A frame is anything with named columns: a pandas or Polars frame, an Arrow table or batch, a mapping of arrays. Most
methods of `analysis` take a column of one as it is; those that want counts get them here. What is missing, of the wrong
type or not a number is an error that names column and row: to leave rows out is a decision of whoever asks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from analysis.checks import check_share
from analysis.grouping import Ids, group
from analysis.request_log import Requests
from analysis.srm import StageCounts

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped,unused-ignore]

Floats = NDArray[np.float64]


class Frame(Protocol):
    """What has named columns."""

    def __getitem__(self, name: str, /) -> Any:
        """Return a column."""


class PairCounts(NamedTuple):
    """What pairs say one by one: for `mcnemar`, `tango_interval` and `DifferenceCounts.from_ltw`."""

    losses: int
    """Only control did well, or it scored higher."""
    ties: int
    wins: int
    """Only the treatment did well, or it scored higher."""

    @property
    def n(self) -> int:
        """All pairs."""
        return self.losses + self.ties + self.wins


class UnitMeans(NamedTuple):
    """One observation a unit, in the order of each unit's first row."""

    units: Ids
    """Shape (units,)."""
    values: Floats
    """Mean of the unit's rows, shape (units,)."""
    rows: NDArray[np.int64]
    """Rows of each unit, shape (units,)."""


class ArmEvents(NamedTuple):
    """Events and size of both arms, in the order in which `analysis.proportions` takes them."""

    x1: int
    """Events of the treatment."""
    n1: int
    """Units of the treatment."""
    x2: int
    """Events of control."""
    n2: int
    """Units of control."""


def numbers(frame: Frame, name: str) -> Floats:
    """Return a column of numbers, shape (rows,).

    Args:
        frame: With the column.
        name: Of the column; truth values count as 0 and 1.

    Raises:
        ValueError: There is no such column, it holds something else than numbers, or a row has none.

    >>> numbers({"value": [1, 0, None]}, "value")
    Traceback (most recent call last):
    ...
    ValueError: value[2] is missing: leave such rows out, or say what they count as
    """
    array = _column(frame, name)
    if array.dtype.kind == "O":
        array = _as_numbers(array, name)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} holds {array.dtype.name}, must be numbers")
    found = array.astype(np.float64)
    _check_present(np.isnan(found), name)
    infinite = np.isinf(found)
    if infinite.any():
        raise ValueError(f"{name}[{int(np.argmax(infinite))}] is infinite, must be a number")
    return found


def labels(frame: Frame, name: str) -> Ids:
    """Return a column of integers or texts, shape (rows,).

    Args:
        frame: With the column.
        name: Of the column.

    Raises:
        ValueError: There is no such column, it holds something else, or a row has none.

    >>> labels({"unit": ["a", "b"]}, "unit").tolist()
    ['a', 'b']
    """
    array = _column(frame, name)
    if array.dtype.kind in "OT":
        _check_present(np.fromiter((_is_missing(item) for item in array), dtype=np.bool_, count=len(array)), name)
        wrong = next((item for item in array if not isinstance(item, str | int | np.integer)), None)
        if wrong is not None:
            raise ValueError(f"{name} holds {type(wrong).__name__}, must be integers or texts")
        return array.astype(np.str_) if all(isinstance(item, str) for item in array) else array.astype(np.int64)
    if array.dtype.kind not in "biuUS":
        raise ValueError(f"{name} holds {array.dtype.name}, must be integers or texts")
    return array


def pair_counts(frame: Frame, value: str = "value") -> PairCounts:
    """Count the pairs that lost, tied and won.

    Args:
        frame: A row a pair.
        value: Column with the difference treatment - control.

    Raises:
        ValueError: As `numbers`.

    >>> from analysis.paired import mcnemar
    >>> counts = pair_counts({"value": [0, -1, 0, 1, -1]})
    >>> counts, counts.n
    (PairCounts(losses=2, ties=2, wins=1), 5)
    >>> round(mcnemar(counts.wins, counts.losses).p_exact, 3)
    1.0
    """
    found = numbers(frame, value)
    losses, wins = int(np.count_nonzero(found < 0)), int(np.count_nonzero(found > 0))
    return PairCounts(losses, found.size - losses - wins, wins)


def unit_means(frame: Frame, value: str = "value", unit: str = "unit") -> UnitMeans:
    """Return one mean a unit: users are randomised, so users are counted.

    All rows of a unit count; `analysis.samples` caps them and knows sessions, stages and slices.

    Args:
        frame: A row a pair or request.
        value: Column with its value.
        unit: Column with what was randomised.

    Raises:
        ValueError: As `numbers` and `labels`.

    >>> unit_means({"unit": ["b", "a", "b"], "value": [1.0, 0.0, 0.0]})
    UnitMeans(units=array(['b', 'a'], dtype='<U1'), values=array([0.5, 0. ]), rows=array([2, 1]))
    """
    values, units = numbers(frame, value), labels(frame, unit)
    groups = group(units, unit)
    if not len(groups.starts):
        return UnitMeans(units, values, np.zeros(0, dtype=np.int64))
    means = np.add.reduceat(values[groups.order], groups.starts) / groups.sizes
    places = np.argsort(groups.first_rows)
    return UnitMeans(units[groups.first_rows[places]], means[places], groups.sizes[places])


def arm_events(frame: Frame, event: str = "value", arm: str = "assigned") -> ArmEvents:
    """Count events and units of both arms: `newcombe_interval(*arm_events(frame))`.

    Args:
        frame: A row a unit.
        event: Column with 0 or 1: whether it happened.
        arm: Column with `control` or `treatment`.

    Raises:
        ValueError: As `numbers` and `labels`, an event is neither 0 nor 1, or an arm has another name.

    >>> arm_events({"assigned": ["control", "treatment", "control"], "value": [0, 1, 1]})
    ArmEvents(x1=1, n1=1, x2=1, n2=2)
    """
    events, treated = numbers(frame, event), _treated(frame, arm)
    wrong = (events != 0) & (events != 1)
    if wrong.any():
        place = int(np.argmax(wrong))
        raise ValueError(f"{event}[{place}] == {float(events[place])!r}, must be 0 or 1")
    happened = events == 1
    counts = ((happened & treated).sum(), treated.sum(), (happened & ~treated).sum(), (~treated).sum())
    return ArmEvents(*(int(count) for count in counts))


def split_counts(frame: Frame, treatment_share: float, unit: str = "unit", arm: str = "assigned") -> StageCounts:
    """Count the units of each arm, for `srm_test`: whether the split is the configured one.

    Args:
        frame: A row a request or unit; a unit counts once, by its first row.
        treatment_share: Of the units, as configured.
        unit: Column with what was randomised.
        arm: Column with `control` or `treatment`.

    Raises:
        ValueError: As `labels`, an arm has another name, or the share is not in (0, 1).

    >>> split_counts({"unit": [7, 8, 7], "assigned": ["control", "treatment", "control"]}, 0.5)
    StageCounts(counts=(1, 1), shares=(0.5, 0.5))
    """
    check_share(treatment_share, "treatment_share")
    treated = _treated(frame, arm)[group(labels(frame, unit), unit).first_rows]
    number = int(np.count_nonzero(treated))
    return StageCounts((len(treated) - number, number), (1 - treatment_share, treatment_share))


def requests_of(frame: Frame, unit: str = "unit", stage: str | None = None, slices: tuple[str, ...] = ()) -> Requests:
    """Say where each row belongs, for `analysis.samples.unit_states`.

    Args:
        frame: A row a request, in the order of the log.
        unit: Column with what was randomised.
        stage: Column with the stage of the ramp; none unless given.
        slices: Columns that are slice attributes.

    Raises:
        ValueError: As `labels`.

    >>> requests_of({"unit": ["a", "b"], "language": ["hi", "en"]}, slices=("language",)).slices["language"].tolist()
    ['hi', 'en']
    """
    return Requests(
        labels(frame, unit),
        stages=None if stage is None else labels(frame, stage),
        slices={name: labels(frame, name) for name in slices},
    )


def to_frame(results: Mapping[str, Any] | Iterable[Any]) -> pd.DataFrame:
    """Return results (`Estimate`, `NotEstimable`, `Comparison`, ...) as a pandas frame, a row each.

    Args:
        results: Records; their names, if they are given, are the frame's index.

    Raises:
        ImportError: pandas is not installed.

    >>> from analysis.proportions import newcombe_interval
    >>> frame = to_frame({"all": newcombe_interval(56, 70, 48, 80), "hi": newcombe_interval(0, 0, 1, 2)})
    >>> frame["value"].round(3).tolist(), frame.loc["hi", "reason"]
    ([0.2, nan], 'one of the samples is empty')
    """
    try:
        import pandas as pd  # noqa: PLC0415  # large, and needed for nothing else
    except ModuleNotFoundError as error:
        raise ImportError("to_frame needs the module pandas: pip install 'touchstone-router[warehouse]'") from error
    named = isinstance(results, Mapping)
    records = list(results.values() if isinstance(results, Mapping) else results)
    rows = [
        record._asdict() if hasattr(record, "_asdict") else {f.name: getattr(record, f.name) for f in fields(record)}
        for record in records
    ]
    return pd.DataFrame(rows, index=list(results) if named else None)


# --- columns ----------------------------------------------------------------------------------------------------------


def _column(frame: Frame, name: str) -> NDArray[Any]:
    there = _names(frame)
    if name not in there:
        raise ValueError(f"there is no column {name!r}; there are: {', '.join(map(str, there)) or 'none'}")
    try:
        array = np.asarray(frame[name])
    except ValueError as error:
        raise ValueError(f"{name} holds lists of different lengths, must have one value a row") from error
    if array.ndim != 1:
        raise ValueError(f"{name}.shape == {array.shape!r}, must be (rows,)")
    return array


def _names(frame: Any) -> list[Any]:
    """Return the names of the columns: an Arrow table calls something else `columns`."""
    for attribute in ("column_names", "columns"):
        if hasattr(frame, attribute):
            return list(getattr(frame, attribute))
    if hasattr(frame, "schema"):
        return list(frame.schema.names)
    if hasattr(frame, "keys"):
        return list(frame.keys())
    raise ValueError(f"{type(frame).__name__} is no frame: it needs named columns")


def _as_numbers(array: NDArray[Any], name: str) -> NDArray[Any]:
    _check_present(np.fromiter((_is_missing(item) for item in array), dtype=np.bool_, count=len(array)), name)
    wrong = next((item for item in array if not isinstance(item, int | float | np.number | np.bool_)), None)
    if wrong is not None:
        raise ValueError(f"{name} holds {type(wrong).__name__}, must be numbers")
    return array.astype(np.float64)


def _is_missing(item: Any) -> bool:
    # None, NaN, and pandas' NA and NaT, of which nothing here may know more than their names.
    return (
        item is None or (isinstance(item, float) and math.isnan(item)) or type(item).__name__ in {"NAType", "NaTType"}
    )


def _check_present(missing: NDArray[np.bool_], name: str) -> None:
    if missing.any():
        place = int(np.argmax(missing))
        raise ValueError(f"{name}[{place}] is missing: leave such rows out, or say what they count as")


def _treated(frame: Frame, arm: str) -> NDArray[np.bool_]:
    arms = labels(frame, arm)
    wrong = ~np.isin(arms, ["control", "treatment"])
    if wrong.any():
        place = int(np.argmax(wrong))
        raise ValueError(f"{arm}[{place}] == {arms[place].item()!r}, must be 'control' or 'treatment'")
    return np.asarray(arms == "treatment")
