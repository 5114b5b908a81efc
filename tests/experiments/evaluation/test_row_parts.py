"""Parts of an evidence row: counts as they are, open ends as None, and no number where there is none."""

import math

import pytest
from tests_builders import make_exchange, make_experiment, make_outcome

from analysis.result import Estimate, NotEstimable
from analysis.sequential import MeanState
from experiments.evaluation.ledger import Key, Ledger
from experiments.evaluation.row_parts import described, event_rates, interval_of, log_sum, with_one_unchanged
from experiments.evidence import Interval, Kind
from experiments.model import CONTROL, TREATMENT


def test_pairs_are_described_as_they_were_counted_and_by_which_scorer() -> None:
    ledger = Ledger(make_experiment())
    ledger.add_exchanges([make_exchange(unit="a")])
    ledger.add_outcomes(make_outcome("a", value) for value in (-1.0, 0.0, 0.0, 1.0))

    row = described(ledger, "guardrail", Kind.PAIRED, Key("quality"), rules=2)

    assert (row["pairs"], row["losses"], row["ties"], row["wins"]) == (4, 1, 2, 1)
    assert (row["control_mean"], row["treatment_mean"]) == (1.0, 1.0)
    assert (row["scorer"], row["since"], row["failed"]) == ("exact/1", None, 0)
    assert row["fixed_interval"].lower < 0 < row["fixed_interval"].upper
    assert "scorer" not in described(ledger, "guardrail", Kind.PAIRED, Key("quality"), rules=1)
    assert "pairs" not in described(ledger, "guardrail", Kind.PAIRED, Key("unknown"), rules=2)


def test_event_rates_are_of_the_units_that_were_assigned_and_need_both_variants() -> None:
    ledger = Ledger(make_experiment())
    ledger.add_exchanges(make_exchange(assigned=TREATMENT, propensity=0.2) for _ in range(20))

    assert event_rates(ledger, {(0.2, 1): 5}) == {"units": 20, "losses": 5, "wins": 0}
    ledger.add_exchanges(make_exchange(assigned=CONTROL, propensity=0.8) for _ in range(80))
    found = event_rates(ledger, {(0.2, 1): 5, (0.2, 0): 8})

    assert (found["treatment_mean"], found["control_mean"]) == (0.25, 0.1)
    assert found["estimate"] == pytest.approx(0.15)


def test_an_open_end_is_none_and_so_is_what_cannot_be_estimated() -> None:
    half = Estimate(0.0, -math.inf, math.log(2), 0.95, 10, "test", ())

    assert interval_of(half, math.exp) == Interval(None, pytest.approx(2.0))
    assert interval_of(NotEstimable("nothing")) is None


def test_one_unit_without_change_is_added_to_some_and_not_to_none() -> None:
    assert with_one_unchanged(MeanState(3, 1.0, 0.0)).mean == pytest.approx(0.75)
    assert with_one_unchanged(MeanState(0, 0.0, 0.0)).n == 0


def test_a_sum_of_logarithms_does_not_overflow_and_is_zero_of_nothing() -> None:
    assert log_sum(iter([1000.0, 1000.0])) == pytest.approx(1000 + math.log(2))
    assert log_sum(iter([])) == 0.0
