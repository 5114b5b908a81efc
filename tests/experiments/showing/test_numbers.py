"""Numbers for people; what each gives for typical values stands in the examples of the module."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_builders import make_experiment
from tests_standings import make_goal, make_row

from experiments.config.records import Source
from experiments.showing.numbers import change, difference, interval, level_of, rounded, span, unit_word


@given(st.floats(1e-3, 1e9))
def test_rounding_keeps_a_number_within_a_twentieth(number: float) -> None:
    assert float(rounded(number).replace(",", "")) == pytest.approx(number, rel=0.051)


@given(st.floats(0, 1e6))
def test_a_length_of_time_always_has_its_unit(days: float) -> None:
    assert any(unit in span(days) for unit in ("minute", "hour", "days", "years"))


@pytest.mark.parametrize(
    ("source", "word"),
    [
        (Source(kind="request"), "requests"),
        (Source(kind="header", name="x-user-id"), "users"),
        (Source(kind="body", name="metadata.conversation"), "conversations"),
        (Source(kind="cookie", name="sid"), "units"),
    ],
)
def test_what_is_counted_is_called_by_its_name(source: Source, word: str) -> None:
    assert unit_word(make_experiment(unit=source)) == word


def test_what_is_not_known_is_a_dash() -> None:
    row = make_row(estimate=None, interval=None)

    assert (difference(row), interval(row), level_of(row, None)) == ("-", "-", "-")


def test_operational_figures_have_their_own_units() -> None:
    assert level_of(make_goal(), 0.0123) == "0.0123 USD"
    assert level_of(make_goal(metric="latency"), 412.0) == "412 ms"
    assert change("latency", -0.2) == "20 % faster"
