"""What was used and what each lever saved, in words: nothing unknown is shown as nothing."""

from typing import Any

import pytest
from tests_standings import make_goal, make_row, make_standing

from experiments.config.serving import Backend, Power, Price, Spot
from experiments.evidence import Interval
from experiments.model import Phase
from experiments.showing.ledger import SavingsLedger, ledger
from experiments.showing.savings import DAYS_A_MONTH, UNITS, saving
from experiments.spending.account import Account, account
from experiments.spending.store import Spend

PRICED = {"price": Price(input=2.0, output=2.0)}
PLAIN: dict[str, Any] = {}


def used(
    variant: str, exchanges: int, *, cached: bool = False, role: str = "live", endpoint: str = "http://a"
) -> Spend:
    return Spend(
        experiment="support", epoch=1, day="2026-03-01", variant=variant, role=role, backend=variant,
        endpoint="" if cached else endpoint, cached=cached, exchanges=exchanges, failed=0, counted=exchanges,
        input_tokens=1000 * exchanges, output_tokens=0, timed=0 if cached else exchanges, busy_ms=3_600.0 * exchanges,
    )  # fmt: skip


def accounted(*rows: Spend, **backend: Any) -> Account:
    backends = {name: Backend(name=name, urls=("http://a", "http://b"), **backend) for name in ("control", "treatment")}
    return account(rows, backends)


def said(found: SavingsLedger) -> dict[tuple[str, str], str]:
    return {(line.lever, line.variant): line.text for line in found.lines}


def test_a_month_is_projected_with_its_interval() -> None:
    money = saving(make_standing(make_goal(), phase=Phase.RUNNING), "cost")

    assert money.per_month == pytest.approx(31.0 * DAYS_A_MONTH)
    assert (money.month_lower, money.month_upper) == (
        pytest.approx(28.0 * DAYS_A_MONTH),
        pytest.approx(34.0 * DAYS_A_MONTH),
    )
    assert money.monthly == "would save 944 USD a month (852 to 1,035, 95 %, asymptotic)"


def test_what_the_cache_repeats_saves_neither_variant_anything_and_is_left_out_of_the_projection() -> None:
    half = accounted(used("control", 50), used("control", 50, cached=True), used("treatment", 10), **PRICED)
    rows = [half, accounted(used("control", 50), used("treatment", 10), **PRICED)]

    with_cache, without = (saving(make_standing(make_goal(), account=of), "cost") for of in rows)

    assert with_cache.per_day == pytest.approx((without.per_day or 0) * 60 / 110)
    assert "without the 45 % that the cache repeats" in with_cache.basis
    assert with_cache.so_far == pytest.approx(10 * 0.0031)


def test_machine_time_is_latency_shared_by_each_machines_own_concurrency() -> None:
    latency = make_goal(
        metric="latency", control_mean=7_200_000.0, treatment_mean=3_600_000.0, estimate=-0.5,
        interval=Interval(-0.55, -0.45),
    )  # fmt: skip
    evenly, apart = (
        saving(make_standing(latency, concurrencies=shared), "gpu_hours") for shared in ((2.0, 2.0), (2.0, 4.0))
    )

    # 10,000 requests a day; an hour each with control, half of one with the treatment, or a quarter.
    assert (evenly.per_day, evenly.lower, evenly.upper) == tuple(map(pytest.approx, (5_000.0, 4_500.0, 5_500.0)))
    assert (apart.per_day, apart.lower, apart.upper) == tuple(map(pytest.approx, (7_500.0, 7_250.0, 7_750.0)))


def test_each_lever_says_what_it_saved_so_far() -> None:
    spot = Spot(urls=("http://b",), price=Price(input=1.0, output=1.0))
    rows = [
        used("control", 60), used("control", 40, cached=True), used("treatment", 10, endpoint="http://b"),
        used("treatment", 20, role="shadow"),
    ]  # fmt: skip
    found = ledger(make_standing(make_goal(), account=accounted(*rows, spot=spot, **PRICED)))

    texts = said(found)
    assert texts["cache", "control"].startswith("40.0 % of 100 answers came from the cache and saved 0.08 USD")
    assert texts["spot", "treatment"] == (
        "10 answers spot for 0.01 USD, 20 answers on demand for 0.04 USD; spot instances saved 0.01 USD"
    )
    assert texts["mirroring", "treatment"].startswith("mirrored requests used 0.04 USD")
    assert texts["treatment", "treatment"].startswith("its answers to users have saved 0.031 USD so far")
    assert found.grid == ["control (control): not configured", "treatment (treatment): not configured"]


def test_what_cannot_be_told_is_said_to_be_so() -> None:
    without = accounted(used("control", 6), used("control", 4, cached=True), used("treatment", 1))
    found = ledger(make_standing(make_row(), account=without))

    assert [one.metric for one in found.projections] == list(UNITS)
    assert all(one.text.startswith("cannot tell: ") and one.per_month is None for one in found.projections)
    assert said(found)["cache", "control"].endswith(
        "cannot tell what that saved: control has neither a price nor power"
    )
    assert said(found)["treatment", "treatment"].startswith("cannot tell what it has saved")
    assert ledger(make_standing(make_row())).account is None


def test_the_grid_is_named_with_its_intensity() -> None:
    power = Power(watts=100, carbon_g_per_kwh=713)

    assert ledger(make_standing(account=accounted(power=power))).grid[0] == "control (control): 713 g CO2e/kWh"
