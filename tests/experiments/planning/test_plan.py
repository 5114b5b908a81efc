from __future__ import annotations

from typing import Any

import msgspec
import pytest

from experiments.config.records import Cohort, Experiment, Goal, Guardrail, Policy, Slice, Source
from experiments.config.serving import Backend, Price
from experiments.evaluation.evaluator import margins, rollback_weights
from experiments.evidence import Kind
from experiments.planning.cautions import Code
from experiments.planning.metrics import MetricPlan, Question, Supply, plan_harm
from experiments.planning.plan import Plan, lines, make_plan
from experiments.planning.traffic import Expectations
from tests.experiments.tests_builders import make_experiment

CONTROL = Backend(name="original", urls=("http://127.0.0.1:1",), price=Price(input=0.5, output=1.5))
TREATMENT = Backend(name="int4", urls=("http://127.0.0.1:2",), price=Price(input=0.28, output=0.84))
USER = Source(kind="header", name="x-user-id")
QUALITY = Guardrail(name="quality", scorer="exact", margin=0.02, slice_margin=0.06)
KNOWN: dict[str, Any] = {
    "requests_per_day": 9_000,
    "units_per_day": 3_000,
    "error_rate": 0.002,
    "shares": {"language": {"en": 0.7, "hi": 0.28, "ta": 0.02}},
    "discordance": {"quality": 0.06},
    "gains": {"latency": 0.2},
    "spreads": {"latency": 0.5, "cost": 0.2},
    "input_tokens": 400,
    "output_tokens": 150,
}


def experiment(**changes: Any) -> Experiment:
    values: dict[str, Any] = {
        "unit": USER,
        "mirror_percent": 60.0,
        "ramp": (10.0, 50.0),
        "guardrails": (QUALITY, Guardrail(name="errors", max_relative=1.2, margin=0.02)),
        "goals": (Goal(name="cost", better_by=0.3), Goal(name="latency", better_by=0.1)),
        "policy": Policy(min_days=0, protected_slices=("language",)),
    }
    return make_experiment(**(values | changes))


def plan(expected: dict[str, Any] | None = None, **changes: Any) -> Plan:
    return make_plan(experiment(**changes), CONTROL, TREATMENT, Expectations(**(expected or KNOWN)))


def only(found: Plan, metric: str, question: Question, slice_: str = "") -> MetricPlan:
    (row,) = (r for r in found.metrics if (r.metric, r.question, r.slice) == (metric, question, slice_))
    return row


@pytest.fixture(scope="module")
def known() -> Plan:
    return plan()


def test_with_everything_known_everything_is_told(known: Plan) -> None:
    assert [row.missing for row in known.metrics if row.missing] == []
    assert {caution.code for caution in known.cautions} <= {Code.BLIND, Code.UNLIKELY}
    assert known.promotion is not None


def test_every_guardrail_and_goal_has_its_questions(known: Plan) -> None:
    for slice_ in ("", "language=en", "language=hi", "language=ta"):
        only(known, "quality", Question.SAFE, slice_)
        only(known, "quality", Question.HARM, slice_)
        only(known, "errors", Question.HARM, slice_)
    only(known, "errors", Question.EVENTS)
    # A protected slice must be safe in quality; `errors` is watched for harm in slices only.
    assert [row.slice for row in known.metrics if row.metric == "errors" and row.question is Question.SAFE] == [""]
    assert [row.metric for row in known.metrics if row.question is Question.GOAL] == ["cost", "latency"]


def test_a_slice_is_planned_with_its_margin_its_weight_and_its_share(known: Plan) -> None:
    weight = rollback_weights(experiment())[Kind.PAIRED, "quality", True]
    supply = Supply(known.flow.paired_units_per_day * 0.28, 28)

    margin, tolerance = margins(QUALITY, "language=hi")
    assert (margin, tolerance) == pytest.approx((0.06, 0.03))
    assert only(known, "quality", Question.HARM, "language=hi") == plan_harm(
        "quality", "language=hi", margin, tolerance, 0.06, 0.05 * weight, supply
    )


