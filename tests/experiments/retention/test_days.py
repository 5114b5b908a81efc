"""A day's exchanges are a range of ids, and spans cover time without a gap."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from experiments.retention.days import coming, day_of, first_id, time_of

MILLISECONDS = st.integers(0, 2**43)
TIMES = st.floats(1e9, 3e9)


def uuid7(ms: int, rest: int) -> str:
    """As RFC 9562 has it: 48 bits of time, the version, 12 bits, the variant, 62 bits."""
    return str(UUID(int=ms << 80 | 7 << 76 | (rest >> 62 & 0xFFF) << 64 | 2 << 62 | rest & (2**62 - 1)))


@given(MILLISECONDS, MILLISECONDS, st.integers(0, 2**74 - 1))
def test_an_id_sorts_before_the_first_one_of_a_time_if_and_only_if_it_was_made_before(
    ms: int, bound: int, rest: int
) -> None:
    assert (uuid7(ms, rest) < first_id(bound / 1_000)) == (ms < bound)
    assert round(time_of(first_id(bound / 1_000)) * 1_000) == bound


@given(TIMES, TIMES, st.sampled_from(["day", "month"]), st.integers(0, 40))
def test_what_is_missing_is_covered_once_up_to_as_far_ahead_as_is_asked(
    covered: float, now: float, width, ahead: int
) -> None:
    covered = day_of(covered)
    spans = list(coming(covered, now, width, ahead))

    assert all(one.end == next_.start and one.name < next_.name for one, next_ in pairwise(spans))
    until = spans[-1].end if spans else covered
    assert until > now + timedelta(days=ahead).total_seconds()
    assert not spans or spans[0].start == covered
    starts = [datetime.fromtimestamp(span.end, UTC) for span in spans]
    assert all((at.hour, at.minute, at.second) == (0, 0, 0) for at in starts)
    assert width == "day" or all(at.day == 1 for at in starts if at.timestamp() > day_of(now))
