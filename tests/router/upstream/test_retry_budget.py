"""The retry budget: second attempts stay a share of the requests, whatever happens."""

from hypothesis import given
from hypothesis import strategies as st

from router.upstream.retry_budget import FLOOR, WINDOW_S, RetryBudget


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_quiet_system_may_retry_a_little() -> None:
    budget = RetryBudget(20, Clock())

    allowed = [budget.may_retry() for _ in range(FLOOR + 1)]

    assert allowed == [True] * FLOOR + [False]
    assert budget.exhausted == 1


def test_a_busy_one_may_retry_its_share() -> None:
    budget = RetryBudget(20, Clock())
    for _ in range(100):
        budget.note_request()

    assert sum(budget.may_retry() for _ in range(100)) == 20


def test_what_is_long_ago_neither_allows_nor_forbids() -> None:
    clock = Clock()
    budget = RetryBudget(20, clock)
    for _ in range(100):
        budget.note_request()
    for _ in range(20):
        budget.may_retry()

    clock.now += WINDOW_S

    assert sum(budget.may_retry() for _ in range(100)) == FLOOR


def test_a_budget_of_nothing_allows_nothing() -> None:
    budget = RetryBudget(0, Clock())
    budget.note_request()

    assert not budget.may_retry()


@given(
    st.floats(1, 100),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=40),
)
def test_within_any_window_retries_stay_within_the_budget(percent: float, steps: list[tuple[int, int, int]]) -> None:
    clock = Clock()
    budget = RetryBudget(percent, clock)
    done: list[tuple[float, int, int]] = []
    for passed, requests, wanted in steps:
        clock.now += passed
        for _ in range(requests):
            budget.note_request()
        allowed = sum(budget.may_retry() for _ in range(wanted))
        done.append((clock.now, requests, allowed))
        window = [(r, a) for at, r, a in done if at > clock.now - WINDOW_S]
        total, retries = sum(r for r, _ in window), sum(a for _, a in window)
        assert not allowed or retries <= max(FLOOR, total * percent / 100)
