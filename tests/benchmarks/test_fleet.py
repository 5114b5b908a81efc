"""The arithmetic of docs/scaling.md: each unit cost and each assumption goes where it should, and nowhere else."""

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from benchmarks import fleet
from benchmarks.fleet import Assumptions, UnitCosts, limits, lines
from benchmarks.scaling import STORED

UNITS = UnitCosts(
    measured_on="nothing: round figures",
    request_us=200.0, mirror_us=100.0, stream_us=2_000.0, proxy_mib=100.0, balancer_us=50.0,
    journal_us=10.0, journal_bytes=2_000.0, journal_bare_bytes=500.0,
    sqlite_recorder_us=100.0, sqlite_rows_per_s=8_000.0, sqlite_bytes=1_500.0,
    recorder_us=100.0, rows_per_s=6_000.0, load_us=50.0,
    exchange_bytes=1_500.0, exchange_bare_bytes=500.0, wal_bytes=2_000.0, wal_bare_bytes=800.0,
    outcomes=5.0, score_us=400.0, score_database_us=200.0, outcome_bytes=400.0,
    look_ms=20.0, fold_us=40.0, fold_database_us=10.0, fold_pair_us=160.0, fold_pair_database_us=20.0,
    unit_bytes=300.0, poll_us=500.0,
)  # fmt: skip
ASSUMED = Assumptions(requests_per_s=10_000.0, mirror_percent=10.0, busy_percent=50.0)
COSTS = [name for name, kind in UnitCosts.__annotations__.items() if name != "measured_on"]


def figures(units: UnitCosts = UNITS, assumed: Assumptions = ASSUMED) -> dict[str, float]:
    return {line.what: line.value for line in lines(units, assumed)}


def test_the_plan_is_what_one_would_work_out_by_hand() -> None:
    found = figures()
    assert found["exchanges recorded"] == 11_000
    assert found["proxies"] == 5  # 4.2: (10,000 x 200 us + 1,000 x 100 us) / 50 %
    assert found["load balancers, without TLS"] == 1
    assert found["recorders, each with its folder"] == 3  # 11,000 x 100 us / 50 % = 2.2
    assert found["proxy hosts"] == 1  # 8 processes on hosts of 16 cores
    assert found["journals, all hosts"] == 22  # MB/s
    assert found["rows into PostgreSQL"] == 16_000
    assert found["PostgreSQL: loading"] == pytest.approx(1.1)  # 11,000 x 50 us / 50 %
    assert found["PostgreSQL: polls"] == pytest.approx(5 * 4 * 500e-6 / 0.5)
    assert found["PostgreSQL's connections"] == 5 + 3 + 19
    assert found["stored a day"] == pytest.approx((11_000 * 1_500 + 1_000 * 5 * 400) * 86_400 / 1e12)
    assert found["the controller that leads"] == pytest.approx(11_000 * 40e-6 + 1_000 * 560e-6)


@given(rate=st.floats(1e3, 1e6), times=st.integers(2, 10))
def test_more_traffic_takes_as_many_times_more_of_everything(rate: float, times: int) -> None:
    once, more = (ASSUMED._replace(requests_per_s=rate * factor) for factor in (1, times))
    for count in (fleet.proxies, fleet.recorders):
        assert count(UNITS, once) * times - times < count(UNITS, more) <= count(UNITS, once) * times
    for amount in (fleet.proxy_cores, fleet.recorder_cores, fleet.controller_cores, fleet.journal_bytes_per_s):
        assert amount(UNITS, more) == pytest.approx(amount(UNITS, once) * times)


@pytest.mark.parametrize(
    ("cost", "moves"),
    {
        "request_us": {
            "proxies", "memory of the proxies", "proxy hosts", "PostgreSQL: polls", "PostgreSQL's connections",
        },
        "balancer_us": {"load balancers, without TLS"},
        "proxy_mib": {"memory of the proxies"},
        "load_us": {"PostgreSQL: loading"},
        "fold_database_us": {"PostgreSQL: looks"},
        "score_database_us": {"PostgreSQL: scoring"},
        "poll_us": {"PostgreSQL: polls"},
        "wal_bytes": {"PostgreSQL's log"},
        "fold_us": {"the controller that leads", "another one taking over, at most"},
        "score_us": {"the controller that leads"},
        "fold_pair_us": {"the controller that leads"},
        "unit_bytes": {"its memory for users"},
        "exchange_bytes": {"stored a day", "stored in all"},
        "outcome_bytes": {"stored a day", "stored in all"},
        "stream_us": set(),
        "journal_us": set(),
    }.items(),
)  # fmt: skip
def test_a_unit_cost_moves_what_it_belongs_to_and_nothing_else(cost: str, moves: set[str]) -> None:
    before, after = figures(), figures(replace(UNITS, **{cost: getattr(UNITS, cost) * 10}))
    assert {what for what in before if before[what] != after[what]} - {
        "journal of one host",
        "folders on a host",
    } == moves


def test_what_is_not_sent_through_or_not_mirrored_costs_nothing_but_the_load_balancer() -> None:
    all_of_it, some = figures(), figures(assumed=ASSUMED._replace(through_percent=10.0))
    assert some["load balancers, without TLS"] == all_of_it["load balancers, without TLS"]
    assert some["exchanges recorded"] == all_of_it["exchanges recorded"] / 10
    assert figures(assumed=ASSUMED._replace(mirror_percent=0.0))["exchanges recorded"] == 10_000


def test_texts_that_are_erased_after_scoring_spare_room_and_no_writing() -> None:
    kept, erased = figures(), figures(assumed=ASSUMED._replace(capture_percent=0.0))
    never = figures(assumed=ASSUMED._replace(capture="none"))
    assert erased["stored a day"] == never["stored a day"] < kept["stored a day"]
    assert never["PostgreSQL's log"] < erased["PostgreSQL's log"] == kept["PostgreSQL's log"]
    assert never["journals, all hosts"] < erased["journals, all hosts"] == kept["journals, all hosts"]


def test_at_its_limit_each_thing_is_as_busy_as_it_may_be() -> None:
    full = {limit.what.partition(" (")[0]: limit.requests_per_s for limit in limits(UNITS, ASSUMED)}
    assert list(full.values()) == sorted(full.values())
    at = {what: ASSUMED._replace(requests_per_s=rate) for what, rate in full.items()}
    assert fleet.proxies(UNITS, at["one proxy process"]) == 1
    assert fleet.recorders(UNITS, at["the recorder of one folder"]) == 1
    assert fleet.controller_cores(UNITS, at["the controller that leads"]) == pytest.approx(0.5)
    assert fleet.log_mb_per_s(UNITS, at["PostgreSQL's log"]) == pytest.approx(ASSUMED.log_mb_per_s)
    database = sum(fleet.database_cores(UNITS, at["PostgreSQL's CPU"]).values())
    assert database == pytest.approx(ASSUMED.database_cores * 0.5, rel=0.01)
    assert fleet.connections(UNITS, at["PostgreSQL's connections"]) == pytest.approx(ASSUMED.max_connections, abs=2)


def test_the_stored_costs_are_complete_and_each_is_a_cost() -> None:
    stored = msgspec.json.decode(STORED.read_bytes(), type=UnitCosts)
    for name in COSTS:
        value = getattr(stored, name)
        assert value is None or (math.isfinite(value) and value >= 0), name
    assert stored.request_us > stored.journal_us > 0, "the journal's line is a part of the request"
