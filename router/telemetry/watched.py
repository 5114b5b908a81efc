"""The figures that are kept elsewhere in a proxy, and where `router.telemetry.metrics` reads them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from experiments.model import CONTROL, TREATMENT
from router.proxy import Proxy
from router.telemetry.metrics import Labels, Metrics, endpoint_label
from router.upstream.upstream import Upstream


def watch_proxy(metrics: Metrics, proxy: Proxy, refused_elsewhere: Iterable[Mapping[str, int]]) -> None:
    """Publish what the proxy counts.

    Args:
        metrics: Where.
        proxy: Of this process.
        refused_elsewhere: Further counts of refused requests, by reason.
    """

    def refused() -> Mapping[Labels, float]:
        total: Counter[str] = Counter()
        for counts in (proxy.refused, *refused_elsewhere):
            total.update(counts)
        return {(reason,): float(count) for reason, count in total.items()}

    services = proxy.services
    metrics.watch("touchstone_in_flight_requests", lambda: proxy.in_flight)
    metrics.watch("touchstone_held_request_bytes", lambda: proxy.bodies.held_bytes)
    metrics.watch("touchstone_refused_requests_total", refused)
    metrics.watch("touchstone_shadow_in_flight_requests", lambda: len(services.shadows))
    metrics.watch("touchstone_shadow_shed_total", lambda: services.shadows.shed)
    metrics.watch("touchstone_retries_refused_total", lambda: services.budget.exhausted)
    metrics.watch("touchstone_cache_hits_total", lambda: _by_variant(proxy, "hits"))
    metrics.watch("touchstone_cache_misses_total", lambda: _by_variant(proxy, "misses"))
    metrics.watch(
        "touchstone_cache_bytes", lambda: {(name,): float(cache.bytes) for name, cache in proxy.caches.items()}
    )


def _by_variant(proxy: Proxy, figure: str) -> Mapping[Labels, float]:
    counts = {experiment: getattr(cache, figure) for experiment, cache in proxy.caches.items()}
    # Both from the first scrape on: a rate needs the 0 that it rises from.
    return {(name, variant): float(of[variant]) for name, of in counts.items() for variant in (CONTROL, TREATMENT)}


def watch_upstreams(metrics: Metrics, upstreams: Iterable[Upstream]) -> None:
    """Publish how the endpoints of all backends are."""
    upstreams = list(upstreams)
    endpoints = [endpoint for upstream in upstreams for endpoint in upstream.endpoints]
    metrics.watch(
        "touchstone_backend_sent_again_total",
        lambda: {(upstream.name,): float(upstream.sent_again) for upstream in upstreams if upstream.has_spot},
    )
    labels = {id(endpoint): (endpoint.backend, endpoint_label(endpoint.url)) for endpoint in endpoints}
    metrics.watch(
        "touchstone_backend_outstanding_requests",
        lambda: {labels[id(endpoint)]: float(endpoint.outstanding) for endpoint in endpoints},
    )
    metrics.watch(
        "touchstone_backend_ejections_total",
        lambda: {labels[id(endpoint)]: float(endpoint.breaker.ejections) for endpoint in endpoints},
    )
    metrics.watch(
        "touchstone_backend_endpoint_state",
        lambda: {(*labels[id(endpoint)], endpoint.condition.value): 1.0 for endpoint in endpoints},
    )
