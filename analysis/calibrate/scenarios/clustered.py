"""Scenario 8: users with many requests each. What counting requests does, and what one increment per user does."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from scipy.special import ndtri

from analysis.betting import BetTable, log_capitals, log_mean_exp
from analysis.calibrate import comparators as other
from analysis.calibrate.scenarios.paired_errors import ALPHA, harm_crossed
from analysis.calibrate.study import Bar, Measure, Part, Samples, Scenario
from analysis.simulate import Booleans, PairLooks, UserLooks, ever, simulate_users

_REQUESTS, _LOOKS = 20_000, 100
_DISCORDANCE, _SPREAD = 0.10, 0.25


def users(requests: int, rng: np.random.Generator, replicates: int) -> Samples:
    """Draw users with `requests` paired requests each, who differ in their effects but have none on average."""
    drawn = simulate_users(rng, replicates, _REQUESTS // requests, requests, _DISCORDANCE, _SPREAD)
    pairs = requests_as_pairs(drawn)
    discordant = np.sqrt(np.maximum(pairs.losses + pairs.wins, 1)[:, -1])
    fixed = np.abs(pairs.losses - pairs.wins)[:, -1] > ndtri(1 - ALPHA / 2) * discordant
    return {
        "ours": ever(users_crossed(drawn)),
        "requests": ever(harm_crossed(pairs, 0.0)),
        "z once": fixed,
        "z": ever(other.z_harm(pairs)),
    }


def requests_as_pairs(drawn: UserLooks) -> PairLooks:
    """Return the pairs up to each look as if every request were a unit."""
    losses, wins = (_by_look(counts).sum(axis=-1).cumsum(axis=1) for counts in (drawn.losses, drawn.wins))
    seen = np.arange(1, _LOOKS + 1) * (_REQUESTS // _LOOKS)
    return PairLooks(losses=losses, ties=seen - losses - wins, wins=wins)


def users_crossed(drawn: UserLooks) -> Booleans:
    """Return where the harm e-process is across with one increment per user: the mean difference of their requests.

    The bets' log-capitals of the users that come between two looks add up, by the product's own kernel.
    """
    differences = _by_look((drawn.wins - drawn.losses) / drawn.requests)
    replicates, looks, width = differences.shape
    table = differences.reshape(replicates * looks, width)
    ones = np.ones_like(table)
    increments = log_capitals(BetTable(table, ones, -ones, ones), np.zeros(len(table)), "harm")
    capitals = increments.reshape(len(increments), replicates, looks).cumsum(axis=-1)
    return np.asarray(log_mean_exp(capitals) >= math.log(1 / ALPHA))


def _by_look(counts: np.ndarray) -> np.ndarray:
    """Reshape (replicates, users) into (replicates, looks, users of a look)."""
    return counts.reshape(len(counts), _LOOKS, -1)


def _part(requests: int, request_level: str, z: str) -> Part:
    measures = (
        Measure("ours", "e-process, one increment per user", bar=Bar("error", ALPHA), reference="<= 1 %"),
        Measure("requests", "e-process on requests", reference=request_level, method="naive"),
        Measure("z once", "z test on requests, two-sided, one look", reference=z, method="naive"),
        Measure("z", "z test on requests, one-sided, every look", method="naive"),
    )
    return Part(f"A/A, {requests} requests per user", partial(users, requests), measures, block_size=250)


CLUSTERED = Scenario(
    8,
    "Users with many requests: false rollback",
    f"{_REQUESTS:,} pairs, 10 % of them discordant; the share of losses among a user's discordant pairs differs "
    f"between users (correlation {_SPREAD:g}) and is 50 % on average. Looked at {_LOOKS} times.",
    (_part(10, "4-8 %", "21 %"), _part(50, "20 %", "49 %"), _part(200, "57 %", "")),
)
