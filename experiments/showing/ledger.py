"""What an experiment has used and what each cost lever saved, in figures and in words: the savings ledger. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from experiments.model import TREATMENT
from experiments.showing.numbers import amount
from experiments.showing.savings import UNITS, Saving, saving
from experiments.showing.standing import Standing
from experiments.spending.account import Account, Amounts, VariantSpend


class LedgerLine(msgspec.Struct, frozen=True, kw_only=True):
    """One lever of one variant, in words."""

    lever: str
    """`treatment`, `cache`, `spot`, `mirroring`."""
    variant: str
    text: str


class SavingsLedger(msgspec.Struct, frozen=True, kw_only=True):
    """One epoch of an experiment."""

    name: str
    epoch: int
    projections: list[Saving]
    """What the treatment saves or would save: money, machine time, energy, carbon, in this order."""
    account: Account | None
    """What was used; None before anything was added up."""
    lines: list[LedgerLine]
    """What the levers have saved so far."""
    grid: list[str]
    """With which intensity of the grid carbon was reckoned, for each variant."""


def ledger(standing: Standing) -> SavingsLedger:
    """Say what an experiment has used and saved; what cannot be told is said to be so."""
    projections = [saving(standing, metric) for metric in UNITS]
    found = standing.account
    return SavingsLedger(
        name=standing.experiment.name,
        epoch=standing.epoch.number if standing.epoch is not None else 0,
        projections=projections,
        account=found,
        lines=list(_lines(standing, projections, found)) if found is not None else [],
        grid=list(_grid(found)) if found is not None else [],
    )


def _lines(standing: Standing, projections: list[Saving], found: Account) -> Iterator[LedgerLine]:
    yield LedgerLine(lever="treatment", variant=TREATMENT, text=_so_far(projections))
    for variant in found.variants:
        if standing.experiment.cache is not None or variant.repeated:
            yield LedgerLine(lever="cache", variant=variant.variant, text=cache_text(variant))
        if variant.pools:
            yield LedgerLine(lever="spot", variant=variant.variant, text=_spot_text(variant))
    for variant in found.variants:
        if any_known(variant.mirrored):
            text = f"mirrored requests used {amounts_text(variant.mirrored)}: the price of knowing"
            yield LedgerLine(lever="mirroring", variant=variant.variant, text=text)


def _so_far(projections: list[Saving]) -> str:
    known = [(s.metric, s.so_far) for s in projections if s.so_far is not None]
    if not known:
        return "cannot tell what it has saved so far: nothing of it is known yet"
    said = [f"{'-' if value < 0 else ''}{amount(value)} {UNITS[metric]}" for metric, value in known]
    return f"its answers to users have saved {', '.join(said)} so far, at the means of the pairs"


def cache_text(variant: VariantSpend) -> str:
    """Say what the cache answered, and what that saved."""
    if variant.repeated_share is None:
        return "no answer yet"
    share = f"{100 * variant.repeated_share:.1f} % of {variant.answers:,} answers came from the cache"
    if not any_known(variant.cache_saved):
        return f"{share}; cannot tell what that saved: {variant.backend} has neither a price nor power"
    return f"{share} and saved {amounts_text(variant.cache_saved)}"


def _spot_text(variant: VariantSpend) -> str:
    pools = ", ".join(f"{pool.answers:,} answers {pool.pool} for {_usd(pool.spent)}" for pool in variant.pools)
    if variant.spot_saved_usd is None:
        return f"{pools}; cannot tell what spot instances saved: {variant.backend} has no spot.price"
    return f"{pools}; spot instances saved {amount(variant.spot_saved_usd)} USD"


def _usd(amounts: Amounts) -> str:
    return "an unknown cost" if amounts.usd is None else f"{amount(amounts.usd)} USD"


def any_known(amounts: Amounts) -> bool:
    """Whether anything of it can be told."""
    return any(getattr(amounts, name) is not None for name in Amounts.__struct_fields__)


def amounts_text(amounts: Amounts) -> str:
    """Write what is known of some amounts.

    >>> amounts_text(Amounts(usd=1.234, carbon_g=56.0))
    '1.23 USD, 56 g CO2e'
    """
    units = (("usd", "cost"), ("gpu_hours", "gpu_hours"), ("energy_kwh", "energy"), ("carbon_g", "carbon"))
    known = [(getattr(amounts, name), UNITS[metric]) for name, metric in units]
    return ", ".join(f"{amount(value)} {unit}" for value, unit in known if value is not None) or "-"


def _grid(found: Account) -> Iterator[str]:
    for variant, intensity in zip(found.variants, found.g_per_kwh, strict=True):
        told = "not configured" if intensity is None else f"{amount(intensity)} g CO2e/kWh"
        yield f"{variant.variant} ({variant.backend}): {told}"
