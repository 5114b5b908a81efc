"""Draws by a key, and which scorers ask."""

from hypothesis import given
from hypothesis import strategies as st

from experiments.config.asking import Judge as JudgeKeys
from experiments.scorers.asking import asks, drawn
from experiments.scorers.empty import Empty
from experiments.scorers.judge import Judge


@given(low=st.floats(0, 100), high=st.floats(0, 100), pair=st.text(max_size=5))
def test_who_is_drawn_stays_drawn_when_the_share_rises(low: float, high: float, pair: str) -> None:
    low, high = sorted((low, high))

    assert drawn(low, pair, "m") <= drawn(high, pair, "m")


def test_the_share_is_the_configured_one_and_metrics_draw_apart() -> None:
    quality = [drawn(30, f"p{n}", "quality") for n in range(2_000)]
    tone = [drawn(30, f"p{n}", "tone") for n in range(2_000)]

    assert 520 < sum(quality) < 680
    assert 130 < sum(map(min, quality, tone)) < 230


def test_a_scorer_says_by_an_attribute_that_it_asks() -> None:
    assert asks(Judge(JudgeKeys(backend="judge")))
    assert not asks(Empty())
