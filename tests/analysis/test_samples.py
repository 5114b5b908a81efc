"""From requests to states: one observation per unit, every request accounted for, and fast."""

import time
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.eprocess import DifferenceCounts, log_e_harm
from analysis.outcomes import paired_differences, paired_log_ratios, plain_outcomes
from analysis.request_log import Requests, sessions_by_gap
from analysis.samples import SampleKey, UnitStates, unit_states
from analysis.sequential import MeanState

ROW = st.fixed_dictionaries(
    {
        "unit": st.integers(0, 6),
        "session": st.integers(0, 2),
        "stage": st.integers(0, 2),
        "slice": st.sampled_from(["", "de", "fr"]),
        "open": st.booleans(),
        "control": st.sampled_from([0.0, 0.25, 1.0, np.nan]),
        "treatment": st.sampled_from([0.0, 0.5, 1.0, np.nan]),
    }
)


def _column(rows: list[dict[str, Any]], name: str, kind: type) -> np.ndarray:
    return np.array([row[name] for row in rows], dtype=kind)


def _requests(rows: list[dict[str, Any]]) -> Requests:
    return Requests(
        _column(rows, "unit", np.int64),
        sessions=_column(rows, "session", np.int64),
        stages=_column(rows, "stage", np.int64),
        slices={"language": _column(rows, "slice", np.str_)},
        still_open=_column(rows, "open", np.bool_),
    )


def _by_hand(rows: list[dict[str, Any]], cap: int | None, every: bool) -> tuple[dict[SampleKey, Counter], int]:
    """Do it slowly, one request after the other."""
    first = {}
    for row in rows:
        first.setdefault(row["unit"], row)
    units: dict[Any, list[dict[str, Any]]] = {}
    for row in rows:
        if every or row["session"] == first[row["unit"]]["session"]:
            units.setdefault((row["unit"], row["session"]), []).append(row)
    found: dict[SampleKey, Counter] = {}
    used = 0
    for (unit, _), requests in units.items():
        if any(row["open"] for row in requests) and (cap is None or len(requests) < cap):
            continue
        counted = requests[:cap]
        used += len(counted)
        keys = {SampleKey("q"): counted, SampleKey("q", stage=str(first[unit]["stage"])): counted}
        for value in {row["slice"] for row in counted} - {""}:
            keys[SampleKey("q", f"language={value}")] = [row for row in counted if row["slice"] == value]
        for key, chosen in keys.items():
            values = [np.nan_to_num(row["treatment"]) - np.nan_to_num(row["control"]) for row in chosen]
            found.setdefault(key, Counter())[sum(values) / len(values)] += 1
    return found, used


