"""Real pollers of the routes: processes that do what a proxy's `RouteWatcher` does, against a real store.

Each is a process of its own, with a store opened as a proxy opens it. They are forked, so that 64 of them need not
import everything anew; what is measured is read while all of them live.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from benchmarks.database_server import DatabaseServer
from experiments.config import Config, load
from experiments.controller import Controller
from experiments.journal.recorder import Recorder
from experiments.lifecycle import transition
from experiments.store import Store, open_store
from experiments.stored import RouteState
from router.routes import POLL_SECONDS, RouteWatcher

EXPERIMENTS = 10
CHANGED = "number-0"
"""The experiment whose route is changed to see how fast that is known."""
_HEAD = """
[router]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
database = "{database}"
journal = "journal"
[backends.original]
url = "http://127.0.0.1:9"
[backends.small]
url = "http://127.0.0.1:9"
"""
_EXPERIMENT = """
[experiments.number-{number}]
match = {{ path = "/v1/chat/completions", model = "model-{number}" }}
control = "original"
treatment = "small"
split_percent = 50
unit = "header:x-user-id"
[experiments.number-{number}.guardrails]
errors = {{ max_relative = 1.5 }}
"""


class Plan(NamedTuple):
    """What the pollers do."""

    config: Config
    pollers: int
    seconds: float
    wait_s: float = POLL_SECONDS
    """Between two polls; 0 to poll as fast as it goes."""


class _Said(NamedTuple):
    """What one poller has to tell."""

    durations_s: list[float]
    cpu_s: float
    seen: list[tuple[int, float]]
    """(split in basis points, wall-clock time) of each change of the route."""


class Polled(NamedTuple):
    """What all pollers of one run had to tell."""

    pollers: int
    seconds: float
    durations_s: list[float]
    """Of every poll, in ascending order."""
    cpu_s: float
    """Of all pollers."""
    database_cpu_s: float | None
    """Of the server; None where there is none to be metered."""
    last_s: list[float]
    """For each change of the route: from its commit until the last poller had it."""

    @property
    def polls(self) -> int:
        """How many there were."""
        return len(self.durations_s)


def prepared(folder: Path, url: str) -> Config:
    """Return a configuration of ten experiments whose routes are in the store at this URL."""
    path = folder / "config.toml"
    text_ = _HEAD.format(database=url) + "".join(_EXPERIMENT.format(number=n) for n in range(EXPERIMENTS))
    path.write_text(text_, encoding="utf-8")
    config = load(path)
    with _opened(config) as store:
        Controller(config, store, Recorder(config, store)).start(time.time())
    return config


@contextmanager
def _opened(config: Config) -> Iterator[Store]:
    store = open_store(config.router.database)
    try:
        yield store
    finally:
        store.close()


def poll(plan: Plan, changes: int = 0) -> Polled:
    """Let so many processes poll for so long, and change a route meanwhile.

    Args:
        plan: What they do.
        changes: How often a route is changed, at equal distances.
    """
    forking = multiprocessing.get_context("fork")
    barrier = forking.Barrier(plan.pollers + 1)
    pipes = [forking.Pipe(duplex=False) for _ in range(plan.pollers)]
    children = [forking.Process(target=_poller, args=(plan, barrier, sending), daemon=True) for _, sending in pipes]
    for child in children:
        child.start()
    server = DatabaseServer.behind(plan.config.router.database)
    barrier.wait(60)  # all are connected
    before = server.cpu_s() if server else 0.0
    barrier.wait(60)
    committed = list(_change(plan, changes))
    barrier.wait(plan.seconds + 60)  # all are done, and still connected
    database_s = server.cpu_s() - before if server else None
    barrier.wait(60)
    said: list[_Said] = [receiving.recv() for receiving, _ in pipes]
    for child in children:
        child.join()
    return _together(plan, said, committed, database_s)


def _together(
    plan: Plan, said: list[_Said], committed: list[tuple[int, float]], database_cpu_s: float | None
) -> Polled:
    times = [[_first_with(one.seen, split) for one in said] for split, _ in committed]
    # The last changes may have come too late for somebody.
    last_s = [max(filter(None, had)) - at for had, (_, at) in zip(times, committed, strict=True) if None not in had]
    return Polled(
        pollers=plan.pollers,
        seconds=plan.seconds,
        durations_s=sorted(duration for one in said for duration in one.durations_s),
        cpu_s=sum(one.cpu_s for one in said),
        database_cpu_s=database_cpu_s,
        last_s=last_s,
    )


def _first_with(seen: list[tuple[int, float]], split: int) -> float | None:
    """Return when a poller first had a change or a later one: splits rise; None if it never had."""
    return next((at for found, at in seen if found >= split), None)


def _change(plan: Plan, changes: int) -> Iterator[tuple[int, float]]:
    """Change a route so often, within the plan's time; yields its split and when it was committed."""
    if not changes:
        return
    with _opened(plan.config) as store:
        for split in range(1, changes + 1):
            # Not in step with anybody's polls.
            time.sleep((plan.seconds - 1.0) / changes - 0.1 * random.random())
            now, state = time.time(), store.route_states()[CHANGED]
            route = replace(state.route, split_basis_points=split)
            change = transition(state.route, route, at=now, actor="benchmark", reason="a change")
            after = RouteState(route=route, epoch_started_at=now, stage_started_at=now)
            if not store.move(state.route, change, after):
                raise RuntimeError(f"the route of {CHANGED} was changed by somebody else")
            yield split, time.time()


def _poller(plan: Plan, barrier: Barrier, sending: Connection) -> None:
    store = open_store(plan.config.router.database, "proxy")
    watcher = RouteWatcher(plan.config, store.routes, also=lambda: _read(store))
    watcher.refresh()
    barrier.wait(60)
    barrier.wait(60)
    said = _polling(plan, watcher)
    barrier.wait(60)
    barrier.wait(60)
    store.close()
    sending.send(said)


def _read(store: Store) -> None:
    """Read what a proxy reads beside the routes."""
    store.drains()


def _polling(plan: Plan, watcher: RouteWatcher) -> _Said:
    generator = random.Random(os.getpid())
    time.sleep(generator.random() * plan.wait_s)
    durations: list[float] = []
    seen: list[tuple[int, float]] = []
    table, cpu_s, until = watcher.table, time.process_time(), time.monotonic() + plan.seconds
    while time.monotonic() < until:
        begun = time.perf_counter()
        watcher.refresh()
        durations.append(time.perf_counter() - begun)
        if watcher.table is not table:
            table = watcher.table
            bound = table.member(CHANGED, "")
            seen.append((bound.route.split_basis_points if bound else -1, time.time()))
        if plan.wait_s:
            time.sleep(plan.wait_s)
    if watcher.age_s > 1 + plan.wait_s:
        raise RuntimeError(f"the store could not be read for {watcher.age_s:.1f} s")
    return _Said(durations, time.process_time() - cpu_s, seen)


def connecting_cpu_s(url: str, times: int = 100) -> float | None:
    """Return the server's CPU for one connection of a proxy, opened and closed; None where it cannot be metered."""
    server = DatabaseServer.behind(url)
    if server is None:
        return None
    before = server.cpu_s()
    for _ in range(times):
        store = open_store(url, "proxy")
        store.routes()
        store.close()
    time.sleep(0.5)  # a server process ends a moment after its connection
    return (server.cpu_s() - before) / times