def test_a_small_slice_takes_longer_and_sees_less(known: Plan) -> None:
    large, small = (only(known, "quality", Question.HARM, f"language={value}") for value in ("en", "ta"))
    assert large.wait is not None
    assert small.wait is not None
    assert large.smallest is not None

    assert small.wait.median_days > 10 * large.wait.median_days
    assert small.smallest is None or small.smallest > large.smallest


def test_harm_that_a_small_slice_will_not_show_is_warned_of(known: Plan) -> None:
    blind = [(caution.metric, caution.slice) for caution in known.cautions if caution.code is Code.BLIND]

    assert ("errors", "language=ta") in blind
    assert ("quality", "language=en") not in blind


def test_promotion_waits_for_its_slowest_condition(known: Plan) -> None:
    assert known.promotion is not None
    slowest = only(known, "quality", Question.SAFE, "language=ta")
    assert slowest.wait is not None

    assert known.promotion.waits_for == "quality in language=ta"
    assert known.promotion.median_days == slowest.wait.median_days


@pytest.mark.parametrize(
    ("policy", "days", "waits_for"),
    [
        ({"min_days": 21.0}, 21.0, "min_days"),
        ({"min_days": 0.0, "min_units": 40_000}, None, "min_units"),
        ({"min_days": 0.0, "stage_min_minutes": 30_000.0}, 30_000 / 1_440, "the stages of the ramp"),
    ],
)
def test_promotion_waits_for_the_policy_too(policy: dict[str, Any], days: float | None, waits_for: str) -> None:
    found = plan(policy=Policy(**policy), slices=(), guardrails=(QUALITY,)).promotion

    assert found is not None
    assert found.waits_for == waits_for
    if days is not None:
        assert found.median_days == pytest.approx(days)


def test_mirroring_costs_what_the_other_variant_would_have_cost(known: Plan) -> None:
    control, treatment = (400 * 0.5 + 150 * 1.5) / 1e6, (400 * 0.28 + 150 * 0.84) / 1e6

    assert known.mirror.requests_per_day == pytest.approx(5_400)
    assert known.mirror.usd_per_day == pytest.approx(5_400 * (control + treatment) / 2)
    assert known.mirror.usd == pytest.approx(28 * 5_400 * (control + treatment) / 2)


def test_without_prices_the_requests_are_told_and_the_money_is_not() -> None:
    free = CONTROL.model_copy(update={"price": None})

    found = make_plan(
        experiment(guardrails=(), goals=()), free, TREATMENT, Expectations(requests_per_day=9, units_per_day=3)
    )

    assert found.mirror.requests_per_day == pytest.approx(5.4)
    assert found.mirror.usd is None
    assert found.mirror.missing == "the price of original, input_tokens, output_tokens"


def test_the_gain_in_cost_follows_from_prices(known: Plan) -> None:
    assert only(known, "cost", Question.GOAL).truth == pytest.approx(0.44)


def test_a_goal_that_prices_do_not_allow_is_warned_of() -> None:
    found = plan(guardrails=(), goals=(Goal(name="cost", better_by=0.5),))

    assert [c.code for c in found.cautions if c.code is not Code.UNUSED] == [Code.OUT_OF_REACH]
    assert found.promotion is None


def test_a_margin_too_small_for_the_traffic_is_undecidable_and_says_so() -> None:
    expected = {"requests_per_day": 40, "units_per_day": 20, "discordance": {"quality": 0.1}}

    found = plan(expected, guardrails=(QUALITY,), goals=(), slices=())

    assert only(found, "quality", Question.SAFE).chance == pytest.approx(0, abs=0.1)
    (undecidable,) = (caution for caution in found.cautions if caution.code is Code.UNDECIDABLE)
    assert "even a treatment that deserves it would rather not be promoted within 28 days" in undecidable.sentence
    assert "the smallest margin is" in undecidable.sentence


