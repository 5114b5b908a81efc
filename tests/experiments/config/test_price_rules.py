"""Prices and power: what is half given, given twice, or missing for a goal is refused, at the key that is wrong."""

import tomllib
from pathlib import Path

import pytest

from experiments.config.price_rules import check_costs, check_prices
from experiments.config.records import Config
from experiments.config.shape import shape
from experiments.scoring.grid import is_installed

CONTROL, TREATMENT = "price = { input = 1, output = 2.5 }", "price = { input = 0.5, output = 1.0 }"
COST = 'cost = { better_by = "30%" }'
GRAMS = "power = { watts = 700, carbon_g_per_kwh = 500 }"


def found(text: str) -> list[str]:
    """What the rules say of a file: `where: rule`."""
    config = Config.model_validate(shape(tomllib.loads(text), Path("config.toml").absolute()))
    findings = [f for name, backend in config.backends.items() for f in check_costs(("backends", name), backend)]
    for name, experiment in config.experiments.items():
        findings += check_prices(("experiments", name), experiment, config.backends)
    return [".".join(map(str, f.location)) + f": {f.rule} [{f.suggestion}]" for f in findings]


def test_what_is_complete_is_fine(good: str) -> None:
    by_the_hour = good.replace(TREATMENT, f"price = {{ gpu_hour = 2.5, concurrency = 8 }}\n{GRAMS}")
    all_goals = by_the_hour.replace(CONTROL, f"{CONTROL}\n{GRAMS}").replace(
        COST, f"{COST}\nenergy = {{ better_by = 0.2 }}\ncarbon = {{ better_by = 0.2 }}"
    )

    assert found(good) == []
    assert found(all_goals) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (CONTROL, "price = { input = 1 }", "backends.original.price.output: is missing: USD per million tokens"),
        (CONTROL, "price = { output = 1 }", "backends.original.price.input: is missing"),
        (
            CONTROL,
            "price = {}",
            "backends.original.price: must say input and output (USD per million tokens), or gpu_h",
        ),
        (CONTROL, "price = { gpu_hour = 2, input = 1 }", "backends.original.price.input: is the price by tokens, and"),
        (CONTROL, f"{CONTROL[:-1]}, concurrency = 2 }}", "backends.original.price.concurrency: is for gpu_hour"),
        (CONTROL, "", 'experiments.support.goals.cost: needs a price on the backend "original"'),
        (TREATMENT, "", 'experiments.support.goals.cost: needs a price on the backend "int4"'),
        (
            COST,
            "energy = { better_by = 0.1 }",
            "goals.energy: needs to know what the machine draws: watts in [backends",
        ),
        (
            COST,
            "carbon = { better_by = 0.1 }",
            "goals.carbon: needs to know what the machine draws: watts in [backends",
        ),
        (
            CONTROL,
            f'{CONTROL}\npower = {{ watts = 1, country = "IND", carbon_g_per_kwh = 7 }}',
            "backends.original.power.country: is the country's average, and carbon_g_per_kwh your own figure",
        ),
    ],
)
def test_what_is_wrong_is_told_where_it_is(good: str, old: str, new: str, said: str) -> None:
    assert any(said in line for line in found(good.replace(old, new)))


def test_carbon_needs_a_grid_on_each_backend(good: str) -> None:
    text = good.replace(COST, "carbon = { better_by = 0.1 }").replace(CONTROL, "power = { watts = 700 }")

    [said] = found(text.replace(TREATMENT, GRAMS))

    assert said.startswith(
        "experiments.support.goals.carbon: needs the intensity of the grid: country or carbon_g_per_"
    )
    assert "[backends.original.power]" in said


@pytest.mark.skipif(not is_installed(), reason="needs the extra `carbon` (codecarbon)")
@pytest.mark.parametrize(("country", "meant"), [("ind", "IND"), ("INDD", "IND"), ("12", "")])
def test_a_country_that_there_is_none_of_gets_the_one_that_was_meant(good: str, country: str, meant: str) -> None:
    [said] = found(good.replace(CONTROL, f'{CONTROL}\npower = {{ watts = 700, country = "{country}" }}'))

    assert said.startswith("backends.original.power.country: is no country that there is a figure for")
    assert said.endswith(f"[{meant}]")
