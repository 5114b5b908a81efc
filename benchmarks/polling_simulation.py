"""SIMULATED: how long a decision takes to reach the last of many proxies, which poll as `router.routes` does. Pure.

Each proxy polls, waits the interval after the answer, and polls again; their phases are random. The database is so many
cores with one queue, first come first served; what a poll costs it is measured elsewhere and handed in. A poll sees the
decision if the database begins it after the commit, and the proxy acts on it when the poll is over. Events are taken in
the order of their arrival at the database, from a heap.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from router.routes import POLL_SECONDS

WARM_UP_S = 3.0
"""Before the decision, so that the queue is what it is in the long run."""
CONNECT_TIMEOUT_S = 5.0
"""After which a proxy gives up connecting (`experiments.engines`)."""


class Polling(NamedTuple):
    """Who polls what."""

    proxies: int
    poll_cpu_s: float
    """Of the database, for one poll."""
    connect_cpu_s: float
    """Of the database, for a new connection."""
    elsewhere_s: Sequence[float]
    """What a poll takes beside the database's work (the proxy's own, the way there and back): values to draw from."""
    cores: int = 2
    """Of the database."""
    wait_s: float = POLL_SECONDS
    """From one poll's end to the next one's begin."""


class Trouble(NamedTuple):
    """What is wrong around the decision, which is committed at time 0."""

    cut_off_share: float = 0.0
    """Of the proxies: their packets to the database are dropped."""
    heals_s: float = float("inf")
    """When they are cut off no more."""
    restart_s: float = 0.0
    """How long the database is away, from the commit on; all connections are gone afterwards."""


ALL_IS_WELL = Trouble()


class Reached(NamedTuple):
    """What came of one decision."""

    times_s: tuple[float, ...]
    """From the commit until a proxy acts on it, in ascending order; only of those that learn of it."""
    never: int
    """Proxies that are cut off for good."""
    busy: float
    """Share of the database's cores that polls took."""

    @property
    def last_s(self) -> float:
        """When the last of those that learn of it has it."""
        return self.times_s[-1] if self.times_s else float("nan")


@dataclass
class _Run:
    polling: Polling
    trouble: Trouble
    rng: random.Random
    free: list[float] = field(default_factory=list)
    """When each of the database's cores is free; a heap."""
    arrivals: list[tuple[float, int]] = field(default_factory=list)
    """(time, proxy) of polls on their way to the database; a heap."""
    busy_s: float = 0.0
    connected: set[int] = field(default_factory=set)
    cut_off: frozenset[int] = frozenset()

    def begin(self, proxy: int, at_s: float) -> None:
        """Let a proxy poll at a time; while it is cut off, its attempts run into the time limit."""
        if proxy in self.cut_off and at_s < self.trouble.heals_s:
            if self.trouble.heals_s == float("inf"):
                return
            # Packets that are sent again may come through earlier; that is left out, so the time is an upper one.
            at_s = self.trouble.heals_s + self.rng.random() * (CONNECT_TIMEOUT_S + self.polling.wait_s)
        heapq.heappush(self.arrivals, (at_s + self.rng.choice(self.polling.elsewhere_s) / 2, proxy))

    def serve(self, at_s: float, proxy: int) -> tuple[float, bool]:
        """Answer the poll that arrives; returns when the proxy has the answer, and whether it tells the decision."""
        back_s = self.rng.choice(self.polling.elsewhere_s) / 2
        begun_s = max(at_s, self.free[0])
        if 0 <= begun_s < self.trouble.restart_s:
            return max(0.0, at_s) + back_s, False
        heapq.heappop(self.free)
        cost_s = self.polling.poll_cpu_s + (0.0 if proxy in self.connected else self.polling.connect_cpu_s)
        heapq.heappush(self.free, begun_s + cost_s)
        self.busy_s += cost_s
        self.connected.add(proxy)
        return begun_s + cost_s + back_s, begun_s >= 0


def reach(polling: Polling, trouble: Trouble, seed: int) -> Reached:
    """Simulate one decision.

    Args:
        polling: Who polls what.
        trouble: What is wrong meanwhile.
        seed: Of the phases, of the times elsewhere and of who is cut off.
    """
    rng = random.Random(seed)
    proxies = range(polling.proxies)
    cut_off = frozenset(rng.sample(proxies, round(trouble.cut_off_share * polling.proxies)))
    run = _Run(polling, trouble, rng, free=[-WARM_UP_S] * polling.cores, cut_off=cut_off)
    run.connected.update(p for p in proxies if p not in cut_off)
    for proxy in proxies:
        run.begin(proxy, -WARM_UP_S + rng.random() * polling.wait_s)
    known = _until_known(run)
    spent_s = max(known.values(), default=0.0) + WARM_UP_S
    never = polling.proxies - len(known)
    return Reached(tuple(sorted(known.values())), never, run.busy_s / (spent_s * polling.cores))


def _until_known(run: _Run) -> dict[int, float]:
    """Play until everybody who can learn of the decision has; returns proxy -> when."""
    known: dict[int, float] = {}
    expected, restarted = len({proxy for _, proxy in run.arrivals}), run.trouble.restart_s == 0
    while len(known) < expected:
        at_s, proxy = heapq.heappop(run.arrivals)
        if not restarted and at_s >= run.trouble.restart_s:
            restarted = True
            run.connected.clear()
            run.free = [run.trouble.restart_s] * run.polling.cores
        answered_s, told = run.serve(at_s, proxy)
        if told:
            known.setdefault(proxy, answered_s)
        run.begin(proxy, answered_s + run.polling.wait_s)
    return known


def many(polling: Polling, trouble: Trouble, *, times: int, seed: int = 0) -> list[Reached]:
    """Simulate a decision so many times, each with other phases."""
    return [reach(polling, trouble, seed + number) for number in range(times)]
