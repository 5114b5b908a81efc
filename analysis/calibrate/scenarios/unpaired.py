"""Scenarios 4, 5, 16 and 17: bad events of two arms that are randomised unit by unit, at a constant share."""

from __future__ import annotations

import math
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from analysis.betting import Side
from analysis.calibrate import comparators as other
from analysis.calibrate.study import Bar, Measure, Part, Samples, Scenario
from analysis.event_coin import log_e_event_counts
from analysis.simulate import ArmLooks, Booleans, Floats, ever, first_look, simulate_arms

ALPHA = 0.05
UNITS_PER_LOOK = 100
_HORIZON = 6.0
"""Multiples of n90 after which an experiment with an effect is ended."""


def crossed(arms: ArmLooks, side: Side) -> Booleans:
    """Return where the event coin is at 1/alpha or above: `harm` for more events, `noninferiority` for fewer."""
    _, _, treated_events, control_events = arms.cumulated()
    log_e = log_e_event_counts(control_events, treated_events, arms.propensity, side=side)
    return np.asarray(log_e >= math.log(1 / ALPHA))


# --- 4, 5: no effect --------------------------------------------------------------------------------------------------


class _Design(NamedTuple):
    """A constant rate of bad events in both arms."""

    risk: float
    share: float
    units: int


def same_model(design: _Design, rng: np.random.Generator, replicates: int) -> Samples:
    """Draw two copies of the same model."""
    propensity = np.full(design.units // UNITS_PER_LOOK, design.share)
    arms = simulate_arms(rng, replicates, UNITS_PER_LOOK, propensity, design.risk, design.risk)
    return {
        "harm": ever(crossed(arms, "harm")),
        "benefit": ever(crossed(arms, "noninferiority")),
        "z": ever(other.arms_z_peeking(arms)),
        **{f"sequence {needed}": ever(other.arms_asymptotic(arms, needed)) for needed in (0, 1, 10)},
    }


def _part(design: _Design, harm: str, benefit: str, z: str, sequences: tuple[str, str, str]) -> Part:
    five = Bar("error", ALPHA)
    bare, one, ten = sequences
    measures = (
        Measure("harm", "event coin: harm", bar=five, reference=harm),
        Measure("benefit", "event coin: benefit", bar=five, reference=benefit),
        Measure("z", "z test, two-sided", reference=z, method="naive"),
        Measure("sequence 0", "asymptotic sequence, n* = 5,000", reference=bare, method="peer"),
        Measure("sequence 1", "the same from 1 event per arm on", reference=one, method="peer"),
        Measure("sequence 10", "the same from 10 events per arm on", reference=ten, method="peer"),
    )
    name = f"A/A, {100 * design.risk:g} % events, {100 * design.share:g} % share, {design.units:,} units"
    return Part(name, partial(same_model, design), measures, block_size=250)


RARE = Scenario(
    4,
    "A/A with rare events and a small share",
    f"Two copies of the same model; each unit comes to the treatment at random (Bernoulli assignment); looked at every "
    f"{UNITS_PER_LOOK} units. The asymptotic sequence is the two-sided one of GrowthBook's form.",
    (
        _part(_Design(0.01, 0.10, 20_000), "2.2 %", "2.7 %", "71 %", ("32 %", "8.6 %", "0.5 %")),
        _part(_Design(0.005, 0.05, 40_000), "1.4 %", "1.1 %", "82 %", ("59 %", "5.7 %", "0 %")),
        _part(_Design(0.002, 0.10, 40_000), "1.9 %", "2.0 %", "70 %", ("36 %", "6.2 %", "0 %")),
    ),
)

COMMON = Scenario(
    5,
    "A/A with common events and equal shares",
    "As scenario 4, where the usual methods work best.",
    (_part(_Design(0.05, 0.50, 20_000), "1.6 %", "1.6 %", "42 %", ("2.7-3.0 % (gbstats)", "", "")),),
)


# --- 16, 17: more events ----------------------------------------------------------------------------------------------


class _Effect(NamedTuple):
    """Rates of bad events of the two arms."""

    control: float
    treatment: float
    share: float

    @property
    def n90(self) -> float:
        """Units of both arms with which a one-sided fixed z test (unpooled variance) has a power of 90 %."""
        variance = self.treatment * (1 - self.treatment) / self.share
        variance += self.control * (1 - self.control) / (1 - self.share)
        return float((ndtri(1 - ALPHA) + ndtri(0.9)) ** 2 * variance / (self.treatment - self.control) ** 2)


def more_events(effect: _Effect, rng: np.random.Generator, replicates: int) -> Samples:
    """Draw a treatment with more bad events."""
    propensity = np.full(math.ceil(_HORIZON * effect.n90 / UNITS_PER_LOOK), effect.share)
    arms = simulate_arms(rng, replicates, UNITS_PER_LOOK, propensity, effect.control, effect.treatment)
    coin = _stopped_after(crossed(arms, "harm"))
    gated = _stopped_after(other.arms_asymptotic_harm(arms, events_needed=10))
    at_n90 = other.arms_z(arms)[:, math.ceil(effect.n90 / UNITS_PER_LOOK) - 1]
    return {
        "units": coin,
        "units/n90": coin / effect.n90,
        "gated": gated,
        "gated/n90": gated / effect.n90,
        "fixed": np.asarray(at_n90 > ndtri(1 - ALPHA)),
    }


def _stopped_after(where: Booleans) -> Floats:
    """Return the units at the first crossing; an experiment that never crosses counts with all its units."""
    looks = np.minimum(first_look(where) + 1, where.shape[-1])
    return np.asarray(looks * float(UNITS_PER_LOOK))


def _effect_part(effect: _Effect, most: float, units: str, ratio: str, gated: tuple[str, str]) -> Part:
    measures = (
        Measure("units/n90", "event coin: median stop / n90", "median", Bar("at most", most), ratio, unit="x"),
        Measure("units", "event coin: median units", "median", reference=units, unit="n"),
        Measure("gated/n90", "gated sequence: median stop / n90", "median", None, gated[1], "peer", "x"),
        Measure("gated", "gated sequence: median units", "median", None, gated[0], "peer", "n"),
        Measure("fixed", "z test, one look at n90", reference="90 %", method="naive"),
    )
    name = f"{100 * effect.control:g} % to {100 * effect.treatment:g} %, {100 * effect.share:g} % share"
    return Part(f"{name} (n90 = {effect.n90:,.0f})", partial(more_events, effect), measures, block_size=100)


_WHAT = (
    "As scenario 4. n90 is the sample of both arms that gives the one-sided fixed test a power of 90 %; the gated "
    "sequence is the one-sided asymptotic one (n* = 5,000) from 10 events per arm on."
)
DOUBLED = Scenario(
    16,
    "Rare event twice as frequent: time to rollback",
    _WHAT,
    (_effect_part(_Effect(0.01, 0.02, 0.1), 0.75, "9,850", "0.56", ("15,100", "0.85")),),
)
FIVEFOLD = Scenario(
    17,
    "Rare event five times as frequent: time to rollback",
    _WHAT,
    (_effect_part(_Effect(0.002, 0.01, 0.1), 0.5, "5,200", "0.38", ("12,200", "0.90")),),
)
