"""Errors under peeking, power and time of an analysis: tea-tasting, GrowthBook's gbstats, statsmodels and Touchstone.

    pip install -e '.[peers]' && pip install --no-deps gbstats==0.8.0
    python -m benchmarks.statistics_peers

Every method sees the same counts at the same looks, in the same run, and is called as its own documentation says. All
are two-sided at 5 %. gbstats 0.8.0 asks for numpy < 2 and Touchstone for numpy >= 2; its frequentist tests work
with numpy 2 all the same, hence `--no-deps`. A peer that is not installed is left out, with the reason. About two
minutes.
"""

from __future__ import annotations

import argparse
import importlib
import math
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportions_ztest

from analysis.eprocess import DifferenceCounts, log_e_harm, log_e_noninferior
from analysis.event_coin import EventCoin, log_e_event, log_e_event_many
from analysis.simulate import ArmLooks, PairLooks, rate, simulate_arms, simulate_pairs

_ALPHA = 0.05
_UNITS, _LOOKS = 20_000, 100
_PER_LOOK = _UNITS // _LOOKS
_BOTH_WAYS = math.log(2 / _ALPHA)
"""Two one-sided e-processes at alpha / 2 each."""


class Arms(NamedTuple):
    """Units and bad events at one look."""

    treated: int
    control: int
    treated_events: int
    control_events: int
    share: float


class Pairs(NamedTuple):
    """Paired outcomes at one look."""

    losses: int
    ties: int
    wins: int


@dataclass(frozen=True)
class Contender:
    """A method as its users call it."""

    name: str
    source: str
    """Library and version."""
    alarms: Callable[[Any], bool]


@dataclass(frozen=True)
class Race:
    """What came out of one data set."""

    title: str
    alarms: dict[str, list[int | None]]
    """Method -> index of the look of the first alarm of each experiment."""


# --- the contenders ---------------------------------------------------------------------------------------------------


def unpaired_contenders(out: Console) -> list[Contender]:
    """Return the methods for two arms; says which peers are missing."""
    found = [Contender("event coin, both directions", "touchstone", _event_coin)]
    found.append(Contender("z test of two proportions", f"statsmodels {version('statsmodels')}", _statsmodels))
    for name, build in (("tea_tasting", _tea_tasting), ("gbstats", _gbstats)):
        try:
            found += build()
        except ImportError as error:
            out.print(f"{name} is left out: {error}. See the head of this file for how to install it.")
    return found


def _event_coin(look: Arms) -> bool:
    state = _coin_state(look)
    return max(log_e_event(state), log_e_event(state, side="noninferiority")) >= _BOTH_WAYS


def _coin_state(look: Arms) -> EventCoin:
    return EventCoin.of_counts({(look.share, 0): look.control_events, (look.share, 1): look.treated_events})


def _statsmodels(look: Arms) -> bool:
    p_value = proportions_ztest((look.treated_events, look.control_events), (look.treated, look.control))[1]
    return bool(p_value < _ALPHA)


def _tea_tasting() -> Iterator[Contender]:
    module = importlib.import_module("tea_tasting")
    aggregates = importlib.import_module("tea_tasting.aggr").Aggregates
    # Its default below 1,000 units, Barnard's test, takes seconds a call; from there on "norm" is the default.
    metric = module.Proportion("event", method="norm")

    def alarms(look: Arms) -> bool:
        control = aggregates(look.control, {"event": look.control_events / max(1, look.control)})
        treatment = aggregates(look.treated, {"event": look.treated_events / max(1, look.treated)})
        return bool(metric.analyze_aggregates(control, treatment).pvalue < _ALPHA)

    yield Contender("Proportion", f"tea-tasting {version('tea-tasting')}", alarms)


def _gbstats() -> Iterator[Contender]:
    tests = importlib.import_module("gbstats.frequentist.tests")
    statistic = importlib.import_module("gbstats.models.statistics").ProportionStatistic

    def contender(test: str, difference: str, label: str) -> Contender:
        config = {"SequentialTwoSidedTTest": "SequentialConfig", "TwoSidedTTest": "FrequentistConfig"}[test]
        settings = getattr(tests, config)(difference_type=difference)

        def alarms(look: Arms) -> bool:
            arms = (
                statistic(n=look.control, sum=look.control_events),
                statistic(n=look.treated, sum=look.treated_events),
            )
            return bool(getattr(tests, test)(*arms, settings).compute_result().p_value < _ALPHA)

        return Contender(label, f"gbstats {version('gbstats')}", alarms)

    yield contender("SequentialTwoSidedTTest", "absolute", "sequential test, absolute")
    yield contender("SequentialTwoSidedTTest", "relative", "sequential test, relative (its default)")
    yield contender("TwoSidedTTest", "relative", "t test, relative")


def paired_contenders() -> list[Contender]:
    """Return the methods for pairs; tea-tasting and gbstats have none."""
    return [
        Contender("betting e-process, both directions", "touchstone", _betting),
        Contender("McNemar, exact", f"statsmodels {version('statsmodels')}", _mcnemar),
    ]


def _betting(look: Pairs) -> bool:
    state = DifferenceCounts.from_ltw(*look)
    return max(log_e_harm(state, 0.0), log_e_noninferior(state, 0.0)) >= _BOTH_WAYS


def _mcnemar(look: Pairs) -> bool:
    table = ((0, look.losses), (look.wins, 0))
    return look.losses + look.wins > 0 and bool(mcnemar(table, exact=True).pvalue < _ALPHA)


# --- the data ---------------------------------------------------------------------------------------------------------


