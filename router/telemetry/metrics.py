"""What one proxy process counts of itself, for Prometheus: cheap on the hot path, published once a second.

Several proxies share one port, so none of them could be scraped alone. Each writes its figures into a file in the
journal's folder (`metrics_files`), and the admin process adds them up (`router.admin.metrics`). What each figure means
stands in `docs/observability.md`; no label is a unit, a path or anything else that a client may choose.
"""

from __future__ import annotations

import os
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

import structlog

from experiments.journal.format import writer_name
from experiments.model import ErrorKind, Exchange
from router.telemetry.metrics_files import MetricsFile, Series

_log = structlog.get_logger(__name__)
PUBLISH_SECONDS = 1.0
Labels = tuple[str, ...]
Reading = float | Mapping[Labels, float]

DURATION_BOUNDS_S = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
FIRST_BYTE_BOUNDS_S = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Both as OpenTelemetry's conventions for generative models advise."""


class Family(NamedTuple):
    """One metric: all its series share a name."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    says: str
    """The help text, one sentence."""
    labels: Labels = ()
    bounds: tuple[float, ...] = ()
    """Upper bounds of a histogram's buckets."""
    together: Literal["sum", "max"] = "sum"
    """How the gauges of several processes become one."""


_WHO = ("experiment", "variant", "role")
_WHOSE = ("experiment", "variant")
_ENDPOINT = ("backend", "endpoint")
FAMILIES = (
    Family("touchstone_requests_total", "counter", "Exchanges that ended.", (*_WHO, "status", "error", "fallback")),
    Family("touchstone_cached_requests_total", "counter", "Answers repeated from the cache.", _WHO),
    Family("touchstone_request_bytes_total", "counter", "Bytes of request bodies.", _WHO),
    Family("touchstone_response_bytes_total", "counter", "Bytes of response bodies.", _WHO),
    Family(
        "touchstone_request_duration_seconds",
        "histogram",
        "From dispatch to the last byte of a complete answer; repeated ones not counted.",
        _WHO,
        DURATION_BOUNDS_S,
    ),
    Family(
        "touchstone_time_to_first_byte_seconds",
        "histogram",
        "From dispatch to the first byte of the body; repeated answers not counted.",
        _WHO,
        FIRST_BYTE_BOUNDS_S,
    ),
    Family("touchstone_in_flight_requests", "gauge", "Requests being received or served."),
    Family("touchstone_held_request_bytes", "gauge", "Bytes of request bodies that are held in memory."),
    Family("touchstone_refused_requests_total", "counter", "Requests refused because of a limit.", ("reason",)),
    Family("touchstone_shadow_in_flight_requests", "gauge", "Mirrored requests in flight."),
    Family("touchstone_shadow_shed_total", "counter", "Mirrored requests that were not sent: the pool was full."),
    Family("touchstone_journal_records_total", "counter", "Records written to the journal."),
    Family("touchstone_journal_shed_records_total", "counter", "Records that could not be written."),
    Family("touchstone_journal_shed_texts_total", "counter", "Exchanges written without their texts."),
    Family("touchstone_journal_shedding", "gauge", "Proxies that shed recording right now."),
    Family("touchstone_journal_bytes", "gauge", "Size of the journal's segments.", together="max"),
    Family("touchstone_backend_outstanding_requests", "gauge", "Requests out to an endpoint.", _ENDPOINT),
    Family("touchstone_backend_endpoint_state", "gauge", "Proxies that see an endpoint so.", (*_ENDPOINT, "state")),
    Family("touchstone_backend_ejections_total", "counter", "How often an endpoint was left out.", _ENDPOINT),
    Family(
        "touchstone_backend_sent_again_total",
        "counter",
        "Requests sent to another endpoint after a spot instance broke off.",
        ("backend",),
    ),
    Family("touchstone_retries_refused_total", "counter", "Second attempts that the budget did not allow."),
    Family("touchstone_cache_hits_total", "counter", "Requests answered from the cache.", _WHOSE),
    Family("touchstone_cache_misses_total", "counter", "Requests the cache had no answer to.", _WHOSE),
    Family("touchstone_cache_bytes", "gauge", "Size of the answers in the cache.", ("experiment",)),
    Family("touchstone_routes_age_seconds", "gauge", "Since the routes were last read from the store.", together="max"),
    Family("touchstone_spans_dropped_total", "counter", "Trace spans that were not delivered."),
    Family("touchstone_proxies", "gauge", "Proxy processes that published within the last seconds."),
)
BY_NAME = {family.name: family for family in FAMILIES}
_Key = tuple[str, str, str, int, str, str, bool]
_COMPLETE = frozenset({"", ErrorKind.STATUS.value})
"""Errors of answers that ended as the backend meant them to: others would look fast because they broke off."""


class _Tally:
    """What is counted of the exchanges that are alike."""

    __slots__ = ("bytes_in", "bytes_out", "count", "duration", "first_byte")

    def __init__(self) -> None:
        self.count = self.bytes_in = self.bytes_out = 0
        self.duration = _empty(DURATION_BOUNDS_S)
        self.first_byte = _empty(FIRST_BYTE_BOUNDS_S)


