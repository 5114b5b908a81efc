"""The circuit breaker: what opens it, who may try, and what closes it again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.config.serving import Ejection
from router.upstream.ejection import LONGEST_OPEN_S, NO_TICKET, SUSPECT_S, Breaker, State

SETTINGS = Ejection(failures=3, failure_percent=50, window=10, seconds=5)


def fail(breaker: Breaker, now: float = 0.0, *, times: int = 1) -> None:
    for _ in range(times):
        breaker.failed(breaker.begin(now), now)


def succeed(breaker: Breaker, *, times: int = 1) -> None:
    for _ in range(times):
        breaker.succeeded(breaker.begin(0.0))


def opened(now: float = 0.0) -> Breaker:
    breaker = Breaker(SETTINGS)
    fail(breaker, now, times=3)
    return breaker


def test_so_many_failures_in_a_row_open_it() -> None:
    breaker = Breaker(SETTINGS)
    fail(breaker, times=2)
    succeed(breaker)
    fail(breaker, times=2)
    assert breaker.state is State.CLOSED

    fail(breaker)

    assert (breaker.state, breaker.ejections, breaker.admits(4.9)) == (State.OPEN, 1, False)


def test_so_large_a_share_of_failures_opens_it_once_the_window_is_full() -> None:
    breaker = Breaker(Ejection(failures=100, failure_percent=50, window=10, seconds=5))
    for _ in range(4):
        fail(breaker)
        succeed(breaker)
    fail(breaker)
    assert breaker.state is State.CLOSED, "five of nine, but nine are no window"

    succeed(breaker)
    assert breaker.state is State.CLOSED
    fail(breaker)

    assert breaker.state is State.OPEN


def test_old_answers_leave_the_window() -> None:
    breaker = Breaker(Ejection(failures=100, failure_percent=50, window=4, seconds=5))
    fail(breaker)
    succeed(breaker, times=4)
    fail(breaker)
    succeed(breaker)
    assert breaker.state is State.CLOSED


def test_when_its_time_is_over_one_request_tries_and_no_other() -> None:
    breaker = opened()

    assert breaker.admits(5.0)
    ticket = breaker.begin(5.0)

    assert breaker.state is State.HALF_OPEN
    assert not breaker.admits(5.0)
    assert breaker.begin(5.0) == NO_TICKET
    assert breaker.succeeded(ticket), "this closed it"
    assert breaker.state is State.CLOSED


def test_each_failed_try_doubles_the_time_up_to_a_minute_and_success_resets_it() -> None:
    breaker, now, waits = opened(), 0.0, []
    for _ in range(6):
        due = next(t for t in range(1, 100) if breaker.admits(now + t))
        waits.append(due)
        now += due
        fail(breaker, now)
    assert waits == [5, 10, 20, 40, LONGEST_OPEN_S, LONGEST_OPEN_S]

    now += LONGEST_OPEN_S
    breaker.succeeded(breaker.begin(now))
    fail(breaker, now, times=3)

    assert breaker.admits(now + 5)
    assert not breaker.admits(now + 4.9)


def test_a_try_that_its_client_left_is_no_verdict_and_the_next_request_tries() -> None:
    breaker = opened()

    breaker.abandoned(breaker.begin(5.0))

    assert (breaker.state, breaker.admits(5.0)) == (State.OPEN, True)


def test_an_answer_to_a_request_of_an_earlier_period_says_nothing() -> None:
    breaker = Breaker(SETTINGS)
    late = breaker.begin(0.0)
    fail(breaker, times=3)
    attempt = breaker.begin(5.0)

    breaker.succeeded(late)
    assert breaker.state is State.HALF_OPEN
    breaker.failed(late, 5.0)
    assert breaker.state is State.HALF_OPEN
    breaker.abandoned(late)
    assert breaker.state is State.HALF_OPEN
    breaker.failed(attempt, 5.0)
    assert breaker.state is State.OPEN


@pytest.mark.parametrize("verdict", ["succeeded", "failed"])
def test_a_request_that_was_sent_for_want_of_better_decides_nothing(verdict: str) -> None:
    breaker = opened()
    ticket = breaker.begin(1.0)

    breaker.succeeded(ticket) if verdict == "succeeded" else breaker.failed(ticket, 1.0)

    assert (ticket, breaker.state, breaker.ejections) == (NO_TICKET, State.OPEN, 1)


def test_one_that_could_not_be_connected_to_comes_last_for_a_while() -> None:
    breaker = Breaker(SETTINGS)
    breaker.failed(breaker.begin(0.0), 10.0, refused=True)

    assert breaker.is_suspect(10.0)
    assert not breaker.is_suspect(10.0 + SUSPECT_S)
    succeed(breaker)
    assert not breaker.is_suspect(10.0)


@given(st.lists(st.tuples(st.sampled_from(["ok", "fail", "leave"]), st.floats(0, 30)), max_size=80))
def test_whatever_happens_an_open_circuit_admits_again_within_a_minute(events: list[tuple[str, float]]) -> None:
    breaker, now = Breaker(SETTINGS), 0.0
    for event, passed in events:
        now += passed
        ticket = breaker.begin(now)
        if event == "ok":
            breaker.succeeded(ticket)
        elif event == "fail":
            breaker.failed(ticket, now)
        else:
            breaker.abandoned(ticket)
        assert breaker.state is not State.HALF_OPEN, "the one try has ended"
    assert breaker.admits(now + LONGEST_OPEN_S)
