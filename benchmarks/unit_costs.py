"""Measures what one unit costs, for `benchmarks.fleet`: each by the parts of Touchstone that do it, in CPU time.

Where the machine is busy with other things, CPU moves by a few tens of percent, and times by the clock by much more.
"""

from __future__ import annotations

import os
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

from msgspec.structs import replace
from rich.console import Console
from sqlalchemy import Engine, text

from benchmarks.database_server import DatabaseServer
from benchmarks.fleet import UnitCosts
from benchmarks.pollers import Plan, poll, prepared
from benchmarks.recorder import emptied, exchange
from benchmarks.scaling_page import where_and_when
from benchmarks.serving_costs import serving
from experiments.config import Config, load
from experiments.config.records import Experiment
from experiments.controller import Controller
from experiments.evaluation.ledger import Ledger
from experiments.journal.format import SUFFIX
from experiments.journal.recorder import Recorder
from experiments.model import TREATMENT, Exchange, Role
from experiments.privacy.keeping import without_text
from experiments.scoring.experiment_scorer import score_pending, scorers_of
from experiments.store import Store, StoredExchange, open_store
from router.journal import Journal

_CONFIG = """
[router]
database = "{database}"
journal = "{journal}"
look_interval_s = 1.0
[backends.original]
url = "http://127.0.0.1:9"
[backends.small]
url = "http://127.0.0.1:9"
[experiments.support]
match = {{ path = "/v1/chat/completions", model = "support" }}
control = "original"
treatment = "small"
split_percent = 50
mirror_percent = 20
unit = "header:x-user-id"
slices = ["header:language", "header:tenant"]
[experiments.support.guardrails]
agreement = {{ scorer = "agreement", margin = 0.05 }}
errors = {{ max_relative = 1.5 }}
"""
_BEGUN_AT = 1.7e9
_UNITS = 5_000
_EVERY = 2
"""One request in so many is mirrored."""


class Writing(NamedTuple):
    """Of an exchange in the journal."""

    us: float
    size: float


class Loading(NamedTuple):
    """Of an exchange from the journal into a store."""

    recorder_us: float
    rows_per_s: float
    database_us: float
    stored_bytes: float
    log_bytes: float


class Judging(NamedTuple):
    """Of a pair: scored and folded, beside its two exchanges; and of a look at which nothing is new."""

    outcomes: float
    score_us: float
    score_database_us: float
    outcome_bytes: float
    look_ms: float
    fold_pair_us: float
    fold_pair_database_us: float


class Folding(NamedTuple):
    """Of an exchange that is no pair's: read and folded into a look."""

    fold_us: float
    fold_database_us: float
    unit_bytes: float
    """What stays in memory of a user."""


class Meter:
    """CPU of this process and of a database's server since it was made.

    Args:
        server: None where there is none to be metered.
    """

    def __init__(self, server: DatabaseServer | None) -> None:
        self._server = server
        self._own, self._theirs, self._at = time.process_time(), self._of_server(), time.perf_counter()

    def _of_server(self) -> float:
        return self._server.cpu_s() if self._server is not None else 0.0

    def read(self) -> tuple[float, float, float]:
        """Return seconds: this process's CPU, the server's CPU, and by the clock."""
        return time.process_time() - self._own, self._of_server() - self._theirs, time.perf_counter() - self._at


def exchanges(count: int, *, mirrored: bool = True) -> Iterator[Exchange]:
    """Yield so many exchanges of one experiment; every second request is mirrored to the other variant, or none is."""
    number, made = 0, 0
    while made < count:
        number += 1
        pair = mirrored and number % _EVERY == 0
        live = exchange(number, shadow=False)
        live = replace(live, unit=f"{number % _UNITS:048x}", pair=live.id if pair else "")
        yield live
        made += 1
        if pair:
            yield replace(
                live,
                id=f"{number:032x}s",
                role=Role.SHADOW,
                assigned=TREATMENT,
                served=TREATMENT,
                backend="small",
            )
            made += 1


