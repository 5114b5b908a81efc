"""How long the e-process takes until a decision, and how likely it has come by then, under a given truth.

The e-value of paired differences depends on losses and wins only. With the discordance at its expected rate, "E reaches
1/alpha" is a curve of the excess of losses over the number of units; the excess is close to a Brownian motion, so the
chance of having crossed the curve comes from the recursion of `analysis.group_sequential`. Medians and means are within
5 % of what simulation of the e-process itself finds, and so are error rates.

For planning and display: nothing here decides anything.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import xlog1py

from analysis.betting import GRID, Floats, Side, check_side, log_mean_exp
from analysis.checks import check_count, check_null_mean, check_positive, check_probability, check_share
from analysis.eprocess import log_e_ltw
from analysis.group_sequential import crossing_probabilities
from analysis.rendering import Rendered
from analysis.result import NotEstimable

_SPACING = 1.03
"""Ratio of one computed look to the one before, unless looks are rarer than that anyway."""
_HORIZON = 16.0
"""Expected times after which the computation ends."""
_HALVINGS = 50
_LEAST_GROWTH = 1e-15
"""In nats per unit; less is within the rounding of a sum of logarithms."""
_NO_SPREAD = 1e-9
"""A smaller standard deviation of one unit is none: the path of the e-value is a single line."""
_ASSUMPTIONS = ("independent pairs", "constant rates", "discordance at its expected rate", "normal approximation")


@dataclass(frozen=True, slots=True)
class PairedTruth:
    """Rates of losses and wins, mirrored so that evidence grows with losses: the null is "mean >= null_mean"."""

    p_loss: float
    p_win: float
    null_mean: float

    @classmethod
    def of(cls, p_loss: float, p_win: float, null_mean: float, side: Side) -> PairedTruth:
        """Mirror the rates of non-inferiority, whose evidence grows with wins.

        Raises:
            ValueError: A probability, `null_mean` or `side` is out of range.
        """
        check_probability(p_loss, "p_loss")
        check_probability(p_win, "p_win")
        check_null_mean(null_mean)
        if p_loss + p_win > 1 + 1e-9:
            raise ValueError(f"p_loss + p_win == {p_loss + p_win!r}, must be <= 1")
        return cls(p_loss, p_win, null_mean) if check_side(side) == "harm" else cls(p_win, p_loss, -null_mean)

    @property
    def drift(self) -> float:
        """Mean excess of losses of one unit."""
        return self.p_loss - self.p_win

    @property
    def sd(self) -> float:
        """Standard deviation of one unit's difference."""
        return math.sqrt(max(0.0, self.p_loss + self.p_win - self.drift**2))

    def payoffs(self) -> tuple[Floats, Floats]:
        """Return what a full bet gains by a loss, a tie and a win, and their probabilities."""
        gains = (self.null_mean - np.array([-1.0, 0.0, 1.0])) / (1 - self.null_mean)
        return gains, np.array([self.p_loss, max(0.0, 1 - self.p_loss - self.p_win), self.p_win])

    def growth(self, shares: Floats) -> Floats:
        """Return the mean growth of log capital per unit of each bet, shape (bets,)."""
        gains, rates = self.payoffs()
        return np.asarray(xlog1py(rates, shares[:, None] * gains).sum(axis=1))

    def time(self, threshold: float) -> float:
        """Return the units after which log E reaches the threshold, with every count at its expectation; may be inf."""
        growth = self.growth(GRID)
        if growth.max() <= 0:
            return math.inf
        # The mixture is at most log(number of bets) behind its best bet.
        most = (threshold + math.log(len(GRID))) / float(growth.max())
        return float(brentq(lambda n: float(log_mean_exp(growth * n)) - threshold, 0.0, most))


@dataclass(frozen=True, slots=True)
class OracleTime(Rendered):
    """What a bet would reach that knew the truth: a lower bound, up to the overshoot."""

    units: float
    """log(1/alpha) / growth."""
    growth: float
    """Growth of log E per unit, in nats."""
    growth_per_discordant: float
    """The same per discordant pair; for a null mean of 0 the Kullback-Leibler divergence of the loss share from 1/2."""