@given(
    rows=st.lists(ROW, max_size=40),
    cap=st.sampled_from([None, 1, 2, 5]),
    every=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_states_are_those_of_a_slow_walk_through_the_log(rows, cap, every) -> None:
    outcomes = paired_differences(_column(rows, "control", np.float64), _column(rows, "treatment", np.float64))
    found = unit_states(_requests(rows), {"q": outcomes}, cap, "every" if every else "first")
    wanted, used = _by_hand(rows, cap, every)

    filled = {key: state for key, state in found.states.items() if state.n}
    assert filled == {key: DifferenceCounts.of_counts(counts) for key, counts in wanted.items()}
    assert found.requests.used == used
    assert found.requests.total == len(rows) == sum(found.requests[1:])
    assert found.observations == found.states[SampleKey("q")].n


@given(rows=st.lists(ROW, max_size=40))
@settings(max_examples=50, deadline=None)
def test_integers_and_strings_name_units_alike(rows) -> None:
    outcomes = {
        "q": paired_differences(_column(rows, "control", np.float64), _column(rows, "treatment", np.float64)),
        "l": plain_outcomes(_column(rows, "unit", np.float64), bounded=False),
    }
    units = _column(rows, "unit", np.int64)
    first = unit_states(Requests(units), outcomes)
    second = unit_states(Requests(np.char.add("user-", units.astype(str))), outcomes)

    assert first.states[SampleKey("q")] == second.states[SampleKey("q")]
    one, other = first.states[SampleKey("l")], second.states[SampleKey("l")]
    assert isinstance(one, MeanState)
    assert isinstance(other, MeanState)
    assert (one.n, one.mean) == pytest.approx((other.n, other.mean))


@given(rows=st.lists(ROW, max_size=40), cut=st.integers(0, 6))
@settings(max_examples=50, deadline=None)
def test_shards_of_whole_units_merge_to_the_same_state(rows, cut) -> None:
    def state(part: list[dict[str, Any]]) -> DifferenceCounts:
        outcomes = paired_differences(_column(part, "control", np.float64), _column(part, "treatment", np.float64))
        found = unit_states(_requests(part), {"q": outcomes}, 2).states[SampleKey("q")]
        assert isinstance(found, DifferenceCounts)
        return found

    low, high = ([row for row in rows if (row["unit"] < cut) is side] for side in (True, False))

    assert state(low).merge(state(high)) == state(high).merge(state(low)) == state(rows)


def test_pairs_without_a_latency_are_left_out_and_counted() -> None:
    units = np.array([1, 1, 2, 3, 3])
    control, treatment = [1.0, 1.0, np.nan, 2.0, np.nan], [2.0, np.nan, 1.0, 2.0, 5.0]
    slices = {"language": np.array(["de", "fr", "fr", "de", "de"])}
    found = unit_states(Requests(units, slices=slices), {"latency": paired_log_ratios(control, treatment)})

    whole = found.states[SampleKey("latency")]
    assert isinstance(whole, MeanState)
    assert (whole.n, whole.mean) == pytest.approx((2, np.log(2) / 2))
    assert found.states[SampleKey("latency", "language=fr")].n == 0
    assert found.states[SampleKey("latency", "language=de")].n == 2
    assert found.missing["latency"].excluded == 3
    assert found.without_value == {"latency": 1}


def test_a_timeout_counts_as_a_failure_and_shows_in_the_evidence() -> None:
    rng = np.random.default_rng(1)
    control = (rng.random(3000) < 0.9).astype(float)
    treatment = control.copy()
    treatment[:90] = np.nan
    found = unit_states(Requests(np.arange(3000)), {"q": paired_differences(control, treatment)})

    state = found.states[SampleKey("q")]
    assert isinstance(state, DifferenceCounts)
    assert state.mean == pytest.approx(-control[:90].sum() / 3000)
    assert log_e_harm(state, 0.0) > np.log(1000)
    assert found.missing["q"].treatment == 90


def test_one_session_a_unit_unless_every_one_is_asked_for() -> None:
    units, seconds = np.array([1, 1, 1, 2]), np.array([0.0, 10.0, 500.0, 500.0])
    numbers = sessions_by_gap(units, seconds, gap_seconds=60.0, now_seconds=1000.0)
    requests = Requests(units, sessions=numbers.sessions, still_open=numbers.still_open)
    outcomes = {"q": plain_outcomes([1.0, 0.0, -1.0, 0.5], bounded=True)}

    first, every = unit_states(requests, outcomes), unit_states(requests, outcomes, sessions="every")

    assert first.states[SampleKey("q")] == DifferenceCounts.of([0.5, 0.5])
    assert first.requests.later_sessions == 1
    assert every.states[SampleKey("q")] == DifferenceCounts.of([0.5, -1.0, 0.5])
    assert "a unit's sessions are independent of each other" in every.assumptions


def test_an_open_unit_waits_unless_it_is_at_its_cap() -> None:
    requests = Requests(np.array([1, 1, 2]), still_open=np.array([True, True, True]))
    outcomes = {"q": plain_outcomes([1.0, 1.0, 1.0], bounded=True)}

    found = unit_states(requests, outcomes, unit_cap=2)

    assert found.states[SampleKey("q")] == DifferenceCounts.of([1.0])
    assert (found.observations, found.still_open, found.requests.still_open) == (1, 1, 1)


def test_very_many_distinct_values_are_reported_to_be_on_the_lattice() -> None:
    values = np.random.default_rng(5).uniform(-1, 1, 20_000)
    found = unit_states(Requests(np.arange(20_000)), {"q": plain_outcomes(values, bounded=True)})

    assert found.on_lattice == (SampleKey("q"),)
    assert found.states[SampleKey("q")].n == 20_000


def test_no_request_is_no_state_but_an_empty_one() -> None:
    none = np.zeros(0, dtype=np.int64)
    requests = Requests(none, sessions=none, stages=none, slices={"a": none}, still_open=none.astype(bool))
    found = unit_states(requests, {"q": plain_outcomes([], bounded=True), "l": plain_outcomes([], bounded=False)}, 3)

    assert found.states == {SampleKey("q"): DifferenceCounts(), SampleKey("l"): MeanState()}
    assert found.observations == 0


def test_a_million_outcomes_take_a_fraction_of_a_second() -> None:
    rng = np.random.default_rng(0)
    units = rng.integers(0, 200_000, 1_000_000)
    control = (rng.random(1_000_000) < 0.85).astype(float)
    outcomes = {"q": paired_differences(control, np.where(rng.random(1_000_000) < 0.06, 1 - control, control))}

    def build() -> UnitStates:
        return unit_states(Requests(units), outcomes, unit_cap=20)

    started = time.process_time()
    found = build()
    spent = time.process_time() - started

    assert found.requests.total == 1_000_000
    # A tenth of the ten million that must take less than 5 s on one core; 0.06 s on the machine it was written on.
    assert spent < 0.5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda r, o: unit_states(r, o, unit_cap=0), "unit_cap == 0, must be > 0"),
        (lambda r, o: unit_states(r, o, sessions="last"), "sessions == 'last', must be 'first' or 'every'"),
        (lambda _, o: unit_states(Requests(np.array([1])), o), r"outcomes\['q'\].values.shape == \(2,\)"),
        (lambda r, o: unit_states(Requests(r.units, slices={"a": np.array([1])}), o), r"slices\['a'\].shape"),
        (lambda _, o: unit_states(Requests(np.array([0.5, 1.0])), o), "units.dtype == 'float64'"),
    ],
)
def test_bad_input_is_named(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(Requests(np.array([1, 2])), {"q": plain_outcomes([0.0, 1.0], bounded=True)})
