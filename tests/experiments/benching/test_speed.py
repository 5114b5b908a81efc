import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.result import Estimate, NotEstimable
from experiments.benching.samples import Sample
from experiments.benching.speed import busy_s, speed, times_faster


def answered(latencies: list[float], tokens: int | None = 10) -> dict[str, Sample]:
    ends = [sum(latencies[:n]) for n in range(len(latencies))]
    return {
        str(n): Sample(text="x", begun_s=end / 1e3, latency_ms=latency, tokens=tokens)
        for n, (end, latency) in enumerate(zip(ends, latencies, strict=True))
    }


def test_the_figures_are_those_of_the_answers_and_failures_are_only_counted() -> None:
    found = speed({**answered([10.0, 20.0, 30.0]), "lost": Sample(error="timeout")})

    assert (found.asked, found.answered) == (4, 3)
    assert (found.latency_p50_ms, found.latency_p95_ms) == (20.0, pytest.approx(29.0))
    assert found.tokens_per_s == pytest.approx(30 / 0.06)
    assert found.first_p50_ms is None


def test_tokens_per_second_cannot_be_told_if_one_answer_does_not_say_how_many() -> None:
    assert speed({**answered([10.0]), "b": Sample(text="x", latency_ms=1.0)}).tokens_per_s is None
    assert speed({"a": Sample(error="connect")}).latency_p50_ms is None


def test_requests_that_overlap_share_their_time() -> None:
    both = [Sample(text="", begun_s=0.0, latency_ms=1000), Sample(text="", begun_s=0.0, latency_ms=1000)]

    assert busy_s(both) == 1.0


spans = st.lists(st.tuples(st.floats(0, 10), st.floats(0.01, 1000)), min_size=1, max_size=20)


@given(spans)
def test_busy_time_is_at_most_the_sum_and_at_least_the_longest(spans: list[tuple[float, float]]) -> None:
    samples = [Sample(begun_s=begin, latency_ms=latency) for begin, latency in spans]
    found = busy_s(samples)

    assert max(latency for _, latency in spans) / 1e3 - 1e-9 <= found
    assert found <= sum(latency for _, latency in spans) / 1e3 + 1e-9
    assert found == pytest.approx(busy_s(reversed(samples)))


@given(st.lists(st.floats(1, 1000), min_size=40, max_size=40), st.floats(0.2, 5))
def test_how_many_times_faster_is_a_geometric_mean_and_turns_over_with_the_arms(
    latencies: list[float], factor: float
) -> None:
    varied = [latency * factor * (1 + n / 100) for n, latency in enumerate(latencies)]
    control, treatment = answered(varied), answered(latencies)

    found, turned = times_faster(control, treatment), times_faster(treatment, control)

    assert isinstance(found, Estimate)
    assert isinstance(turned, Estimate)
    logs = [math.log(a / b) for a, b in zip(varied, latencies, strict=True)]
    assert found.value == pytest.approx(math.exp(sum(logs) / len(logs)))
    assert found.lower < found.value < found.upper
    assert (turned.value, turned.lower, turned.upper) == pytest.approx(
        (1 / found.value, 1 / found.upper, 1 / found.lower)
    )


def test_few_pairs_are_too_few_for_an_interval() -> None:
    found = times_faster(answered([1.0, 2.0]), {"0": Sample(text="", latency_ms=3.0), "1": Sample(error="connect")})

    assert found == NotEstimable("1 items that both answered, an interval needs at least 40")


def test_a_neighbour_that_was_busy_for_a_while_is_no_difference_between_two_equal_servers() -> None:
    """Of 400 items, 60 in a row were asked while something else slowed control's server down to a half."""
    quiet = [10.0 + (7 * n) % 5 for n in range(400)]
    disturbed = [latency * (2 if 100 <= n < 160 else 1) for n, latency in enumerate(quiet[3:] + quiet[:3])]

    found = times_faster(answered(disturbed), answered(quiet))

    assert isinstance(found, Estimate)
    assert found.value > 1.09
    assert found.lower < 1
