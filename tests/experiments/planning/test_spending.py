"""What answers are expected to cost and save: figures that one can check by hand, and what is missing to tell them."""

from typing import Any

import pytest

from experiments.config.records import Goal
from experiments.config.serving import Backend, Power, Price
from experiments.planning.cautions import Code
from experiments.planning.plan import make_plan
from experiments.planning.spending import costs_usd, gain_of, missing_for_costs, spread_of
from experiments.planning.traffic import Expectations
from tests.experiments.tests_builders import make_experiment

TOKENS, HOURS = Price(input=0.5, output=1.5), Price(gpu_hour=2.0, concurrency=4)
OLD = Power(watts=700, carbon_g_per_kwh=700)
NEW = Power(watts=350, carbon_g_per_kwh=350)


def backends(*given: dict[str, Any]) -> tuple[Backend, Backend]:
    control, treatment = (Backend(name=n, urls=("http://a",), **g) for n, g in zip("ab", given, strict=True))
    return control, treatment


def expectations(**known: Any) -> Expectations:
    return Expectations(requests_per_day=100, units_per_day=50, **known)


def test_the_price_of_an_answer_is_that_of_its_tokens_or_of_its_time() -> None:
    expected = expectations(input_tokens=400, output_tokens=100, latency_ms=7_200, gains={"latency": 0.5})

    found = costs_usd(expected, backends({"price": TOKENS}, {"price": HOURS}))

    assert found == pytest.approx((0.00035, 2.0 / 4 / 1000))


def test_what_is_missing_to_tell_the_costs_is_named() -> None:
    by_token, by_hour, free = {"price": TOKENS}, {"price": HOURS}, dict[str, Any]()

    assert costs_usd(expectations(), backends(by_token, by_hour)) == (None, None)
    assert missing_for_costs(expectations(), backends(by_token, by_hour)) == [
        "input_tokens",
        "output_tokens",
        "latency_ms",
        "gains.latency",
    ]
    assert missing_for_costs(expectations(), backends(by_hour, by_hour)) == ["latency_ms", "gains.latency"]
    half_known = missing_for_costs(expectations(input_tokens=1), backends(free, by_token))
    assert half_known == ["the price of a", "output_tokens"]


def test_two_machines_by_the_hour_save_by_their_prices_and_by_time_however_long_answers_take() -> None:
    pair = backends({"price": HOURS}, {"price": Price(gpu_hour=1.0, concurrency=4)})

    assert gain_of("cost", expectations(gains={"latency": 0.2}), pair) == pytest.approx(1 - 0.5 * 0.8)
    assert gain_of("cost", expectations(), pair) is None


def test_energy_and_carbon_are_saved_by_power_grid_and_time() -> None:
    expected, pair = expectations(gains={"latency": 0.2}), backends({"power": OLD}, {"power": NEW})

    assert gain_of("energy", expected, pair) == pytest.approx(1 - 0.5 * 0.8)
    assert gain_of("carbon", expected, pair) == pytest.approx(1 - 0.5 * 0.5 * 0.8)
    assert gain_of("energy", expectations(), pair) is None
    assert gain_of("energy", expectations(gains={"energy": 0.1, "latency": 0.2}), pair) == 0.1


def test_what_goes_by_time_has_the_spread_of_latency() -> None:
    expected = expectations(spreads={"latency": 0.5})

    assert spread_of("energy", expected, backends({}, {})) == 0.5
    assert spread_of("cost", expected, backends({"price": HOURS}, {"price": HOURS})) == 0.5
    assert spread_of("cost", expected, backends({"price": HOURS}, {"price": TOKENS})) is None
    assert spread_of("energy", expectations(spreads={"latency": 0.5, "energy": 0.1}), backends({}, {})) == 0.1


def test_a_plan_with_the_goal_energy_needs_no_more_than_power_and_latency() -> None:
    experiment = make_experiment(guardrails=(), slices=(), goals=(Goal(name="energy", better_by=0.3),))
    expected = expectations(gains={"latency": 0.2}, spreads={"latency": 0.5})

    found = make_plan(experiment, *backends({"power": OLD}, {"power": NEW}), expected)

    assert [(row.metric, row.truth, row.missing) for row in found.metrics] == [("energy", pytest.approx(0.6), "")]
    assert not [caution for caution in found.cautions if caution.code is Code.UNUSED]
