"""Sample ratio mismatch: valid at every look, never pooled over stages, and saying which side drifts."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import multinomial

from analysis.result import NotEstimable, TestResult
from analysis.srm import StageCounts, srm_chi2, srm_log_bayes_factor, srm_test, srm_tests

counts = st.integers(0, 20_000)
shares = st.floats(0.01, 0.99)


@pytest.mark.parametrize("split", [(0.5, 0.5), (0.9, 0.1), (0.2, 0.3, 0.5)])
def test_the_bayes_factor_is_an_e_value(split: tuple[float, ...]) -> None:
    n = 6
    found = 0.0
    for table in itertools.product(range(n + 1), repeat=len(split)):
        if sum(table) == n:
            chance = float(multinomial.pmf(table, n, split))
            found += chance * math.exp(srm_log_bayes_factor([StageCounts(table, split)], 5.0))

    assert found == pytest.approx(1)


def test_false_alarms_under_hourly_looks_stay_below_alpha() -> None:
    arrivals = np.random.default_rng(2).binomial(100, 0.5, size=(400, 336)).cumsum(axis=1)
    looks = np.arange(1, 337) * 100
    alarms = [
        any(
            srm_log_bayes_factor([StageCounts((int(a), int(n - a)), (0.5, 0.5))]) >= math.log(1 / 0.05)
            for a, n in zip(row[::6], looks[::6], strict=True)
        )
        for row in arrivals
    ]

    assert np.mean(alarms) <= 0.05


@given(counts, counts, shares, counts, counts, shares)
def test_stages_multiply_in_any_order(a: int, b: int, p: float, c: int, d: int, q: float) -> None:
    stages = [StageCounts((a, b), (p, 1 - p)), StageCounts((c, d), (q, 1 - q))]
    alone = [srm_log_bayes_factor([stage]) for stage in stages]

    assert srm_log_bayes_factor(stages) == srm_log_bayes_factor(stages[::-1]) == math.fsum(alone)


@given(counts, counts, shares, st.floats(0, 30))
def test_the_running_p_value_is_a_probability_and_never_rises(a: int, b: int, p: float, peak: float) -> None:
    stage = StageCounts((a, b), (p, 1 - p))
    first, later = srm_test([stage], peak_log_bayes_factor=peak), srm_test([stage], peak_log_bayes_factor=peak + 1)

    assert 0 <= later.p_value <= first.p_value <= 1
    assert first.alarm == (first.peak_log_bayes_factor >= math.log(1 / first.alpha))
    assert first.excess[0] == pytest.approx(-first.excess[1], abs=1e-6)


def test_a_ramp_is_not_a_mismatch_but_pooling_it_would_be() -> None:
    ramp = [StageCounts((9900, 100), (0.99, 0.01)), StageCounts((5000, 5000), (0.5, 0.5))]

    assert not srm_test(ramp).alarm
    assert srm_test([StageCounts((14_900, 5100), (0.5, 0.5))]).alarm


def test_an_alarm_once_raised_stays_raised() -> None:
    found = srm_test([StageCounts((500, 500), (0.5, 0.5))], peak_log_bayes_factor=9.0)

    assert found.alarm
    assert found.log_bayes_factor < 0
    assert found.p_value == pytest.approx(math.exp(-9))


def test_it_says_which_side_drifts_in_which_stage() -> None:
    found = srm_test([StageCounts((9000, 1000), (0.9, 0.1)), StageCounts((5200, 4800), (0.5, 0.5))])

    assert found.short_variant == 1
    assert found.excess == pytest.approx((200, -200))
    assert found.residuals == pytest.approx((200 / math.sqrt(900 + 2500), -200 / math.sqrt(900 + 2500)))
    assert found.stages[0].residuals == pytest.approx((0, 0))
    assert found.stages[1].expected == pytest.approx((5000, 5000))
    assert found.stages[1].log_bayes_factor > 1 > found.stages[0].log_bayes_factor


def test_outcomes_lost_on_one_side_are_an_alarm_of_the_analysed_units() -> None:
    stages = [StageCounts((5000, 5000), (0.5, 0.5)), StageCounts((3000, 3000), (0.5, 0.5))]
    analysed = [stage._replace(counts=(stage.counts[0], stage.counts[1] - 400)) for stage in stages]

    found = srm_tests(stages, analysed)

    assert not found.assigned.alarm
    assert found.analysed.alarm
    assert found.alarm
    assert found.analysed.short_variant == 1
    assert found.completeness == pytest.approx((1.0, 0.9))


def test_the_two_tests_share_alpha() -> None:
    stage = StageCounts((50, 50), (0.5, 0.5))
    found = srm_tests([stage], [stage], alpha=0.01)

    assert found.assigned.alpha == found.analysed.alpha == 0.005


def test_without_a_unit_nothing_is_claimed() -> None:
    for stages in ([], [StageCounts((0, 0), (0.5, 0.5))]):
        found = srm_test(stages)
        assert (found.log_bayes_factor, found.p_value, found.alarm, found.short_variant) == (0.0, 1.0, False, None)
    both = srm_tests([StageCounts((0, 3), (0.5, 0.5))], [])
    assert isinstance(both.completeness[0], NotEstimable)
    assert both.completeness[1] == 0.0
    assert srm_tests([], []).completeness == ()
    assert isinstance(srm_chi2([0, 0], [1, 1]), NotEstimable)


def test_kohavis_example_is_a_mismatch_at_a_fixed_size() -> None:
    found = srm_chi2([821_588, 815_482], [1, 1])

    assert isinstance(found, TestResult)
    assert found.p_value == pytest.approx(1.8e-6, abs=3e-8)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: srm_test([StageCounts((-1, 2), (0.5, 0.5))]), "count == -1, must be >= 0"),
        (lambda: srm_test([StageCounts((1, 2), (0.5, 0.6))]), "must add up to 1"),
        (lambda: srm_test([StageCounts((1, 2), (0.0, 1.0))]), r"share == 0.0, must be in \(0, 1\)"),
        (lambda: srm_test([StageCounts((1, 2, 3), (0.5, 0.5))]), "must be one per variant"),
        (lambda: srm_test([StageCounts((1, 2), (0.5, 0.5))], alpha=1), r"alpha == 1, must be in \(0, 1\)"),
        (lambda: srm_log_bayes_factor([], 0), "concentration == 0, must be > 0"),
        (
            lambda: srm_test([StageCounts((1, 2), (0.5, 0.5)), StageCounts((1, 2, 3), (0.2, 0.3, 0.5))]),
            "must all have the same variants",
        ),
        (lambda: srm_chi2([1, 2], [1]), r"len\(shares\) == 1, must be 2"),
        (lambda: srm_chi2([1, -2], [1, 1]), "count == -2, must be >= 0"),
    ],
)
def test_bad_input_is_named(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
