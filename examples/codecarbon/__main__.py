"""Serve the original and a quantized copy in turn, send the questions through each, and meter this machine meanwhile.

    python -m examples.codecarbon --country IND

Exit code 2 and one line: CodeCarbon, llama.cpp's wheel or a model file is missing, or the country has no data.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table

from examples.codecarbon.figures import FIELDS, Mean, Round, per_thousand, ratio, widened
from examples.codecarbon.meter import Energy, check, metered
from examples.support_model.catalog import KINDS
from examples.support_model.data import GOLDEN
from examples.support_model.errors import SupportModelError
from examples.support_model.measure import answers
from examples.support_model.serve import running
from experiments.golden.sets import GoldenItem, load_golden
from experiments.scoring.grid import grid_intensity

ORIGINAL = KINDS[0]
J_PER_WH = 3600.0
_NAMES = ("energy, Wh", "  of it processor, Wh", "CO2e, g", "servers' processor time, s")
_WIDTH = 120
_WARM_UP = 20
"""Questions that are not metered: the first ones read the model into memory."""


def one_round(kind: str, golden: Sequence[GoldenItem], country: str) -> tuple[Round, Energy]:
    """Serve a model and send it the questions, metered."""
    with running(kind) as url:
        asyncio.run(answers(url, golden[:_WARM_UP]))
        with metered(country) as energy:
            found = asyncio.run(answers(url, golden))
    done = Round(
        answers=len(found),
        energy_wh=energy.energy_j / J_PER_WH,
        processor_wh=energy.processor_j / J_PER_WH,
        co2e_g=energy.co2e_g,
        server_cpu_s=energy.server_cpu_s,
    )
    return done, energy


def spread(items: Sequence[GoldenItem], number: int) -> Sequence[GoldenItem]:
    """Return so many items, evenly from the whole set: its languages stand one after the other."""
    return items[:: max(1, len(items) // number)][:number]


def table(rounds: dict[str, list[Round]], uncertainty_percent: float) -> Table:
    """Return a row a quantity: the original, the copy, and their ratio.

    Args:
        rounds: Of the original, then of its copy, in the same order.
        uncertainty_percent: Of the watts.

    Raises:
        ValueError: A round was too short for the meter.
    """
    original, copy = rounds
    shown = Table(box=None, padding=(0, 3, 0, 0))
    for column in ("for 1,000 answers", original, copy, f"{copy} / {original}"):
        shown.add_column(column, no_wrap=True)
    for field, name in zip(FIELDS, _NAMES, strict=True):
        means = [per_thousand(done, field) for done in rounds.values()]
        shown.add_row(name, *map(_cell, means), _cell(ratio(rounds[copy], rounds[original], field)))
        if field != "server_cpu_s":
            shown.add_row("  with watts", *(_ends(*widened(mean, uncertainty_percent)) for mean in means))
    return shown


def _cell(mean: Mean) -> str:
    return f"{mean.value:.3g} {_ends(mean.lower, mean.upper)}"


def _ends(lower: float, upper: float) -> str:
    return f"({lower:.3g} to {upper:.3g})"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m examples.codecarbon", description=__doc__.splitlines()[0])
    parser.add_argument("--country", default="IND", help="ISO 3166-1 alpha-3 code of the grid (IND)")
    parser.add_argument("--copy", default="q4_0", choices=KINDS[1:], help="the quantized copy (q4_0)")
    parser.add_argument("--rounds", type=int, default=5, help="of each variant, at least 2 (5)")
    parser.add_argument("--questions", type=int, default=1000, help="of the golden set, in each round (1000)")
    parser.add_argument("--uncertainty-percent", type=float, default=30.0, help="of the watts, assumed (30)")
    chosen = parser.parse_args(arguments)
    if chosen.rounds < 2 or chosen.questions < 1 or chosen.uncertainty_percent < 0:
        parser.error("--rounds must be at least 2, --questions at least 1, --uncertainty-percent at least 0")
    # A table that is kept in a file is not to be folded.
    out = Console(width=None if sys.stdout.isatty() else _WIDTH)
    golden = spread(load_golden(GOLDEN).items, chosen.questions)
    rounds: dict[str, list[Round]] = {ORIGINAL: [], chosen.copy: []}
    method = ""
    try:
        check(chosen.country)
        for number in range(chosen.rounds):
            # Each goes first every other time: what else the machine does comes and goes.
            for kind in list(rounds) if number % 2 == 0 else list(rounds)[::-1]:
                done, energy = one_round(kind, golden, chosen.country)
                rounds[kind].append(done)
                method = energy.method
                out.print(f"round {number + 1}, {kind}: {done.answers} answers in {energy.duration_s:.1f} s")
        shown = table(rounds, chosen.uncertainty_percent)
    except (SupportModelError, ValueError) as error:
        print(f"examples.codecarbon: {error}", file=sys.stderr)
        return 2
    out.print(shown, *_notes(method, chosen.uncertainty_percent, chosen.country), sep="\n", soft_wrap=True)
    return 0


def _notes(method: str, uncertainty_percent: float, country: str) -> Iterator[str]:
    yield f"\nEnergy: {method}."
    yield f"In brackets: 95 % over the rounds. With watts: and these wrong by up to {uncertainty_percent:g} %, assumed."
    yield "The whole machine is metered: what else ran on it is in the energy, not in the servers' processor time."
    yield f"Carbon: {grid_intensity(country).g_per_kwh:g} g CO2e/kWh, {grid_intensity(country).source}."


if __name__ == "__main__":
    sys.exit(main())
