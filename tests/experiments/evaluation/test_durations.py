"""Durations are counted in buckets: small, mergeable, and true to 1 %."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_builders import make_exchange

from experiments.evaluation.durations import ERROR_PERCENT, LATENCY_MS, MEASURES, TOKENS_PER_S, TTFT_MS, Durations
from experiments.model import CONTROL, TREATMENT, Role
from experiments.server_timings import COMPUTE_MS, QUEUE_MS, WAITING_MS

MILLISECONDS = st.lists(st.floats(0.01, 1e6), min_size=1, max_size=60)


def counted(*latencies_ms: float, variant: str = CONTROL) -> Durations:
    found = Durations()
    for latency_ms in latencies_ms:
        found.add(make_exchange(served=variant, latency_ms=latency_ms, ttft_ms=None))
    return found


@given(MILLISECONDS, st.sampled_from([0.01, 0.5, 0.95, 0.99, 1.0]))
def test_every_quantile_is_within_its_stated_error(values: list[float], share: float) -> None:
    (quantile,) = counted(*values).quantiles(LATENCY_MS, CONTROL, (share,))

    rank = next(i for i in range(1, len(values) + 1) if i / len(values) >= share - 1e-12)
    assert quantile.value == pytest.approx(sorted(values)[rank - 1], rel=ERROR_PERCENT / 100 + 1e-9)


@given(MILLISECONDS, MILLISECONDS)
def test_parts_add_up_to_the_whole_in_any_order(some: list[float], others: list[float]) -> None:
    whole = counted(*some, *others)

    assert counted(*some).merge(counted(*others)) == whole
    assert counted(*others).merge(counted(*some)) == whole


def test_a_snapshot_survives_json() -> None:
    found = counted(12.0, 13.0, 900.0).merge(counted(7.0, variant=TREATMENT))

    again = Durations.of(json.loads(json.dumps(found.snapshot())))

    assert again == found
    assert again.count(LATENCY_MS, CONTROL) == 3
    assert again.count(LATENCY_MS, TREATMENT) == 1


def test_a_snapshot_that_every_look_keeps_is_short() -> None:
    found = Durations()
    for latency_ms in range(20, 20_000, 7):
        found.add(make_exchange(latency_ms=float(latency_ms), ttft_ms=latency_ms / 9, output_tokens=100))

    assert len(json.dumps(found.snapshot(), separators=(",", ":"))) < 4_000


def test_a_snapshot_with_other_buckets_is_refused() -> None:
    with pytest.raises(ValueError, match=r"growth == 1\.1"):
        Durations.of({"growth": 1.1})


def test_tokens_per_second_are_those_of_the_whole_answer() -> None:
    found = Durations()
    found.add(make_exchange(latency_ms=2_000.0, ttft_ms=500.0, output_tokens=100))

    assert found.quantiles(TOKENS_PER_S, CONTROL, (0.5,))[0].value == pytest.approx(50.0, rel=0.01)
    assert found.quantiles(TTFT_MS, CONTROL, (0.5,))[0].value == pytest.approx(500.0, rel=0.01)


def test_where_the_server_reports_its_time_the_latency_is_split_into_compute_and_the_rest() -> None:
    found = Durations()
    found.add(make_exchange(latency_ms=100.0, server_compute_ms=80.0, server_queue_ms=15.0))
    found.add(make_exchange(latency_ms=100.0))

    split = {m: found.quantiles(m, CONTROL, (0.5,))[0].value for m in (COMPUTE_MS, WAITING_MS, QUEUE_MS)}
    assert split == pytest.approx({COMPUTE_MS: 80.0, WAITING_MS: 20.0, QUEUE_MS: 15.0}, rel=0.01)
    assert (found.count(LATENCY_MS, CONTROL), found.count(COMPUTE_MS, CONTROL)) == (2, 1)
    assert Durations.of(json.loads(json.dumps(found.snapshot()))) == found


@pytest.mark.parametrize(
    "changes",
    [{"cached": True}, {"error": "timeout", "status": 0}, {"role": Role.GOLDEN}, {"latency_ms": None, "ttft_ms": None}],
)
def test_what_says_nothing_of_speed_is_not_counted(changes: dict[str, object]) -> None:
    found = Durations()
    found.add(make_exchange(**changes))

    assert {found.count(measure, CONTROL) for measure in MEASURES} == {0}


def test_nothing_measured_has_no_quantiles() -> None:
    assert Durations().quantiles(LATENCY_MS, CONTROL) == []
    assert Durations().curve(LATENCY_MS, CONTROL) == []
