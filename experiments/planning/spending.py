"""What answers are expected to cost, in money and energy, and what is expected to be saved. Pure.

Where a price or a power goes by time, the treatment's time follows from control's and from the gain in latency that is
expected. Such a metric has the spread of latency too: the logarithm of its ratio is latency's plus a constant.
"""

from __future__ import annotations

from collections.abc import Sequence

from experiments.config.serving import Backend, Power, Price
from experiments.planning.traffic import Expectations
from experiments.scoring.operational import CARBON, COST, ENERGY, LATENCY, intensity_g_per_kwh

Backends = tuple[Backend, Backend]
"""Control's and the treatment's."""
BY_TIME = frozenset({COST, ENERGY, CARBON})
"""Goals that may follow from the latency that is expected."""
_MS_PER_HOUR = 3_600_000.0


def costs_usd(expected: Expectations, backends: Backends) -> tuple[float | None, float | None]:
    """Return the expected price of an answer of control and of the treatment in USD; None where it cannot be told."""
    times = _times_ms(expected, expected.latency_ms)
    control, treatment = (_cost_usd(expected, b.price, ms) for b, ms in zip(backends, times, strict=True))
    return control, treatment


def missing_for_costs(expected: Expectations, backends: Backends) -> list[str]:
    """Name what is missing to tell both costs."""
    missing = [f"the price of {backend.name}" for backend in backends if backend.price is None]
    prices = [backend.price for backend in backends if backend.price is not None]
    if any(price.gpu_hour is None for price in prices) or not prices:
        missing += [name for name in ("input_tokens", "output_tokens") if getattr(expected, name) is None]
    if any(price.gpu_hour is not None for price in prices) and expected.latency_ms is None:
        missing.append("latency_ms")
    if backends[1].price is not None and backends[1].price.gpu_hour is not None and LATENCY not in expected.gains:
        missing.append("gains.latency")
    return missing


def gain_of(metric: str, expected: Expectations, backends: Backends) -> float | None:
    """Return how much less is expected of the treatment; what is given stands above what follows.

    Args:
        metric: Name of a goal.
        expected: Traffic and baseline.
        backends: For prices and power.
    """
    if metric in expected.gains:
        return expected.gains[metric]
    control, treatment = _per_answer(metric, expected, backends)
    return 1 - treatment / control if control and treatment else None


def spread_of(metric: str, expected: Expectations, backends: Backends) -> float | None:
    """Return the standard deviation of log(treatment / control) among units that is expected of a metric."""
    goes_by_time = metric in {ENERGY, CARBON} or (metric == COST and _are_by_the_hour(backends))
    if metric in expected.spreads or not goes_by_time:
        return expected.spreads.get(metric)
    return expected.spreads.get(LATENCY)


def needed_for_gain(metric: str) -> str:
    """Say what a gain would follow from, if it is not given."""
    if metric == COST:
        return ", nor are prices and tokens"
    return ", nor are gains.latency and the power of both" if metric in {ENERGY, CARBON} else ""


def _per_answer(metric: str, expected: Expectations, backends: Backends) -> tuple[float | None, float | None]:
    if metric == COST:
        if expected.latency_ms is None and _are_by_the_hour(backends):
            # Any time will do, since it cancels.
            return costs_usd(expected.model_copy(update={"latency_ms": _MS_PER_HOUR}), backends)
        return costs_usd(expected, backends)
    if metric not in {ENERGY, CARBON}:
        return None, None
    times = _times_ms(expected, _MS_PER_HOUR)
    control, treatment = (_drawn(metric, b.power, ms) for b, ms in zip(backends, times, strict=True))
    return control, treatment


def _times_ms(expected: Expectations, control_ms: float | None) -> Sequence[float | None]:
    gain = expected.gains.get(LATENCY)
    return control_ms, None if control_ms is None or gain is None else control_ms * (1 - gain)


def _cost_usd(expected: Expectations, price: Price | None, latency_ms: float | None) -> float | None:
    if price is None:
        return None
    if price.gpu_hour is not None:
        return None if latency_ms is None else latency_ms / _MS_PER_HOUR * price.gpu_hour / price.concurrency
    if price.input is None or price.output is None or expected.input_tokens is None or expected.output_tokens is None:
        return None
    return (expected.input_tokens * price.input + expected.output_tokens * price.output) / 1e6


def _drawn(metric: str, power: Power | None, latency_ms: float | None) -> float | None:
    """Return what an answer draws: energy in Wh, or carbon in mg CO2e."""
    grid = intensity_g_per_kwh(power) if metric == CARBON else 1.0
    if power is None or latency_ms is None or grid is None:
        return None
    return latency_ms / _MS_PER_HOUR * power.watts * power.pue / power.concurrency * grid


def _are_by_the_hour(backends: Backends) -> bool:
    return all(backend.price is not None and backend.price.gpu_hour is not None for backend in backends)