def writing(folder: Path, made: list[Exchange], *, bare: bool = False) -> Writing:
    """Let the proxy's journal write exchanges into a new folder, with their texts or without."""
    journal = Journal(folder, keep=without_text if bare else None)
    meter = Meter(None)
    for one in made:
        journal.append(one)
    own_s, _, _ = meter.read()
    journal.close()
    size = sum(path.stat().st_size for path in folder.glob(f"*{SUFFIX}"))
    return Writing(own_s / len(made) * 1e6, size / len(made))


@contextmanager
def _opened(folder: Path, url: str) -> Iterator[tuple[Config, Store]]:
    """Give a new store, with the experiment begun in it, and its configuration; the folder `journal` is beside that."""
    path = folder / "config.toml"
    path.write_text(_CONFIG.format(database=url, journal=folder / "journal"), encoding="utf-8")
    config, store = load(path), open_store(url, "controller")
    try:
        Controller(config, store, Recorder(config, store)).start(_BEGUN_AT)
        yield config, store
    finally:
        store.close()


def loading(config: Config, store: Store, count: int) -> Loading:
    """Load the journal of a configuration into its store."""
    meter, log = Meter(DatabaseServer.behind(config.router.database)), _log_position(store.engine)
    Recorder(config, store).record()
    own_s, server_s, clock_s = meter.read()
    stored = sum(store.count_exchanges().values())
    if stored != count:
        raise RuntimeError(f"{count} exchanges were journalled and {stored} stored")
    log_bytes = _log_position(store.engine) - log
    size = _table_bytes(store.engine, "exchange") / count
    return Loading(own_s / count * 1e6, count / clock_s, server_s / count * 1e6, size, log_bytes / count)


def folding(config: Config, store: Store, count: int) -> Folding:
    """Look at exchanges of which none is mirrored."""
    first, rest = _looks(config, store)
    unit_bytes = _remembering(config.experiments["support"])
    return Folding((first[0] - rest[0]) / count * 1e6, (first[1] - rest[1]) / count * 1e6, unit_bytes)


def _remembering(experiment: Experiment, units: int = 100_000) -> float:
    """Return the bytes of memory that a ledger keeps of each unit."""
    ledger, one = Ledger(experiment), exchange(1, shadow=False)
    tracemalloc.start()
    ledger.add_exchanges(
        StoredExchange(seq=number, exchange=replace(one, unit=f"{number:048x}", pair="")) for number in range(units)
    )
    kept_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return kept_bytes / units


def judging(config: Config, store: Store, count: int, pairs: int, folded: Folding) -> Judging:
    """Score the pairs of a store, then look at them.

    Args:
        config: Of the experiment.
        store: What was loaded is in it.
        count: Exchanges in the store.
        pairs: Pairs among them.
        folded: What folding the exchanges themselves costs.
    """
    meter = Meter(DatabaseServer.behind(config.router.database))
    scored = score_pending(store, scorers_of(config))
    score_s, score_database_s, _ = meter.read()
    if scored != pairs:
        raise RuntimeError(f"{pairs} pairs were stored and {scored} scored")
    first, rest = _looks(config, store)
    outcomes = store.watermarks().outcome
    own_us, database_us = ((one - other) * 1e6 for one, other in zip(first, rest, strict=True))
    return Judging(
        outcomes=outcomes / pairs,
        score_us=score_s / pairs * 1e6,
        score_database_us=score_database_s / pairs * 1e6,
        outcome_bytes=_table_bytes(store.engine, "outcome") / outcomes,
        look_ms=rest[0] * 1e3,
        # Differences of measured figures: where they are small, noise may make them negative.
        fold_pair_us=max(0.0, own_us - count * folded.fold_us) / pairs,
        fold_pair_database_us=max(0.0, database_us - count * folded.fold_database_us) / pairs,
    )


