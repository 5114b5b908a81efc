"""Scenarios 12-15: how long the paired e-process takes, in units of the sample that a fixed test needs."""

from __future__ import annotations

from functools import partial

import numpy as np

from analysis.calibrate import comparators as other
from analysis.calibrate.scenarios.paired_errors import ALPHA, MARGIN, harm_crossed, noninferiority_crossed
from analysis.calibrate.study import Bar, Measure, Part, Samples, Scenario
from analysis.power import SampleSize, paired_harm_sample_size, paired_noninferiority_sample_size
from analysis.result import NotEstimable
from analysis.simulate import Booleans, Counts, Floats, PairLooks, first_look, simulate_pairs

_PAIRS_PER_LOOK = 50
_HORIZON = 12.0
"""Multiples of n90 after which an experiment is ended; at most a few in ten thousand get there."""
_NULL_BY = (1, 2, 3)


def fixed_size(loss: float, win: float, power: float, alpha: float = ALPHA) -> float:
    """Return the pairs that the one-sided McNemar test needs."""
    return _exact(paired_harm_sample_size(loss, win, alpha, power))


def fixed_noninferiority_size(discordance: float, power: float) -> float:
    """Return the pairs that Tango's test needs to rule out the margin if there is no difference."""
    return _exact(paired_noninferiority_sample_size(discordance / 2, discordance / 2, MARGIN, ALPHA, power))


def _exact(size: SampleSize | NotEstimable) -> float:
    if isinstance(size, NotEstimable):
        raise ValueError(size.reason)  # noqa: TRY004  # the type is what carries the reason
    return size.exact


def _draw(rng: np.random.Generator, replicates: int, loss: float, win: float, n90: float) -> PairLooks:
    looks = int(np.ceil(_HORIZON * n90 / _PAIRS_PER_LOOK))
    return simulate_pairs(rng, replicates, looks, _PAIRS_PER_LOOK, loss, win)


def stopped_after(crossed: Booleans) -> Floats:
    """Return the pairs at the first crossing; an experiment that never crosses counts with all its pairs."""
    looks: Counts = np.minimum(first_look(crossed) + 1, crossed.shape[-1])
    return np.asarray(looks * float(_PAIRS_PER_LOOK))


