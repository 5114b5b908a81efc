"""A plan: before an experiment starts, how long it will take, what it will see, what it costs, and what will not work.

Pure: an experiment, its two backends and the expectations in, figures and sentences out. The figures come from the same
e-processes, weights and levels with which the experiment is decided later. What cannot be computed says "cannot tell"
and what is missing; the assumptions are part of the answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from experiments.config.records import Experiment, Goal, Guardrail
from experiments.config.serving import Backend
from experiments.evaluation.evaluator import margins, rollback_weights
from experiments.evidence import Kind
from experiments.explain import called, where
from experiments.planning.cautions import Caution, Span, policy_cautions, row_cautions, unused_cautions
from experiments.planning.crossings import plan_events, plan_goal
from experiments.planning.metrics import (
    POWER,
    MetricPlan,
    Question,
    Supply,
    plan_harm,
    plan_safe,
)
from experiments.planning.spending import costs_usd, gain_of, missing_for_costs, needed_for_gain, spread_of
from experiments.planning.traffic import Expectations, Flow
from experiments.planning.words import days, sentence

_MINUTES_PER_DAY = 1_440
_NO_PAIRS = "nothing is mirrored, so there are no pairs"


@dataclass(frozen=True, slots=True)
class MirrorCost:
    """What mirroring costs: requests that no user asked for."""

    requests_per_day: float
    usd_per_day: float | None
    """None if it cannot be told."""
    requests: float
    """Until `max_days`."""
    usd: float | None
    missing: str = ""
    """Why the money cannot be told."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All that can be told of an experiment before it starts."""

    experiment: str
    flow: Flow
    max_days: float
    metrics: tuple[MetricPlan, ...]
    mirror: MirrorCost
    promotion: Span | None
    """None if it cannot be told."""
    cautions: tuple[Caution, ...]
    assumptions: tuple[str, ...]


def make_plan(experiment: Experiment, control: Backend, treatment: Backend, expected: Expectations) -> Plan:
    """Return the plan of an experiment.

    Args:
        experiment: Its metrics, slices and policy.
        control: Its control, for prices.
        treatment: Its treatment, for prices.
        expected: Traffic and baseline; where several treatments divide the traffic, all of it.
    """
    if experiment.cohort is not None:
        expected = expected.divided(experiment.cohort.count)
    flow = Flow.of(experiment, expected)
    rows = (
        *_paired(experiment, expected, flow),
        *_events(experiment, expected, flow),
        *_goals(experiment, expected, flow, (control, treatment)),
    )
    promotion = _promotion(experiment, flow, rows)
    return Plan(
        experiment=experiment.name,
        flow=flow,
        max_days=experiment.policy.max_days,
        metrics=rows,
        mirror=_mirror_cost(experiment, expected, control, treatment),
        promotion=promotion,
        cautions=(
            *row_cautions(rows, experiment),
            *policy_cautions(experiment, flow, promotion),
            *unused_cautions(experiment, expected),
        ),
        assumptions=_assumptions(experiment),
    )


def lines(plan: Plan) -> Iterator[str]:
    """Say a plan in plain words, a line each: result, figures, cost, warnings, assumptions."""
    flow = plan.flow
    yield (
        f"{plan.experiment}: {flow.units_per_day:,.0f} new units a day, {flow.paired_units_per_day:,.0f} of them with "
        "a mirrored request"
    )
    if plan.promotion is None:
        yield "a deserved promotion: cannot tell after how many days"
    else:
        yield (
            f"a deserved promotion: after at least {days(plan.promotion.median_days)} in one of two cases, "
            f"{days(plan.promotion.ninetieth_days)} in nine of ten; it waits for {plan.promotion.waits_for}"
        )
    yield from (f"- {sentence(row, plan.max_days)}" for row in plan.metrics)
    yield _mirror_line(plan.mirror, plan.max_days)
    yield from (f"warning: {caution.sentence}" for caution in plan.cautions)
    yield from (f"assumed: {assumption}" for assumption in plan.assumptions)


# --- metrics ----------------------------------------------------------------------------------------------------------