def arms_at(drawn: ArmLooks) -> list[list[Arms]]:
    """Return every experiment as a list of looks."""
    share = float(drawn.propensity[0])
    counts = np.stack(drawn.cumulated(), axis=-1).tolist()
    return [[Arms(n1, n0, x1, x0, share) for n1, n0, x1, x0 in experiment] for experiment in counts]


def pairs_at(drawn: PairLooks) -> list[list[Pairs]]:
    """Return every experiment as a list of looks."""
    counts = np.stack([drawn.losses, drawn.ties, drawn.wins], axis=-1).tolist()
    return [[Pairs(*look) for look in experiment] for experiment in counts]


def race(title: str, contenders: Sequence[Contender], experiments: Sequence[Sequence[Any]]) -> Race:
    """Let every method look at every experiment until it alarms."""
    alarms: dict[str, list[int | None]] = {contender.name: [] for contender in contenders}
    for experiment in track(experiments, description=f"{title:<45}"):
        for contender in contenders:
            first = next((i for i, look in enumerate(experiment) if contender.alarms(look)), None)
            alarms[contender.name].append(first)
    return Race(title, alarms)


def time_of(contender: Contender, looks: Sequence[Any], repeats: int = 5) -> float:
    """Return seconds a call: the best of some repeats over different looks."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        for look in looks:
            contender.alarms(look)
        seconds.append((time.perf_counter() - start) / len(looks))
    return min(seconds)


def time_at_once(looks: Sequence[Arms], repeats: int = 5) -> float:
    """Return seconds an analysis when the product looks at 20 metrics x 10 slices at once, as its controller does."""
    chosen = [looks[i % len(looks)] for i in range(200)]
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        states = [_coin_state(look) for look in chosen]
        log_e_event_many(states)
        log_e_event_many(states, side="noninferiority")
        seconds.append((time.perf_counter() - start) / len(states))
    return min(seconds)


# --- the tables -------------------------------------------------------------------------------------------------------


def print_race(out: Console, found: Race, contenders: Sequence[Contender], *, same: bool) -> None:
    """Print how often and, if there is something to find, when each method alarmed."""
    what = "false alarms" if same else "found"
    table = Table("method", "library", what, "95 % limits", title=found.title, title_justify="left")
    if not same:
        table.add_column("median units", justify="right")
    for contender in contenders:
        firsts = found.alarms[contender.name]
        share = rate(np.array([first is not None for first in firsts]))
        cells = [contender.name, contender.source, f"{100 * share.value:.1f} %"]
        cells.append(f"{100 * share.lower:.1f}-{100 * share.upper:.1f}")
        if not same:
            stops = [math.inf if first is None else (first + 1) * _PER_LOOK for first in firsts]
            median = statistics.median(stops)
            cells.append(f"{median:,.0f}" if median < math.inf else f"> {_UNITS:,}")
        table.add_row(*cells, style="bold" if contender.source == "touchstone" else "")
    out.print(table)


def print_times(out: Console, timings: Sequence[tuple[Contender, float]]) -> None:
    """Print the time of one analysis from counts, as ratios to Touchstone's."""
    table = Table("method", "library", "one analysis", "ratio", title="Time, from counts", title_justify="left")
    ours = timings[0][1]
    for contender, seconds in timings:
        table.add_row(contender.name, contender.source, f"{seconds * 1e6:.0f} us", f"{seconds / ours:.2f} x")
    out.print(table)


def main() -> None:
    """Run all and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiments", type=int, default=200, help="of each kind")
    parser.add_argument("--seed", type=int, default=20_260_901)
    options = parser.parse_args()
    # Peers divide by zero at looks without events; what they answer then is counted as no alarm.
    warnings.simplefilter("ignore")
    out, rng = Console(), np.random.default_rng(options.seed)
    unpaired, paired = unpaired_contenders(out), paired_contenders()

    def arms(share: float, control: float, treatment: float) -> list[list[Arms]]:
        propensity = np.full(_LOOKS, share)
        return arms_at(simulate_arms(rng, options.experiments, _PER_LOOK, propensity, control, treatment))

    out.print(f"{options.experiments} experiments of {_UNITS:,} units, {_LOOKS} looks, seed {options.seed}.")
    data = {
        "A/A: 1 % events, 10 % share": arms(0.1, 0.01, 0.01),
        "A/A: 5 % events, 50 % share": arms(0.5, 0.05, 0.05),
        "1 % to 2 % events, 10 % share": arms(0.1, 0.01, 0.02),
    }
    for title, experiments in data.items():
        print_race(out, race(title, unpaired, experiments), unpaired, same=title.startswith("A/A"))
    for title, loss in (("A/A in pairs: 6 % discordant", 0.03), ("Pairs: 4 % lost, 2 % won", 0.04)):
        drawn = simulate_pairs(rng, options.experiments, _LOOKS, _PER_LOOK, loss, 0.06 - loss)
        print_race(out, race(title, paired, pairs_at(drawn)), paired, same=title.startswith("A/A"))
    looks = [experiment[-1] for experiment in data["A/A: 1 % events, 10 % share"][:50]]
    timings = [(contender, time_of(contender, looks)) for contender in unpaired]
    at_once = Contender("event coin, 200 states at once", "touchstone", _event_coin)
    print_times(out, [timings[0], (at_once, time_at_once(looks)), *timings[1:]])
    last = [Pairs(600 + i, 18_800, 600 - i) for i in range(50)]
    print_times(out, [(contender, time_of(contender, last)) for contender in paired])


if __name__ == "__main__":
    main()
