"""Speed, money and energy of a pair: figures that one can check by hand, and their ratio's logarithm."""

import math
from typing import Any

import pytest
from msgspec.structs import replace
from tests_builders import make_pair

from experiments.config.records import Backend
from experiments.config.serving import Power, Price, Spot
from experiments.scoring.operational import RATIOS, UNITS, Operational, carbon_g, cost_usd, energy_wh
from experiments.scoring.sides import by_variant
from experiments.stored import StoredExchange

TOKENS = {"input_tokens": 100, "output_tokens": 40}
PLAIN: dict[str, Any] = {}


def values(
    live: dict[str, Any] = PLAIN,
    shadow: dict[str, Any] = PLAIN,
    control: dict[str, Any] = PLAIN,
    treatment: dict[str, Any] = PLAIN,
    inter_token_ms: tuple[float | None, float | None] = (None, None),
) -> dict[str, tuple[float, float, float]]:
    backends = {
        variant: Backend(name=variant, urls=("http://a",), **given)
        for variant, given in (("control", control), ("treatment", treatment))
    }
    pair = make_pair(TOKENS | live, TOKENS | shadow)
    sides = by_variant(*(replace(side, inter_token_ms=ms) for side, ms in zip(pair, inter_token_ms, strict=True)))
    return {metric: figures for metric, _, *figures in Operational(backends).values(sides)}


def answer(**changes: Any) -> StoredExchange:
    return make_pair(TOKENS | {"latency_ms": 7_200.0} | changes)[0]


def test_every_metric_has_a_unit() -> None:
    assert set(UNITS) == RATIOS


def test_a_pair_without_prices_or_power_is_compared_by_its_speed_alone() -> None:
    assert set(values()) == {"latency", "ttft", "tokens_per_second"}


def test_a_machine_by_the_hour_costs_the_time_that_an_answer_keeps_it_busy() -> None:
    # 7.2 s are 1/500 hour; four answers share the machine.
    assert cost_usd(answer(), Price(gpu_hour=2.0)) == pytest.approx(2.0 / 500)
    assert cost_usd(answer(), Price(gpu_hour=2.0, concurrency=4)) == pytest.approx(2.0 / 2000)


def test_the_two_backends_may_be_priced_in_different_ways() -> None:
    found = values(
        shadow={"latency_ms": 3_600.0},
        control={"price": Price(input=1.0, output=10.0)},
        treatment={"price": Price(gpu_hour=0.25)},
    )

    assert found["cost"] == pytest.approx([500 / 1e6, 0.25 / 1000, math.log(0.5)])


def test_energy_and_carbon_follow_from_power_and_the_grid() -> None:
    power = Power(watts=700, pue=1.2, concurrency=4, carbon_g_per_kwh=500)

    energy = energy_wh(answer(), power)

    assert energy == pytest.approx(700 / 500 * 1.2 / 4)  # 0.42 Wh
    assert carbon_g(energy, 500) == pytest.approx(0.21)


def test_the_ratio_of_energies_is_that_of_the_machines_and_their_times() -> None:
    found = values(
        live={"latency_ms": 1000.0},
        shadow={"latency_ms": 500.0},
        control={"power": Power(watts=700, carbon_g_per_kwh=500)},
        treatment={"power": Power(watts=350, carbon_g_per_kwh=250)},
    )

    assert found["energy"][2] == pytest.approx(math.log(1 / 4))
    assert found["carbon"][2] == pytest.approx(math.log(1 / 8))


def test_without_a_grid_there_is_energy_and_no_carbon() -> None:
    power = {"power": Power(watts=700)}

    assert "energy" in (found := values(control=power, treatment=power))
    assert "carbon" not in found


def test_a_stream_is_as_fast_as_its_tokens_after_the_first() -> None:
    streams = {"latency_ms": 500.0, "ttft_ms": 100.0}, {"latency_ms": 300.0, "ttft_ms": 100.0}
    found = values(*streams, inter_token_ms=(10.0, 5.0))

    assert found["inter_token"] == pytest.approx([10.0, 5.0, math.log(0.5)])
    assert found["tokens_per_second"] == pytest.approx([100.0, 200.0, math.log(2)])


def test_where_one_side_is_no_stream_both_are_taken_as_a_whole() -> None:
    found = values({"latency_ms": 500.0}, {"latency_ms": 400.0}, inter_token_ms=(10.0, None))

    assert "inter_token" not in found
    assert found["tokens_per_second"][:2] == pytest.approx([80.0, 100.0])


@pytest.mark.parametrize("side", [{"error": "timeout"}, {"latency_ms": None}])
def test_how_long_a_failure_kept_a_machine_busy_is_not_known(side: dict[str, Any]) -> None:
    by_the_hour = {"price": Price(gpu_hour=2.0), "power": Power(watts=700, carbon_g_per_kwh=1)}

    found = values(shadow=side, control=by_the_hour, treatment=by_the_hour)

    assert not {"cost", "energy", "carbon", "tokens_per_second"} & set(found)


def test_a_repeated_answer_cost_nothing_and_gives_no_ratio() -> None:
    priced = {"price": Price(input=1.0, output=1.0), "power": Power(watts=700, carbon_g_per_kwh=1)}

    assert not {"cost", "energy", "carbon"} & set(values({"cached": True}, {}, priced, priced))


def test_what_costs_nothing_has_no_ratio() -> None:
    assert "cost" not in values(control={"price": Price(gpu_hour=0)}, treatment={"price": Price(gpu_hour=1)})


def test_tokens_of_a_cut_off_text_say_nothing_of_speed() -> None:
    assert "tokens_per_second" not in values({"tokens_estimated": True, "truncated": True})


def test_an_answer_of_a_spot_instance_costs_what_a_spot_instance_costs() -> None:
    spot = Spot(urls=("http://a",), price=Price(gpu_hour=0.5))
    found = values(
        live={"latency_ms": 3_600.0, "endpoint": "http://a"},
        shadow={"latency_ms": 3_600.0, "endpoint": "http://a"},
        control={"price": Price(gpu_hour=2.0)},
        treatment={"price": Price(gpu_hour=2.0), "spot": spot},
    )

    assert list(found["cost"][:2]) == pytest.approx([0.002, 0.0005])
