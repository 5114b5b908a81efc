"""What answers cost, and what the cache and spot instances saved: figures that one can check by hand."""

from typing import Any

import pytest

from experiments.config.serving import Backend, Power, Price, Spot
from experiments.spending.account import Amounts, VariantSpend, account
from experiments.spending.store import Spend

SPOT, ON_DEMAND = "http://spot:8000", "http://on-demand:8000"
HOUR_MS = 3_600_000.0


def spend(**changes: Any) -> Spend:
    values: dict[str, Any] = {
        "experiment": "support", "epoch": 1, "day": "2026-03-01", "variant": "control", "role": "live",
        "backend": "original", "endpoint": ON_DEMAND, "cached": False, "exchanges": 100, "failed": 0,
        "counted": 100, "input_tokens": 1_000_000, "output_tokens": 500_000, "timed": 100, "busy_ms": HOUR_MS,
    }  # fmt: skip
    return Spend(**(values | changes))


def of_control(*rows: Spend, **backend: Any) -> VariantSpend:
    made = Backend(name="original", urls=(SPOT, ON_DEMAND), **backend)
    return account(rows, {"control": made, "treatment": made}).variants[0]


def test_by_tokens_a_repeated_answer_saves_what_its_tokens_cost() -> None:
    repeated = spend(cached=True, endpoint="", exchanges=50, counted=50, input_tokens=500_000, timed=0, busy_ms=0.0)

    found = of_control(spend(), repeated, price=Price(input=2.0, output=4.0))

    assert (found.answers, found.repeated, found.repeated_share) == (150, 50, pytest.approx(1 / 3))
    assert found.spent.usd == pytest.approx(1.0 * 2 + 0.5 * 4)
    assert found.cache_saved.usd == pytest.approx(0.5 * 2 + 0.5 * 4)


def test_by_the_hour_a_repeated_answer_saves_the_mean_time_of_the_others() -> None:
    repeated = spend(cached=True, endpoint="", exchanges=25, timed=0, busy_ms=0.0)
    power = Power(watts=500, pue=1.2, concurrency=4, carbon_g_per_kwh=700)

    found = of_control(spend(), repeated, price=Price(gpu_hour=2.0, concurrency=4), power=power)

    # 100 answers took an hour, and four shared the machine.
    assert found.spent == Amounts(usd=0.5, gpu_hours=0.25, energy_kwh=0.15, carbon_g=pytest.approx(105))
    assert found.cache_saved.usd == pytest.approx(0.125)
    assert found.cache_saved.carbon_g == pytest.approx(105 / 4)


def test_what_spot_instances_saved_is_the_difference_to_the_price_on_demand() -> None:
    spot = Spot(urls=(SPOT,), price=Price(gpu_hour=0.5))
    repeated = spend(cached=True, endpoint="", exchanges=200, timed=0, busy_ms=0.0)

    found = of_control(spend(endpoint=SPOT), spend(), repeated, price=Price(gpu_hour=2.0), spot=spot)

    assert found.spent.usd == pytest.approx(2.5)
    assert found.spot_saved_usd == pytest.approx(1.5)
    assert [(pool.pool, pool.answers, pool.spent.usd) for pool in found.pools] == [
        ("spot", 100, 0.5),
        ("on demand", 100, 2.0),
    ]
    assert found.cache_saved.usd == pytest.approx(2.5), "as many as were not repeated, at the price of the mix"


def test_mirrored_answers_are_paid_and_are_no_users() -> None:
    found = of_control(spend(role="shadow", exchanges=10), spend(), price=Price(gpu_hour=2.0))

    assert (found.answers, found.spent.usd, found.mirrored.usd) == (100, 2.0, 2.0)


def test_what_is_not_configured_or_not_known_cannot_be_told_and_is_not_zero() -> None:
    without = of_control(spend())
    no_tokens = of_control(spend(counted=0, input_tokens=0, output_tokens=0), price=Price(input=1.0, output=1.0))
    some = of_control(spend(counted=90), price=Price(input=1.0, output=1.0))

    assert without.spent == Amounts()
    assert (without.unknown, without.spot_saved_usd) == (100, None)
    assert (no_tokens.spent.usd, no_tokens.unknown) == (None, 100)
    assert some.unknown == 10
    assert of_control(price=Price(gpu_hour=1.0)).repeated_share is None