def test_what_is_not_given_is_named_and_nothing_is_made_up() -> None:
    found = plan({"requests_per_day": 100, "units_per_day": 20})

    assert all(row.missing and row.wait is None and row.smallest is None for row in found.metrics)
    assert found.promotion is None
    assert {caution.code for caution in found.cautions} == {Code.CANNOT_TELL}
    missing = {caution.sentence.partition(": ")[2].partition(" is not")[0] for caution in found.cautions}
    assert missing >= {"discordance.quality", "shares.language", "error_rate", "gains.latency", "gains.cost"}


def test_without_mirroring_there_are_no_pairs_and_events_are_still_told() -> None:
    found = plan(mirror_percent=0.0)

    assert "nothing is mirrored" in only(found, "quality", Question.SAFE).missing
    assert "nothing is mirrored" in only(found, "latency", Question.GOAL).missing
    assert only(found, "errors", Question.EVENTS).wait is not None
    assert found.mirror.usd_per_day == 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ramp": (100.0,)}, "leaves one of the variants without units"),
        (
            {"guardrails": (Guardrail(name="thumbs", feedback=True, max_relative=1.5),)},
            "feedback_rates.thumbs is not given",
        ),
    ],
)
def test_events_that_cannot_be_compared_say_why(changes: dict[str, Any], said: str) -> None:
    found = plan(KNOWN, **({"slices": (), "goals": ()} | changes))

    (row,) = (row for row in found.metrics if row.question is Question.EVENTS)
    assert said in row.missing


def test_no_error_at_all_leaves_nothing_to_compare() -> None:
    guardrails = (Guardrail(name="errors", max_relative=1.2),)

    found = plan(KNOWN | {"error_rate": 0.0}, guardrails=guardrails, goals=(), slices=())

    assert "error_rate is 0" in only(found, "errors", Question.EVENTS).missing


def test_feedback_is_planned_from_its_own_rate() -> None:
    guardrails = (Guardrail(name="thumbs", feedback=True, max_relative=1.5),)

    found = plan(KNOWN | {"feedback_rates": {"thumbs": 0.05}}, guardrails=guardrails, goals=(), slices=())

    assert only(found, "thumbs", Question.EVENTS).wait is not None


def test_several_attributes_share_the_alpha_of_slices() -> None:
    tenant = Slice(attribute="tenant", source=Source(kind="header", name="tenant"))
    one = plan(guardrails=(QUALITY,), goals=())
    two = plan(guardrails=(QUALITY,), goals=(), slices=(*experiment().slices, tenant))

    waits = [only(found, "quality", Question.HARM, "language=en").wait for found in (one, two)]

    assert waits[0] is not None
    assert waits[1] is not None
    assert waits[0].median_units < waits[1].median_units
    assert only(two, "quality", Question.HARM, "tenant").missing.startswith("shares.tenant is not given")


def test_the_plan_is_said_in_lines_with_its_assumptions(known: Plan) -> None:
    said = list(lines(known))

    assert said[0] == "support: 3,000 new units a day, 2,808 of them with a mirrored request"
    assert said[1].startswith("a deserved promotion: after at least ")
    assert sum(line.startswith("- ") for line in said) == len(known.metrics)
    assert any(line.startswith("mirroring: 5,400 requests a day") and "USD" in line for line in said)
    assert sum(line.startswith("warning: ") for line in said) == len(known.cautions)
    assert sum(line.startswith("assumed: ") for line in said) == len(known.assumptions) > 0


def test_the_plan_is_data_that_json_takes(known: Plan) -> None:
    decoded = msgspec.json.decode(msgspec.json.encode(known))

    assert decoded["experiment"] == "support"
    assert len(decoded["metrics"]) == len(known.metrics)


def test_each_of_several_treatments_has_its_part_of_the_traffic_and_the_plan_says_so() -> None:
    alone, one_of_three = plan(), plan(cohort=Cohort(group="support", index=1, count=3, salt="support"))

    assert one_of_three.flow.units_per_day == pytest.approx(alone.flow.units_per_day / 3)
    assert one_of_three.mirror.requests_per_day == pytest.approx(alone.mirror.requests_per_day / 3)
    assert one_of_three.assumptions == (
        "3 treatments divide the traffic equally; this one sees its part",
        *alone.assumptions,
    )
