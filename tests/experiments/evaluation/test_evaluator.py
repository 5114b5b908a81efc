"""From rows to evidence: each metric with the method that fits it, and the alpha shared before any data."""

import itertools
import math

import pytest
from tests_builders import make_exchange, make_experiment, make_outcome, make_vote

from experiments.config.records import Goal, Guardrail, Policy
from experiments.evaluation.checkpoints import CheckpointStore
from experiments.evaluation.evaluator import Evaluator
from experiments.evidence import Kind, Verdict
from experiments.model import CONTROL, TREATMENT, Phase
from experiments.store import Outcome

_numbers = itertools.count()


def outcome(unit: str, metric: str, value: float, control: float = 1.0, **slices: str) -> Outcome:
    return Outcome(
        pair=f"e{next(_numbers)}",
        metric=metric,
        scorer="test/1",
        experiment="support",
        epoch=1,
        stage=0,
        unit=unit,
        at=1000.0,
        slices=slices,
        control_value=control,
        treatment_value=control + value,
        value=value,
    )


def look(evaluator: Evaluator, outcomes: list[Outcome], exchanges=None, now: float = 5000.0):
    units = dict.fromkeys(o.unit for o in outcomes)
    exposed = exchanges or [
        make_exchange(unit=u, assigned=(CONTROL, TREATMENT)[n % 2], served=(CONTROL, TREATMENT)[n % 2])
        for n, u in enumerate(units)
    ]
    return evaluator.look(now, 0, Phase.RUNNING, exposed, outcomes, [])


def test_before_any_data_everything_is_not_estimable_and_nothing_is_nan() -> None:
    evidence = look(Evaluator(make_experiment(goals=(Goal(name="cost", better_by=0.3),)), 1), [])

    assert {row.verdict for row in evidence.metrics if row.kind is not Kind.EVENT} == {Verdict.NOT_ESTIMABLE}
    assert evidence.log_e_family == pytest.approx(math.log(sum(row.weight for row in evidence.metrics)))
    assert not any(split.alarm for split in evidence.splits)


def test_many_ties_show_non_inferiority_and_many_losses_show_harm() -> None:
    safe = look(Evaluator(make_experiment(), 1), [outcome(f"u{n}", "quality", 0.0) for n in range(800)])
    bad = look(Evaluator(make_experiment(), 1), [outcome(f"u{n}", "quality", -float(n % 5 == 0)) for n in range(400)])

    assert safe.of("quality").verdict is Verdict.NONINFERIOR
    harmed = bad.of("quality")
    assert harmed.verdict is Verdict.HARM
    assert (harmed.estimate, harmed.losses, harmed.wins, harmed.units) == (-0.2, 80, 0, 400)
    assert harmed.interval.lower < -0.2 < harmed.interval.upper < -0.01


def test_harm_in_one_language_is_found_behind_a_good_average() -> None:
    outcomes = [outcome(f"en{n}", "quality", float(n % 10 == 0), language="en") for n in range(900)]
    outcomes += [outcome(f"hi{n}", "quality", -float(n % 3 == 0), language="hi") for n in range(300)]

    evidence = look(Evaluator(make_experiment(), 1), outcomes)

    assert evidence.of("quality").verdict is not Verdict.HARM
    assert evidence.of("quality", "language=hi").verdict is Verdict.HARM
    assert evidence.of("quality", "language=en").verdict is not Verdict.HARM


def test_an_alarm_once_raised_stays_raised() -> None:
    evaluator = Evaluator(make_experiment(), 1)
    look(evaluator, [outcome(f"u{n}", "quality", -float(n % 5 == 0)) for n in range(400)])

    evidence = look(evaluator, [outcome(f"v{n}", "quality", 1.0) for n in range(2000)])

    row = evidence.of("quality")
    assert row.log_e_harm < row.peak_log_e_harm
    assert row.verdict is Verdict.HARM


def test_a_mean_that_moves_empties_the_interval_and_is_told_as_a_broken_assumption() -> None:
    evaluator = Evaluator(make_experiment(guardrails=(Guardrail(name="quality", scorer="exact", margin=0.02),)), 1)
    look(evaluator, [outcome(f"u{n}", "quality", 1.0) for n in range(300)])

    evidence = look(evaluator, [outcome(f"v{n}", "quality", 0.0) for n in range(3000)])

    row = evidence.of("quality")
    assert row.verdict is Verdict.NOT_ESTIMABLE
    assert "assumptions violated" in row.reason
    assert row.interval is None


def test_a_goal_is_reached_on_the_geometric_mean_of_the_ratios() -> None:
    experiment = make_experiment(goals=(Goal(name="cost", better_by=0.3),))
    ratios = [outcome(f"u{n}", "cost", math.log(0.6 + 0.02 * (n % 3))) for n in range(400)]

    evidence = look(Evaluator(experiment, 1), ratios)
    short = look(Evaluator(experiment, 1), ratios[:90])

    row = evidence.of("cost")
    assert row.verdict is Verdict.SUPERIOR
    assert row.estimate == pytest.approx(-0.38, abs=0.005)
    assert row.interval.lower < row.estimate < row.interval.upper < -0.3
    assert short.of("cost").verdict is Verdict.NOT_ESTIMABLE


