"""Values of requests: a missing score is a failure, a missing latency is counted, and nothing vanishes."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.outcomes import Missing, paired_differences, paired_log_ratios, plain_outcomes

NAN = math.nan
scores = st.lists(st.tuples(*[st.one_of(st.floats(0, 1), st.just(NAN))] * 2), max_size=50)


@given(scores)
def test_a_missing_score_counts_as_zero(rows: list[tuple[float, float]]) -> None:
    control, treatment = np.array(rows, dtype=np.float64).reshape(-1, 2).T
    found = paired_differences(control, treatment)

    assert found.values.tolist() == (np.nan_to_num(treatment) - np.nan_to_num(control)).tolist()
    assert found.missing == Missing(int(np.isnan(control).sum()), int(np.isnan(treatment).sum()), 0)
    assert found.bounded


def test_the_callers_arrays_are_left_alone() -> None:
    control = np.array([NAN, 1.0])
    paired_differences(control, [1.0, 1.0])

    assert np.isnan(control[0])


def test_a_latency_that_is_not_there_is_counted_on_its_side() -> None:
    found = paired_log_ratios([1.0, NAN, NAN, 2.0], [2.0, 1.0, NAN, NAN])

    assert found.values[0] == pytest.approx(math.log(2))
    assert np.isnan(found.values[1:]).all()
    assert found.missing == Missing(control=2, treatment=2, excluded=3)
    assert not found.bounded


def test_plain_values_need_to_be_told_what_missing_ones_count_as() -> None:
    assert plain_outcomes([1.0, NAN], bounded=False, missing_as=7.0).values.tolist() == [1.0, 7.0]
    assert plain_outcomes([0.1, -0.2], bounded=True).missing == Missing(0, 0, 0)
    with pytest.raises(ValueError, match="missing_as == None, must say what 1 missing values count as"):
        plain_outcomes([1.0, NAN], bounded=False)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: paired_differences([1.5], [0.5]), r"control == 1.5, must be in \[0, 1\] or NaN"),
        (lambda: paired_differences([0.5, NAN], [0.5, -1.0]), r"treatment == -1.0, must be in \[0, 1\] or NaN"),
        (lambda: paired_differences([0.5], [0.5, 1.0]), r"treatment.shape == \(2,\), must be \(1,\)"),
        (lambda: paired_log_ratios([0.0], [1.0]), "control == 0.0, must be > 0 and finite"),
        (lambda: paired_log_ratios([1.0], [math.inf]), "treatment == inf, must be > 0 and finite"),
        (lambda: plain_outcomes([1.5], bounded=True), r"values == 1.5, must be in \[-1, 1\]"),
        (lambda: plain_outcomes([math.inf], bounded=False), "values == inf, must be finite"),
        (lambda: plain_outcomes([[1.0]], bounded=False), r"values.shape == \(1, 1\)"),
    ],
)
def test_bad_input_is_named(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
