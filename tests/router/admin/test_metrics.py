"""`/metrics` adds up what all proxies published, and no counter falls when one of them ends."""

import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.routing import Route
from tests_config import make_config

from experiments.journal.format import writer_name
from experiments.model import Exchange
from router.admin.metrics import TOTALS, Exposition, exposition_of, metrics_endpoint, render
from router.fakes.server import serving
from router.telemetry.metrics import DURATION_BOUNDS_S, Metrics
from router.telemetry.metrics_files import MetricsFile, Series

REQUESTS = "touchstone_requests_total"
IN_FLIGHT = "touchstone_in_flight_requests"
LABELS = ("support", "control", "live", "2xx", "", "")
DEAD = writer_name(2**22 + 1, 1)  # above the largest process id

CHILD = """
import sys, time
from pathlib import Path
from experiments.model import Exchange
from router.telemetry.metrics import Metrics

metrics = Metrics(Path(sys.argv[1]), publish_seconds=0.05)
metrics.watch("touchstone_in_flight_requests", lambda: 9)
for _ in range(7):
    metrics.observe(Exchange(id="x", at=0.0, experiment="support", served="control", status=200))
metrics.start()
print("ready", flush=True)
time.sleep(60)
"""


def publish(folder: Path, writer: str, series: Series, *, ended: bool = False) -> None:
    file = MetricsFile(folder / writer)
    file.write(series, ended=ended)
    file.close()


def living(number: int) -> str:
    return writer_name(os.getpid(), number)


def requests(folder: Path) -> float:
    return Exposition(folder).merged().get(REQUESTS, {}).get(LABELS, [0])[0]


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    found = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in found}


def test_counters_and_histograms_of_all_processes_are_added(tmp_path: Path) -> None:
    duration = [0.0] * (len(DURATION_BOUNDS_S) + 2)
    duration[3], duration[-2], duration[-1] = 2.0, 1.0, 100.5
    who = ("support", "treatment", "live")
    for number in (1, 2, 3):
        publish(
            tmp_path, living(number), {REQUESTS: {LABELS: [5]}, "touchstone_request_duration_seconds": {who: duration}}
        )

    found = samples(render(tmp_path).decode())

    named = {"experiment": "support", "role": "live", "variant": "treatment"}
    values = {
        name: found[f"touchstone_request_duration_seconds_{name}", tuple(sorted(named.items()))]
        for name in ("count", "sum")
    }
    assert values == {"count": 9, "sum": 301.5}
    buckets = {dict(labels)["le"]: value for (name, labels), value in found.items() if name.endswith("seconds_bucket")}
    assert (buckets["0.04"], buckets["0.08"], buckets["81.92"], buckets["+Inf"]) == (0, 6, 6, 9)
    assert requests(tmp_path) == 15


def test_gauges_are_added_or_the_largest_is_taken(tmp_path: Path) -> None:
    for number, value in ((1, 3.0), (2, 4.0)):
        publish(tmp_path, living(number), {IN_FLIGHT: {(): [value]}, "touchstone_journal_bytes": {(): [value]}})

    merged = Exposition(tmp_path).merged()

    assert merged[IN_FLIGHT] == {(): [7]}
    assert merged["touchstone_journal_bytes"] == {(): [4]}


def test_a_process_that_ends_leaves_its_counts_but_no_gauges_and_no_files(tmp_path: Path) -> None:
    publish(tmp_path, living(1), {REQUESTS: {LABELS: [5]}, IN_FLIGHT: {(): [1]}})
    publish(tmp_path, living(2), {REQUESTS: {LABELS: [8]}, IN_FLIGHT: {(): [2]}}, ended=True)

    for _ in range(3):
        merged = Exposition(tmp_path).merged()
        assert merged[REQUESTS][LABELS] == [13]
        assert merged[IN_FLIGHT] == {(): [1]}

    assert {path.name for path in tmp_path.iterdir()} == {f"{living(1)}~1.metrics", TOTALS}


def test_a_crash_between_the_totals_and_the_removal_counts_nothing_twice(tmp_path: Path) -> None:
    publish(tmp_path, DEAD, {REQUESTS: {LABELS: [5]}})
    (path,) = tmp_path.iterdir()
    left = path.read_bytes()
    assert requests(tmp_path) == 5

    path.write_bytes(left)  # as if the process had been killed before it removed it
    publish(tmp_path, living(1), {REQUESTS: {LABELS: [2]}}, ended=True)

    assert [requests(tmp_path) for _ in range(3)] == [7, 7, 7]
    assert not path.exists()


def test_while_the_totals_cannot_be_written_the_files_stay_and_the_sum_is_right(tmp_path: Path) -> None:
    publish(tmp_path, DEAD, {REQUESTS: {LABELS: [5]}})
    (tmp_path / TOTALS).mkdir()  # no file can take its place

    assert [requests(tmp_path) for _ in range(2)] == [5, 5]

    (tmp_path / TOTALS).rmdir()
    assert [requests(tmp_path) for _ in range(2)] == [5, 5]
    assert [path.name for path in tmp_path.iterdir()] == [TOTALS]


def test_after_kill_9_of_a_real_process_its_counts_stay_and_its_gauges_go(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CHILD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[3]) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        exposition = Exposition(tmp_path)
        before = exposition.merged()
        child.send_signal(signal.SIGKILL)
        child.wait()
        after = exposition.merged()

    assert before[REQUESTS] == after[REQUESTS] == {LABELS: [7]}
    assert before[IN_FLIGHT] == {(): [9]}
    assert IN_FLIGHT not in after
    assert (before["touchstone_proxies"], after["touchstone_proxies"]) == ({(): [1]}, {(): [0]})


def test_what_another_version_published_breaks_nothing(tmp_path: Path) -> None:
    publish(tmp_path, living(1), {"touchstone_gone_total": {(): [1]}, REQUESTS: {("support",): [1], LABELS: [2]}})

    assert requests(tmp_path) == 2
    assert "gone" not in render(tmp_path).decode()


def test_hostile_label_values_stay_values(tmp_path: Path) -> None:
    name = 'a"}\n# evil 1\\'
    metrics = Metrics(tmp_path)
    metrics.observe(Exchange(id="x", at=0.0, experiment=name, served="control", status=200))
    metrics.publish()

    found = samples(render(tmp_path).decode())

    assert any(dict(labels).get("experiment") == name for _, labels in found)


def test_the_endpoint_answers_in_the_form_that_the_scraper_asks_for(tmp_path: Path) -> None:
    config = make_config(tmp_path, "http://127.0.0.1:9", "http://127.0.0.1:9")
    publish(tmp_path, living(1), {REQUESTS: {LABELS: [5]}})
    app = Starlette(routes=[Route("/metrics", metrics_endpoint(exposition_of(config)))])

    with serving(app) as url:
        with urllib.request.urlopen(f"{url}/metrics") as response:
            plain, kind = response.read().decode(), response.headers["content-type"]
        asking = urllib.request.Request(f"{url}/metrics", headers={"accept": "application/openmetrics-text"})
        with urllib.request.urlopen(asking) as response:
            open_metrics, open_kind = response.read().decode(), response.headers["content-type"]

    assert kind.startswith("text/plain; version=0.0.4")
    assert f"\n{REQUESTS}{{" in plain
    assert open_kind.startswith("application/openmetrics-text")
    assert open_metrics.endswith("# EOF\n")
