"""Scenario 20: planned looks with Lan-DeMets boundaries, by simulation and by exact recursion."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from analysis.calibrate.scenarios.paired_power import fixed_size
from analysis.calibrate.study import Bar, Measure, Part, Samples, Scenario
from analysis.group_sequential import (
    Boundaries,
    crossing_probabilities,
    lan_demets,
    naive_peeking_error,
    operating_characteristics,
    pocock,
)
from analysis.simulate import Counts, first_look, simulate_pairs

ALPHA = 0.05
_DISCORDANCE, _HARM = 0.06, 0.02
_PEEKS = {2: "8.3 %", 3: "10.7 %", 4: "12.6 %", 5: "14.2 %", 10: "19.3 %", 20: "24.8 %", 50: "32.0 %", 100: "37.4 %"}


def _fixed() -> float:
    """Return the pairs of the two-sided fixed test."""
    return fixed_size((_DISCORDANCE + _HARM) / 2, (_DISCORDANCE - _HARM) / 2, 0.9, ALPHA / 2)


def _obrien_fleming(looks: int) -> Boundaries:
    return lan_demets([k / looks for k in range(1, looks + 1)], ALPHA, sides=2)


def _plan(looks: int, kind: str) -> Boundaries:
    """Return a two-sided plan of equally spaced looks."""
    return pocock(looks, ALPHA) if kind == "Pocock" else _obrien_fleming(looks)


def planned(looks: int, kind: str, rng: np.random.Generator, replicates: int) -> Samples:
    """Draw pairs up to the planned maximum, without an effect and with the one that the plan is made for."""
    plan = _plan(looks, kind)
    per_look = round(operating_characteristics(plan).inflation * _fixed() / looks)
    null = _stops(rng, replicates, plan, per_look, 0.0)
    alternative = _stops(rng, replicates, plan, per_look, _HARM)
    seen = np.minimum(alternative + 1, looks) * per_look
    return {"error": null < looks, "power": alternative < looks, "average": seen / _fixed()}


def _stops(rng: np.random.Generator, replicates: int, plan: Boundaries, per_look: int, harm: float) -> Counts:
    """Return the index of the look at which McNemar's z crosses the plan's boundaries; the looks if it does not."""
    loss, win = (_DISCORDANCE + harm) / 2, (_DISCORDANCE - harm) / 2
    pairs = simulate_pairs(rng, replicates, len(plan.upper), per_look, loss, win)
    z = (pairs.losses - pairs.wins) / np.sqrt(np.maximum(pairs.losses + pairs.wins, 1))
    return first_look(np.asarray(np.abs(z) >= np.array(plan.upper)))


def exact(looks: int, kind: str) -> Mapping[str, float]:
    """Return the same figures by recursion over the normal density."""
    plan = _plan(looks, kind)
    found = operating_characteristics(plan)
    return {
        "exact error": crossing_probabilities(plan.fractions, plan.upper, plan.lower).total,
        "inflation": found.inflation,
        "exact average": found.average_alternative,
    }


def peeking() -> Mapping[str, float]:
    """Return the exact error of a two-sided fixed test that is repeated at equally spaced looks."""
    return {str(looks): naive_peeking_error(looks, ALPHA) for looks in _PEEKS}


def _part(looks: int, kind: str, average: str, inflation: str, *, judged: bool) -> Part:
    within = Bar("within", 0.045, 0.055) if judged else None
    cost = Bar("at most", 1.04) if judged else None
    gain = Bar("at most", 0.78) if judged and looks == 5 else None
    measures = (
        Measure("error", "false rejection, simulated", bar=within, reference="4.7-5.6 %" if judged else ""),
        Measure("exact error", "false rejection, exact", "exact", within),
        Measure("inflation", "maximal sample / n90, exact", "exact", cost, inflation, unit="x"),
        Measure("average", "average sample under harm / n90, simulated", "mean", gain, average, unit="x"),
        Measure("exact average", "average sample under harm / n90, exact", "exact", gain, average, unit="x"),
        Measure("power", "power, simulated", reference="90 %"),
    )
    name = f"{kind}, {looks} looks"
    return Part(name, partial(planned, looks, kind), measures, exact=partial(exact, looks, kind))


PLANNED = Scenario(
    20,
    "Planned looks (group-sequential mode)",
    "Two-sided, alpha .05, power .9 for a harm of 2 points with a discordance of 6 %; equally spaced looks; n90 is the "
    "fixed two-sided test's. The exact figures are for normal z statistics, the simulated ones for pairs.",
    (
        _part(5, "Lan-DeMets, O'Brien-Fleming type", "0.759", "", judged=True),
        _part(10, "Lan-DeMets, O'Brien-Fleming type", "0.722", "1.036", judged=True),
        _part(5, "Pocock", "0.685", "1.207", judged=False),
        Part(
            "Naive peeking with a two-sided test, exact",
            None,
            tuple(
                Measure(str(looks), f"{looks} looks", "exact", None, reference, "naive")
                for looks, reference in _PEEKS.items()
            ),
            exact=peeking,
        ),
    ),
)
