"""The service of docs/guides/cutting-cost-safely.md can be configured so, and its plan says what the guide quotes."""

from pathlib import Path

from experiments.config import load
from router.planning import plan, read_traffic

FOLDER = Path(__file__).parents[2] / "examples" / "writing_assistant"


def said(mirror_percent: float | None = None) -> str:
    config = load(FOLDER / "config.toml", {})
    [experiment] = config.experiments.values()
    if mirror_percent is not None:
        experiment = experiment.model_copy(update={"mirror_percent": mirror_percent})
    return "\n".join(str(part) for part in plan(config, [experiment], read_traffic(FOLDER / "traffic.toml")).parts)


def test_with_ten_percent_mirrored_a_loss_in_the_smallest_language_is_seen_and_its_price_is_named() -> None:
    text = said()

    assert "preferred, language=bn: if 8 points are lost, more than the tolerated 4 points show after 13 days" in text
    assert "15.76 USD a day" in text


def test_with_one_percent_it_is_not_and_the_plan_warns() -> None:
    assert "warning: preferred, language=bn: harm beyond what is accepted would rather not be seen" in said(1)
