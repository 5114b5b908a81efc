from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.config.records import Source
from experiments.planning.traffic import Expectations, ExpectationsError, Flow, parse_expectations
from tests.experiments.tests_builders import make_experiment

USER = Source(kind="header", name="x-user-id")


def test_expectations_are_read_from_toml() -> None:
    found = parse_expectations(
        """
        requests_per_day = 9000
        units_per_day = 3000
        error_rate = 0.002
        [shares.language]
        en = 0.7
        hi-Latn = 0.3
        [discordance]
        quality = 0.06
        """
    )

    assert found.shares == {"language": {"en": 0.7, "hi-Latn": 0.3}}
    assert found.discordance_of("quality") == 0.06


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("requests_per_day = ", "no TOML"),
        ("requests_per_day = 9000", "units_per_day: Field required"),
        ("requests_per_day = 9\nunits_per_day = 3\nerror_rat = 0.1", "error_rat: Extra inputs"),
        ("requests_per_day = 9\nunits_per_day = 3\nerror_rate = 1.5", "error_rate: Input should be less than 1"),
        ("requests_per_day = 9\nunits_per_day = 30", "^units_per_day is above requests_per_day"),
        ("requests_per_day = 9\nunits_per_day = 3\nshares.x = {a = 0.7, b = 0.7}", "shares of x add up to more than 1"),
    ],
)
def test_what_cannot_be_expected_is_refused_with_its_reason(text: str, said: str) -> None:
    with pytest.raises(ExpectationsError, match=said):
        parse_expectations(text)


def test_all_problems_are_said_at_once() -> None:
    with pytest.raises(ExpectationsError) as caught:
        parse_expectations("requests_per_day = -1\nerror_rate = 2.0")

    assert len(str(caught.value).splitlines()) == 3


def test_what_is_not_given_stays_unknown() -> None:
    expected = Expectations(requests_per_day=100, units_per_day=50)

    assert expected.discordance_of("quality") is None
    assert expected.discordance_of("errors") is None


def test_discordant_failures_follow_from_the_error_rate_unless_they_are_given() -> None:
    expected = Expectations(requests_per_day=100, units_per_day=50, error_rate=0.1)

    assert expected.discordance_of("errors") == pytest.approx(0.18)
    given_too = expected.model_copy(update={"discordance": {"errors": 0.05}})
    assert given_too.discordance_of("errors") == 0.05


def test_a_unit_counts_once_however_often_it_comes_back() -> None:
    experiment = make_experiment(unit=USER, mirror_percent=50)
    expected = Expectations(requests_per_day=200, units_per_day=100, returning=0.4)

    flow = Flow.of(experiment, expected)

    assert flow.units_per_day == pytest.approx(60)
    assert flow.paired_units_per_day == pytest.approx(60 * (1 - 0.5**2))


def test_where_a_request_is_its_own_unit_there_are_as_many_units_as_requests() -> None:
    flow = Flow.of(make_experiment(mirror_percent=20), Expectations(requests_per_day=500, units_per_day=100))

    assert (flow.units_per_day, flow.requests_per_unit) == (500, 1)
    assert flow.paired_units_per_day == pytest.approx(100)


@given(share=st.floats(0, 100), requests=st.floats(1, 1e4), more=st.floats(0, 100))
def test_more_mirroring_never_makes_fewer_pairs_and_never_more_than_units(
    share: float, requests: float, more: float
) -> None:
    expected = Expectations(requests_per_day=requests * 10, units_per_day=10)
    least, most = sorted([share, more])

    found = [
        Flow.of(make_experiment(unit=USER, mirror_percent=percent), expected).paired_units_per_day
        for percent in (least, most)
    ]

    assert 0 <= found[0] <= found[1] <= 10


@given(st.integers(1, 10), st.floats(1, 1e6), st.floats(1, 20), st.booleans())
def test_treatments_that_divide_the_traffic_see_it_all_together(
    count: int, units: float, each: float, by_request: bool
) -> None:
    whole = Expectations(requests_per_day=units * each, units_per_day=units)
    experiment = make_experiment(unit=Source(kind="request") if by_request else USER, mirror_percent=30.0)

    all_of_it, part = Flow.of(experiment, whole), Flow.of(experiment, whole.divided(count))

    assert part.units_per_day * count == pytest.approx(all_of_it.units_per_day)
    assert part.paired_units_per_day * count == pytest.approx(all_of_it.paired_units_per_day)
    assert part.requests_per_unit == pytest.approx(all_of_it.requests_per_unit)