def test_units_that_all_save_the_same_share_prove_the_saving_and_units_without_any_change_prove_nothing() -> None:
    """With fixed prices and equal answers there is no variation at all."""
    goals = (Goal(name="cost", better_by=0.3),)
    experiment = make_experiment(goals=goals, policy=Policy(settle_seconds=0, unit_cap=1))

    halved, unchanged = (
        look(Evaluator(experiment, 1), [outcome(f"u{n}", "cost", value) for n in range(100)]).of("cost")
        for value in (math.log(0.5), 0.0)
    )

    assert halved.verdict is Verdict.SUPERIOR
    assert halved.estimate == pytest.approx(-0.5)
    assert halved.interval.lower < -0.5 < halved.interval.upper < -0.3
    assert (unchanged.verdict, unchanged.estimate, unchanged.p_value) == (Verdict.NOT_ESTIMABLE, 0.0, 1.0)


def test_errors_of_the_treatment_raise_the_event_alarm_under_a_small_split() -> None:
    experiment = make_experiment()
    exchanges = [make_exchange(assigned=TREATMENT, propensity=0.1, error="status") for _ in range(12)]
    exchanges += [make_exchange(propensity=0.9) for _ in range(500)]

    evidence = look(Evaluator(experiment, 1), [], exchanges)

    row = evidence.of("errors", kind=Kind.EVENT)
    assert row.verdict is Verdict.HARM
    assert row.treatment_mean == 1.0
    assert row.fixed_interval.lower > 0.5


def test_units_that_do_not_follow_the_split_raise_the_alarm() -> None:
    skewed = [make_exchange(assigned=TREATMENT, propensity=0.5) for _ in range(300)]
    skewed += [make_exchange(propensity=0.5) for _ in range(100)]

    evidence = look(Evaluator(make_experiment(), 1), [], skewed)

    assert [split.alarm for split in evidence.splits] == [True, False]
    assert evidence.splits[0].stages == [(5000, 100, 300)]


def test_the_same_rows_in_the_same_looks_give_the_same_evidence_to_the_last_bit() -> None:
    rows = [
        outcome(f"u{n}", m, v) for n in range(200) for m, v in (("quality", -(n % 7 == 0) / 3), ("latency", n / 977))
    ]
    policy = Policy(settle_seconds=0, unit_cap=1)
    exposed = [make_exchange(unit=f"u{n}") for n in range(200)]

    one, other = (Evaluator(make_experiment(policy=policy), 1) for _ in range(2))
    found = [
        [look(e, rows[k : k + 50], exposed if k == 0 else [make_exchange(unit="u0")]) for k in range(0, 400, 50)]
        for e in (one, other)
    ]

    assert found[0] == found[1]


# --- after a promotion ------------------------------------------------------------------------------------------------


def promoted(evaluator: Evaluator, values: list[float], first: int, now: float):
    outcomes = [outcome(f"p{first + n}", "quality", value) for n, value in enumerate(values)]
    exposed = [make_exchange(unit=o.unit, at=now - 100) for o in outcomes]
    return evaluator.look(now, 0, Phase.PROMOTED, exposed, outcomes, [])


def test_harm_that_begins_after_a_long_good_time_is_noticed_where_the_e_process_is_still_silent() -> None:
    evaluator = Evaluator(make_experiment(), 1)
    look(evaluator, [outcome(f"u{n}", "quality", 0.0) for n in range(3000)])
    clean = promoted(evaluator, [0.0] * 2000, 0, 6000.0)

    late = promoted(evaluator, [-float(n % 4 == 0) for n in range(200)], 2000, 7000.0)

    watch = {found.metric: found for found in late.late}["quality"]
    assert {found.metric for found in clean.late} == {"quality", "errors"}
    assert all(found.peak < found.threshold for found in clean.late)
    assert watch.peak >= watch.threshold
    assert watch.units == 2200
    assert late.of("quality").verdict is not Verdict.HARM, "its capital is spent on the good time"


def test_before_a_promotion_there_is_no_such_watch() -> None:
    assert look(Evaluator(make_experiment(), 1), [outcome("u", "quality", 0.0)]).late == ()


def test_the_last_requests_of_both_variants_are_counted_for_the_hard_trips() -> None:
    rows = [make_exchange(at=990.0, assigned=TREATMENT, error="timeout"), make_exchange(at=995.0)]

    evidence = Evaluator(make_experiment(), 1).look(1000.0, 0, Phase.RUNNING, rows, [], [])

    assert [(r.variant, r.requests, r.failed) for r in evidence.recent] == [(CONTROL, 1, 0), (TREATMENT, 1, 1)]


