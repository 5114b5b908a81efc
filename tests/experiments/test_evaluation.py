"""From rows to evidence: each metric with the method that fits it, and the alpha shared before any data."""

import itertools
import math

import pytest
from tests_builders import make_exchange, make_experiment

from experiments.config.records import Goal, Guardrail, Policy, Slice, Source
from experiments.evaluation import Evaluator, margins, rollback_weights
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


def test_the_weights_of_the_rollback_alpha_never_add_up_to_more_than_one() -> None:
    slices = tuple(Slice(attribute=a, source=Source(kind="header", name=a)) for a in ("language", "tenant"))
    experiment = make_experiment(slices=slices)

    weights = rollback_weights(experiment)

    total = sum(w * (34 if key[2] else 1) for key, w in weights.items() if key != (Kind.EVENT, "quality", False))
    assert total == pytest.approx(1.0)


def test_the_tolerance_is_half_the_margin_unless_given_and_scales_into_slices() -> None:
    plain = Guardrail(name="q", scorer="exact", margin=0.02)
    given = Guardrail(name="q", scorer="exact", margin=0.02, tolerance=0.02, slice_margin=0.06)

    assert margins(plain, "") == (0.02, 0.01)
    assert margins(plain, "language=hi") == (0.02, 0.01)
    assert margins(given, "language=hi") == pytest.approx((0.06, 0.06))


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