def _looks(config: Config, store: Store) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return CPU seconds (controller's, database's) of a look at all that is there, and of one at nothing new."""
    server = DatabaseServer.behind(config.router.database)
    controller = Controller(config, store, Recorder(config, store))
    controller.start(_BEGUN_AT + 1)
    first, *rest = [_look(controller, server, _BEGUN_AT + 10 * number) for number in range(1, 7)]
    return first, (median(own for own, _ in rest), median(theirs for _, theirs in rest))


def _look(controller: Controller, server: DatabaseServer | None, now: float) -> tuple[float, float]:
    meter = Meter(server)
    if not controller.tick(now):
        raise RuntimeError("no look was taken")
    return meter.read()[:2]


def _table_bytes(engine: Engine, name: str) -> int:
    """Return the size of a table with its indexes and partitions; in SQLite, of the whole file."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            pages, size = (connection.execute(text(f"PRAGMA {p}")).scalar_one() for p in ("page_count", "page_size"))
            return int(pages * size)
        query = "SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree(:name)"
        return int(connection.execute(text(query), {"name": name}).scalar_one())


def _log_position(engine: Engine) -> int:
    if engine.dialect.name == "sqlite":
        return 0
    with engine.connect() as connection:
        return int(connection.execute(text("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn")).scalar_one())


def measure(postgres_url: str, out: Console, *, requests: int = 1_500, count: int = 12_000) -> UnitCosts:
    """Measure everything; prints what it found as it goes.

    Args:
        postgres_url: Of a PostgreSQL on this machine whose public schema may be dropped.
        out: Where the progress is told.
        requests: JSON requests a round.
        count: Exchanges that are journalled and loaded.
    """
    load_before = os.getloadavg()[0]
    made = list(exchanges(count))
    pairs = sum(one.role is Role.SHADOW for one in made)
    served = serving(out, requests)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with _loaded(folder / "bare", emptied(postgres_url), made, bare=True) as bare:
            pass
        with _loaded(folder / "sqlite", f"sqlite:///{name}/store.db", made) as sqlite:
            pass
        with _loaded(folder / "unmirrored", emptied(postgres_url), list(exchanges(count, mirrored=False))) as one:
            folded = folding(one.config, one.store, count)
        with _loaded(folder / "full", emptied(postgres_url), made) as full:
            judged = judging(full.config, full.store, len(made), pairs, folded)
        polled = poll(Plan(prepared(folder, emptied(postgres_url)), 8, 4.0))
    out.print(full.written, full.loaded, folded, judged)
    return UnitCosts(
        measured_on=where_and_when(load_before),
        **served._asdict(),
        journal_us=full.written.us,
        journal_bytes=full.written.size,
        journal_bare_bytes=bare.written.size,
        sqlite_recorder_us=sqlite.loaded.recorder_us,
        sqlite_rows_per_s=sqlite.loaded.rows_per_s,
        sqlite_bytes=sqlite.loaded.stored_bytes,
        recorder_us=full.loaded.recorder_us,
        rows_per_s=full.loaded.rows_per_s,
        load_us=full.loaded.database_us,
        exchange_bytes=full.loaded.stored_bytes,
        exchange_bare_bytes=bare.loaded.stored_bytes,
        wal_bytes=full.loaded.log_bytes,
        wal_bare_bytes=bare.loaded.log_bytes,
        **folded._asdict(),
        **judged._asdict(),
        poll_us=(polled.database_cpu_s or 0.0) / polled.polls * 1e6,
    )


class _Loaded(NamedTuple):
    """A store with what a journal held, and what it took."""

    config: Config
    store: Store
    written: Writing
    loaded: Loading


@contextmanager
def _loaded(folder: Path, url: str, made: list[Exchange], *, bare: bool = False) -> Iterator[_Loaded]:
    folder.mkdir()
    written = writing(folder / "journal", made, bare=bare)
    with _opened(folder, url) as (config, store):
        yield _Loaded(config, store, written, loading(config, store, len(made)))