def _paired(experiment: Experiment, expected: Expectations, flow: Flow) -> Iterator[MetricPlan]:
    for guardrail in experiment.guardrails:
        if guardrail.margin is None:
            continue
        yield from _paired_in(guardrail, "", 1.0, experiment, expected, flow)
        for slice_ in experiment.slices:
            shares = expected.shares.get(slice_.attribute)
            if not shares:
                missing = f"shares.{slice_.attribute} is not given (the share of each of its values)"
                yield MetricPlan(guardrail.name, Question.HARM, slice_.attribute, missing=missing)
                if _is_protected(guardrail, slice_.attribute, experiment):
                    yield MetricPlan(guardrail.name, Question.SAFE, slice_.attribute, missing=missing)
            for value, share in (shares or {}).items():
                yield from _paired_in(guardrail, f"{slice_.attribute}={value}", share, experiment, expected, flow)


def _paired_in(
    guardrail: Guardrail, slice_: str, share: float, experiment: Experiment, expected: Expectations, flow: Flow
) -> Iterator[MetricPlan]:
    policy, name = experiment.policy, guardrail.name
    supply = Supply(flow.paired_units_per_day * share, policy.max_days)
    discordance = expected.discordance_of(name)
    safe = not slice_ or _is_protected(guardrail, slice_.partition("=")[0], experiment)
    missing = _missing_of_pairs(name, discordance, supply)
    if missing or discordance is None:
        for question in (Question.SAFE, Question.HARM)[not safe :]:
            yield MetricPlan(name, question, slice_, missing=missing)
        return
    margin, tolerance = margins(guardrail, slice_)
    if safe:
        yield plan_safe(name, slice_, margin, discordance, policy.alpha_promote, supply)
    alpha = policy.alpha_rollback * rollback_weights(experiment)[Kind.PAIRED, name, bool(slice_)]
    yield plan_harm(name, slice_, margin, tolerance, discordance, alpha, supply)


def _missing_of_pairs(name: str, discordance: float | None, supply: Supply) -> str:
    if supply.per_day <= 0:
        return _NO_PAIRS
    if discordance is None:
        key = f"discordance.{name}" if name != "errors" else "error_rate or discordance.errors"
        return f"{key} is not given (the share of pairs of which only one answer is right)"
    return ""


def _is_protected(guardrail: Guardrail, attribute: str, experiment: Experiment) -> bool:
    """Whether a promotion needs this slice: as in `experiments.decision`, for quality only."""
    return guardrail.scorer is not None and attribute in experiment.policy.protected_slices


def _events(experiment: Experiment, expected: Expectations, flow: Flow) -> Iterator[MetricPlan]:
    weights = rollback_weights(experiment)
    for guardrail in experiment.guardrails:
        if guardrail.max_relative is None:
            continue
        name, split = guardrail.name, experiment.ramp[-1] / 100
        rate = _event_rate(guardrail, expected, flow)
        if not rate or not 0 < split < 1:
            missing = _missing_of_events(guardrail, rate)
            yield MetricPlan(name, Question.EVENTS, limit=guardrail.max_relative, missing=missing)
            continue
        alpha = experiment.policy.alpha_rollback * weights[Kind.EVENT, name, False]
        supply = Supply(flow.units_per_day, experiment.policy.max_days)
        yield plan_events(name, rate, split, guardrail.max_relative, alpha, supply)


def _event_rate(guardrail: Guardrail, expected: Expectations, flow: Flow) -> float | None:
    """Return the share of control's units with a bad event: the first of a unit is the one that counts."""
    if guardrail.feedback:
        return expected.feedback_rates.get(guardrail.name)
    if expected.error_rate is None:
        return None
    healthy: float = (1 - expected.error_rate) ** flow.requests_per_unit
    return 1 - healthy


def _missing_of_events(guardrail: Guardrail, rate: float | None) -> str:
    key = f"feedback_rates.{guardrail.name}" if guardrail.feedback else "error_rate"
    if rate is None:
        return f"{key} is not given (how frequent bad events are with control)"
    if not rate:
        return f"{key} is 0: without an event there is nothing to compare"
    return "the last stage of the ramp leaves one of the variants without units"


def _goals(
    experiment: Experiment, expected: Expectations, flow: Flow, backends: tuple[Backend, Backend]
) -> Iterator[MetricPlan]:
    level = experiment.policy.alpha_promote / max(1, len(experiment.goals))
    supply = Supply(flow.paired_units_per_day, experiment.policy.max_days)
    for goal in experiment.goals:
        gain, spread = gain_of(goal.name, expected, backends), spread_of(goal.name, expected, backends)
        missing = _missing_of_goal(goal, gain, spread, supply)
        if missing or gain is None:
            yield MetricPlan(goal.name, Question.GOAL, limit=goal.better_by, missing=missing)
        else:
            yield plan_goal(goal.name, goal.better_by, gain, spread or 0.0, level, supply)


