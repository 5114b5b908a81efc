"""Simulated experiments are decided as real ones are, and it is known which decisions are false."""

import pytest
from tests_builders import make_experiment

from experiments.config.records import Goal, Guardrail, Policy
from experiments.config.serving import Backend
from experiments.model import Phase
from experiments.planning.simulation import Assumed, Run, Simulation
from experiments.planning.traffic import Expectations

QUICK = Policy(min_days=0.0, min_units=50, stage_min_units=10, stage_min_minutes=0.0, settle_seconds=0.0, max_days=20.0)
BACKENDS = (Backend(name="big", urls=("http://a",)), Backend(name="small", urls=("http://b",)))


def simulation(policy: Policy = QUICK, *, goals: tuple[Goal, ...] = (), **changes) -> Simulation:
    guardrails = (
        Guardrail(name="quality", scorer="exact", margin=0.1),
        Guardrail(name="errors", max_relative=2.0, margin=0.1),
    )
    experiment = make_experiment(ramp=(10.0, 50.0), policy=policy, goals=goals, guardrails=guardrails)
    values = {
        "requests_per_day": 1000.0, "units_per_day": 1000.0, "error_rate": 0.01,
        "discordance": {"quality": 0.1},
    }  # fmt: skip
    return Simulation(experiment, BACKENDS, Expectations(**(values | changes)))


def test_a_treatment_that_loses_nothing_is_promoted_and_one_that_loses_much_is_rolled_back() -> None:
    found = simulation()

    good = found.run(Assumed("no loss", {}), seed=1)
    bad = found.run(Assumed("much", {"quality": 0.3}), seed=1)

    assert (good.phase, bad.phase) == (Phase.PROMOTED, Phase.ROLLED_BACK)
    assert 0 < bad.days < 1
    assert good == found.run(Assumed("no loss", {}), seed=1), "the same seed gives the same run"


def test_a_promotion_waits_for_the_minima_of_the_policy() -> None:
    waiting = simulation(QUICK.model_copy(update={"min_days": 15.0}))

    done = waiting.run(Assumed("no loss", {}), seed=1)

    assert (done.phase, done.days) == (Phase.PROMOTED, 15.0)


def test_what_few_units_do_not_decide_ends_when_the_time_is_up() -> None:
    done = simulation().run(Assumed("no loss", {}), seed=1, most_units=30)

    assert done.phase is Phase.STOPPED
    assert done.days == pytest.approx(20.0)


def test_what_is_not_expected_is_named_line_by_line() -> None:
    with pytest.raises(ValueError, match=r"^error_rate is not given\ngains\.latency is not given"):
        simulation(goals=(Goal(name="latency", better_by=0.1),), error_rate=None)


def test_unless_losses_are_given_there_is_none_and_one_of_the_margin() -> None:
    found = simulation()

    none, margin = found.truths({})

    assert (none.losses, margin.losses) == ({}, {"quality": 0.1})
    assert (found.is_too_bad(none), found.is_too_bad(margin)) == (False, True)
    assert (found.is_harm(none), found.is_harm(margin)) == (False, True)
    with pytest.raises(ValueError, match="is no guardrail with a margin"):
        found.truths({"latency": 0.1})
    with pytest.raises(ValueError, match="must be between -1 and 1"):
        found.truths({"quality": 2.0})


def test_without_the_gain_that_a_goal_asks_for_a_promotion_is_false() -> None:
    goal = (Goal(name="latency", better_by=0.1),)

    small = simulation(goals=goal, gains={"latency": 0.05}, spreads={"latency": 0.1})
    large = simulation(goals=goal, gains={"latency": 0.2}, spreads={"latency": 0.1})

    assert (small.is_too_bad(Assumed("", {})), large.is_too_bad(Assumed("", {}))) == (True, False)


def test_runs_are_summed_up_and_one_that_is_not_decided_counts_as_the_longest() -> None:
    runs = [Run(Phase.PROMOTED, 2.0, 10), Run(Phase.ROLLED_BACK, 1.0, 10), Run(Phase.RUNNING, 9.0, 10)]

    found = simulation().outlook(Assumed("no loss", {}), runs)

    assert (found.median_days, found.ninetieth_days) == (2.0, None)
    assert found.decisions == {"promoted": 1, "rolled_back": 1, "running": 1}
    assert (found.false_promotions, found.false_rollbacks) == (0, 1)
