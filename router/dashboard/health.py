"""How the proxies and the backends are, as the proxies themselves publish it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from experiments.config.serving import Backend
from experiments.model import Drain
from router.telemetry.metrics import endpoint_label
from router.telemetry.metrics_files import Published, Series
from router.upstream.endpoint import Condition


class EndpointHealth(NamedTuple):
    """One endpoint of a backend."""

    url: str
    """Without what may be secret in it."""
    states: dict[str, int]
    """State -> how many proxies see it so."""
    outstanding: int
    drain: Drain | None

    @property
    def tone(self) -> str:
        """`good`, `bad`, `waiting` (drained, or not known yet)."""
        if self.drain is not None or not self.states:
            return "waiting"
        if self.states.keys() & {Condition.UNHEALTHY, Condition.EJECTED}:
            return "bad"
        return "good" if self.states.keys() == {Condition.AVAILABLE} else "waiting"


class BackendHealth(NamedTuple):
    """A backend with its endpoints."""

    name: str
    protocol: str
    build: str
    endpoints: list[EndpointHealth]

    @property
    def tone(self) -> str:
        """That of its worst endpoint."""
        tones = {endpoint.tone for endpoint in self.endpoints}
        return next(tone for tone in ("bad", "waiting", "good") if tone in tones)


def backends_health(backends: Mapping[str, Backend], drains: list[Drain], published: Series) -> list[BackendHealth]:
    """Return all backends.

    Args:
        backends: As configured.
        drains: What gets no new requests.
        published: What the proxies say, added up.
    """
    states: dict[tuple[str, str], dict[str, int]] = {}
    for (backend_name, label, state), (count, *_) in published.get("touchstone_backend_endpoint_state", {}).items():
        if count:
            states.setdefault((backend_name, label), {})[state] = int(count)
    outstanding = published.get("touchstone_backend_outstanding_requests", {})

    def health(backend: Backend, url: str) -> EndpointHealth:
        label = endpoint_label(url)
        drain = next((d for d in drains if d.backend == backend.name and d.endpoint in {"", url}), None)
        out = outstanding.get((backend.name, label), [0.0])[0]
        return EndpointHealth(label, states.get((backend.name, label), {}), int(out), drain)

    return [
        BackendHealth(backend.name, backend.protocol, backend.build, [health(backend, url) for url in backend.urls])
        for backend in backends.values()
    ]


class ProxyHealth(NamedTuple):
    """One proxy process of this machine."""

    name: str
    """Host and process id."""
    tone: str
    says: str
    in_flight: int
    routes_age_s: float
    """Since it last read the routes from the store; what it serves is as old."""


def proxies_health(found: Sequence[Published]) -> list[ProxyHealth]:
    """Return the processes that have not come to their end."""
    return [_proxy(process) for process in found if not process.over]


def _proxy(process: Published) -> ProxyHealth:
    series = process.last.series() if process.last is not None else {}

    def gauge(name: str) -> float:
        return series.get(name, {}).get((), [0.0])[0]

    if not process.present:
        tone, says = "bad", "has said nothing for a while"
    elif gauge("touchstone_journal_shedding"):
        tone, says = "bad", "serves, and sheds recording"
    else:
        tone, says = "good", "serves"
    age_s = gauge("touchstone_routes_age_seconds")
    host, pid, _ = process.writer.split("~")
    return ProxyHealth(f"{host}, process {pid}", tone, says, int(gauge("touchstone_in_flight_requests")), age_s)


def proxies(published: Series) -> int:
    """Return how many proxies published within the last seconds."""
    return int(published.get("touchstone_proxies", {}).get((), [0.0])[0])
