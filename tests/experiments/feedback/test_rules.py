"""What feedback an experiment takes: by metric, value and time."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_config import make_config

from experiments.config.records import Guardrail, Monitor
from experiments.feedback.rules import (
    FUTURE_S,
    MAX_LABEL_CHARACTERS,
    OLDEST_S,
    Taken,
    number_refusal,
    taken_by,
    time_refusal,
    value_refusal,
)

NOW = 1_800_000_000.0


@pytest.fixture(name="taken")
def _taken(tmp_path) -> Taken:
    config = make_config(
        tmp_path,
        "http://a",
        "http://b",
        guardrails=(Guardrail(name="errors", max_relative=1.2), Guardrail(name="exact", scorer="exact", margin=0.1)),
        monitors=(Monitor(name="thumbs_up", feedback=True), Monitor(name="same", scorer="agreement")),
    )
    return taken_by(config.experiments["support"])


def test_numbers_are_taken_where_the_file_says_so_and_right_answers_where_a_scorer_compares_with_them(taken) -> None:
    assert (taken.numbers, taken.labels) == (frozenset({"thumbs_up"}), frozenset({"exact"}))
    assert taken.refusal("thumbs_up", True) is None
    assert taken.refusal("exact", "Paris") is None


@pytest.mark.parametrize(
    ("metric", "value", "field", "said"),
    [
        ("thumbs_up", "great", "value", "must be a number, true or false"),
        ("exact", 1.0, "value", "must be a text: the right answer"),
        ("exact", True, "value", "must be a text: the right answer"),
        ("exact", "  ", "value", "must not be empty"),
        ("exact", "x" * (MAX_LABEL_CHARACTERS + 1), "value", "longer than 16384 characters"),
        ("same", "Paris", "metric", "'same' takes no feedback in support; metrics that do: exact, thumbs_up"),
        ("errors", 1, "metric", "'errors' takes no feedback"),
        ("", 1, "metric", "'' takes no feedback"),
    ],
)
def test_anything_else_is_refused_with_its_field(taken, metric, value, field: str, said: str) -> None:
    refusal = taken.refusal(metric, value)

    assert refusal is not None
    assert refusal.field == field
    assert said in refusal.detail


@given(st.floats() | st.integers() | st.booleans())
def test_a_number_is_taken_if_and_only_if_it_is_one_of_a_size_that_can_be_summed(value) -> None:
    sound = math.isfinite(value) and -1e9 <= value <= 1e9

    assert (number_refusal(value) is None) == (value_refusal(value) is None) == sound


@pytest.mark.parametrize("at", [NOW, NOW + FUTURE_S, NOW - OLDEST_S, NOW - 0.5])
def test_a_time_that_can_be_right_is_taken(at: float) -> None:
    assert time_refusal(at, NOW) is None


@pytest.mark.parametrize(
    ("at", "said"),
    [
        (NOW + FUTURE_S + 1, "in the future"),
        (NOW - OLDEST_S - 1, "in the past"),
        (0.0, "in the past"),
        (NOW * 1_000, "looks like milliseconds"),
        (math.nan, "in the past"),
        (math.inf, "milliseconds"),
        (-math.inf, "in the past"),
    ],
)
def test_a_time_that_cannot_be_right_is_refused(at: float, said: str) -> None:
    refusal = time_refusal(at, NOW)

    assert refusal is not None
    assert (refusal.field, said in refusal.detail) == ("at", True)
