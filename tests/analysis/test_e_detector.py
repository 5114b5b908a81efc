"""The e-detector: one fresh unit of capital a step, whatever the batches."""

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.betting import GRID, Side, log_mean_exp
from analysis.e_detector import EDetector, alarm_threshold, difference_increments, shiryaev_roberts
from analysis.eprocess import log_e_ltw

differences = st.lists(st.one_of(st.sampled_from([-1.0, 0.0, 1.0]), st.floats(-1, 1)), max_size=40)
nulls = st.floats(-0.9, 0.9)
sides = st.sampled_from(["harm", "noninferiority"])


@given(differences, nulls, sides)
def test_the_recursion_is_what_is_computed(seen: list[float], null: float, side: Side) -> None:
    sign, capital = (1 if side == "harm" else -1), np.zeros(len(GRID))
    for difference in seen:
        capital = (capital + 1) * (1 + GRID * sign * (null - difference) / (1 - sign * null))

    found = EDetector().after(difference_increments(seen, null, side))

    np.testing.assert_allclose(np.expm1(found.log1p_m), capital, rtol=1e-9, atol=1e-12)
    assert math.expm1(found.statistic) == pytest.approx(capital.mean(), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("side", ["harm", "noninferiority"])
def test_under_the_null_it_grows_by_one_a_unit(side: Side) -> None:
    """So at an alarm at M >= A, A units have passed on average or more."""
    chances = {-1.0: 0.3, 0.0: 0.5, 1.0: 0.2}

    for n in range(1, 6):
        expectation = sum(
            math.prod(chances[d] for d in path)
            * math.expm1(EDetector().after(difference_increments(path, -0.1, side)).statistic)
            for path in itertools.product(chances, repeat=n)
        )
        assert expectation == pytest.approx(n, abs=1e-9)


@given(differences, st.integers(0, 40), nulls)
def test_batches_of_any_size_agree_up_to_rounding(seen: list[float], cut: int, null: float) -> None:
    increments = difference_increments(seen, null, "harm")

    whole, parts = EDetector().after(increments), EDetector().after(increments[:cut]).after(increments[cut:])

    assert parts.n == whole.n == len(seen)
    np.testing.assert_allclose([*parts.log1p_m, parts.peak], [*whole.log1p_m, whole.peak], rtol=1e-9, atol=1e-12)


def test_the_blocks_of_a_long_batch_join_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    increments = difference_increments(np.random.default_rng(3).uniform(-1, 1, 500), 0.02, "harm")
    whole = shiryaev_roberts(increments)

    monkeypatch.setattr("analysis.e_detector._BLOCK", 7)

    np.testing.assert_allclose(shiryaev_roberts(increments), whole, rtol=1e-10)


@given(differences, nulls, sides)
def test_a_detector_comes_back_from_json(seen: list[float], null: float, side: Side) -> None:
    detector = EDetector().after(difference_increments(seen, null, side))

    assert EDetector.from_dict(json.loads(json.dumps(detector.to_dict()))) == detector


def test_the_order_matters_as_it_must_for_harm_that_starts_late() -> None:
    late, early = ([0.0] * 500 + [-1.0] * 20, [-1.0] * 20 + [0.0] * 500)

    detectors = [EDetector().after(difference_increments(seen, -0.01, "harm")) for seen in (late, early)]

    assert detectors[0].statistic > detectors[1].statistic + 5


def test_an_alarm_once_raised_stays_raised() -> None:
    harm = EDetector().after(difference_increments([-1.0] * 40, 0.0, "harm"))

    calm = harm.after(difference_increments([1.0] * 400, 0.0, "harm"))

    assert calm.alarms(300_000)
    assert calm.peak == harm.peak
    assert calm.statistic < calm.peak - 10


def test_late_harm_is_seen_sooner_than_by_an_e_process() -> None:
    rng = np.random.default_rng(11)
    seen = np.concatenate(
        [rng.choice([-1.0, 0.0, 1.0], n, p=p) for n, p in ((8000, [0.03, 0.94, 0.03]), (6000, [0.05, 0.92, 0.03]))]
    )
    counts = [np.cumsum(seen == value) for value in (-1, 0, 1)]
    path = log_mean_exp(shiryaev_roberts(difference_increments(seen, 0.0, "harm")).T)

    by_detector = np.argmax(path >= alarm_threshold(300_000))
    by_e_process = np.argmax(log_e_ltw(*counts, 0.0, "harm") >= math.log(20))

    assert 8000 < by_detector < by_e_process - 500


def test_nothing_overflows_in_a_million_units_of_harm() -> None:
    increments = np.full((1_000_000, 1), math.log(1.95))

    assert float(shiryaev_roberts(increments)[-1, 0]) == pytest.approx(1e6 * math.log(1.95) + math.log(1.95 / 0.95))


def test_no_unit_changes_nothing() -> None:
    detector = EDetector()

    assert detector.after(difference_increments([], 0.0, "harm")) == detector
    assert detector.statistic == 0.0
    assert not detector.alarms(1)


def test_the_threshold_is_the_wanted_run_length() -> None:
    assert math.expm1(alarm_threshold(300_000)) == pytest.approx(300_000)
    with pytest.raises(ValueError, match="average_run_length == 0"):
        alarm_threshold(0)


def test_bad_input_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"difference == -1\.5, must be in \[-1, 1\]"):
        difference_increments([0.0, -1.5], 0.0, "noninferiority")
    with pytest.raises(ValueError, match=r"null_mean == 1\.0"):
        difference_increments([0.0], 1.0, "harm")
    with pytest.raises(ValueError, match=r"log_increments\.shape == \(1, 3\), must be \(units, 12\)"):
        EDetector().after([[0.0, 0.0, 0.0]])
    with pytest.raises(ValueError, match="log_increments == -inf, must be finite"):
        shiryaev_roberts([0.0, -math.inf])
    with pytest.raises(ValueError, match=r"== -0\.1, must be >= 0 and finite"):
        EDetector(peak=-0.1)
    with pytest.raises(ValueError, match="n == -1"):
        EDetector(n=-1)
