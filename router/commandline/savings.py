"""`touchstone savings`: what an experiment used and what each cost lever saved: money, machine time, energy, carbon."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from router.commandline.common import (
    CONFIG,
    ConfigOption,
    JsonOption,
    fail,
    known_or_fail,
    load_or_fail,
    out,
    reading,
    show_json,
)

if TYPE_CHECKING:
    from experiments.showing.ledger import SavingsLedger
    from experiments.spending.account import VariantSpend


def savings(
    experiment: Annotated[str | None, typer.Argument(help="One of them; all unless given.")] = None,
    config: ConfigOption = CONFIG,
    *,
    json: JsonOption = False,
) -> None:
    """Show what each experiment has used, and what the treatment, the cache and spot instances save."""
    from experiments.showing.ledger import ledger  # noqa: PLC0415  # the command line starts fast
    from experiments.showing.reader import Showing  # noqa: PLC0415
    from experiments.spending.store import SpendStore  # noqa: PLC0415

    loaded = load_or_fail(config, fail)
    names = [known_or_fail(loaded, experiment, fail).name] if experiment is not None else list(loaded.experiments)
    with reading(loaded, fail) as store:
        SpendStore(store.engine).fold()
        showing = Showing(store, loaded)
        found = [ledger(showing.standing(name)) for name in names]
    if json:
        show_json(found)
        return
    for one in found:
        _show(one)


def _show(ledger: SavingsLedger) -> None:
    out.print(f"{ledger.name}, epoch {ledger.epoch}")
    table = Table("variant", "answers", "from the cache", "USD", "GPU-hours", "kWh", "g CO2e", box=None)
    for variant in ledger.account.variants if ledger.account is not None else ():
        table.add_row(*_cells(variant))
    out.print(table)
    for line in _sentences(ledger):
        out.print(f"  {line}", soft_wrap=True)
    out.print()


def _cells(variant: VariantSpend) -> Iterator[str]:
    from experiments.showing.numbers import amount  # noqa: PLC0415

    spent, share = variant.spent, variant.repeated_share
    yield f"{variant.variant} ({variant.backend})"
    yield f"{variant.answers:,}"
    yield "-" if share is None else f"{100 * share:.1f} %"
    for figure in (spent.usd, spent.gpu_hours, spent.energy_kwh, spent.carbon_g):
        yield "cannot tell" if figure is None else amount(figure)


def _sentences(ledger: SavingsLedger) -> Iterator[str]:
    for line in ledger.lines:
        yield f"{line.lever}{f', {line.variant}' if line.lever != 'treatment' else ''}: {line.text}"
    for saving in ledger.projections:
        yield f"{saving.title}: {saving.monthly or saving.text}"
    basis = next((saving.basis for saving in ledger.projections if saving.basis), "")
    if basis:
        yield f"at {basis}"
        yield "the interval is that of what one request saves; the traffic is taken as it was seen"
    yield from (f"grid, {said}" for said in ledger.grid)
    unknown = sum(variant.unknown for variant in ledger.account.variants) if ledger.account is not None else 0
    if unknown:
        yield f"mind: the cost of {unknown:,} answers is not known and is in no sum"
