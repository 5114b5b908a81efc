"""The cache, warm-up and the ledger of what was saved, through `touchstone serve`. Spot: `test_spot_pools`."""

from __future__ import annotations

import json
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import typer
from typer.testing import CliRunner

from router.commandline.savings import savings
from router.fakes.backend import Behaviour

CHAT = "/v1/chat/completions"
LEVERS = """
[experiments.support.cache]
ttl_s = 60
[backends.small.warmup]
requests = "warmup.jsonl"
[backends.original.power]
watts = 700
concurrency = 4
carbon_g_per_kwh = 713
[backends.small.power]
watts = 350
concurrency = 4
carbon_g_per_kwh = 713
"""
PRICE = {"control": 1.0, "treatment": 0.5}
TOKENS = 2 + 3
"""Of `question N`, answered by `echo: question N`."""


async def _ask(session: aiohttp.ClientSession, url: str, number: int) -> bool:
    """Ask one of twenty questions; returns whether the answer was a repeated one."""
    content = f"question {number % 20}"
    body = {"model": "support", "temperature": 0, "messages": [{"role": "user", "content": content}]}
    async with session.post(url + CHAT, json=body, headers={"x-user-id": f"user-{number}"}) as response:
        assert (await response.json())["choices"][0]["message"]["content"] == f"echo: {content}"
        return "age" in response.headers


def _projections(running: Any) -> list[dict[str, Any]]:
    return list(running.get("/api/v1/experiments")[0]["savings"]["projections"])


def _ledger(config: Path) -> dict[str, Any]:
    app = typer.Typer()
    app.command()(savings)
    said = CliRunner().invoke(app, ["support", "--json", "--config", str(config)])
    assert said.exit_code == 0, said.output
    return json.loads(said.output)[0]


async def test_the_levers_work_and_what_they_save_is_told_by_variant(served, tmp_path: Path) -> None:
    hello = {"model": "support", "messages": [{"role": "user", "content": "hello"}]}
    (tmp_path / "warmup.jsonl").write_text(json.dumps({"path": CHAT, "body": hello}) + "\n")
    running = served(mirror=100, extra=LEVERS, treatment_behaviour=Behaviour(cold_start_ms=300))

    async with aiohttp.ClientSession() as session:
        repeated = [await _ask(session, running.url, number) for number in range(120)]
    running.wait_for(lambda: all(one["per_month"] is not None for one in _projections(running)), 20)
    running.wait_for(lambda: running.store.count_exchanges("support").get("live") == 120)
    found = _ledger(running.config)

    assert running.treatment.met_cold == [b"touchstone-warmup"], "no user waited for a cold backend"
    variants = {one["variant"]: one for one in found["account"]["variants"]}
    assert sum(one["answers"] for one in variants.values()) == 120
    assert sum(one["repeated"] for one in variants.values()) == sum(repeated) >= 80
    for variant, one in variants.items():
        assert one["cache_saved"]["usd"] == pytest.approx(one["repeated"] * TOKENS * PRICE[variant] / 1e6)
        assert one["spent"]["usd"] == pytest.approx((one["answers"] - one["repeated"]) * TOKENS * PRICE[variant] / 1e6)
    assert [one["unit"] for one in found["projections"]] == ["USD", "GPU-hours", "kWh", "g CO2e"]
    assert all(one["per_month"] is not None for one in found["projections"]), found["projections"]
    money = found["projections"][0]
    assert money["so_far"] == pytest.approx(variants["treatment"]["spent"]["usd"]), "it costs half of what control does"
    assert found["grid"] == ["control (original): 713 g CO2e/kWh", "treatment (small): 713 g CO2e/kWh"]
    _is_told_everywhere(running, variants)


def _is_told_everywhere(running: Any, variants: dict[str, Any]) -> None:
    """By Prometheus, the admin API and the dashboard, as by the command."""
    [status] = running.get("/api/v1/experiments")
    assert status["savings"]["account"]["variants"] == list(variants.values())
    running.wait_for(lambda: sum(_metric(running, "touchstone_cache_hits_total").values()) > 0, 10)
    assert _metric(running, "touchstone_cache_hits_total") == Counter(
        {variant: float(one["repeated"]) for variant, one in variants.items()}
    )
    saved = _metric(running, "touchstone_cache_saved_usd")
    assert saved == pytest.approx({variant: one["cache_saved"]["usd"] for variant, one in variants.items()})
    page = _text(f"{running.admin}/experiments/support")
    assert "What it costs, and what is saved" in page
    assert "answers came from the cache and saved" in page


def _metric(running: Any, name: str) -> dict[str, float]:
    """Return variant -> value of a metric."""
    lines = [line for line in _text(f"{running.admin}/metrics").splitlines() if line.startswith(name + "{")]
    return {line.split('variant="')[1].split('"')[0]: float(line.rpartition(" ")[2]) for line in lines}


def _text(url: str) -> str:
    request = urllib.request.Request(url, headers={"accept": "text/html, text/plain"})
    with urllib.request.urlopen(request, timeout=10) as response:
        return str(response.read().decode())
