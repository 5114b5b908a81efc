"""Quiet hours are a stretch of each local day, also where the clocks change."""

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from experiments.telling.quiet_hours import QuietHours, quiet_hours

ZONES = ("Asia/Kolkata", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC")


def moment(zone: str, *parts: int, fold: int = 0) -> float:
    return datetime(*parts, tzinfo=ZoneInfo(zone), fold=fold).timestamp()


@pytest.mark.parametrize(
    ("hour", "minute", "hours_left"),
    [(21, 59, None), (22, 0, 9.0), (23, 30, 7.5), (0, 0, 7.0), (6, 30, 0.5), (7, 0, None), (12, 0, None)],
)
def test_over_midnight_it_is_quiet_from_the_start_on_and_not_at_the_end(
    hour: int, minute: int, hours_left: float | None
) -> None:
    quiet = quiet_hours("22:00", "07:00", "Asia/Kolkata")
    at = moment("Asia/Kolkata", 2026, 1, 5, hour, minute)

    until = quiet.until(at)

    assert (None if until is None else (until - at) / 3600) == hours_left


def test_within_a_day_it_is_quiet_on_that_day_alone() -> None:
    quiet = quiet_hours("12:00", "13:30", "UTC")

    found = [quiet.until(moment("UTC", 2026, 1, 5, hour)) for hour in (11, 12, 13, 14, 0)]

    assert found == [None, *[moment("UTC", 2026, 1, 5, 13, 30)] * 2, None, None]


def test_an_hour_that_comes_twice_is_quiet_once() -> None:
    quiet = quiet_hours("22:00", "02:30", "Europe/Berlin")  # 25 October 2026: 02:00 to 03:00 comes twice
    first, second = (moment("Europe/Berlin", 2026, 10, 25, 2, 15, fold=fold) for fold in (0, 1))

    assert second - first == 3600
    assert quiet.until(first) == first + 900
    assert quiet.until(second) is None


def test_an_end_in_an_hour_that_is_left_out_moves_on_by_that_hour() -> None:
    quiet = quiet_hours("22:00", "02:30", "Europe/Berlin")  # 29 March 2026: 02:00 to 03:00 does not exist
    at = moment("Europe/Berlin", 2026, 3, 29, 1, 0)

    assert quiet.until(at) == moment("Europe/Berlin", 2026, 3, 29, 3, 30)


def test_a_stretch_that_ends_late_in_a_left_out_hour_runs_into_the_next_one() -> None:
    quiet = quiet_hours("03:15", "02:30", "Europe/Berlin")  # its end on 29 March 2026 is at 03:30, after the next start

    assert quiet.until(moment("Europe/Berlin", 2026, 3, 29, 1, 0)) == moment("Europe/Berlin", 2026, 3, 30, 2, 30)


@given(
    st.times().map(lambda t: t.replace(second=0, microsecond=0)),
    st.times().map(lambda t: t.replace(second=0, microsecond=0)),
    st.sampled_from(ZONES),
    st.integers(0, 4 * 10**9),
)
def test_what_is_quiet_ends_within_two_days_and_what_ended_is_not_quiet(
    start: time, end: time, zone: str, at: int
) -> None:
    assume(start != end)
    quiet = QuietHours(start=start, end=end, zone=ZoneInfo(zone))

    until = quiet.until(at)

    if until is None:
        return
    assert at < until <= at + 2 * 86_400 + 3600
    assert quiet.until(until) is None


@given(st.sampled_from(ZONES), st.integers(0, 4 * 10**9))
def test_away_from_a_change_of_clocks_it_is_what_the_clock_on_the_wall_says(zone: str, at: int) -> None:
    local = [datetime.fromtimestamp(at + shift, UTC).astimezone(ZoneInfo(zone)) for shift in (-172_800, 0, 172_800)]
    assume(len({moment.utcoffset() for moment in local}) == 1)
    quiet = quiet_hours("22:00", "07:00", zone)

    assert (quiet.until(at) is not None) == (local[1].hour >= 22 or local[1].hour < 7)


@pytest.mark.parametrize(
    ("start", "end", "zone", "told"),
    [
        ("22:00", "22:00", "UTC", "must differ"),
        ("22:00", "07:00", "Asia/Atlantis", "no time zone 'Asia/Atlantis'"),
        ("22:00", "07:00", "../etc/passwd", "no time zone"),
        ("25:00", "07:00", "UTC", "start == '25:00', must be a time"),
        ("22:00", "seven", "UTC", "end == 'seven', must be a time"),
    ],
)
def test_what_is_no_stretch_of_a_day_is_refused(start: str, end: str, zone: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        quiet_hours(start, end, zone)
