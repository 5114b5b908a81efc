"""Scenarios 1-3: false alarms of the paired e-process."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from analysis.calibrate import comparators as other
from analysis.calibrate.study import Bar, Measure, Part, Samples, Scenario
from analysis.eprocess import log_e_ltw
from analysis.group_sequential import lan_demets
from analysis.simulate import Booleans, PairLooks, ever, simulate_pairs

ALPHA = 0.05
TOLERATED = 0.01
MARGIN = 0.02
DISCORDANCE = 0.06
_LOOKS, _PAIRS_PER_LOOK = 200, 100
_OBF_LOOKS = 10
_FIVE = Bar("error", ALPHA)


def harm_crossed(pairs: PairLooks, null_mean: float, alpha: float = ALPHA) -> Booleans:
    """Return where the product's harm e-process is at 1/alpha or above, at each look."""
    log_e = log_e_ltw(pairs.losses, pairs.ties, pairs.wins, null_mean, "harm")
    return np.asarray(log_e >= math.log(1 / alpha))


def noninferiority_crossed(pairs: PairLooks, margin: float, alpha: float = ALPHA) -> Booleans:
    """Return where the product's non-inferiority e-process is at 1/alpha or above, at each look."""
    log_e = log_e_ltw(pairs.losses, pairs.ties, pairs.wins, -margin, "noninferiority")
    return np.asarray(log_e >= math.log(1 / alpha))


def draw(rng: np.random.Generator, replicates: int, discordance: float, difference: float) -> PairLooks:
    """Draw pairs with this discordance and mean difference, looked at 200 times."""
    loss, win = (discordance - difference) / 2, (discordance + difference) / 2
    return simulate_pairs(rng, replicates, _LOOKS, _PAIRS_PER_LOOK, loss, win)


# --- 1: no effect -----------------------------------------------------------------------------------------------------


def same_model(discordance: float, rng: np.random.Generator, replicates: int) -> Samples:
    """Draw two copies of the same model."""
    pairs = draw(rng, replicates, discordance, 0.0)
    return {
        "ours": ever(harm_crossed(pairs, 0.0)),
        "z one-sided": ever(other.z_harm(pairs)),
        "z two-sided": ever(other.z_two_sided(pairs)),
        "bayes .95": ever(other.bayes_harm(pairs, 0.95)),
        "bayes .99": ever(other.bayes_harm(pairs, 0.99)),
        "growthbook": ever(other.growthbook_harm(pairs)),
        "msprt": ever(other.msprt(pairs, effect_sd=0.01)),
        "group sequential": ever(_ten_looks(pairs)),
    }


def _ten_looks(pairs: PairLooks) -> Booleans:
    """Return where the z test crosses the O'Brien-Fleming type boundaries, at ten of the looks."""
    chosen = np.arange(1, _OBF_LOOKS + 1) * (_LOOKS // _OBF_LOOKS) - 1
    plan = lan_demets((chosen + 1) / _LOOKS, ALPHA)
    return np.asarray(-other.standardised(pairs, 0.0)[:, chosen] > np.array(plan.upper))


def _same_model_part(discordance: float, ours: str, one: str, two: str) -> Part:
    measures = (
        Measure("ours", "betting e-process", bar=_FIVE, reference=ours),
        Measure("z one-sided", "z test, one-sided", reference=one, method="naive"),
        Measure("z two-sided", "z test, two-sided", reference=two, method="naive"),
        Measure("bayes .95", "flat prior, P(worse) > .95", reference="33 %", method="naive"),
        Measure("bayes .99", "flat prior, P(worse) > .99", reference="10 %", method="naive"),
        Measure("growthbook", "GrowthBook's form, one-sided", reference="2.3-3.3 %", method="peer"),
        Measure("msprt", "mSPRT, two-sided", reference="2.3-3.0 %", method="peer"),
        Measure("group sequential", "Lan-DeMets, 10 of the looks", reference="4.7-5.6 %", method="peer"),
    )
    return Part(f"A/A, discordance {100 * discordance:g} %", partial(same_model, discordance), measures)


SAME_MODEL = Scenario(
    1,
    "A/A in pairs: false rollback",
    "20,000 pairs of two copies of the same model, looked at every 100 pairs; H0: the treatment is not worse. The "
    "mSPRT's effect prior has a standard deviation of 1 point; GrowthBook's form has its default n* = 5,000.",
    (
        _same_model_part(0.02, "2.1 %", "30 %", "36 %"),
        _same_model_part(0.06, "2.2 %", "33 %", "41 %"),
        _same_model_part(0.20, "2.7 %", "36 %", "44 %"),
    ),
)


# --- 2: a tolerated loss ----------------------------------------------------------------------------------------------


def tolerated_loss(difference: float, rng: np.random.Generator, replicates: int) -> Samples:
    """Draw a loss that may not be rolled back."""
    pairs = draw(rng, replicates, DISCORDANCE, difference)
    return {
        "ours": ever(harm_crossed(pairs, -TOLERATED)),
        "z": ever(other.z_harm(pairs, tolerated=TOLERATED)),
    }


TOLERANCE = Scenario(
    2,
    "False rollback with a tolerance of 1 point",
    "As scenario 1 with a discordance of 6 %; H0: the treatment is worse by no more than 1 point.",
    (
        Part(
            "Tolerance of 1 point, 1 point worse",
            partial(tolerated_loss, -TOLERATED),
            (
                Measure("ours", "betting e-process", bar=_FIVE, reference="2.35 %"),
                Measure("z", "z test, one-sided", reference="33 %", method="naive"),
            ),
        ),
        Part(
            "Tolerance of 1 point, not worse at all",
            partial(tolerated_loss, 0.0),
            (
                Measure("ours", "betting e-process", bar=Bar("error", 0.005), reference="0.0 %"),
                Measure("z", "z test, one-sided", reference="2.4 %", method="naive"),
            ),
        ),
    ),
)


# --- 3: the margin ----------------------------------------------------------------------------------------------------


def at_the_margin(discordance: float, rng: np.random.Generator, replicates: int) -> Samples:
    """Draw a treatment that is worse by exactly the margin."""
    pairs = draw(rng, replicates, discordance, -MARGIN)
    return {
        "ours": ever(noninferiority_crossed(pairs, MARGIN)),
        "z": ever(other.z_noninferior(pairs, MARGIN)),
        "growthbook": ever(other.growthbook_noninferior(pairs, MARGIN)),
        "growthbook 1000": ever(other.growthbook_noninferior(pairs, MARGIN, n_star=1000)),
    }


def _margin_part(discordance: float) -> Part:
    measures = (
        Measure("ours", "betting e-process", bar=_FIVE, reference="2.2 %"),
        Measure("z", "z test, one-sided", reference="34 %", method="naive"),
        Measure("growthbook", "GrowthBook's form, n* = 5,000", reference="2.2-3.4 %", method="peer"),
        Measure("growthbook 1000", "GrowthBook's form, n* = 1,000", reference="2.2-3.4 %", method="peer"),
    )
    return Part(
        f"Margin of 2 points, 2 points worse, discordance {100 * discordance:g} %",
        partial(at_the_margin, discordance),
        measures,
    )


AT_THE_MARGIN = Scenario(
    3,
    "False promotion at the margin",
    "As scenario 1, but the treatment is worse by exactly the margin of 2 points; H0: it is worse by 2 points or more.",
    (_margin_part(0.06), _margin_part(0.12)),
)
