"""Scenario 6: a ramp of the treatment's share while everything gets worse for both arms."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from analysis.aipw import AipwCounts, log_e_aipw_many
from analysis.calibrate import comparators as other
from analysis.calibrate.study import Bar, Measure, Part, Samples, Scenario
from analysis.event_coin import log_e_event_counts
from analysis.simulate import ArmLooks, Booleans, Floats, ever, simulate_arms

ALPHA = 0.05
_SHARES = np.array([0.01, 0.05, 0.25, 0.50])
_RISKS = np.linspace(0.10, 0.20, 4)
"""Bad events of control in each stage: its success falls from .90 to .80."""
_UNITS_PER_LOOK, _LOOKS_PER_STAGE = 400, 18
_STAGE = np.repeat(np.arange(4), _LOOKS_PER_STAGE)
_HARM = 0.03


def ramp(harm: float, rng: np.random.Generator, replicates: int) -> Samples:
    """Draw a ramp in which the treatment has `harm` more bad events than control, at any time."""
    risk = _RISKS[_STAGE]
    arms = simulate_arms(rng, replicates, _UNITS_PER_LOOK, _SHARES[_STAGE], risk, risk + harm)
    successes = [_outcomes(rng, arms, replicate) for replicate in range(replicates)]
    return {
        "coin": ever(coin_crossed(arms)),
        "aipw": np.array([aipw_crossed(AipwCounts(), *units) for units in successes]),
        "ipw": np.array([aipw_crossed(AipwCounts(fixed_centre=0.0), *units) for units in successes]),
        "pooled z": np.abs(other.arms_z(arms))[:, -1] > 1.96,
        "pooled z, every look": ever(other.arms_z_peeking(arms)),
        "mantel-haenszel": other.mantel_haenszel(arms, _STAGE),
    }


def coin_crossed(arms: ArmLooks) -> Booleans:
    """Return where the event coin is across; the stages' events are kept apart and their bets multiplied."""
    in_stage = np.arange(4)[:, None, None] == _STAGE
    control, treated = (
        (np.where(in_stage, events, 0)).cumsum(axis=-1) for events in (arms.control_events, arms.treated_events)
    )
    log_e = log_e_event_counts(control, treated, _SHARES[:, None, None], stage_axis=0)
    return np.asarray(log_e >= math.log(1 / ALPHA))


def _outcomes(rng: np.random.Generator, arms: ArmLooks, replicate: int) -> tuple[Floats, Floats]:
    """Return (arm, success) of each unit, shape (looks, units per look): the counts of a replicate in random order."""
    counts = np.stack(
        [
            arms.treated_events[replicate],
            arms.treated[replicate] - arms.treated_events[replicate],
            arms.control_events[replicate],
            arms.control[replicate] - arms.control_events[replicate],
        ],
        axis=-1,
    )
    kind = np.repeat(np.tile(np.arange(4), len(counts)), counts.ravel()).reshape(len(counts), _UNITS_PER_LOOK)
    kind = rng.permuted(kind, axis=1)
    return (kind < 2).astype(np.float64), (kind % 2).astype(np.float64)


def aipw_crossed(state: AipwCounts, arm: Floats, success: Floats) -> bool:
    """Return whether the AIPW e-process ever says that the treatment's success rate is lower."""
    states = []
    for share, arms, successes in zip(_SHARES[_STAGE], arm, success, strict=True):
        state = state.extend(share, arms, successes)
        states.append(state)
    return bool(np.any(log_e_aipw_many(states, 0.0, "harm") >= math.log(1 / ALPHA)))


_UNITS = _UNITS_PER_LOOK * len(_STAGE)
RAMP = Scenario(
    6,
    "A ramp of 1, 5, 25 and 50 % during a decline",
    f"{_UNITS:,} units in four equal stages, looked at every {_UNITS_PER_LOOK}; control's success falls from .90 to "
    ".80 from stage to stage.",
    (
        Part(
            "Ramp during a decline, no effect",
            partial(ramp, 0.0),
            (
                Measure("coin", "event coin", bar=Bar("error", ALPHA), reference="3.3 %"),
                Measure("aipw", "AIPW e-process", bar=Bar("error", ALPHA), reference="2.0 %"),
                Measure("ipw", "the same without centring", bar=Bar("error", ALPHA), reference="4.3 %"),
                Measure("pooled z", "z test, stages pooled, one look", reference="100 %", method="naive"),
                Measure("pooled z, every look", "z test, stages pooled, every look", method="naive"),
                Measure("mantel-haenszel", "Mantel-Haenszel over stages, one look", reference="3.8 %", method="naive"),
            ),
            block_size=50,
        ),
        Part(
            "Treatment 3 points worse in each stage: power",
            partial(ramp, _HARM),
            (
                Measure("coin", "event coin", reference="87 %"),
                Measure("aipw", "AIPW e-process", reference="87 %"),
                Measure("ipw", "the same without centring", reference="29 %"),
            ),
            weight=0.25,
            block_size=50,
        ),
    ),
)
