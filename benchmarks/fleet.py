"""From what one unit costs to what a fleet costs: the arithmetic of docs/scaling.md. Pure.

Unit costs are measured by `benchmarks.unit_costs`; everything here is multiplied out of them and of assumptions
that are named. CPU is in seconds a second, which is cores; no core is planned to be busier than `busy_percent`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal, NamedTuple

import msgspec

from experiments.config.records import RouterSettings
from experiments.evaluation.checkpoints import EVERY_LOOKS
from router.journal import LIMIT_BYTES
from router.routes import POLL_SECONDS

Source = Literal["measured", "computed", "assumed"]
_DAY_S = 86_400.0
CONNECTIONS_OF_CONTROLLER = 19
"""At most: ten for its threads, eight for its pages, one for its lock (`experiments.engines`)."""


class UnitCosts(msgspec.Struct, frozen=True, kw_only=True):
    """What one unit costs, measured. An exchange is one answer: a mirrored request has two."""

    measured_on: str
    """Machine, versions, day, load."""
    request_us: float
    """The proxy's CPU for a JSON request, its journal line among it."""
    mirror_us: float
    """The proxy's CPU that mirroring a request adds."""
    stream_us: float
    """The proxy's CPU for a stream of 100 pieces."""
    proxy_mib: float
    """Resident memory of a proxy."""
    balancer_us: float | None
    """HAProxy's CPU for a request; None where it was not installed."""
    journal_us: float
    """Of the proxy's CPU: encoding and writing the journal's line."""
    journal_bytes: float
    """Of an exchange, with its texts."""
    journal_bare_bytes: float
    """Of an exchange under `capture = "none"`."""
    sqlite_recorder_us: float
    """The recorder's CPU for an exchange into SQLite, the database among it."""
    sqlite_rows_per_s: float
    """What one recorder loaded into SQLite, by the clock."""
    sqlite_bytes: float
    """Of an exchange in SQLite's file."""
    recorder_us: float
    """The recorder's CPU for an exchange into PostgreSQL."""
    rows_per_s: float
    """What one recorder loaded into PostgreSQL, by the clock."""
    load_us: float
    """PostgreSQL's CPU for an exchange that is loaded."""
    exchange_bytes: float
    """Of an exchange in PostgreSQL with its texts and indexes."""
    exchange_bare_bytes: float
    """The same under `capture = "none"`."""
    wal_bytes: float
    """Of PostgreSQL's log, for an exchange with its texts."""
    wal_bare_bytes: float
    """The same under `capture = "none"`."""
    outcomes: float
    """Of a pair: failures, and one scorer that asks nobody."""
    score_us: float
    """The controller's CPU for scoring a pair."""
    score_database_us: float
    """PostgreSQL's CPU for the same."""
    outcome_bytes: float
    """Of an outcome in PostgreSQL, with its indexes."""
    look_ms: float
    """The controller's CPU for a look at which nothing is new."""
    fold_us: float
    """The controller's CPU for folding an exchange into a look."""
    fold_database_us: float
    """PostgreSQL's CPU for the same."""
    fold_pair_us: float
    """The controller's CPU for folding a pair's outcomes into a look, beside its two exchanges."""
    fold_pair_database_us: float
    """PostgreSQL's CPU for the same."""
    unit_bytes: float
    """The controller's memory for a unit that it has seen."""
    poll_us: float
    """PostgreSQL's CPU for one poll of a proxy."""


class Assumptions(NamedTuple):
    """What is assumed of traffic and machines."""

    requests_per_s: float = 1_000_000.0
    through_percent: float = 100.0
    """Of the requests, sent through Touchstone; the load balancer sends the others' users straight to control."""
    mirror_percent: float = 1.0
    stream_percent: float = 0.0
    """Of the requests, answered as a stream of 100 pieces."""
    capture: Literal["full", "none"] = "full"
    capture_percent: float = 100.0
    """Of the exchanges, keep their texts after scoring."""
    kept_days: float = 30.0
    units: float = 10_000_000.0
    """Different users of an epoch, of those that go through Touchstone."""
    busy_percent: float = 60.0
    """How busy a core is planned to be."""
    host_cores: int = 16
    """Of a host of proxies."""
    database_cores: int = 64
    """Of the largest PostgreSQL that one has."""
    max_connections: int = 500
    """Of that PostgreSQL."""
    log_mb_per_s: float = 500.0
    """What its disk takes of its log."""


class Line(NamedTuple):
    """One figure of the plan."""

    what: str
    value: float
    unit: str
    source: Source
    how: str = ""


class Limit(NamedTuple):
    """Something of which there is one, and the traffic that fills it."""

    what: str
    requests_per_s: float
    """Requests of all users a second, at the same shares as assumed."""
    cure: str


class _Flow(NamedTuple):
    """Traffic a second."""

    through: float
    mirrored: float
    exchanges: float

    @classmethod
    def of(cls, a: Assumptions) -> _Flow:
        through = a.requests_per_s * a.through_percent / 100
        mirrored = through * a.mirror_percent / 100
        return cls(through, mirrored, through + mirrored)