class Metrics:
    """The figures of one proxy process.

    Args:
        folder: The journal's: where they are published.
        publish_seconds: How often.
    """

    def __init__(self, folder: Path, publish_seconds: float = PUBLISH_SECONDS) -> None:
        self._file = MetricsFile(folder / writer_name(os.getpid(), time.time_ns()))
        self._publish_seconds = publish_seconds
        self._tallies: dict[_Key, _Tally] = {}
        self._watched: dict[str, Callable[[], Reading]] = {}
        self._broken: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="metrics", daemon=True)

    def __repr__(self) -> str:
        return f"<Metrics [{sum(tally.count for tally in self._tallies.values())} exchanges]>"

    def observe(self, exchange: Exchange) -> None:
        """Count one exchange that has ended, live or mirrored; from one thread."""
        key = (
            exchange.experiment,
            exchange.served,
            exchange.role,
            exchange.status // 100,
            exchange.error,
            exchange.fallback,
            exchange.cached,
        )
        tally = self._tallies.get(key)
        if tally is None:
            tally = self._tallies[key] = _Tally()
        tally.count += 1
        tally.bytes_in += exchange.bytes_in
        tally.bytes_out += exchange.bytes_out
        if exchange.ttft_ms is None or exchange.cached:
            return
        seconds = exchange.ttft_ms * 1e-3
        tally.first_byte[bisect_left(FIRST_BYTE_BOUNDS_S, seconds)] += 1
        tally.first_byte[-1] += seconds
        if exchange.latency_ms is not None and exchange.error in _COMPLETE:
            seconds = exchange.latency_ms * 1e-3
            tally.duration[bisect_left(DURATION_BOUNDS_S, seconds)] += 1
            tally.duration[-1] += seconds

    def watch(self, name: str, read: Callable[[], Reading]) -> None:
        """Publish a figure that is kept elsewhere.

        Args:
            name: Of a counter or gauge in `FAMILIES`.
            read: Returns its value, or label values -> value; called in a thread of its own.

        Raises:
            ValueError: The name is none of these.
        """
        if name not in BY_NAME or BY_NAME[name].kind == "histogram":
            raise ValueError(f"{name!r} is no counter or gauge that can be watched")
        self._watched[name] = read

    def start(self) -> None:
        """Start the thread that publishes."""
        self.publish()
        self._thread.start()

    def close(self) -> None:
        """Publish for the last time; the file stays for the admin process to take over."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._file.write(self.series(), ended=True)
        self._file.close()

    def publish(self) -> None:
        """Write the figures as they are now."""
        self._file.write(self.series(), ended=False)

    def series(self) -> Series:
        """Return all figures: name -> label values -> one value, or a histogram's buckets and its sum."""
        found: Series = {"touchstone_proxies": {(): [1.0]}}
        # The list is made in one step: the loop's thread may add a tally meanwhile.
        for key, tally in list(self._tallies.items()):
            _add_tally(found, key, tally)
        for name, read in self._watched.items():
            try:
                reading = read()
            except Exception as error:  # noqa: BLE001  # a figure that cannot be read must not take the others along
                self._note_broken(name, error)
                continue
            values = reading if isinstance(reading, Mapping) else {(): reading}
            found[name] = {labels: [float(value)] for labels, value in values.items()}
        return found

    def _note_broken(self, name: str, error: Exception) -> None:
        if name not in self._broken:
            self._broken.add(name)
            _log.error("metric_unreadable", metric=name, error=type(error).__name__)

    def _keep(self) -> None:
        while not self._stop.wait(self._publish_seconds):
            self.publish()


def _empty(bounds: tuple[float, ...]) -> list[float]:
    """Return a histogram without observations: its buckets, the one without a bound, the sum."""
    return [0.0] * (len(bounds) + 2)


def _add_tally(found: Series, key: _Key, tally: _Tally) -> None:
    experiment, variant, role, hundreds, error, fallback, cached = key
    who = (experiment, variant, role)
    status = f"{hundreds}xx" if hundreds else "none"
    add(found, "touchstone_requests_total", (*who, status, error, fallback), [float(tally.count)])
    add(found, "touchstone_request_bytes_total", who, [float(tally.bytes_in)])
    add(found, "touchstone_response_bytes_total", who, [float(tally.bytes_out)])
    if cached:
        add(found, "touchstone_cached_requests_total", who, [float(tally.count)])
    if any(tally.first_byte):
        add(found, "touchstone_time_to_first_byte_seconds", who, tally.first_byte)
    if any(tally.duration):
        add(found, "touchstone_request_duration_seconds", who, tally.duration)


def add(series: Series, name: str, labels: Labels, values: list[float]) -> None:
    """Add values to what is there of the same labels; values of another shape replace it."""
    family = series.setdefault(name, {})
    before = family.get(labels)
    if before is None or len(before) != len(values):
        family[labels] = list(values)
    else:
        family[labels] = [old + new for old, new in zip(before, values, strict=True)]


def endpoint_label(url: str) -> str:
    """Return the part of an endpoint's URL that names it: without what may be a secret.

    >>> endpoint_label("http://user:password@gpu-1:8000/v1?key=secret")
    'gpu-1:8000/v1'
    """
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2] + parts.path.rstrip("/")
