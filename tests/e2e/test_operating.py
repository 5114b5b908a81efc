"""What an operator does to a running router: drain a backend, look at the metrics, ask why it is not ready."""

import json
import urllib.request

from experiments.model import CONTROL, TREATMENT
from experiments.store import Store


def call(url: str, method: str, body: dict[str, str] | None = None) -> int:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=10) as response:
        return int(response.status)


def stored(store: Store, count: int) -> list[tuple[str, str, str]]:
    """Assigned, served and fallback of the newest live exchanges."""
    rows = [row.exchange for row in store.exchanges("support", 1, 0, 10**9) if row.exchange.role == "live"]
    newest = sorted(rows, key=lambda e: e.at)[-count:]
    return [(e.assigned, e.served, e.fallback) for e in newest]


async def test_a_drained_treatment_costs_no_user_an_answer_and_says_nothing_of_its_quality(served) -> None:
    router = served(ramp=[50], mirror=100)
    await router.send(20)
    before = router.treatment.counts["/v1/chat/completions"]

    assert call(f"{router.admin}/api/v1/backends/small/drain", "POST", {"reason": "new weights"}) == 200
    drained = router.wait_for(lambda: b'state="drained"' in metrics(router.admin))
    reached = router.treatment.counts["/v1/chat/completions"]
    await router.send(40, first=100)
    answered = len(router.answered)
    assert call(f"{router.admin}/api/v1/backends/small/drain", "DELETE") == 204
    lifted = router.wait_for(lambda: b'state="drained"' not in metrics(router.admin))
    await router.send(20, first=200)
    router.wait_for(lambda: router.store.count_exchanges().get("live") == 80)

    [backend] = [b for b in router.get("/api/v1/backends") if b["name"] == "small"]
    assert (drained, lifted, answered, backend["drains"]) == (True, True, 60, [])
    assert before > 0
    assert router.treatment.counts["/v1/chat/completions"] > reached
    fallbacks = {row for row in stored(router.store, 80) if row[2]}
    assert fallbacks == {(TREATMENT, CONTROL, "drained")}
    assert router.phase() == "running"


def metrics(admin: str) -> bytes:
    with urllib.request.urlopen(f"{admin}/metrics", timeout=10) as response:
        return bytes(response.read())


async def test_the_metrics_of_all_proxies_are_one_page(served) -> None:
    router = served(workers=2)
    await router.send(60)

    def total() -> float:
        lines = metrics(router.admin).decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("touchstone_requests_total{"))

    assert router.wait_for(lambda: total() >= 60)
    assert b"\ntouchstone_proxies 2.0\n" in metrics(router.admin)
