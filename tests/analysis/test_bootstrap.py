"""The BCa bootstrap against scipy's, with and without clusters."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap

from analysis.bootstrap import bootstrap_mean
from analysis.result import Estimate, NotEstimable

SKEWED = np.random.default_rng(2).lognormal(0, 1, 60)


@pytest.mark.parametrize("values", [SKEWED, SKEWED[:12] ** 2])  # the second with much bias to correct
def test_bca_agrees_with_scipy_up_to_its_draws(values: np.ndarray) -> None:
    found = bootstrap_mean(values, seed=1, resamples=40_000)
    theirs = bootstrap((values,), np.mean, n_resamples=40_000, method="BCa", rng=np.random.default_rng(9))

    assert isinstance(found, Estimate)
    width = theirs.confidence_interval.high - theirs.confidence_interval.low
    assert abs(found.lower - theirs.confidence_interval.low) < 0.02 * width
    assert abs(found.upper - theirs.confidence_interval.high) < 0.02 * width


def test_clustered_bca_agrees_with_scipys_of_a_ratio() -> None:
    generator = np.random.default_rng(8)
    sizes = generator.integers(1, 9, 40)
    clusters = np.repeat(np.arange(40), sizes)
    values = generator.normal(0, 1, 40)[clusters] + generator.exponential(1, clusters.size)
    sums = np.bincount(clusters, values)
    theirs = bootstrap(
        (sums, sizes),
        lambda s, n, axis: s.sum(axis) / n.sum(axis),
        paired=True,
        n_resamples=20_000,
        method="BCa",
        rng=np.random.default_rng(9),
    )
    found = bootstrap_mean(values, seed=1, clusters=clusters, resamples=20_000)

    assert isinstance(found, Estimate)
    width = theirs.confidence_interval.high - theirs.confidence_interval.low
    assert abs(found.lower - theirs.confidence_interval.low) < 0.03 * width
    assert abs(found.upper - theirs.confidence_interval.high) < 0.03 * width
    assert found.n == 40


@settings(max_examples=25)
@given(st.lists(st.floats(-100, 100).map(lambda x: round(x, 2)), min_size=10, max_size=40), st.integers(0, 99))
def test_with_one_pair_a_cluster_it_is_the_plain_one_and_the_estimate_lies_inside(
    values: list[float], seed: int
) -> None:
    plain = bootstrap_mean(values, seed, resamples=1_000)
    labels = [f"user {7 * i % len(values)}, {i}" for i in range(len(values))]
    clustered = bootstrap_mean(values, seed, clusters=labels, resamples=1_000)

    assert isinstance(plain, Estimate) == isinstance(clustered, Estimate)
    if isinstance(plain, Estimate) and isinstance(clustered, Estimate):
        assert (plain.lower, plain.value, plain.upper) == (clustered.lower, clustered.value, clustered.upper)
        assert plain.lower <= plain.value <= plain.upper


def test_the_seed_alone_decides() -> None:
    one, again, other = (bootstrap_mean(SKEWED, seed) for seed in (1, 1, 2))

    assert one == again
    assert one != other


def test_users_who_repeat_themselves_do_not_narrow_the_interval() -> None:
    repeated, users = np.repeat(SKEWED, 25), np.repeat(np.arange(SKEWED.size), 25)
    clustered, naive = bootstrap_mean(repeated, 1, clusters=users), bootstrap_mean(repeated, 1)
    once = bootstrap_mean(SKEWED, 1)

    assert isinstance(clustered, Estimate)
    assert isinstance(naive, Estimate)
    assert isinstance(once, Estimate)
    assert np.allclose([clustered.lower, clustered.upper], [once.lower, once.upper])
    assert (clustered.upper - clustered.lower) / (naive.upper - naive.lower) > 4


def test_a_skewed_mean_is_covered_better_than_by_t() -> None:
    generator = np.random.default_rng(6)
    covered = covered_by_t = 0
    for seed in range(300):
        values = generator.lognormal(0, 1, 40)
        found = bootstrap_mean(values, seed, resamples=1_000)
        assert isinstance(found, Estimate)
        covered += found.lower <= math.exp(0.5) <= found.upper
        covered_by_t += abs(values.mean() - math.exp(0.5)) < 2.0227 * values.std(ddof=1) / math.sqrt(40)

    assert covered / 300 > 0.86
    assert covered >= covered_by_t


def test_large_samples_are_drawn_in_blocks() -> None:
    values = np.random.default_rng(1).normal(0, 1, 30_000)
    found = bootstrap_mean(values, 1, resamples=1_000)

    assert isinstance(found, Estimate)
    assert math.isclose(found.upper - found.lower, 2 * 1.96 / math.sqrt(30_000), rel_tol=0.1)


def test_too_little_to_resample_is_not_estimable() -> None:
    assert isinstance(bootstrap_mean([], 1), NotEstimable)
    assert isinstance(bootstrap_mean([1.0] * 9, 1), NotEstimable)
    assert isinstance(bootstrap_mean([1.0] * 50, 1), NotEstimable)
    assert isinstance(bootstrap_mean([0.0] * 50, 1), NotEstimable)
    assert isinstance(bootstrap_mean([1.0, 2.0] * 25, 1, clusters=[1, 2] * 25), NotEstimable)
    assert isinstance(bootstrap_mean([1.0, 2.0] * 25, 1, clusters=np.repeat(np.arange(25), 2)), NotEstimable)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bootstrap_mean([1.0, math.nan], 1), "differences[1] == nan, must be finite"),
        (lambda: bootstrap_mean([1.0], 1, level=0), "level == 0, must be in (0, 1)"),
        (lambda: bootstrap_mean([1.0], -1), "seed == -1, must be >= 0"),
        (lambda: bootstrap_mean([1.0], 1, resamples=999), "resamples == 999, must be >= 1000"),
        (lambda: bootstrap_mean([1.0], 1, clusters=[1, 2]), "clusters.shape == (2,), must be (1,)"),
    ],
)
def test_bad_input_is_named_with_its_rule(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        call()

    assert str(raised.value) == message
