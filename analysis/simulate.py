"""Seeded draws of what a monitor sees: many replicates of an experiment at once, as counts at each look.

With these anyone can check an error rate: draw under the null hypothesis, compute a statistic at every look, and ask
`ever` how many replicates would have raised an alarm, or `first_look` when. Counts come straight from multinomial and
binomial laws, one draw per look instead of one per unit, which is the same distribution and a hundred times faster.
All arrays have the shape (replicates, looks) unless said otherwise. The study in `analysis.calibrate` is made of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest

from analysis.checks import check_count, check_positive, check_share
from analysis.result import Estimate

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class PairLooks:
    """Pairs of answers seen up to each look, cumulated: shape (replicates, looks)."""

    losses: Counts
    ties: Counts
    wins: Counts

    @property
    def n(self) -> Counts:
        """Pairs up to each look."""
        return self.losses + self.ties + self.wins


@dataclass(frozen=True, slots=True)
class ArmLooks:
    """Units and units with a bad event, of both arms, in each look (not cumulated): shape (replicates, looks)."""

    propensity: Floats
    """Probability of the treatment in each look, shape (looks,)."""
    treated: Counts
    control: Counts
    treated_events: Counts
    control_events: Counts

    def cumulated(self) -> tuple[Counts, Counts, Counts, Counts]:
        """Return (treated, control, treated events, control events) up to each look."""
        treated, control = self.treated.cumsum(axis=1), self.control.cumsum(axis=1)
        return treated, control, self.treated_events.cumsum(axis=1), self.control_events.cumsum(axis=1)


@dataclass(frozen=True, slots=True)
class UserLooks:
    """Losses and wins among the requests of each user, users in order of arrival: shape (replicates, users)."""

    requests: int
    """Paired requests of every user."""
    losses: Counts
    wins: Counts


def simulate_pairs(
    rng: np.random.Generator, replicates: int, looks: int, pairs_per_look: int, loss: ArrayLike, win: ArrayLike
) -> PairLooks:
    """Draw paired binary outcomes.

    Args:
        rng: Source of randomness.
        replicates: Experiments.
        looks: Looks at each.
        pairs_per_look: New pairs between two looks.
        loss: Probability that only control is right; one number, or one per look, shape (looks,).
        win: Probability that only the treatment is right; likewise.

    Raises:
        ValueError: A size is negative, or the probabilities are none.

    >>> drawn = simulate_pairs(np.random.default_rng(1), 2, 3, 100, loss=0.04, win=0.02)
    >>> drawn.n.tolist()
    [[100, 200, 300], [100, 200, 300]]
    """
    for name, size in (("replicates", replicates), ("looks", looks), ("pairs_per_look", pairs_per_look)):
        check_count(size, name)
    losing, winning = _shares(loss, "loss", looks), _shares(win, "win", looks)
    if np.any(losing + winning > 1):
        raise ValueError(f"loss + win == {float((losing + winning).max())!r}, must be <= 1")
    table = np.stack([losing, winning, 1 - losing - winning], axis=-1)
    drawn = rng.multinomial(pairs_per_look, table, size=(replicates, looks)).cumsum(axis=1)
    return PairLooks(losses=drawn[..., 0], ties=drawn[..., 2], wins=drawn[..., 1])


def simulate_arms(
    rng: np.random.Generator,
    replicates: int,
    units_per_look: int,
    propensity: ArrayLike,
    control_risk: ArrayLike,
    treatment_risk: ArrayLike,
) -> ArmLooks:
    """Draw two arms with Bernoulli assignment: each unit comes to the treatment with the look's propensity.

    Args:
        rng: Source of randomness.
        replicates: Experiments.
        units_per_look: New units of both arms together between two looks.
        propensity: Probability of the treatment in each look, shape (looks,).
        control_risk: Probability of a bad event in control; one number, or shape (looks,).
        treatment_risk: Likewise in the treatment.

    Raises:
        ValueError: A size is negative, or a probability is none.

    >>> drawn = simulate_arms(np.random.default_rng(1), 2, 1000, [0.01, 0.05], 0.1, 0.1)
    >>> (drawn.treated + drawn.control).tolist()
    [[1000, 1000], [1000, 1000]]
    """
    check_count(replicates, "replicates")
    check_count(units_per_look, "units_per_look")
    share = np.asarray(propensity, dtype=np.float64)
    shape = (replicates, len(share))
    treated = rng.binomial(units_per_look, _shares(share, "propensity", len(share)), size=shape)
    control = units_per_look - treated
    return ArmLooks(
        propensity=share,
        treated=treated,
        control=control,
        treated_events=rng.binomial(treated, _shares(treatment_risk, "treatment_risk", len(share))),
        control_events=rng.binomial(control, _shares(control_risk, "control_risk", len(share))),
    )


def simulate_users(
    rng: np.random.Generator, replicates: int, users: int, requests: int, discordance: float, spread: float
) -> UserLooks:
    """Draw users without an average effect, each of whom has an effect of their own.

    A user's pairs are discordant with probability `discordance`; of the discordant ones a share is lost that differs
    between users: it follows Beta(c, c) with c = (1 / spread - 1) / 2. The mean difference over users is 0.

    Args:
        rng: Source of randomness.
        replicates: Experiments.
        users: Users of each.
        requests: Paired requests of each user.
        discordance: Probability of a discordant pair.
        spread: Correlation, in (0, 1), of two discordant outcomes of the same user.

    >>> simulate_users(np.random.default_rng(1), 2, 5, 10, 0.1, 0.2).losses.shape
    (2, 5)
    """
    check_share(spread, "spread")
    check_share(discordance, "discordance")
    concentration = (1 / spread - 1) / 2
    share = rng.beta(concentration, concentration, size=(replicates, users))
    discordant = rng.binomial(requests, discordance, size=(replicates, users))
    losses = rng.binomial(discordant, share)
    return UserLooks(requests=requests, losses=losses, wins=discordant - losses)


def simulate_lognormal(rng: np.random.Generator, replicates: int, n: int, sigma: float) -> Floats:
    """Draw latencies with median 1 and log-standard-deviation `sigma`, shape (replicates, n)."""
    check_positive(sigma, "sigma")
    return rng.lognormal(0.0, sigma, size=(replicates, n))


def simulate_below(rng: np.random.Generator, replicates: int, n: int, level: float) -> Counts:
    """Draw how many of the first 1, 2, ... n values lie below their true quantile, shape (replicates, n).

    It is all that the coverage of a quantile's confidence sequence depends on, for every continuous distribution.

    Args:
        rng: Source of randomness.
        replicates: Experiments.
        n: Values of each.
        level: Level of the quantile, 0.95 for p95.
    """
    check_share(level, "level")
    return np.cumsum(rng.random((replicates, n)) < level, axis=1, dtype=np.int64)


def first_look(crossed: Booleans) -> Counts:
    """Return the index of the first look that is true, shape (replicates,); the number of looks if there is none.

    >>> first_look(np.array([[False, True, True], [False, False, False]])).tolist()
    [1, 3]
    """
    looks = crossed.shape[-1]
    return np.asarray(np.where(crossed.any(axis=-1), crossed.argmax(axis=-1), looks), dtype=np.int64)


def ever(crossed: Booleans) -> Booleans:
    """Return whether any look is true, shape (replicates,)."""
    return np.asarray(crossed.any(axis=-1))


def rate(hits: Booleans, level: float = 0.95) -> Estimate:
    """Return a simulated rate with its Clopper-Pearson interval.

    Args:
        hits: Whether each replicate raised an alarm, shape (replicates,).
        level: Confidence.

    Raises:
        ValueError: There is no replicate, or `level` is not in (0, 1).

    >>> found = rate(np.arange(4000) < 100)
    >>> (found.value, round(found.lower, 4), round(found.upper, 4))
    (0.025, 0.0204, 0.0303)
    """
    check_share(level, "level")
    n = int(hits.size)
    if n == 0:
        raise ValueError("hits == [], must hold at least one replicate")
    interval = binomtest(int(hits.sum()), n).proportion_ci(level, method="exact")
    value = float(hits.mean())
    return Estimate(value, float(interval.low), float(interval.high), level, n, "Clopper-Pearson", ("replicates",))


def _shares(value: ArrayLike, name: str, looks: int) -> Floats:
    """Return one probability in [0, 1] per look."""
    shares = np.broadcast_to(np.asarray(value, dtype=np.float64), (looks,))
    if not bool(np.all((shares >= 0) & (shares <= 1))):
        raise ValueError(f"{name} == {value!r}, must be in [0, 1]")
    return shares