def test_errors_that_fall_to_the_treatment_after_a_promotion_are_late_harm_and_those_of_before_are_not() -> None:
    evaluator = Evaluator(make_experiment(policy=Policy(holdback_percent=10)), 1)
    broken = [make_exchange(assigned=TREATMENT, propensity=0.5, error="status") for _ in range(50)]
    evaluator.look(900.0, 0, Phase.RUNNING, broken, [], [])
    since = [make_exchange(assigned=TREATMENT, propensity=0.9, error="status") for _ in range(400)]

    evidence = evaluator.look(1000.0, 0, Phase.PROMOTED, since, [], [])

    events = next(row for row in evidence.late if row.kind is Kind.EVENT)
    assert (events.metric, events.units) == ("errors", 400)
    assert events.peak >= events.threshold
    assert all(row.peak == 0 for row in evidence.late if row.kind is Kind.PAIRED)


# --- epochs of a metric, failures, feedback ---------------------------------------------------------------------------


def test_a_changed_scorer_takes_back_what_was_proven_of_its_metric_and_of_no_other() -> None:
    guardrails = tuple(Guardrail(name=name, scorer="exact", margin=0.02) for name in ("quality", "tone"))
    evaluator = Evaluator(make_experiment(guardrails=guardrails), 1)
    harmed = [outcome(f"u{n}", m, -float(n % 5 == 0), language="hi") for n in range(400) for m in ("quality", "tone")]
    before = look(evaluator, harmed)
    rescored = [make_outcome(f"u{n}", 0.0, scorer="test/2", slices={"language": "hi"}) for n in range(400)]

    evidence = look(evaluator, rescored, [make_exchange(unit="u0")], now=6000.0)
    after = look(evaluator, [], [make_exchange(unit="u0")], now=6010.0)

    assert {before.of(m).verdict for m in ("quality", "tone")} == {Verdict.HARM}
    assert evidence.of("quality").verdict is Verdict.NOT_ESTIMABLE
    assert (after.of("quality").units, after.of("quality").losses, after.of("quality").peak_log_e_harm) == (400, 0, 0.0)
    assert (after.of("quality").scorer, after.of("quality").since) == ("test/2", 6000.0)
    assert after.of("quality", "language=hi").verdict is not Verdict.HARM
    assert after.of("tone").verdict is Verdict.HARM
    assert (after.of("tone").scorer, after.of("tone").since, after.units) == ("test/1", None, 400)


def test_pairs_that_could_not_be_scored_are_told_and_are_in_no_figure() -> None:
    rows = [make_outcome(f"u{n}", 0.0, scored_at=1001.0, failure="judge_failed: timeout" * (n < 3)) for n in range(10)]

    row = look(Evaluator(make_experiment(), 1), rows).of("quality")

    assert (row.failed, row.pairs, row.units) == (3, 7, 7)


def test_response_rates_of_both_variants_are_in_the_evidence() -> None:
    thumbs = Guardrail(name="thumbs_up", feedback=True, max_relative=1.2)
    exchanges = [make_exchange(unit=f"u{n}", assigned=(CONTROL, TREATMENT)[n % 2]) for n in range(400)]
    votes = [make_vote(f"u{n}", 1.0) for n in range(0, 400, 4)]

    evidence = Evaluator(make_experiment(guardrails=(thumbs,)), 1).look(5000.0, 0, Phase.RUNNING, exchanges, [], votes)

    assert [(r.variant, r.answered) for r in evidence.responses] == [(CONTROL, 100), (TREATMENT, 0)]
    assert evidence.unequal_responses == ("thumbs_up",)


def test_a_state_with_everything_in_it_goes_on_from_a_checkpoint_as_if_nothing_had_been(sqlite) -> None:
    thumbs = Guardrail(name="thumbs_up", feedback=True, max_relative=1.2)
    guardrails = (Guardrail(name="quality", scorer="exact", margin=0.02), thumbs)
    evaluator = Evaluator(make_experiment(guardrails=guardrails, policy=Policy(holdback_percent=10)), 1)
    exchanges = [make_exchange(unit=f"u{n}", assigned=TREATMENT, propensity=0.9, error="status") for n in range(20)]
    rows = [make_outcome(f"u{n}", 0.0) for n in range(20)] + [make_outcome("u1", 0.0, "judge", scored_at=1000.0)]
    evaluator.look(1005.0, 0, Phase.PROMOTED, exchanges, rows, [make_vote("u1", 0.0), make_vote("u2", 1.0)])
    checkpoints = CheckpointStore(sqlite.engine)
    checkpoints.save(evaluator)

    loaded = checkpoints.load("support", 1)

    assert loaded is not None
    new = [make_outcome("u3", 0.5, scorer="exact/2")]
    one, other = (e.look(9000.0, 0, Phase.PROMOTED, [], new, []) for e in (evaluator, loaded))
    assert one == other
    assert one.of("quality").scorer == "exact/2"
    assert [response.answered for response in one.responses] == [0, 2]
