"""What a proxy counts of its exchanges, and that every figure is explained to the reader."""

import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.model import Exchange, Role
from router.admin.experiment_figures import EXPERIMENT_FAMILIES
from router.admin.store_figures import STORE_FAMILIES
from router.telemetry.metrics import DURATION_BOUNDS_S, FAMILIES, FIRST_BYTE_BOUNDS_S, Family, Metrics
from router.telemetry.metrics_files import published

PAGE = Path(__file__).parents[3] / "docs" / "observability.md"
ALL = (*FAMILIES, *STORE_FAMILIES, *EXPERIMENT_FAMILIES)
WHO = ("support", "control", "live")
DURATION = "touchstone_request_duration_seconds"
FIRST_BYTE = "touchstone_time_to_first_byte_seconds"


def exchange(**changes: object) -> Exchange:
    values = {"id": "x", "at": 0.0, "experiment": "support", "served": "control", "status": 200}
    return Exchange(**(values | {"ttft_ms": 30.0, "latency_ms": 300.0, "bytes_in": 10, "bytes_out": 100} | changes))


def test_exchanges_are_counted_by_who_answered_and_how_it_ended(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path)
    for changes in ({}, {}, {"status": 503, "error": "status"}, {"fallback": "connect"}, {"role": Role.SHADOW}):
        metrics.observe(exchange(**changes))
    metrics.observe(exchange(status=0, error="connect", ttft_ms=None, latency_ms=None))

    series = metrics.series()

    assert series["touchstone_requests_total"] == {
        (*WHO, "2xx", "", ""): [2],
        (*WHO, "5xx", "status", ""): [1],
        (*WHO, "2xx", "", "connect"): [1],
        (*WHO, "none", "connect", ""): [1],
        ("support", "control", "shadow", "2xx", "", ""): [1],
    }
    assert series["touchstone_request_bytes_total"][WHO] == [50]
    assert series["touchstone_response_bytes_total"][WHO] == [500]


def test_repeated_answers_are_counted_but_are_in_no_time(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path)
    metrics.observe(exchange(cached=True))

    series = metrics.series()

    assert series["touchstone_cached_requests_total"] == {WHO: [1]}
    assert DURATION not in series
    assert FIRST_BYTE not in series


def test_an_answer_that_broke_off_has_a_first_byte_but_no_duration(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path)
    for error in ("reset", "timeout", "client_closed"):
        metrics.observe(exchange(error=error))

    series = metrics.series()

    assert sum(series[FIRST_BYTE][WHO][:-1]) == 3
    assert DURATION not in series


@given(latencies_ms=st.lists(st.floats(0, 200_000), min_size=1, max_size=20))
def test_each_time_falls_into_the_first_bucket_that_is_not_below_it(
    tmp_path_factory: pytest.TempPathFactory, latencies_ms: list[float]
) -> None:
    metrics = Metrics(tmp_path_factory.getbasetemp())
    for latency_ms in latencies_ms:
        metrics.observe(exchange(latency_ms=latency_ms, ttft_ms=latency_ms))

    for name, bounds in ((DURATION, DURATION_BOUNDS_S), (FIRST_BYTE, FIRST_BYTE_BOUNDS_S)):
        *buckets, total = metrics.series()[name][WHO]
        for index, bound in enumerate(bounds):
            assert sum(buckets[: index + 1]) == sum(latency_ms * 1e-3 <= bound for latency_ms in latencies_ms)
        assert sum(buckets) == len(latencies_ms)
        assert total == pytest.approx(sum(latencies_ms) / 1e3)


def test_a_figure_kept_elsewhere_is_read_when_it_is_published(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path)
    held = {"in_flight": 3}
    metrics.watch("touchstone_in_flight_requests", lambda: held["in_flight"])
    metrics.watch("touchstone_refused_requests_total", lambda: {("body_too_large",): 2})

    held["in_flight"] = 5

    assert metrics.series()["touchstone_in_flight_requests"] == {(): [5]}
    assert metrics.series()["touchstone_refused_requests_total"] == {("body_too_large",): [2]}


@pytest.mark.parametrize("name", ["touchstone_weather", DURATION])
def test_only_a_known_counter_or_gauge_can_be_watched(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Metrics(tmp_path).watch(name, lambda: 1)


def test_a_figure_that_cannot_be_read_takes_no_other_along(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path)
    metrics.observe(exchange())
    metrics.watch("touchstone_journal_bytes", lambda: 1 / 0)
    metrics.watch("touchstone_in_flight_requests", lambda: 7)

    series = metrics.series()

    assert "touchstone_journal_bytes" not in series
    assert series["touchstone_in_flight_requests"] == {(): [7]}
    assert series["touchstone_requests_total"]


def test_the_figures_are_published_by_themselves_and_a_last_time_at_the_end(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path, publish_seconds=0.02)
    metrics.start()
    metrics.observe(exchange())
    deadline = time.monotonic() + 5

    def seen() -> float:
        (process,) = published(tmp_path)
        assert process.last is not None
        return sum(v[0] for v in process.last.series().get("touchstone_requests_total", {}).values())

    while seen() < 1:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    metrics.observe(exchange())
    metrics.close()

    assert seen() == 2
    assert published(tmp_path)[0].over


def test_names_follow_the_rules_of_prometheus() -> None:
    for family in ALL:
        assert re.fullmatch(r"touchstone_[a-z_]+", family.name)
        assert family.name.endswith("_total") == (family.kind == "counter")
        assert not re.search(r"_(ms|milliseconds|kb|percent)$", family.name)
        assert bool(family.bounds) == (family.kind == "histogram")


@pytest.mark.parametrize("family", ALL, ids=lambda family: family.name)
def test_every_metric_stands_in_the_documentation_with_its_labels(family: Family) -> None:
    (row,) = re.findall(rf"^\| `{family.name}` \|.*$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)

    assert f"| {family.kind} |" in row
    assert set(re.findall(r"`([a-z_]+)`", row)) >= set(family.labels)


def test_the_documentation_names_no_metric_that_does_not_exist() -> None:
    named = set(re.findall(r"^\| `(touchstone_\w+)`", PAGE.read_text(encoding="utf-8"), re.MULTILINE))

    assert named == {family.name for family in ALL}
