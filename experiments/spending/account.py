"""What an experiment's answers cost, by variant and pool, and what the cache and spot instances saved of it. Pure.

The arithmetic is that of `experiments.scoring.operational`, on sums: money by the configured prices, machine time,
energy and carbon by the time that answers took; nothing is metered. Of repeated answers the tokens are known, so what
they would have cost by tokens is known too; by the hour it is estimated, with the mean time of the answers that were
not repeated. What spot instances saved is what the same answers cost on demand, less what they did cost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from experiments.config.serving import Backend, Price
from experiments.model import CONTROL, TREATMENT, Role
from experiments.scoring.operational import intensity_g_per_kwh
from experiments.spending.store import Spend

_MS_PER_HOUR = 3_600_000.0


class Amounts(msgspec.Struct, frozen=True, kw_only=True):
    """Of some answers together; None for what cannot be told."""

    usd: float | None = None
    gpu_hours: float | None = None
    """Of a whole machine: answers that it works on at a time share it."""
    energy_kwh: float | None = None
    carbon_g: float | None = None
    """Grams of CO2 equivalent."""


class PoolSpend(msgspec.Struct, frozen=True, kw_only=True):
    """Of the spot instances of a backend, or of its machines on demand."""

    pool: str
    """`spot` or `on demand`."""
    answers: int
    """Live and mirrored, not repeated."""
    spent: Amounts


class VariantSpend(msgspec.Struct, frozen=True, kw_only=True):
    """What one variant's answers used."""

    variant: str
    backend: str
    answers: int
    """Live answers that it gave."""
    repeated: int
    """Of them, from the cache."""
    repeated_share: float | None
    """None without answers."""
    unknown: int
    """Answers whose cost is not known, though they did not fail: no tokens were told."""
    spent: Amounts
    """By live answers."""
    mirrored: Amounts
    """By mirrored ones."""
    cache_saved: Amounts
    """What the repeated answers would have used."""
    spot_saved_usd: float | None
    """What live and mirrored answers of spot instances would have cost more on demand; None without spot prices."""
    pools: list[PoolSpend]
    """Only of a backend with spot instances."""


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """What one epoch of an experiment used."""

    days: int
    """Days (UTC) with answers."""
    variants: list[VariantSpend]
    g_per_kwh: list[float | None]
    """The grid's intensity that was reckoned with, of control's and of the treatment's machines."""


def account(rows: Sequence[Spend], backends: Mapping[str, Backend]) -> Account:
    """Add up an epoch.

    Args:
        rows: Of one epoch of one experiment.
        backends: Variant -> its backend, for prices and power.

    Raises:
        experiments.scoring.grid.GridError: A backend names a country, and there is no figure for it.
    """
    return Account(
        days=len({row.day for row in rows}),
        variants=[
            _variant(variant, [row for row in rows if row.variant == variant], backends[variant])
            for variant in (CONTROL, TREATMENT)
        ],
        g_per_kwh=[intensity_g_per_kwh(backends[variant].power) for variant in (CONTROL, TREATMENT)],
    )


def _variant(variant: str, rows: Sequence[Spend], backend: Backend) -> VariantSpend:
    live = [row for row in rows if row.role == Role.LIVE]
    fresh = [row for row in rows if not row.cached]
    answers, repeated = _count(live), _count(row for row in live if row.cached)
    return VariantSpend(
        variant=variant,
        backend=backend.name,
        answers=answers,
        repeated=repeated,
        repeated_share=repeated / answers if answers else None,
        unknown=sum(_unknown(row, backend) for row in live if not row.cached),
        spent=amounts([row for row in live if not row.cached], backend, backend.price_at),
        mirrored=amounts([row for row in rows if row.role == Role.SHADOW], backend, backend.price_at),
        cache_saved=_cache_saved([row for row in live if row.cached], fresh, backend),
        spot_saved_usd=_spot_saved(fresh, backend),
        pools=_pools(fresh, backend),
    )


