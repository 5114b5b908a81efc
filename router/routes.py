"""The route table: which experiment a request belongs to, and its split right now. Immutable, swapped whole.

The watcher polls the store four times a second. While the store is away, the last good routes hold; before it was ever
read, every experiment is served by control.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import structlog

from experiments.assignment import cohort
from experiments.config.records import Config, Experiment, Source
from experiments.model import Phase, Route
from experiments.protocols import Protocol, body_field, protocol

_log = structlog.get_logger(__name__)
POLL_SECONDS = 0.25
Headers = Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True)
class BoundRoute:
    """An experiment with its route, in the form that the hot path wants."""

    experiment: Experiment
    route: Route
    protocol: Protocol
    model: str | None
    headers: tuple[tuple[bytes, bytes], ...]
    cohorts: tuple[BoundRoute, ...] = ()
    """If several experiments divide the units of these requests among them: all of them, in order."""

    def matches(self, headers: Headers, model: str | None) -> bool:
        """Whether a request on this route's path belongs to the experiment."""
        if self.model is not None and self.model != model:
            return False
        return not self.headers or all(headers.get(name) == value for name, value in self.headers)


class Found(NamedTuple):
    """Where a request belongs, and whose it is."""

    bound: BoundRoute
    unit_id: str
    """As the request says it; the exchange's id where it says nothing."""


class RouteTable:
    """All experiments by path.

    Args:
        config: The experiments.
        routes: The rows of the store; an experiment without one is served by control.
    """

    def __init__(self, config: Config, routes: Sequence[Route] = ()) -> None:
        rows = {route.experiment: route for route in routes}
        self._by_path: dict[str, list[BoundRoute]] = {}
        bound = [_bind(config, e, rows.get(e.name) or _control_only(e)) for e in config.experiments.values()]
        for route in _grouped(bound):
            self._by_path.setdefault(route.experiment.match.path, []).append(route)
        self._by_name = {route.experiment.name: route for route in bound}
        for route in _grouped(bound):
            if route.experiment.cohort is not None:
                self._by_name[route.experiment.cohort.group] = route
        self.paths = tuple(self._by_path)
        self._by_model = frozenset(path for path, found in self._by_path.items() if any(c.model for c in found))
        self._reading = frozenset(path for path, found in self._by_path.items() if any(map(_reads_body, found)))

    def reads_body(self, path: str) -> bool:
        """Whether a rule for this path looks into the body, which then must be held whole."""
        return path in self._reading

    def find(self, path: str, headers: Headers, body: bytes, exchange_id: str) -> Found | None:
        """Return the experiment that a request belongs to, and the unit that it comes from.

        The body is looked into only where a rule asks for it.
        """
        candidates = self._by_path.get(path)
        if not candidates:
            return None
        model = candidates[0].protocol.peek(body).model if path in self._by_model else None
        for bound in candidates:
            if bound.matches(headers, model):
                unit_id = read_source(bound.experiment.unit, headers, body) or exchange_id
                return Found(_of_cohort(bound, unit_id) if bound.cohorts else bound, unit_id)
        return None

    def member(self, name: str, unit_id: str) -> BoundRoute | None:
        """Return the experiment of this name; of a group's name, the member that the unit belongs to."""
        bound = self._by_name.get(name)
        return _of_cohort(bound, unit_id) if bound is not None and bound.cohorts else bound


def _grouped(routes: Sequence[BoundRoute]) -> list[BoundRoute]:
    """Return one route for each group, which carries all of its members; single experiments stay as they are."""
    found: list[BoundRoute] = []
    for bound in routes:
        own = bound.experiment.cohort
        if own is None:
            found.append(bound)
        elif own.index == 0:
            members = [other for other in routes if (its := other.experiment.cohort) and its.group == own.group]
            members.sort(key=lambda member: member.experiment.cohort.index if member.experiment.cohort else 0)
            found.append(replace(bound, cohorts=tuple(members)))
    return found


def _of_cohort(bound: BoundRoute, unit_id: str) -> BoundRoute:
    own = bound.experiment.cohort
    return bound.cohorts[cohort(own.salt, unit_id.encode(), own.count)] if own else bound


def _reads_body(bound: BoundRoute) -> bool:
    experiment = bound.experiment
    sources = [experiment.unit, *(slice_.source for slice_ in experiment.slices)]
    return bound.model is not None or experiment.cache is not None or any(s.kind == "body" for s in sources)


def _control_only(experiment: Experiment) -> Route:
    return Route(experiment=experiment.name, phase=Phase.DRAFT, salt=experiment.salt)


def _bind(config: Config, experiment: Experiment, route: Route) -> BoundRoute:
    match = experiment.match
    headers = tuple((name.encode(), value.encode()) for name, value in match.headers.items())
    speaks = protocol(config.backends[experiment.control].protocol)
    return BoundRoute(experiment, route, speaks, match.model, headers)


def read_source(source: Source, headers: Headers, body: bytes) -> str | None:
    """Return the value that a source of the configuration names in this request, or None."""
    if source.kind == "header":
        value = headers.get(source.name.encode())
        return value.decode("utf-8", "replace") if value else None
    if source.kind == "cookie":
        return _cookie(headers.get(b"cookie", b""), source.name)
    return body_field(body, source.name) if source.kind == "body" else None


def _cookie(header: bytes, wanted: str) -> str | None:
    for part in header.decode("latin-1").split(";"):
        name, _, value = part.strip().partition("=")
        if name.lower() == wanted:
            return value.strip('"') or None
    return None


class RouteWatcher:
    """Keeps `table` current.

    Args:
        config: The experiments.
        load: Reads the route rows; may raise.
        poll_seconds: How often.
        also: Done after each reading, under the same guard: takes up what else the store says.
    """

    def __init__(
        self,
        config: Config,
        load: Callable[[], Sequence[Route]],
        poll_seconds: float = POLL_SECONDS,
        also: Callable[[], None] = lambda: None,
    ) -> None:
        self._config = config
        self._load = load
        self._also = also
        self._poll_seconds = poll_seconds
        self._rows: list[Route] | None = None
        self._failing = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="routes", daemon=True)
        self.table = RouteTable(config)
        self._read_at = time.monotonic()

    @property
    def age_s(self) -> float:
        """Seconds since the store was last read; since the start, if it never was."""
        return time.monotonic() - self._read_at

    @property
    def loaded(self) -> bool:
        """Whether the store was read at least once."""
        return self._rows is not None

    def start(self) -> None:
        """Read once, then go on in a thread."""
        self.refresh()
        self._thread.start()

    def close(self) -> None:
        """Stop the thread."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def refresh(self) -> None:
        """Read the rows and swap the table if they changed; on any failure the last good table stays."""
        try:
            rows = list(self._load())
            self._take(rows)
            self._also()
        except Exception as error:  # noqa: BLE001  # whatever the store does, traffic goes on
            if not self._failing:
                _log.warning("routes_unreadable", error=type(error).__name__, keeping="the last good routes")
            self._failing = True
            return
        self._failing = False
        self._read_at = time.monotonic()

    def _take(self, rows: list[Route]) -> None:
        if rows != self._rows:
            self._rows = rows
            self.table = RouteTable(self._config, rows)

    def _watch(self) -> None:
        while not self._stop.wait(self._poll_seconds):
            self.refresh()
