"""How long a rollback takes to reach every proxy: four of them, under load, on either database."""

import asyncio
import json
import urllib.request

import pytest

from experiments.model import TREATMENT


def roll_back(admin: str) -> None:
    body = json.dumps({"reason": "how long does it take"}).encode()
    headers = {"content-type": "application/json"}
    url = f"{admin}/api/v1/experiments/support/rollback"
    urllib.request.urlopen(urllib.request.Request(url, body, headers, method="POST"), timeout=10).read()


@pytest.mark.cluster
@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
async def test_a_second_after_a_rollback_no_proxy_gives_anyone_the_treatment(served, request, database: str) -> None:
    url = {} if database == "sqlite" else {"database": request.getfixturevalue("postgres_url")}
    router = served(workers=4, mirror=0, **url)
    sending = asyncio.ensure_future(router.send(1_000, per_second=200))
    await asyncio.sleep(1.5)

    await asyncio.to_thread(roll_back, router.admin)
    await asyncio.sleep(2.0)
    sending.cancel()
    await asyncio.sleep(1.0)
    answered = len(router.answered)
    router.wait_for(lambda: router.store.count_exchanges().get("live", 0) >= answered)

    committed_at = router.store.transitions("support")[-1].at
    rows = [row.exchange for row in router.store.exchanges("support", 1, 0, 10**9)]
    after = [e.at - committed_at for e in rows if e.at > committed_at]
    late = [e.at - committed_at for e in rows if e.assigned == TREATMENT]
    print(f"{database}: the last request to the treatment arrived {max(late):+.3f} s after the rollback")
    assert len(after) > 100, "the load went on"
    assert sum(late_s < 0 for late_s in late) > 50, "and had met the treatment before"
    assert max(late) <= 1.0
