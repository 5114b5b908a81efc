"""Rules about what answers cost, in money, energy and carbon. Pure but for one data file: records in, findings out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from experiments.config.lines import Location
from experiments.config.messages import Finding
from experiments.config.problems import nearest
from experiments.config.records import Backend, Experiment
from experiments.config.serving import Power, Price
from experiments.scoring.grid import GridError
from experiments.scoring.operational import CARBON, COST, ENERGY, intensity_g_per_kwh


def check_costs(at: Location, backend: Backend) -> Iterator[Finding]:
    """Yield everything that is wrong with a backend's price and power.

    Args:
        at: The backend's table.
        backend: What stands there.
    """
    if backend.price is not None:
        yield from check_price((*at, "price"), backend.price)
    if backend.power is not None:
        yield from _grid((*at, "power"), backend.power)


def check_prices(at: Location, experiment: Experiment, backends: Mapping[str, Backend]) -> Iterator[Finding]:
    """Yield the goals that cannot be told, for want of a price or a power on one of the two backends.

    Args:
        at: The experiment's table.
        experiment: What stands there.
        backends: All of the configuration, by name.
    """
    goals = {goal.name for goal in experiment.goals}
    # A backend that is both is told once.
    for name in dict.fromkeys((experiment.control, experiment.treatment)):
        backend = backends.get(name)
        if backend is None:
            continue  # told by the rule about variants
        goal, price, power = (*at, "goals"), ("backends", name, "price"), ("backends", name, "power")
        if COST in goals and backend.price is None:
            yield Finding((*goal, COST), f'needs a price on the backend "{name}"', because=(price,))
        for metric in (ENERGY, CARBON):
            if metric in goals and backend.power is None:
                rule = f"needs to know what the machine draws: watts in [backends.{name}.power]"
                yield Finding((*goal, metric), rule, because=(power,))
        if CARBON in goals and backend.power is not None and _has_no_grid(backend.power):
            rule = f"needs the intensity of the grid: country or carbon_g_per_kwh in [backends.{name}.power]"
            yield Finding((*goal, CARBON), rule, because=((*power, "country"), (*power, "carbon_g_per_kwh")))


def check_price(at: Location, price: Price) -> Iterator[Finding]:
    """Yield what is wrong with a price that is none, half of one, or two at a time.

    Args:
        at: Its table.
        price: What stands there.
    """
    by_token = {key: getattr(price, key) for key in ("input", "output")}
    given = [key for key, value in by_token.items() if value is not None]
    because = ((*at, "input"), (*at, "output"), (*at, "gpu_hour"))
    if price.gpu_hour is not None:
        for key in given:
            rule = "is the price by tokens, and gpu_hour the one by time: give one of the two"
            yield Finding((*at, key), rule, because=((*at, "gpu_hour"),))
        return
    if not given:
        yield Finding(at, "must say input and output (USD per million tokens), or gpu_hour", because=because)
    for key in by_token:
        if given and key not in given:
            yield Finding((*at, key), "is missing: USD per million tokens", because=because)
    if "concurrency" in price.model_fields_set:
        yield Finding((*at, "concurrency"), "is for gpu_hour: tokens are nobody else's", because=because)


def _grid(at: Location, power: Power) -> Iterator[Finding]:
    country = (*at, "country")
    if power.country is not None and power.carbon_g_per_kwh is not None:
        rule = "is the country's average, and carbon_g_per_kwh your own figure: give one of the two"
        yield Finding(country, rule, because=((*at, "carbon_g_per_kwh"),))
        return
    try:
        intensity_g_per_kwh(power)
    except GridError as error:
        meant = (power.country or "").upper()
        yield Finding(country, error.rule, meant if meant in error.known else nearest(meant, error.known))


def _has_no_grid(power: Power) -> bool:
    return power.country is None and power.carbon_g_per_kwh is None