@dataclass(frozen=True, slots=True)
class TimeToDecision(Rendered):
    """Units until the e-process reaches 1/alpha, under a given truth."""

    mean: float
    median: float
    ninetieth: float
    """90 % of tests have decided by then."""
    oracle: OracleTime
    grid_growth: float
    """Growth of log E per unit with the best bet of the fixed grid, in nats."""
    best_bet: float
    """That bet, as a share of the largest admissible one."""
    method: str = "boundary crossing of the mixture e-process"
    assumptions: tuple[str, ...] = _ASSUMPTIONS


def oracle_time(
    p_loss: float, p_win: float, alpha: float, null_mean: float = 0.0, side: Side = "harm"
) -> OracleTime | NotEstimable:
    """Return how long the best conceivable bet takes under a given truth.

    Arguments are those of `expected_time_to_decision`.

    Raises:
        ValueError: A probability, `null_mean` or `side` is out of range.

    Source:
        Wald's identity, E[tau] ~ log(1/alpha) / growth.

    >>> found = oracle_time(0.04, 0.02, 0.05)
    >>> (round(found.units, 2), round(found.growth_per_discordant, 6))
    (881.62, 0.056633)
    """
    truth = PairedTruth.of(p_loss, p_win, null_mean, side)
    check_share(alpha, "alpha")
    given = f"a true difference of {p_win - p_loss:+.4g}"
    if truth.drift <= -truth.null_mean:
        return NotEstimable(f"{given} is inside the null hypothesis: E does not grow")
    growth = _oracle_growth(truth)
    if growth < _LEAST_GROWTH:
        return NotEstimable(f"{given} is too close to the boundary to tell the growth from rounding")
    discordant = truth.p_loss + truth.p_win
    return OracleTime(-math.log(alpha) / growth, growth, growth / discordant if discordant else math.inf)


def expected_time_to_decision(
    p_loss: float,
    p_win: float,
    alpha: float,
    null_mean: float = 0.0,
    side: Side = "harm",
    look_every: int = 1,
) -> TimeToDecision | NotEstimable:
    """Return how long the e-process takes under a given truth.

    Args:
        p_loss: Probability of a pair that only control gets right.
        p_win: Probability of a pair that only the treatment gets right.
        alpha: Level, weight of the metric and slice included.
        null_mean: Boundary of the null hypothesis: -tolerance for `harm`, -margin for `noninferiority`.
        side: As in `analysis.eprocess.log_e_betting`.
        look_every: Units between two looks.

    Raises:
        ValueError: A probability, `null_mean`, `side` or `look_every` is out of range.

    Source:
        The recursion of Armitage, McPherson & Rowe 1969, with the curve on which the mixture e-value is 1/alpha.

    >>> found = expected_time_to_decision(0.04, 0.02, 0.05, look_every=100)
    >>> (round(found.oracle.units), found.median, found.ninetieth)
    (882, 1200.0, 2500.0)
    """
    oracle = oracle_time(p_loss, p_win, alpha, null_mean, side)
    check_positive(look_every, "look_every")
    if isinstance(oracle, NotEstimable):
        return oracle
    truth = PairedTruth.of(p_loss, p_win, null_mean, side)
    growth = truth.growth(GRID)
    if growth.max() <= 0:
        given = f"a true difference of {p_win - p_loss:+.4g}"
        return NotEstimable(f"{given} is too close to the boundary for the most cautious bet of the grid")
    looks, decided = _crossing(truth, -math.log(alpha), look_every, None)
    steps = np.diff(decided, prepend=0.0)
    return TimeToDecision(
        mean=float(looks @ steps + looks[-1] * (1 - decided[-1])),
        median=_first_at_least(looks, decided, 0.5),
        ninetieth=_first_at_least(looks, decided, 0.9),
        oracle=oracle,
        grid_growth=float(growth.max()),
        best_bet=float(GRID[int(growth.argmax())]),
    )


