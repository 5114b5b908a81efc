"""How backends and proxies are, from what the proxies publish."""

from experiments.config.serving import Backend
from experiments.model import Drain
from router.dashboard.health import backends_health, proxies, proxies_health
from router.telemetry.metrics_files import Published, Snapshot

BACKENDS = {
    "original": Backend(name="original", urls=("http://user:secret@gpu-1:8000",)),
    "int4": Backend(name="int4", urls=("http://gpu-2:8000", "http://gpu-3:8000")),
}


def state(*rows: tuple[str, str, str, float]) -> dict:
    return {"touchstone_backend_endpoint_state": {row[:3]: [row[3]] for row in rows}}


def test_a_backend_is_as_its_worst_endpoint() -> None:
    published = state(
        ("original", "gpu-1:8000", "available", 2.0),
        ("int4", "gpu-2:8000", "available", 2.0),
        ("int4", "gpu-3:8000", "available", 1.0),
        ("int4", "gpu-3:8000", "ejected", 1.0),
    )

    original, int4 = backends_health(BACKENDS, [], published)

    assert (original.tone, int4.tone) == ("good", "bad")
    assert int4.endpoints[1].states == {"available": 1, "ejected": 1}


def test_what_nobody_has_said_is_not_good() -> None:
    assert [backend.tone for backend in backends_health(BACKENDS, [], {})] == ["waiting", "waiting"]
    assert proxies({}) == 0


def test_a_state_that_no_proxy_is_in_any_more_does_not_count() -> None:
    published = state(("original", "gpu-1:8000", "available", 2.0), ("original", "gpu-1:8000", "ejected", 0.0))

    assert backends_health(BACKENDS, [], published)[0].tone == "good"


def test_a_drain_of_all_endpoints_or_of_one_is_told() -> None:
    drains = [
        Drain(backend="int4", endpoint="http://gpu-3:8000", since=1.0, actor="asha"),
        Drain(backend="original", since=1.0, actor="asha"),
    ]

    original, int4 = backends_health(BACKENDS, drains, {})

    assert original.endpoints[0].drain == drains[1]
    assert [endpoint.drain for endpoint in int4.endpoints] == [None, drains[0]]


def test_no_password_of_an_address_is_shown() -> None:
    assert backends_health(BACKENDS, [], {})[0].endpoints[0].url == "gpu-1:8000"


def published(*, present: bool = True, over: bool = False, shedding: float = 0.0) -> Published:
    rows = {
        "touchstone_journal_shedding": [((), [shedding])],
        "touchstone_in_flight_requests": [((), [3.0])],
        "touchstone_routes_age_seconds": [((), [0.2])],
    }
    return Published("gpu-host~4711~1700", Snapshot(sequence=1, rows=rows), over, present, ())


def test_each_proxy_says_how_it_is_and_one_that_has_ended_is_no_more() -> None:
    found = proxies_health([published(), published(shedding=1.0), published(present=False), published(over=True)])

    assert [(proxy.tone, proxy.says) for proxy in found] == [
        ("good", "serves"),
        ("bad", "serves, and sheds recording"),
        ("bad", "has said nothing for a while"),
    ]
    assert (found[0].name, found[0].in_flight, found[0].routes_age_s) == ("gpu-host, process 4711", 3, 0.2)


def test_a_proxy_whose_figures_cannot_be_read_is_told_all_the_same() -> None:
    unread = Published("gpu-host~4711~1700", None, over=False, present=False, paths=())

    assert proxies_health([unread])[0].tone == "bad"
