"""The confidence sequence of a relative risk, by inverting the event-coin e-processes.

For rare events, under any ramp of the traffic shares: what enters is each event's logged propensity.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from analysis.betting import Floats, log_mean_exp
from analysis.checks import check_share
from analysis.event_coin import RELATIVE_RISKS, EventCoin, log_event_capitals, strata_table
from analysis.result import Estimate, NotEstimable
from analysis.roots import increasing_roots

_METHOD = "event-coin confidence sequence"
_ASSUMPTIONS = ("one event per randomised unit", "logged propensity", "constant relative risk")
_FARTHEST = 60.0
"""Distance in log relative risk beyond which an end counts as unbounded."""


def relative_risk_sequence(state: EventCoin, alpha: float) -> Estimate | NotEstimable:
    """Return all relative risks (treatment over control) that neither event-coin e-process rejects at this look.

    Args:
        state: The events.
        alpha: Chance that the sequence ever misses the relative risk.

    Returns:
        The conditional maximum-likelihood estimate, which is infinite while control has no event, and an interval whose
        lower end may be 0 and whose upper end may be infinite.

    Raises:
        ValueError: `alpha` is not in (0, 1).

    >>> found = relative_risk_sequence(EventCoin.of([(0.1, 1)] * 20 + [(0.1, 0)] * 60), 0.05)
    >>> (round(found.value, 3), round(found.lower, 3), round(found.upper, 3))
    (3.0, 1.245, 6.432)
    """
    return relative_risk_sequences([state], alpha)[0]


def relative_risk_sequences(states: Sequence[EventCoin], alpha: float) -> list[Estimate | NotEstimable]:
    """Return the sequences of many states at once, each to the bit what `relative_risk_sequence` gives.

    Raises:
        ValueError: `alpha` is not in (0, 1).
    """
    threshold = -math.log(check_share(alpha, "alpha") / 2)
    propensity, control, treatment = strata_table(states)
    log_odds = logit(propensity)
    value = _likeliest(log_odds, control, treatment)
    upper = _upper_ends(log_odds, control, treatment, value, threshold)
    lower = -_upper_ends(-log_odds, treatment, control, -value, threshold)
    ends = (np.exp(end).tolist() for end in (value, lower, upper))
    return [
        Estimate(at, low, high, 1 - alpha, state.n, _METHOD, _ASSUMPTIONS) if state.n else NotEstimable("no event yet")
        for state, at, low, high in zip(states, *ends, strict=True)
    ]


def _likeliest(log_odds: Floats, control: Floats, treatment: Floats) -> Floats:
    """Return the log relative risk under which the treatment's events are as many as expected."""
    events, heads = control + treatment, _total(treatment)
    tails = _total(control)
    found = np.where(heads > 0, np.inf, -np.inf)
    both = np.flatnonzero((heads > 0) & (tails > 0))
    ratio = np.log(heads[both] / tails[both])
    # The answer of each stage alone is on one side of the answer of all.
    seen = events[both] > 0
    low = ratio - np.max(log_odds[both], axis=1, where=seen, initial=-np.inf)
    high = ratio - np.min(log_odds[both], axis=1, where=seen, initial=np.inf)

    def excess(which: NDArray[np.intp], at: Floats) -> tuple[Floats, Floats]:
        share = expit(log_odds[both[which]] + at[:, None])
        weights = events[both[which]]
        return _total(weights * share) - heads[both[which]], _total(weights * share * (1 - share))

    found[both] = increasing_roots(excess, low, low, high)
    return found


def _upper_ends(log_odds: Floats, control: Floats, treatment: Floats, value: Floats, threshold: float) -> Floats:
    """Return the log relative risk from which on "it is this or more" is rejected; infinite where none is."""
    odds = np.exp(-log_odds)[None]
    bold = RELATIVE_RISKS[:, None, None]

    def excess(which: NDArray[np.intp], at: Floats) -> tuple[Floats, Floats]:
        events = control[which], treatment[which]
        stages = log_event_capitals(*events, expit(log_odds[which]), np.exp(at)[:, None], side="noninferiority")
        here = odds[:, which] * np.exp(-at)[:, None]
        rates = (events[0] + events[1]) * (bold * here / (1 + bold * here) - here / (1 + here))
        capitals = _total(stages)
        log_e, slope = log_mean_exp(capitals), np.zeros(len(at))
        for layer in np.exp(capitals - log_e) * _total(rates) / len(capitals):
            slope = slope + layer
        return log_e - threshold, slope

    centre = np.where(np.isfinite(value), value, 0.0)
    everything = np.arange(len(value))
    reachable = everything[excess(everything, centre + _FARTHEST)[0] > 0]
    found = np.full(len(value), np.inf)
    first = centre[reachable]
    found[reachable] = increasing_roots(
        lambda which, at: excess(reachable[which], at), first, first - _FARTHEST, first + _FARTHEST
    )
    return found


def _total(array: Floats) -> Floats:
    """Add up the last axis one after the other, so that padding with zeros changes no bit."""
    if array.shape[-1] == 0:
        return np.zeros(array.shape[:-1])
    return np.asarray(np.add.accumulate(array, axis=-1)[..., -1])