def amounts(rows: Sequence[Spend], backend: Backend, price_at: Callable[[str], Price | None]) -> Amounts:
    """Return what answers used.

    Args:
        rows: Of one backend.
        backend: For its power.
        price_at: Endpoint -> what an answer of it costs.
    """
    hours, power = sum(row.busy_ms for row in rows) / _MS_PER_HOUR, backend.power
    costs = [_usd(row, price_at(row.endpoint)) for row in rows]
    # A pool that has answered without a price or tokens makes the sum unknown, and not smaller.
    usd = sum(cost for cost in costs if cost is not None) if None not in costs and backend.price is not None else None
    shared = concurrency(backend)
    energy = hours * power.watts * power.pue / power.concurrency / 1000 if power is not None else None
    grid = intensity_g_per_kwh(power)
    return Amounts(
        usd=usd,
        gpu_hours=hours / shared if shared is not None else None,
        energy_kwh=energy,
        carbon_g=energy * grid if energy is not None and grid is not None else None,
    )


def _usd(row: Spend, price: Price | None) -> float | None:
    if price is None:
        return None
    if price.gpu_hour is not None:
        return row.busy_ms / _MS_PER_HOUR * price.gpu_hour / price.concurrency
    if row.exchanges > row.failed and not row.counted:
        return None
    return (row.input_tokens * (price.input or 0.0) + row.output_tokens * (price.output or 0.0)) / 1e6


def _unknown(row: Spend, backend: Backend) -> int:
    price = backend.price_at(row.endpoint)
    if price is None:
        return row.exchanges - row.failed
    return max(0, row.exchanges - row.failed - (row.timed if price.gpu_hour is not None else row.counted))


def concurrency(backend: Backend) -> float | None:
    """Return how many answers share a machine, on average, as its price by the hour or its power says."""
    if backend.price is not None and backend.price.gpu_hour is not None:
        return backend.price.concurrency
    return backend.power.concurrency if backend.power is not None else None


def _cache_saved(repeated: Sequence[Spend], fresh: Sequence[Spend], backend: Backend) -> Amounts:
    """Return what repeated answers would have used, had the backend given them as it gave the others."""
    if not repeated:
        return amounts([], backend, backend.price_at)
    timed = sum(row.timed for row in fresh)
    if not timed:
        return Amounts()
    mean_ms = sum(row.busy_ms for row in fresh) / timed
    as_new = [
        msgspec.structs.replace(row, cached=False, timed=row.exchanges, busy_ms=row.exchanges * mean_ms)
        for row in repeated
    ]
    found = amounts(as_new, backend, lambda _: backend.price)
    paid, listed = (amounts(fresh, backend, price).usd for price in (backend.price_at, lambda _: backend.price))
    # Where some answers come from spot instances, a repeated one would have cost the mean of both, too.
    share = paid / listed if paid is not None and listed else 1.0
    return msgspec.structs.replace(found, usd=found.usd * share if found.usd is not None else None)


def _spot_saved(fresh: Sequence[Spend], backend: Backend) -> float | None:
    if backend.spot is None or backend.spot.price is None:
        return None
    spot = [row for row in fresh if backend.is_spot(row.endpoint)]
    on_demand, paid = (amounts(spot, backend, price).usd for price in (lambda _: backend.price, backend.price_at))
    return on_demand - paid if on_demand is not None and paid is not None else None


def _pools(fresh: Sequence[Spend], backend: Backend) -> list[PoolSpend]:
    if backend.spot is None:
        return []
    by_pool = {
        "spot": [row for row in fresh if backend.is_spot(row.endpoint)],
        # Without an endpoint nothing was asked.
        "on demand": [row for row in fresh if row.endpoint and not backend.is_spot(row.endpoint)],
    }
    return [
        PoolSpend(pool=pool, answers=_count(rows), spent=amounts(rows, backend, backend.price_at))
        for pool, rows in by_pool.items()
    ]


def _count(rows: Iterable[Spend]) -> int:
    return sum(row.exchanges for row in rows)
