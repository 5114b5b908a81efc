"""What a pair says of speed, money and energy, without looking at what was answered: logarithms of ratios. Pure.

Speed is measured. Cost follows from the configured price, energy and carbon from the configured power; none of the
three is metered:

    cost, by tokens   = (input tokens * price.input + output tokens * price.output) / 10^6                    [USD]
    cost, by the hour = latency / 3600 s * price.gpu_hour / price.concurrency                                 [USD]
    energy            = power.watts * latency / 3600 s * power.pue / power.concurrency                        [Wh]
    carbon            = energy / 1000 * grid intensity                                                        [g CO2e]

The form of the last two is that of the Software Carbon Intensity specification (ISO/IEC 21031:2024), its operational
part E * I; the embodied part M of the machine is left out. They are uncertain by `power.uncertainty_percent`, a factor
that is common to all answers of a backend: it cancels in a ratio of the two as far as both err alike, and no further.
docs/operational.md says what makes them wrong.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from experiments.config.serving import Backend, Power, Price
from experiments.model import CONTROL, TREATMENT
from experiments.scoring.grid import grid_intensity
from experiments.scoring.sides import Sides, failed
from experiments.stored import StoredExchange

LATENCY, TTFT, INTER_TOKEN, TOKENS_PER_SECOND = "latency", "ttft", "inter_token", "tokens_per_second"
COST, ENERGY, CARBON = "cost", "energy", "carbon"
RATIOS = frozenset({LATENCY, TTFT, INTER_TOKEN, TOKENS_PER_SECOND, COST, ENERGY, CARBON})
"""Metrics that are compared by the logarithm of treatment / control."""
UNITS = {
    LATENCY: "ms",
    TTFT: "ms",
    INTER_TOKEN: "ms",
    TOKENS_PER_SECOND: "tokens/s",
    COST: "USD",
    ENERGY: "Wh",
    CARBON: "g CO2e",
}
"""Of a variant's own figure, each for one answer."""
_S_PER_HOUR = 3600.0
Value = tuple[str, str, float, float, float]
"""Metric, version of its scorer, control's and the treatment's figure, and what the statistics use."""


class Operational:
    """The operational metrics of an experiment.

    Args:
        backends: Variant -> its backend, for prices and power.

    Raises:
        experiments.scoring.grid.GridError: A backend names a country, and there is no figure for it.
    """

    def __init__(self, backends: Mapping[str, Backend]) -> None:
        self._backends = dict(backends)
        self._powers = {variant: backend.power for variant, backend in backends.items()}
        self._g_per_kwh = {variant: intensity_g_per_kwh(power) for variant, power in self._powers.items()}

    def values(self, sides: Sides) -> Iterator[Value]:
        """Yield a value for each metric that both sides have."""
        # The duration of a failure says nothing of speed; failures are counted by `errors`.
        if not any(failed(side) for side in sides):
            yield from _ratio(LATENCY, *(side.exchange.latency_ms for side in sides))
            yield from _ratio(TTFT, *(side.exchange.ttft_ms for side in sides))
            yield from _ratio(INTER_TOKEN, *(side.inter_token_ms for side in sides))
            yield from _ratio(TOKENS_PER_SECOND, *_tokens_per_second(sides))
        if not any(side.exchange.cached for side in sides):
            # A repeated answer cost nothing, and the same request will cost the other variant nothing either.
            yield from self._spent(sides)

    def _spent(self, sides: Sides) -> Iterator[Value]:
        by_variant = dict(zip((CONTROL, TREATMENT), sides, strict=True))
        yield from _ratio(COST, *(cost_usd(side, self._price_of(v, side)) for v, side in by_variant.items()))
        energies = {v: energy_wh(side, self._powers.get(v)) for v, side in by_variant.items()}
        yield from _ratio(ENERGY, *energies.values())
        yield from _ratio(CARBON, *(carbon_g(energy, self._g_per_kwh.get(v)) for v, energy in energies.items()))

    def _price_of(self, variant: str, side: StoredExchange) -> Price | None:
        """Return the price where an answer came from: a spot instance may have one of its own."""
        backend = self._backends.get(variant)
        return backend.price_at(side.exchange.endpoint) if backend is not None else None


def cost_usd(exchange: StoredExchange, price: Price | None) -> float | None:
    """Return the price of one answer in USD; None if its tokens, its time or the price are not known."""
    if price is None:
        return None
    if price.gpu_hour is not None:
        hours = _busy_hours(exchange)
        return None if hours is None else hours * price.gpu_hour / price.concurrency
    if price.input is None or price.output is None or _tokens_are_cut_off(exchange):
        return None
    if exchange.input_tokens is None or exchange.output_tokens is None:
        return None
    return (exchange.input_tokens * price.input + exchange.output_tokens * price.output) / 1e6


def energy_wh(exchange: StoredExchange, power: Power | None) -> float | None:
    """Return the energy of one answer in Wh; None if its time or the power is not known."""
    hours = _busy_hours(exchange)
    if power is None or hours is None:
        return None
    return power.watts * hours * power.pue / power.concurrency


def carbon_g(energy: float | None, g_per_kwh: float | None) -> float | None:
    """Return what an energy stands for, in grams of CO2 equivalent.

    Args:
        energy: In Wh; None if it is not known.
        g_per_kwh: The grid's intensity; None if it is not known.
    """
    return None if energy is None or g_per_kwh is None else energy / 1000 * g_per_kwh


def uncertainty_percent(metric: str, backend: Backend) -> float | None:
    """Return how uncertain a backend's own figure is, as configured; None for what is measured or paid."""
    if metric not in {ENERGY, CARBON} or backend.power is None:
        return None
    return backend.power.uncertainty_percent


def intensity_g_per_kwh(power: Power | None) -> float | None:
    """Return the intensity of the grid behind a machine; what is configured stands above a country's average.

    Raises:
        experiments.scoring.grid.GridError: A country is named, and there is no figure for it.
    """
    if power is None:
        return None
    if power.carbon_g_per_kwh is not None or power.country is None:
        return power.carbon_g_per_kwh
    return grid_intensity(power.country).g_per_kwh


def _busy_hours(exchange: StoredExchange) -> float | None:
    """Return how long an answer kept its machine busy; how long a failure did is not known."""
    if failed(exchange) or exchange.exchange.latency_ms is None:
        return None
    return exchange.exchange.latency_ms / 1000 / _S_PER_HOUR


def _tokens_per_second(sides: Sides) -> Iterator[float | None]:
    """Yield each side's tokens over the time in which they came: all of it, but for streams, whose first is waited for.

    A pair of which only one side is known as a stream is taken as a whole on both: the two must be like each other.
    """
    streamed = all(side.inter_token_ms is not None for side in sides)
    for side in sides:
        latency_ms, ttft_ms = side.exchange.latency_ms, side.exchange.ttft_ms
        if not side.output_tokens or latency_ms is None or _tokens_are_cut_off(side):
            yield None
            continue
        spent_ms = latency_ms - ttft_ms if streamed and ttft_ms is not None else latency_ms
        yield 1000 * side.output_tokens / spent_ms if spent_ms > 0 else None


def _tokens_are_cut_off(exchange: StoredExchange) -> bool:
    """Whether tokens were counted in a text that was recorded in part: the chunks behind the limit are not counted."""
    return exchange.tokens_estimated and exchange.exchange.truncated


def _ratio(metric: str, control: float | None, treatment: float | None) -> Iterator[Value]:
    if control and treatment and control > 0 and treatment > 0:
        yield metric, f"{metric}/1", control, treatment, math.log(treatment / control)
