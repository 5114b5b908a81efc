"""Units that are drawn are like what is expected and like the assumed truth."""

from collections import Counter

import pytest
from tests_builders import make_experiment

from experiments.lifecycle import start
from experiments.model import TREATMENT, Role
from experiments.planning.drawing import START, Drawing, Ratio
from experiments.planning.traffic import Expectations

EXPERIMENT = make_experiment(mirror_percent=100.0, ramp=(20.0,))
MARGINED = [guardrail.name for guardrail in EXPERIMENT.guardrails if guardrail.margin is not None]


def expected(**changes) -> Expectations:
    values = {"requests_per_day": 1000.0, "units_per_day": 1000.0, "discordance": dict.fromkeys(MARGINED, 0.2)}
    return Expectations(**(values | changes))


def test_losses_and_wins_have_the_discordance_that_is_expected_and_the_loss_that_is_assumed() -> None:
    metric = MARGINED[0]
    drawing = Drawing(EXPERIMENT, expected(), (), {metric: 0.1}, "seed")

    _, outcomes, _ = drawing.until(20_000, start(EXPERIMENT, 1), START + 86_400 * 20)

    values = Counter(outcome.value for outcome in outcomes if outcome.metric == metric)
    assert values[-1.0] / 20_000 == pytest.approx(0.15, abs=0.01)
    assert values[1.0] / 20_000 == pytest.approx(0.05, abs=0.01)
    assert all(o.value == o.treatment_value - o.control_value for o in outcomes)


def test_the_split_is_that_of_the_route_and_each_unit_comes_once_and_not_too_late() -> None:
    route = start(EXPERIMENT, 1)
    drawing = Drawing(EXPERIMENT, expected(), (), {}, "seed")

    first, _, _ = drawing.until(5_000, route, START + 86_400 * 5)
    again, _, _ = drawing.until(5_000, route, START + 86_400 * 6)
    more, _, _ = drawing.until(5_001, route, START + 86_400 * 6)

    live = [stored.exchange for stored in first if stored.exchange.role is Role.LIVE]
    assert len({exchange.unit for exchange in live}) == 5_000
    assert sum(exchange.assigned == TREATMENT for exchange in live) / 5_000 == pytest.approx(0.2, abs=0.02)
    assert max(exchange.at for exchange in live) <= START + 86_400 * 5
    assert (again, len(more)) == ([], 2)


def test_a_goal_has_the_gain_and_the_spread_that_are_expected() -> None:
    drawing = Drawing(EXPERIMENT, expected(), (Ratio("latency", 0.2, 0.0),), {}, "seed")

    _, outcomes, _ = drawing.until(3, start(EXPERIMENT, 1), START + 1_000)

    assert [o.treatment_value for o in outcomes if o.metric == "latency"] == pytest.approx([0.8] * 3)


def test_the_same_seed_draws_the_same_units() -> None:
    one, other = (Drawing(EXPERIMENT, expected(), (), {}, "seed") for _ in range(2))

    assert one.until(50, start(EXPERIMENT, 1), START + 9e4) == other.until(50, start(EXPERIMENT, 1), START + 9e4)