def decision_probability(
    n: int,
    p_loss: float,
    p_win: float,
    alpha: float,
    null_mean: float = 0.0,
    side: Side = "harm",
    look_every: int = 1,
) -> float:
    """Return the chance that the e-process has reached 1/alpha within `n` units: its power, or its error rate.

    Arguments are those of `expected_time_to_decision`; the truth may lie inside the null hypothesis.

    Raises:
        ValueError: `n`, a probability, `null_mean`, `side` or `look_every` is out of range.

    >>> round(decision_probability(2562, 0.04, 0.02, 0.05, look_every=50), 2)
    0.92
    """
    check_count(n, "n")
    check_share(alpha, "alpha")
    check_positive(look_every, "look_every")
    truth = PairedTruth.of(p_loss, p_win, null_mean, side)
    if n < look_every:
        return 0.0
    _, decided = _crossing(truth, math.log(1 / alpha), look_every, n)
    return float(min(1.0, decided[-1]))


def expected_log_e(units: ArrayLike, discordant: ArrayLike, excess: ArrayLike, null_mean: ArrayLike) -> Floats:
    """Return log E of harm for so many units, a share of them discordant, with so many more losses than wins."""
    n = np.asarray(units, dtype=np.float64)
    pairs = n * np.asarray(discordant, dtype=np.float64)
    over = np.asarray(excess, dtype=np.float64)
    losses, wins = np.maximum(0.0, (pairs + over) / 2), np.maximum(0.0, (pairs - over) / 2)
    return log_e_ltw(losses, np.maximum(0.0, n - pairs), wins, null_mean, "harm")


# --- the crossing of the curve ----------------------------------------------------------------------------------------


def _oracle_growth(truth: PairedTruth) -> float:
    """Return the growth of the bet that knows the truth."""
    gains, rates = truth.payoffs()

    def slope(share: float) -> float:
        return float((rates * gains / (1 + share * gains)).sum())

    edge = 1 - 1e-12
    share = edge if slope(edge) >= 0 else float(brentq(slope, 0.0, edge, xtol=1e-15))
    return float(truth.growth(np.array([share]))[0])


def _crossing(truth: PairedTruth, threshold: float, look_every: int, last: int | None) -> tuple[Floats, Floats]:
    """Return looks, in units, and the probability of having decided by each."""
    if last is None:
        expected = truth.time(threshold)
        if truth.sd < _NO_SPREAD:
            return np.array([math.ceil(expected / look_every) * float(look_every)]), np.ones(1)
        looks = _looks(look_every, expected / 40, _HORIZON * expected)
    else:
        looks = _looks(look_every, last / 2000, last)
    if truth.sd < _NO_SPREAD:
        reached = expected_log_e(looks, truth.p_loss + truth.p_win, looks * truth.drift, truth.null_mean) >= threshold
        return looks, np.maximum.accumulate(reached.astype(np.float64))
    excess = _least_excess(looks, truth, threshold)
    end = looks[-1]
    # The process is centred at no excess: its drift is part of what the recursion is told.
    z = excess / (truth.sd * np.sqrt(looks))
    stops = crossing_probabilities((looks / end).tolist(), z.tolist(), drift=truth.drift * math.sqrt(end) / truth.sd)
    return looks, np.cumsum(stops.upper)


def _looks(look_every: int, start: float, end: float) -> Floats:
    """Return multiples of `look_every` up to `end`, thinned to a constant ratio: more would not change the figures."""
    looks = [max(1, round(start / look_every))]
    last = max(looks[0], math.floor(end / look_every))
    while looks[-1] < last:
        looks.append(min(last, max(looks[-1] + 1, round(looks[-1] * _SPACING))))
    return np.array(looks, dtype=np.float64) * look_every


def _least_excess(looks: Floats, truth: PairedTruth, threshold: float) -> Floats:
    """Return the smallest excess of losses at which E has reached the threshold at each look; inf if none."""
    discordant = np.full_like(looks, truth.p_loss + truth.p_win)
    low, high = -looks * discordant, looks * discordant
    possible = expected_log_e(looks, discordant, high, truth.null_mean) >= threshold
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        reached = expected_log_e(looks, discordant, middle, truth.null_mean) >= threshold
        low, high = np.where(reached, low, middle), np.where(reached, middle, high)
    return np.where(possible, high, np.inf)


def _first_at_least(looks: Floats, decided: Floats, share: float) -> float:
    index = int(np.searchsorted(decided, share))
    return float(looks[min(index, len(looks) - 1)])