def proxy_cores(units: UnitCosts, a: Assumptions) -> float:
    """Return the CPU of all proxies, in cores that are wholly busy."""
    flow, streams = _Flow.of(a), a.stream_percent / 100
    request_us = units.request_us * (1 - streams) + units.stream_us * streams
    return (flow.through * request_us + flow.mirrored * units.mirror_us) / 1e6


def proxies(units: UnitCosts, a: Assumptions) -> int:
    """Return how many proxy processes are wanted: each is one thread, on one core."""
    return math.ceil(proxy_cores(units, a) / _busy(a))


def recorder_cores(units: UnitCosts, a: Assumptions) -> float:
    """Return the CPU of all recorders into PostgreSQL, in cores that are wholly busy."""
    return _Flow.of(a).exchanges * units.recorder_us / 1e6


def recorders(units: UnitCosts, a: Assumptions) -> int:
    """Return how many recorders are wanted: each is one process, and has a journal's folder of its own."""
    return math.ceil(recorder_cores(units, a) / _busy(a))


def hosts(units: UnitCosts, a: Assumptions) -> int:
    """Return how many hosts hold the proxies and the recorders of their journals."""
    return math.ceil((proxies(units, a) + recorders(units, a)) / a.host_cores)


def controller_cores(units: UnitCosts, a: Assumptions) -> float:
    """Return the CPU of the controller that leads, in cores that are wholly busy: looks read every exchange."""
    flow = _Flow.of(a)
    return (flow.exchanges * units.fold_us + flow.mirrored * (units.score_us + units.fold_pair_us)) / 1e6


def database_cores(units: UnitCosts, a: Assumptions) -> dict[str, float]:
    """Return the CPU of PostgreSQL by what it does, in cores that are wholly busy."""
    flow = _Flow.of(a)
    return {
        "loading": flow.exchanges * units.load_us / 1e6,
        "looks": (flow.exchanges * units.fold_database_us + flow.mirrored * units.fold_pair_database_us) / 1e6,
        "scoring": flow.mirrored * units.score_database_us / 1e6,
        "polls": proxies(units, a) / POLL_SECONDS * units.poll_us / 1e6,
    }


def journal_bytes_per_s(units: UnitCosts, a: Assumptions) -> float:
    """Return what all proxies write to their journals a second."""
    one = units.journal_bytes if a.capture == "full" else units.journal_bare_bytes
    return _Flow.of(a).exchanges * one


def stored_bytes_per_day(units: UnitCosts, a: Assumptions) -> float:
    """Return what a day adds to PostgreSQL once its pairs are scored."""
    flow, texts = _Flow.of(a), a.capture_percent / 100 if a.capture == "full" else 0.0
    exchange = units.exchange_bare_bytes + texts * (units.exchange_bytes - units.exchange_bare_bytes)
    return (flow.exchanges * exchange + flow.mirrored * units.outcomes * units.outcome_bytes) * _DAY_S


def log_mb_per_s(units: UnitCosts, a: Assumptions) -> float:
    """Return what PostgreSQL writes to its log for exchanges, in MB/s."""
    one = units.wal_bytes if a.capture == "full" else units.wal_bare_bytes
    return _Flow.of(a).exchanges * one / 1e6


def connections(units: UnitCosts, a: Assumptions) -> int:
    """Return how many of PostgreSQL's connections are held: one a proxy, one a recorder, and the controller's."""
    return proxies(units, a) + recorders(units, a) + CONNECTIONS_OF_CONTROLLER


def lines(units: UnitCosts, a: Assumptions) -> Iterator[Line]:
    """Yield the plan: what is assumed, then what follows from it and from the unit costs."""
    yield from _assumed(a)
    flow = _Flow.of(a)
    yield Line("requests through Touchstone", flow.through, "/s", "computed", "requests x share")
    yield Line("exchanges recorded", flow.exchanges, "/s", "computed", "those, and once more each that is mirrored")
    yield from _of_serving(units, a)
    yield from _of_recording(units, a, flow)
    yield from _of_database(units, a, flow)
    yield from _of_controller(units, a, flow)


def _assumed(a: Assumptions) -> Iterator[Line]:
    yield Line("requests of all users", a.requests_per_s, "/s", "assumed")
    yield Line("of these, through Touchstone", a.through_percent, "%", "assumed")
    yield Line("mirrored", a.mirror_percent, "%", "assumed")
    yield Line("answered as streams of 100 pieces", a.stream_percent, "%", "assumed")
    yield Line("texts kept after scoring", a.capture_percent if a.capture == "full" else 0.0, "%", "assumed")
    yield Line("kept", a.kept_days, "days", "assumed")
    yield Line("users of an epoch, through Touchstone", a.units, "", "assumed")
    yield Line("a core is planned to be busy", a.busy_percent, "%", "assumed")
    yield Line("cores of a proxy host", a.host_cores, "", "assumed")


