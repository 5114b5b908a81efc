"""So many per minute of one key, whatever others do, in bounded memory."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.front.rate_limit import WINDOW_S, RateLimit


def test_the_last_allowed_is_allowed_and_the_next_is_told_when() -> None:
    limit = RateLimit(3)

    assert [limit.wait_s("a", 10.0 + second) for second in range(5)] == [0, 0, 0, 57, 56]
    assert limit.wait_s("a", 10.0 + WINDOW_S - 0.001) == 1
    assert limit.wait_s("a", 10.0 + WINDOW_S) == 0


def test_one_key_takes_nothing_from_another() -> None:
    limit = RateLimit(1)

    assert [limit.wait_s(key, 0.0) for key in ("a", "b", "a", "b", "\ud800")] == [0, 0, 60, 60, 0]


@given(
    steps=st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 30)), max_size=200),
    per_minute=st.integers(1, 5),
)
def test_no_minute_of_a_key_has_more_and_waiting_as_told_is_enough(
    steps: list[tuple[str, float]], per_minute: int
) -> None:
    limit, now = RateLimit(per_minute), 0.0
    windows: dict[str, list[float]] = {}
    for key, pause in steps:
        now += pause
        wait = limit.wait_s(key, now)
        window = windows.setdefault(key, [])
        if wait == 0:
            if window and now - window[0] >= WINDOW_S:
                window.clear()
            window.append(now)
        else:
            assert len(window) == per_minute
            assert now + wait >= window[0] + WINDOW_S > now
        assert len(window) <= per_minute


def test_memory_is_bounded_and_the_key_whose_minute_ends_first_goes_first() -> None:
    limit = RateLimit(1, max_keys=100)

    for number in range(1000):
        assert limit.wait_s(f"key-{number}" * 1000, number / 100) == 0

    assert len(limit) == 100
    assert limit.wait_s("key-999" * 1000, 10.0) > 0
    assert limit.wait_s("key-0" * 1000, 10.0) == 0


def test_what_is_over_is_forgotten() -> None:
    limit = RateLimit(1)
    for number in range(50):
        limit.wait_s(str(number), 0.0)

    limit.wait_s("later", WINDOW_S)

    assert len(limit) == 1


@pytest.mark.parametrize("per_minute", [1, 60])
def test_the_wait_is_a_whole_second_at_least(per_minute: int) -> None:
    limit = RateLimit(per_minute)
    waits = [limit.wait_s("a", 59.9 * turn / per_minute) for turn in range(per_minute)]

    assert waits == [0] * per_minute
    assert limit.wait_s("a", 59.99) == 1
