"""The e-detector: one fresh unit of capital a step, whatever the batches."""

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.betting import GRID, Floats, Side, log_mean_exp
from analysis.e_detector import (
    EDetector,
    alarm_threshold,
    difference_increments,
    event_increments,
    shiryaev_roberts,
)
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


@pytest.mark.parametrize("limit", [1.0, 1.2, 3.0])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_a_bet_on_events_is_fair_at_the_accepted_risk_and_loses_below_it(share: float, limit: float) -> None:
    factors = np.exp(event_increments([share, share], [0, 1], limit))

    for risk, sign in ((limit, 0), (limit / 2, -1), (2 * limit, 1)):
        chance = share * risk / (share * risk + 1 - share)
        gain = (1 - chance) * factors[0] + chance * factors[1] - 1
        assert np.all(np.sign(np.round(gain, 12)) == sign)


def _events(risk: float, shares: list[float], limit: float, events: int, replicates: int) -> Floats:
    """log(1 + M) after each event, for each replicate: shares may differ from event to event."""
    rng = np.random.default_rng(1)
    share = rng.choice(shares, (events, replicates))
    odds = share * risk / (1 - share)
    arms = rng.random((events, replicates)) < odds / (1 + odds)
    increments = event_increments(share.ravel(), arms.ravel(), limit).reshape(events, replicates, -1)
    return log_mean_exp(np.moveaxis(shiryaev_roberts(increments), -1, 0))


def test_at_the_accepted_risk_as_many_events_pass_before_a_false_alarm_as_was_asked() -> None:
    """However the shares change between the events. Runs that are cut off count as shorter than they are."""
    alarmed = _events(1.2, [0.1, 0.5, 0.9], 1.2, events=1_500, replicates=200) >= alarm_threshold(100)

    lengths = np.where(alarmed.any(axis=0), alarmed.argmax(axis=0) + 1, len(alarmed))
    assert lengths.mean() >= 100


@pytest.mark.parametrize(("share", "events"), [(0.5, 1_000), (0.9, 3_000)])
def test_a_doubled_risk_is_noticed_at_the_rate_that_is_used(share: float, events: int) -> None:
    alarmed = _events(2.0, [share], 1.2, events, replicates=20) >= alarm_threshold(600_000)

    assert alarmed.any(axis=0).mean() >= 0.9


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
    with pytest.raises(ValueError, match=r"share == 1\.0, must be in \(0, 1\)"):
        event_increments([0.5, 1.0], [1, 1], 1.0)
    with pytest.raises(ValueError, match=r"arm == 2\.0"):
        event_increments([0.5], [2], 1.0)
    with pytest.raises(ValueError, match="max_relative == 0"):
        event_increments([0.5], [1], 0)
    with pytest.raises(ValueError, match=r"log_increments\.shape == \(1, 3\), must be \(units, 12\)"):
        EDetector().after([[0.0, 0.0, 0.0]])
    with pytest.raises(ValueError, match="log_increments == -inf, must be finite"):
        shiryaev_roberts([0.0, -math.inf])
    with pytest.raises(ValueError, match=r"== -0\.1, must be >= 0 and finite"):
        EDetector(peak=-0.1)
    with pytest.raises(ValueError, match="n == -1"):
        EDetector(n=-1)
