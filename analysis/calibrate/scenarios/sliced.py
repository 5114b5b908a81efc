"""Scenarios 7 and 18: eight slices watched at once, with and without one that is harmed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from analysis.betting import log_mean_exp
from analysis.calibrate import comparators as other
from analysis.calibrate.scenarios.paired_errors import ALPHA, DISCORDANCE
from analysis.calibrate.study import Bar, Measure, Part, Samples, Scenario
from analysis.eprocess import log_e_ltw
from analysis.multiplicity import e_bonferroni
from analysis.simulate import Booleans, Floats, PairLooks, ever, simulate_pairs

_PAIRS = (150, 300, 500, 800, 1200, 2000, 3000, 4000)
_LOOKS = 50
"""Common to all slices: each has a fiftieth of its pairs between two looks."""
_HARMED = 1
"""Index of the harmed slice, which has 300 pairs."""
_HARM = 0.10


def _slices(rng: np.random.Generator, replicates: int, harmed_discordance: float | None) -> Iterator[PairLooks]:
    """Draw the slices; one of them is harmed and has its own discordance, unless it is None."""
    for index, pairs in enumerate(_PAIRS):
        loss, win = DISCORDANCE / 2, DISCORDANCE / 2
        if index == _HARMED and harmed_discordance is not None:
            loss, win = (harmed_discordance + _HARM) / 2, (harmed_discordance - _HARM) / 2
        yield simulate_pairs(rng, replicates, _LOOKS, pairs // _LOOKS, loss, win)


def no_harm(rng: np.random.Generator, replicates: int) -> Samples:
    """Draw slices none of which is harmed."""
    slices = list(_slices(rng, replicates, None))
    log_e = _log_e(slices)
    return {
        "e-Bonferroni": ever(_rejected(log_e)),
        "average": ever(np.asarray(log_mean_exp(log_e) >= math.log(1 / ALPHA))),
        "e uncorrected": ever(np.asarray(log_e.max(axis=0) >= math.log(1 / ALPHA))),
        "z": np.any([ever(other.z_harm(pairs)) for pairs in slices], axis=0),
    }


def one_harmed(discordance: float, rng: np.random.Generator, replicates: int) -> Samples:
    """Draw slices of which one loses ten points."""
    rejected = _rejected(_log_e(list(_slices(rng, replicates, discordance))))
    return {"found": rejected[:, _HARMED], "false": ever(np.delete(rejected, _HARMED, axis=1))}


def _log_e(slices: Sequence[PairLooks]) -> Floats:
    """Return the product's log e-values, shape (slices, replicates, looks)."""
    return np.stack([log_e_ltw(pairs.losses, pairs.ties, pairs.wins, 0.0, "harm") for pairs in slices])


def _rejected(log_e: Floats) -> Booleans:
    """Return which slices e-Bonferroni ever alarms for, shape (replicates, slices): an alarm is by the peak."""
    found = np.zeros((log_e.shape[1], len(log_e)), dtype=np.bool_)
    for replicate, peaks in enumerate(log_e.max(axis=-1).T):
        found[replicate, list(e_bonferroni(peaks, ALPHA).rejected)] = True
    return found


NO_HARM = Scenario(
    7,
    "Eight slices, none harmed: any false alarm",
    f"Slices of {', '.join(map(str, _PAIRS))} pairs with a discordance of 6 %, looked at 50 times together.",
    (
        Part(
            "A/A in 8 slices",
            no_harm,
            (
                Measure("e-Bonferroni", "e-Bonferroni, any slice", bar=Bar("error", ALPHA), reference="0.65 %"),
                Measure("average", "average e-value, global alarm", bar=Bar("error", ALPHA)),
                Measure("e uncorrected", "e-processes, not corrected", method="naive"),
                Measure("z", "z tests, not corrected", reference="96 % if independent", method="naive"),
            ),
        ),
    ),
)


def _harmed_part(discordance: float, bar: Bar | None, reference: str) -> Part:
    measures = (
        Measure("found", "found by its last pair", bar=bar, reference=reference),
        Measure("false", "false alarm in another slice", bar=Bar("error", ALPHA), reference="0.65 %"),
    )
    name = f"Slice of 300 pairs, 10 points worse, discordance {100 * discordance:g} %"
    return Part(name, partial(one_harmed, discordance), measures)


ONE_HARMED = Scenario(
    18,
    "One of eight slices is 10 points worse",
    "As scenario 7, but the slice of 300 pairs loses 10 points. The bar does not say with which discordance, on which "
    "the power depends much; it is applied at 14 %, where its reference is met, and the neighbours are shown.",
    (
        _harmed_part(0.12, None, ""),
        _harmed_part(0.14, Bar("at least", 0.85), "92 %"),
        _harmed_part(0.16, None, ""),
    ),
)