def _of_serving(units: UnitCosts, a: Assumptions) -> Iterator[Line]:
    if units.balancer_us is not None:
        cores = a.requests_per_s * units.balancer_us / 1e6 / _busy(a)
        yield Line("load balancers, without TLS", math.ceil(cores), "cores", "computed", "requests x HAProxy's CPU")
    count = proxies(units, a)
    yield Line("proxies", count, "processes", "computed", "requests x CPU, mirrored requests x theirs")
    yield Line("memory of the proxies", count * units.proxy_mib / 1024, "GiB", "computed", "proxies x memory")
    yield Line("proxy hosts", hosts(units, a), "", "computed", "proxies and recorders / cores")
    flow = _Flow.of(a)
    yield Line("more for the backends", flow.mirrored, "requests/s", "computed", "each mirrored request is one more")


def _of_recording(units: UnitCosts, a: Assumptions, flow: _Flow) -> Iterator[Line]:
    rate, count = journal_bytes_per_s(units, a), hosts(units, a)
    yield Line("journals, all hosts", rate / 1e6, "MB/s", "computed", "exchanges x bytes of a line")
    yield Line("journal of one host", rate / count / 1e6, "MB/s", "computed", "the same / hosts")
    folders = recorders(units, a)
    until_full = LIMIT_BYTES / (rate / folders) / 60
    yield Line(
        "store away until a folder is full", until_full, "min", "computed", "`journal_limit_bytes` (4 GiB) / rate"
    )
    yield Line("recorders, each with its folder", folders, "processes", "computed", "exchanges x the recorder's CPU")
    yield Line("folders on a host", folders / count, "", "computed", "recorders / hosts")
    yield Line("exchanges of one recorder", flow.exchanges / folders, "/s", "computed", "exchanges / recorders")


def _of_database(units: UnitCosts, a: Assumptions, flow: _Flow) -> Iterator[Line]:
    rows = flow.exchanges + flow.mirrored * units.outcomes
    yield Line("rows into PostgreSQL", rows, "/s", "computed", "exchanges and outcomes")
    for what, cores in database_cores(units, a).items():
        yield Line(f"PostgreSQL: {what}", cores / _busy(a), "cores", "computed", "count x its CPU")
    yield Line("PostgreSQL's log", log_mb_per_s(units, a), "MB/s", "computed", "exchanges x bytes")
    yield Line(
        "PostgreSQL's connections", connections(units, a), "", "computed", "one a proxy and recorder, controller"
    )
    day = stored_bytes_per_day(units, a)
    yield Line("stored a day", day / 1e12, "TB", "computed", "exchanges and outcomes x bytes x 86,400 s")
    yield Line("stored in all", day * a.kept_days / 1e12, "TB", "computed", "a day x days kept")


def _of_controller(units: UnitCosts, a: Assumptions, flow: _Flow) -> Iterator[Line]:
    cores = controller_cores(units, a)
    yield Line("the controller that leads", cores, "cores", "computed", "folds all exchanges, scores pairs; it has one")
    memory = a.units * units.unit_bytes / 2**30
    yield Line("its memory for users", memory, "GiB", "computed", "users x bytes")
    again = EVERY_LOOKS * RouterSettings().look_interval_s * flow.exchanges * units.fold_us / 1e6
    yield Line("another one taking over, at most", again / 60, "min", "computed", f"{EVERY_LOOKS} looks folded anew")


def limits(units: UnitCosts, a: Assumptions) -> list[Limit]:
    """Return what there is only one of, the tightest first: at which traffic each is full."""
    busy, rate = _busy(a), a.requests_per_s
    processes = (proxy_cores(units, a) + recorder_cores(units, a)) / busy
    found = [
        Limit(
            "one proxy process", rate * busy / proxy_cores(units, a), "more processes, more hosts: nothing is shared"
        ),
        Limit(
            "the recorder of one folder",
            rate * busy / recorder_cores(units, a),
            "more folders: each with its proxies and its recorder",
        ),
        Limit(
            "the controller that leads",
            rate * busy / controller_cores(units, a),
            "send fewer users through, mirror less; a store for each experiment",
        ),
        Limit(
            f"PostgreSQL's connections ({a.max_connections})",
            rate * (a.max_connections - CONNECTIONS_OF_CONTROLLER) / processes,
            "`max_connections`; PgBouncer before the proxies",
        ),
        Limit(
            f"PostgreSQL's log ({a.log_mb_per_s:g} MB/s)",
            rate * a.log_mb_per_s / log_mb_per_s(units, a),
            'send fewer users through; `capture = "none"`; a store for each experiment',
        ),
        Limit(
            f"PostgreSQL's CPU ({a.database_cores} cores)",
            rate * a.database_cores * busy / sum(database_cores(units, a).values()),
            "send fewer users through; a store for each experiment",
        ),
    ]
    return sorted(found, key=lambda limit: limit.requests_per_s)


def _busy(a: Assumptions) -> float:
    return a.busy_percent / 100