def _by(crossed: Booleans, pairs: float) -> Booleans:
    """Return which experiments have crossed at a look by so many pairs."""
    return np.asarray(crossed[:, : int(pairs // _PAIRS_PER_LOOK)].any(axis=1))


def _at(crossed: Booleans, pairs: float) -> Booleans:
    """Return which experiments are across at the first look with so many pairs."""
    return crossed[:, int(np.ceil(pairs / _PAIRS_PER_LOOK)) - 1]


# --- 12, 13, 15: harm -------------------------------------------------------------------------------------------------


def harm(discordance: float, effect: float, alpha: float, rng: np.random.Generator, replicates: int) -> Samples:
    """Draw a treatment that is worse by `effect`."""
    loss, win = (discordance + effect) / 2, (discordance - effect) / 2
    n90, n80 = fixed_size(loss, win, 0.9), fixed_size(loss, win, 0.8)
    two_sided_n80 = fixed_size(loss, win, 0.8, alpha / 2)
    pairs = _draw(rng, replicates, loss, win, n90)
    crossed = harm_crossed(pairs, 0.0, alpha)
    stops = stopped_after(crossed)
    sizes = _at(other.z_harm(pairs, alpha), fixed_size(loss, win, 0.9, alpha))
    mixture = other.msprt(pairs, effect_sd=effect, alpha=alpha)
    return {
        "pairs": stops,
        "mean/n90": stops / n90,
        "mean/n80": stops / n80,
        **{f"by {k} n90": _by(crossed, k * n90) for k in _NULL_BY},
        "fixed": sizes,
        "growthbook/n90": stopped_after(other.growthbook_harm(pairs, alpha, n_star=1000)) / n90,
        "msprt/n80": stopped_after(mixture) / two_sided_n80,
        "msprt by n80": _by(mixture, two_sided_n80),
    }


def _n90_text(discordance: float, effect: float) -> str:
    loss, win = (discordance + effect) / 2, (discordance - effect) / 2
    return f"n80 = {fixed_size(loss, win, 0.8):,.0f}, n90 = {fixed_size(loss, win, 0.9):,.0f} at alpha .05"


def _harm_part(discordance: float, effect: float, alpha: float, measures: tuple[Measure, ...]) -> Part:
    name = f"{100 * effect:g} point{'s' if effect > 0.01 else ''} worse, discordance {100 * discordance:g} %"
    return Part(f"{name} ({_n90_text(discordance, effect)})", partial(harm, discordance, effect, alpha), measures)


HARM = Scenario(
    12,
    "Harm of 2 points: time to rollback",
    "Looked at every 50 pairs. n90 is the sample that gives the one-sided fixed test at alpha .05 a power of 90 %.",
    (
        _harm_part(
            0.06,
            0.02,
            ALPHA,
            (
                Measure("mean/n90", "mean stop / n90", "mean", Bar("at most", 1.15), "1.00", unit="x"),
                Measure("by 1 n90", "found by n90", bar=Bar("at least", 0.50), reference="58.5 %"),
                Measure("by 2 n90", "found by 2 n90", bar=Bar("at least", 0.88), reference="91.9 %"),
                Measure("by 3 n90", "found by 3 n90", bar=Bar("at least", 0.97), reference="98.9 %"),
                Measure("pairs", "median pairs", "median", reference="1,200", unit="n"),
                Measure("pairs", "mean pairs", "mean", reference="1,342", unit="n"),
                Measure("fixed", "z test, one look at n90", reference="90 %", method="naive"),
                Measure("growthbook/n90", "GrowthBook's form, n* = 1,000", "mean", method="peer", unit="x"),
            ),
        ),
    ),
)

STRICT_HARM = Scenario(
    13,
    "Harm at alpha .01: time to rollback",
    "As scenario 12 with alpha .01, in units of the same n90 (at alpha .05). The fixed test is at alpha .01, with the "
    "sample that it needs there.",
    tuple(
        _harm_part(
            0.06,
            effect,
            0.01,
            (
                Measure("mean/n90", "mean stop / n90", "mean", Bar("at most", 1.6), reference, unit="x"),
                Measure("pairs", "mean pairs", "mean", unit="n"),
                Measure("fixed", "z test, one look at its own n90", method="naive"),
            ),
        )
        for effect, reference in ((0.02, "1.42"), (0.01, "1.36"))
    ),
)


def _in_units_of_n80(discordance: float, effect: float, bar: Bar | None, mean: str, median: str, ratio: str) -> Part:
    measures = (
        Measure("mean/n80", "mean stop / n80", "mean", bar, ratio, unit="x"),
        Measure("pairs", "median pairs", "median", reference=median, unit="n"),
        Measure("pairs", "mean pairs", "mean", reference=mean, unit="n"),
        Measure("msprt/n80", "mSPRT, two-sided: mean / two-sided n80", "mean", None, "1.14-1.17", "peer", "x"),
        Measure("msprt by n80", "mSPRT: found by the two-sided n80", reference="50-52 %", method="peer"),
    )
    return _harm_part(discordance, effect, ALPHA, measures)


HARM_N80 = Scenario(
    15,
    "Harm in units of n80",
    "As scenario 12. The mSPRT's prior has the true effect as its standard deviation: more than anyone knows.",
    (
        _in_units_of_n80(0.06, 0.01, Bar("at most", 1.55), "5,009", "4,300", "1.35"),
        _in_units_of_n80(0.06, 0.02, Bar("at most", 1.55), "1,342", "1,200", "1.45"),
        _in_units_of_n80(0.10, 0.02, None, "2,179", "1,900", "1.41"),
    ),
)


# --- 14: non-inferiority ----------------------------------------------------------------------------------------------


def no_difference(discordance: float, rng: np.random.Generator, replicates: int) -> Samples:
    """Draw a treatment that is as good as control, to be promoted."""
    n90 = fixed_noninferiority_size(discordance, 0.9)
    pairs = _draw(rng, replicates, discordance / 2, discordance / 2, n90)
    crossed = noninferiority_crossed(pairs, MARGIN)
    sequence = other.growthbook_noninferior(pairs, MARGIN, n_star=1000)
    stops = stopped_after(crossed)
    return {
        "pairs": stops,
        "mean/n90": stops / n90,
        "by 2 n90": _by(crossed, 2 * n90),
        "fixed": _at(other.z_noninferior(pairs, MARGIN), n90),
        "growthbook/n90": stopped_after(sequence) / n90,
        "growthbook by 2 n90": _by(sequence, 2 * n90),
    }


def _noninferiority_part(discordance: float, bars: tuple[Bar | None, Bar | None], references: tuple[str, ...]) -> Part:
    n90 = fixed_noninferiority_size(discordance, 0.9)
    mean, by, median, pairs, form, form_by = references
    measures = (
        Measure("mean/n90", "mean stop / n90", "mean", bars[0], mean, unit="x"),
        Measure("by 2 n90", "proved by 2 n90", bar=bars[1], reference=by),
        Measure("pairs", "median pairs", "median", reference=median, unit="n"),
        Measure("pairs", "mean pairs", "mean", reference=pairs, unit="n"),
        Measure("fixed", "z test, one look at n90", reference="90 %", method="naive"),
        Measure("growthbook/n90", "GrowthBook's form, n* = 1,000: mean / n90", "mean", None, form, "peer", "x"),
        Measure("growthbook by 2 n90", "GrowthBook's form: proved by 2 n90", reference=form_by, method="peer"),
    )
    name = f"No difference, discordance {100 * discordance:g} % (n90 = {n90:,.0f})"
    return Part(name, partial(no_difference, discordance), measures)


NONINFERIORITY = Scenario(
    14,
    "No difference: time to promotion with a margin of 2 points",
    "Looked at every 50 pairs; H0: worse by 2 points or more. n90 is that of Tango's fixed test, one-sided, alpha .05.",
    (
        _noninferiority_part(
            0.06,
            (Bar("at most", 1.2), Bar("at least", 0.88)),
            ("1.04", "91.4 %", "1,250", "1,397", "0.88", "94.9 %"),
        ),
        _noninferiority_part(0.10, (None, None), ("0.97", "", "1,850", "2,118", "", "")),
    ),
)
