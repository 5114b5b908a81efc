import pytest

from analysis.result import Estimate, NotEstimable
from experiments.benching.accuracy import Mark, contrasts
from experiments.benching.benchmark import Benchmark
from experiments.benching.speed import Speed
from experiments.benching.words import named, summary, worse_in


def speed(answered: int = 10) -> Speed:
    return Speed(
        asked=10,
        answered=answered,
        tokens_per_s=None,
        tokens_estimated=False,
        latency_p50_ms=None,
        latency_p95_ms=None,
        first_p50_ms=None,
    )


def found(marks: list[Mark], ratio: Estimate | NotEstimable | None = None, answered: int = 10) -> Benchmark:
    return Benchmark(
        items=len(marks),
        concurrency=1,
        speeds={"control": speed(), "treatment": speed(answered)},
        times_faster=ratio or Estimate(2.1, 2.0, 2.2, 0.95, 10, ""),
        memory={},
        cpu_ms={},
        accuracy=contrasts(marks) if marks else None,
        not_judged=0,
        not_judged_because="" if marks else "nothing was answered",
        likeness=None,
        repeatable=True,
        errors={},
    )


def marks(lost: int, won: int, n: int, **tags: str) -> list[Mark]:
    return [Mark(tags, a=k >= won, b=k < won or k >= won + lost) for k in range(n)]


@pytest.mark.parametrize(
    ("lost", "won", "margin", "ends"),
    [
        (40, 5, None, ": worse."),
        (4, 0, None, "which is better; a loss of more than 3.4 points is ruled out."),
        (5, 40, None, ": better."),
        (6, 5, 0.05, ": not worse by 5 points or more."),
        (6, 5, 0.01, "which is better; a loss of more than 2.9 points is ruled out."),
        (6, 5, None, "which is better; a loss of more than 2.9 points is ruled out."),
    ],
)
def test_the_sentence_says_how_good_it_is_or_that_it_cannot_tell(
    lost: int, won: int, margin: float | None, ends: str
) -> None:
    said = summary(found(marks(lost, won, 300)), margin)

    assert said.startswith("The treatment is 2.10 times as fast as control (95 % CI 2.00 to 2.20); accuracy ")
    assert said.endswith(ends)


def test_a_slower_treatment_is_told_in_how_much_longer_it_takes() -> None:
    said = summary(found(marks(0, 0, 9), Estimate(0.5, 0.4, 0.8, 0.95, 10, "")))

    assert said.startswith("The treatment takes 2.00 times as long as control (95 % CI 1.25 to 2.50); ")


def test_what_cannot_be_told_is_said_with_its_reason() -> None:
    assert summary(found([], NotEstimable("1 item"))) == (
        "The treatment may be faster or slower: cannot tell (1 item); accuracy: cannot tell (nothing was answered)."
    )
    assert summary(found([], answered=0)) == "Cannot tell: treatment answered no request."


def test_a_loss_that_hides_in_one_language_is_named() -> None:
    """Hindi loses 15 points of 100; the whole, 4 of 340, may be chance."""
    hidden = found([*marks(15, 0, 100, language="hi"), *marks(0, 11, 240, language="en")])

    assert worse_in(hidden) == ["language=hi"]
    assert summary(hidden).endswith(", but worse for language=hi.")


def test_tags_are_many_tests_so_a_p_of_3_percent_in_one_of_ten_is_no_loss() -> None:
    one = [*marks(6, 0, 50, topic="0"), *(m for n in range(1, 10) for m in marks(0, 0, 50, topic=str(n)))]

    assert worse_in(found(one)) == []
    assert worse_in(found(marks(6, 0, 50, topic="0"))) == ["topic=0"]


def test_a_tag_of_very_many_values_is_no_group() -> None:
    many = found([Mark({"id": str(n), "language": "hi"}, a=True, b=True) for n in range(30)])

    assert many.accuracy is not None
    assert list(named(many.accuracy)) == ["language=hi"]
