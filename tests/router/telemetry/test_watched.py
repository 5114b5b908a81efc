"""What a running proxy publishes of itself, read back from its files as the admin port does."""

import asyncio
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from experiments.config.serving import Cache, ClientLimits
from router.admin.metrics import render
from router.fakes.backend import Behaviour

CHAT = "/v1/chat/completions"


async def ask(url: str, body: bytes = b'{"messages": [{"content": "a"}], "temperature": 0}') -> int:
    async with (
        aiohttp.ClientSession() as session,
        session.post(url + CHAT, data=body, headers={"x-user-id": "u"}) as response,
    ):
        await response.read()
        return response.status


def figures(folder: Path) -> dict[tuple[str, ...], float]:
    """Name and label values -> value."""
    families = text_string_to_metric_families(render(folder).decode())
    return {(s.name, *sorted(s.labels.values())): s.value for family in families for s in family.samples}


async def test_what_went_through_is_counted_with_who_answered_and_why(plane) -> None:
    running = plane(split=100, mirror=100, cache=Cache(), settings={"max_body_bytes": 1000})
    for _ in range(2):
        await ask(running.url)
    running.treatment.behaviour = Behaviour(status=500)
    await ask(running.url, b'{"messages": [{"content": "b"}]}')
    assert await ask(running.url, b"x" * 2000) == 413
    running.exchanges(3, "shadow")

    running.app.metrics.publish()
    found = figures(running.folder)

    def total(name: str, **labels: str) -> float:
        return sum(v for (n, *rest), v in found.items() if n == name and set(labels.values()) <= set(rest))

    assert total("touchstone_requests_total", role="live") == 3
    assert total("touchstone_requests_total", role="live", fallback="status", variant="control") == 1
    assert total("touchstone_cached_requests_total") == 1
    assert total("touchstone_cache_hits_total") == 1
    assert found["touchstone_refused_requests_total", "body_bytes"] == 1
    assert found["touchstone_journal_records_total",] == 6
    assert found["touchstone_in_flight_requests",] == 0
    assert found["touchstone_proxies",] == 1
    states = [key for key in found if key[0] == "touchstone_backend_endpoint_state"]
    assert len(states) == 2
    assert all("available" in key for key in states)


async def test_an_endpoint_that_is_left_out_and_requests_over_a_limit_are_seen(plane) -> None:
    running = plane(split=0, settings={"clients": ClientLimits(max_in_flight=1)})
    running.control.behaviour = Behaviour(status=500)
    for _ in range(5):
        await ask(running.url)
    running.control.behaviour = Behaviour(delay_ms=1_000)
    statuses = await asyncio.gather(*(ask(running.url) for _ in range(3)))

    running.app.metrics.publish()
    found = figures(running.folder)

    assert sorted(statuses) == [200, 503, 503]
    assert found["touchstone_refused_requests_total", "in_flight"] == 2
    of_control = {key: value for key, value in found.items() if "original" in key}
    assert [v for k, v in of_control.items() if k[0] == "touchstone_backend_ejections_total"] == [1]
    assert [k for k in of_control if k[0] == "touchstone_backend_endpoint_state" and "available" in k] == []


@pytest.mark.parametrize("name", ["touchstone_requests_total", "touchstone_nonsense"])
def test_only_a_known_counter_or_gauge_can_be_watched(tmp_path: Path, name: str) -> None:
    from router.telemetry.metrics import BY_NAME, Metrics  # noqa: PLC0415

    metrics = Metrics(tmp_path)
    if name in BY_NAME:
        metrics.watch(name, lambda: 1)
    else:
        with pytest.raises(ValueError, match="no counter"):
            metrics.watch(name, lambda: 1)
