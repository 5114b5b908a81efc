"""Which metrics may ask now: a day's calls, and backends that asked to be left alone."""

from hypothesis import given
from hypothesis import strategies as st

from experiments.config.asking import Judge as JudgeKeys
from experiments.scorers.judge import Judge
from experiments.scoring.score_tasks import Spend
from router.scoring.budget import Budget

ONE, OTHER = ("support", "better"), ("support", "nicer")
DAY_S = 86_400.0


def budget(most: int = 5) -> Budget:
    return Budget({m: Judge(JudgeKeys(backend=m[1], max_calls_per_day=most)) for m in (ONE, OTHER)})


@given(wanted=st.lists(st.integers(1, 2), max_size=12), most=st.integers(2, 9), spent=st.integers(0, 9))
def test_no_more_calls_are_taken_than_a_day_has(wanted: list[int], most: int, spent: int) -> None:
    calls = budget(most)
    calls.set_spent({ONE: Spend(spent)}, 0.0)

    taken = sum(number for number in wanted if calls.take(ONE, number))

    assert taken == 0 or spent + taken <= most


def test_calls_on_their_way_count_until_the_store_knows_them() -> None:
    calls = budget(5)
    calls.begin(ONE, 4)
    calls.reserve()
    calls.end(ONE, 4)  # while the store was read
    calls.set_spent({}, 0.0)

    assert calls.take(ONE, 1)
    assert not calls.take(ONE, 1)
    assert calls.closed(0.0) == []  # what was on its way may have cost nothing


def test_a_metric_whose_day_is_used_up_is_closed_until_the_next_day_and_no_other_is() -> None:
    calls = budget(5)
    calls.set_spent({ONE: Spend(4)}, 10.0)

    assert not calls.take(ONE, 2)
    assert calls.closed(10.0) == [ONE]
    calls.set_spent({}, DAY_S)
    assert calls.closed(DAY_S) == []


def test_a_pair_that_needs_more_than_a_day_has_is_the_first_of_a_day() -> None:
    calls = budget(1)
    calls.set_spent({}, 0.0)

    assert calls.take(ONE, 2)
    assert not calls.take(ONE, 2)


def test_what_needs_no_call_is_always_allowed() -> None:
    calls = budget(1)
    calls.set_spent({ONE: Spend(9)}, 0.0)

    assert calls.take(ONE, 0)


def test_a_busy_backend_is_left_alone_each_time_for_longer_and_one_that_answers_is_not() -> None:
    calls = budget()

    assert [calls.pause("better", at, None) for at in (0.0, 10.0, 20.0)] == [1.0, 2.0, 4.0]
    assert (calls.closed(23.9), calls.closed(24.1)) == ([ONE], [])
    calls.answered("better")
    assert calls.pause("better", 30.0, None) == 1.0
    assert calls.pause("better", 40.0, 7.5) == 7.5


def test_several_answers_of_one_busy_moment_count_once() -> None:
    calls = budget()

    assert [calls.pause("better", 0.0, None) for _ in range(4)] == [1.0] * 4
    assert calls.pause("better", 5.0, None) == 2.0
