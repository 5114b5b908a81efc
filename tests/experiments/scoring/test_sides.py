"""The two sides of a pair: which is control, what is comparable, and whose failure a fallback is."""

import pytest
from tests_builders import make_pair

from experiments.model import TREATMENT
from experiments.scoring.sides import answer_of, by_variant, comparable, failed


def test_control_comes_first_whichever_side_was_live() -> None:
    live, shadow = make_pair({}, {})
    assert by_variant(live, shadow) == (live, shadow)
    live, shadow = make_pair({"assigned": TREATMENT, "served": TREATMENT}, {})
    assert by_variant(live, shadow) == (shadow, live)


@pytest.mark.parametrize(
    ("live", "shadow", "is_comparable"),
    [
        ({}, {}, True),
        ({"error": "timeout"}, {}, True),
        ({"error": "client_closed"}, {}, False),
        ({}, {"error": "shed"}, False),
        ({}, {"error": "cancelled"}, False),
        ({"fallback": "drained"}, {}, False),
        ({"fallback": "timeout"}, {}, True),
    ],
)
def test_a_pair_is_comparable_if_both_sides_came_to_an_end_of_their_own(
    live: dict, shadow: dict, is_comparable: bool
) -> None:
    assert comparable(*make_pair(live, shadow)) is is_comparable


def test_a_fallback_is_the_failure_of_who_was_assigned_and_its_answer_is_not_his() -> None:
    live, _ = make_pair({"assigned": TREATMENT, "served": "control", "fallback": "timeout", "answer": "yes"}, {})

    assert failed(live)
    assert answer_of(live).text is None
    assert not answer_of(live).ok


def test_the_callers_own_mistake_is_no_failure() -> None:
    live, _ = make_pair({"status": 400, "answer": None}, {})

    assert not failed(live)
    assert answer_of(live).ok
