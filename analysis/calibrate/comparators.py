"""What others do on the same draws: the naive methods and the peers' forms. None of it is used by the product.

Each returns, for every replicate and look, whether the method would raise its alarm: shape (replicates, looks).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincc, chdtri, ndtri

from analysis.sequential import tuning
from analysis.simulate import ArmLooks, Booleans, Counts, Floats, PairLooks

GROWTHBOOK_N_STAR = 5000.0
"""GrowthBook's default for the sample size at which its sequence is tightest."""


def z_harm(pairs: PairLooks, alpha: float = 0.05, tolerated: float = 0.0) -> Booleans:
    """One-sided z test of a mean difference below -tolerated, at every look."""
    return np.asarray(-standardised(pairs, -tolerated) > ndtri(1 - alpha))


def z_two_sided(pairs: PairLooks, alpha: float = 0.05) -> Booleans:
    """McNemar's z test, two-sided, at every look."""
    discordant = np.maximum(pairs.losses + pairs.wins, 1)
    return np.asarray(np.abs(pairs.losses - pairs.wins) > ndtri(1 - alpha / 2) * np.sqrt(discordant))


def z_noninferior(pairs: PairLooks, margin: float, alpha: float = 0.05) -> Booleans:
    """One-sided z test of a mean difference above -margin, at every look."""
    return np.asarray(standardised(pairs, -margin) > ndtri(1 - alpha))


def bayes_harm(pairs: PairLooks, threshold: float) -> Booleans:
    """Alarm when the posterior P(treatment worse) under a flat prior exceeds a threshold, at every look."""
    return np.asarray(betaincc(pairs.losses + 1, pairs.wins + 1, 0.5) > threshold)


def growthbook_harm(pairs: PairLooks, alpha: float = 0.05, n_star: float = GROWTHBOOK_N_STAR) -> Booleans:
    """One-sided asymptotic confidence sequence without a burn-in, the form of GrowthBook."""
    return -standardised(pairs, 0.0) > one_sided_boundary(pairs.n, alpha, n_star)


def growthbook_noninferior(
    pairs: PairLooks, margin: float, alpha: float = 0.05, n_star: float = GROWTHBOOK_N_STAR
) -> Booleans:
    """One-sided asymptotic confidence sequence against "worse by the margin", without a burn-in."""
    return standardised(pairs, -margin) > one_sided_boundary(pairs.n, alpha, n_star)


def msprt(pairs: PairLooks, effect_sd: float, alpha: float = 0.05) -> Booleans:
    """Mixture SPRT (Johari et al.), two-sided: normal prior of the effect with standard deviation `effect_sd`."""
    z = standardised(pairs, 0.0)
    variance = sample_variance(pairs)
    ratio = pairs.n * effect_sd**2 / np.where(variance > 0, variance, np.inf)
    log_likelihood_ratio = 0.5 * z**2 * ratio / (1 + ratio) - 0.5 * np.log1p(ratio)
    return np.asarray(log_likelihood_ratio > np.log(1 / alpha))


def standardised(pairs: PairLooks, null_mean: float) -> Floats:
    """Return (mean difference - null mean) / standard error at each look; 0 while nothing varies."""
    variance = sample_variance(pairs)
    excess = (pairs.wins - pairs.losses) / pairs.n - null_mean
    return excess * np.sqrt(pairs.n) / np.sqrt(np.where(variance > 0, variance, np.inf))


def sample_variance(pairs: PairLooks) -> Floats:
    """Return the sample variance of the differences at each look."""
    mean = (pairs.wins - pairs.losses) / pairs.n
    return np.asarray(((pairs.losses + pairs.wins) / pairs.n - mean**2) * pairs.n / np.maximum(pairs.n - 1, 1))


def one_sided_boundary(n: Counts, alpha: float, n_star: float) -> Floats:
    """Return the z value of the one-sided asymptotic confidence sequence at `n` units."""
    v = n * tuning(n_star, 2 * alpha) ** 2
    return np.asarray(np.sqrt(2 * (v + 1) / v * np.log1p(np.sqrt(v + 1) / (2 * alpha))))


def two_sided_boundary(n: Counts, alpha: float, n_star: float) -> Floats:
    """Return the z value of the two-sided asymptotic confidence sequence at `n` units."""
    v = n * tuning(n_star, alpha) ** 2
    return np.asarray(np.sqrt(2 * (v + 1) / v * np.log(np.sqrt(v + 1) / alpha)))


def arms_z(arms: ArmLooks) -> Floats:
    """Return the z statistic of the difference of two rates with all stages pooled; 0 while nothing varies."""
    treated, control, treated_events, control_events = arms.cumulated()
    p1, p0 = treated_events / np.maximum(treated, 1), control_events / np.maximum(control, 1)
    variance = p1 * (1 - p1) / np.maximum(treated, 1) + p0 * (1 - p0) / np.maximum(control, 1)
    return (p1 - p0) / np.sqrt(np.where(variance > 0, variance, np.inf))


def arms_z_peeking(arms: ArmLooks, alpha: float = 0.05) -> Booleans:
    """Two-sided z test of two rates at every look."""
    return np.abs(arms_z(arms)) > ndtri(1 - alpha / 2)


def arms_asymptotic(
    arms: ArmLooks, events_needed: int, alpha: float = 0.05, n_star: float = GROWTHBOOK_N_STAR
) -> Booleans:
    """Two-sided asymptotic confidence sequence on all units, once each arm has so many events."""
    treated, control, treated_events, control_events = arms.cumulated()
    ready = np.minimum(treated_events, control_events) >= events_needed
    return ready & (np.abs(arms_z(arms)) > two_sided_boundary(treated + control, alpha, n_star))


def arms_asymptotic_harm(
    arms: ArmLooks, events_needed: int, alpha: float = 0.05, n_star: float = GROWTHBOOK_N_STAR
) -> Booleans:
    """The one-sided form of `arms_asymptotic`, against "the treatment has no more events"."""
    treated, control, treated_events, control_events = arms.cumulated()
    ready = np.minimum(treated_events, control_events) >= events_needed
    return ready & (arms_z(arms) > one_sided_boundary(treated + control, alpha, n_star))


def mantel_haenszel(arms: ArmLooks, stage: NDArray[np.int64], alpha: float = 0.05) -> Booleans:
    """Two-sided Mantel-Haenszel risk difference over the stages, at the last look only; shape (replicates,).

    Weights n1 n0 / N of each stage; the variance is the sum of the stages' binomial variances.
    """
    difference = np.zeros(len(arms.treated))
    variance = np.zeros(len(arms.treated))
    for key in np.unique(stage):
        n1, n0 = (counts[:, stage == key].sum(axis=1) for counts in (arms.treated, arms.control))
        x1, x0 = (counts[:, stage == key].sum(axis=1) for counts in (arms.treated_events, arms.control_events))
        p1, p0, weight = x1 / np.maximum(n1, 1), x0 / np.maximum(n0, 1), n1 * n0 / np.maximum(n1 + n0, 1)
        difference += weight * (p1 - p0)
        variance += weight**2 * (p1 * (1 - p1) / np.maximum(n1, 1) + p0 * (1 - p0) / np.maximum(n0, 1))
    return np.asarray(np.abs(difference) > ndtri(1 - alpha / 2) * np.sqrt(variance))


def chi2_split(treated: Counts, total: Counts, share: float, alpha: float) -> Booleans:
    """Chi-square test of the split at every look."""
    expected = total * share
    statistic = (treated - expected) ** 2 / (expected * (1 - share))
    return np.asarray(statistic > chdtri(1, alpha))