def _missing_of_goal(goal: Goal, gain: float | None, spread: float | None, supply: Supply) -> str:
    if supply.per_day <= 0:
        return _NO_PAIRS
    if gain is None:
        return f"gains.{goal.name} is not given (how much less is expected){needed_for_gain(goal.name)}"
    if spread is None and gain > goal.better_by:
        return f"spreads.{goal.name} is not given (the deviation of log(treatment / control) among units)"
    return ""


# --- the whole --------------------------------------------------------------------------------------------------------


def _promotion(experiment: Experiment, flow: Flow, rows: Sequence[MetricPlan]) -> Span | None:
    """Return when everything that a promotion needs can be expected; None where a needed figure is missing."""
    policy, per_day = experiment.policy, flow.paired_units_per_day
    needed = [row for row in rows if row.question is Question.SAFE]
    goals = [row for row in rows if row.question is Question.GOAL and row.wait]
    if any(row.wait is None for row in needed) or bool(experiment.goals) != bool(goals) or per_day <= 0:
        return None
    if goals:
        needed.append(min(goals, key=lambda row: row.wait.median_days if row.wait else 0.0))
    ramp = sum(
        max(policy.stage_min_units / per_day, policy.stage_min_minutes / _MINUTES_PER_DAY) for _ in experiment.ramp[:-1]
    )
    fixed = {"min_days": policy.min_days, "min_units": policy.min_units / per_day, "the stages of the ramp": ramp}
    spans = [Span(number, number, name) for name, number in fixed.items()]
    spans += [Span(row.wait.median_days, row.wait.ninetieth_days, _awaited(row)) for row in needed if row.wait]
    longest = max(spans, key=lambda span: span.median_days)
    return Span(longest.median_days, max(span.ninetieth_days for span in spans), longest.waits_for)


def _awaited(row: MetricPlan) -> str:
    return f"{called(row.metric)} in {where(row.slice)}" if row.slice else called(row.metric)


def _mirror_cost(experiment: Experiment, expected: Expectations, control: Backend, treatment: Backend) -> MirrorCost:
    requests, limit = expected.requests_per_day * experiment.mirror_percent / 100, experiment.policy.max_days
    costs = costs_usd(expected, (control, treatment))
    if costs[0] is None or costs[1] is None:
        missing = missing_for_costs(expected, (control, treatment))
        return MirrorCost(requests, None, requests * limit, None, ", ".join(missing))
    split = experiment.ramp[-1] / 100
    # The copy goes to the other variant: of control's traffic to the treatment.
    usd = requests * ((1 - split) * costs[1] + split * costs[0])
    return MirrorCost(requests, usd, requests * limit, usd * limit)


def _mirror_line(cost: MirrorCost, max_days: float) -> str:
    requests = f"mirroring: {cost.requests_per_day:,.0f} requests a day, {cost.requests:,.0f} in {max_days:g} days"
    if cost.usd_per_day is None or cost.usd is None:
        return f"{requests}; cannot tell in USD: {cost.missing}"
    return f"{requests}; {cost.usd_per_day:,.2f} USD a day, {cost.usd:,.2f} USD in {max_days:g} days"


def _assumptions(experiment: Experiment) -> tuple[str, ...]:
    cohort = experiment.cohort
    divided = (f"{cohort.count} treatments divide the traffic equally; this one sees its part",) if cohort else ()
    unit = "each request is a unit of its own" if experiment.unit.kind == "request" else "all units send equally many"
    return (
        *divided,
        f"traffic is the same every day; {unit}; a unit counts once",
        "pairs of one unit are taken as one pair: more of them can only make it quicker",
        "every slice has the discordance of all traffic",
        f"the last stage of the ramp ({experiment.ramp[-1]:g} % to the treatment) holds all the time",
        "failures of one unit are independent of each other, and of the other backend's",
        "answers of both variants are equally long where cost follows from prices by the token",
        "nothing is shed, and units are counted at once, not after settle_seconds",
        f"'seen' means with a chance of {100 * POWER:.0f} %; figures are a normal approximation",
    )
