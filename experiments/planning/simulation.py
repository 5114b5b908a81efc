"""Whole experiments on simulated outcomes, from their first unit to their decision, by the code that decides real ones.

A plan computes when a metric is decided; here the real evaluator and the real rules see units that are drawn at random
from what is expected and from an assumed truth, so ramp, minima, slices and all metrics together have their say. What
is known of the truth tells which decisions are false. Nothing is sent anywhere, and nothing is stored.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from experiments.config.records import Experiment
from experiments.config.serving import Backend
from experiments.decision import Progress, decide
from experiments.evaluation.evaluator import Evaluator
from experiments.evaluation.weights import margins
from experiments.evidence import Decision, Elapsed, Evidence
from experiments.lifecycle import start, step
from experiments.model import Phase
from experiments.planning.drawing import SECONDS_PER_DAY, START, Drawing, Ratio
from experiments.planning.spending import gain_of, spread_of
from experiments.planning.traffic import Expectations, Flow
from experiments.scoring.experiment_scorer import ERRORS

MOST_UNITS = 20_000
"""Of one run: what is not decided by then waits for time alone, or for more units than can be simulated."""
_FIRST_LOOK_UNITS, _SPACING = 25.0, 1.08
"""A look costs as much after a month as at the start: they are spaced by units, each 8 % after the one before."""


class Assumed(NamedTuple):
    """A truth: what the treatment really is like."""

    name: str
    losses: Mapping[str, float]
    """Paired metric -> loss of the treatment, as a share; 0 where none is given, below 0 for a treatment that is
    better."""


class Run(NamedTuple):
    """What became of one experiment."""

    phase: Phase
    """`running` if it was not decided."""
    days: float
    """Until the decision, or until the simulation ended."""
    units: int
    """That were analysed."""


class Outlook(msgspec.Struct, frozen=True, kw_only=True):
    """What became of many experiments under one truth."""

    truth: str
    losses: dict[str, float]
    runs: int
    decisions: dict[str, int]
    """Phase -> runs that ended in it."""
    median_days: float | None
    """Until a decision; None if fewer than half of the runs were decided."""
    ninetieth_days: float | None
    false_promotions: int
    false_rollbacks: int


class Simulation:
    """Draws experiments.

    Args:
        experiment: Its metrics, slices and policy.
        backends: Control's and the treatment's, for prices.
        expected: Traffic and baseline; where several treatments divide the traffic, all of it.

    Raises:
        ValueError: Something that is needed is not expected; a line for each.
    """

    def __init__(self, experiment: Experiment, backends: tuple[Backend, Backend], expected: Expectations) -> None:
        if experiment.cohort is not None:
            expected = expected.divided(experiment.cohort.count)
        self.experiment, self._expected = experiment, expected
        self._flow = Flow.of(experiment, expected)
        self.paired = [g for g in experiment.guardrails if g.margin is not None]
        gains = {
            g.name: (gain_of(g.name, expected, backends), spread_of(g.name, expected, backends))
            for g in experiment.goals
        }
        self._ratios = tuple(Ratio(name, gain or 0.0, spread or 0.0) for name, (gain, spread) in gains.items())
        missing = [*self._missing(), *_missing_gains(gains)]
        if missing:
            raise ValueError("\n".join(missing))

    def __repr__(self) -> str:
        return f"<Simulation {self.experiment.name}>"

    def _missing(self) -> Iterator[str]:
        if self._flow.paired_units_per_day <= 0:
            yield "nothing is mirrored, so there are no pairs to compare"
        for guardrail in self.paired:
            if self._expected.discordance_of(guardrail.name) is None:
                key = "error_rate" if guardrail.name == ERRORS else f"discordance.{guardrail.name}"
                yield f"{key} is not given"

    def truths(self, losses: Mapping[str, float]) -> list[Assumed]:
        """Return what to assume: what is given, or no loss at all, and the one metric of quality at its margin.

        Raises:
            ValueError: A loss is given for what has no margin, or none that a share can have.
        """
        known = {guardrail.name for guardrail in self.paired}
        for name, loss in losses.items():
            if name not in known:
                raise ValueError(f"{name!r} is no guardrail with a margin; there are: {', '.join(sorted(known))}")
            if not -1 <= loss <= 1:
                raise ValueError(f"a loss of {loss:g} in {name}: must be between -1 and 1")
        if losses:
            return [Assumed(" and ".join(f"{name} {-100 * loss:+g} points" for name, loss in losses.items()), losses)]
        found = [Assumed("no loss", {})]
        quality = next((g for g in self.paired if g.scorer is not None), next(iter(self.paired), None))
        if quality is not None and quality.margin is not None:
            lost = f"{quality.name} worse by its margin, {100 * quality.margin:g} points"
            found.append(Assumed(lost, {quality.name: quality.margin}))
        return found

    def run(self, truth: Assumed, seed: int, most_units: int = MOST_UNITS) -> Run:
        """Carry one experiment through.

        Args:
            truth: What the treatment is like.
            seed: The same one gives the same run.
            most_units: How many units to draw at most.
        """
        drawing = Drawing(self.experiment, self._expected, self._ratios, truth.losses, f"{seed} {truth.name}")
        evaluator, route = Evaluator(self.experiment, 1), start(self.experiment, 1)
        days = stage_began = 0.0
        for days in self._look_days(most_units):
            now = START + days * SECONDS_PER_DAY
            units = min(most_units, round(days * self._flow.units_per_day))
            evidence = evaluator.look(now, route.stage, route.phase, *drawing.until(units, route, now))
            after = step(self.experiment, route, self._decided(evidence, route.stage, days, days - stage_began))
            if after is None:
                continue
            if after.stage != route.stage:
                stage_began = days
            route = after
            if route.phase is not Phase.RUNNING:
                break
        return Run(route.phase, days, evaluator.ledger.units)

    def _decided(self, evidence: Evidence, stage: int, days: float, stage_days: float) -> Decision:
        elapsed = Elapsed(epoch_s=days * SECONDS_PER_DAY, stage_s=stage_days * SECONDS_PER_DAY)
        evidence = msgspec.structs.replace(evidence, elapsed=elapsed)
        return decide(evidence, self.experiment, Progress(stage, elapsed.epoch_s, elapsed.stage_s))

    def _look_days(self, most_units: int) -> Iterator[float]:
        """Yield when looks are taken: by units, then when the policy's minima are reached, and when time is up."""
        policy, per_day = self.experiment.policy, self._flow.units_per_day
        end = policy.max_days * (1 + 1e-9)
        settled = most_units / per_day + policy.settle_seconds / SECONDS_PER_DAY
        found = {min(settled, end), policy.min_days, end}
        units = _FIRST_LOOK_UNITS
        while units < most_units:
            found.add(units / per_day)
            units *= _SPACING
        # After the last unit only time passes; a stage may still wait for some.
        found |= {settled + n * policy.stage_min_minutes / 1_440 for n in range(1, len(self.experiment.ramp) + 1)}
        yield from sorted(day for day in found if 0 < day <= end)

    def outlook(self, truth: Assumed, runs: Sequence[Run]) -> Outlook:
        """Sum up."""
        days = sorted(run.days if run.phase is not Phase.RUNNING else math.inf for run in runs)
        return Outlook(
            truth=truth.name,
            losses=dict(truth.losses),
            runs=len(runs),
            decisions=dict(Counter(run.phase.value for run in runs)),
            median_days=_quantile(days, 0.5),
            ninetieth_days=_quantile(days, 0.9),
            false_promotions=sum(run.phase is Phase.PROMOTED for run in runs) if self.is_too_bad(truth) else 0,
            false_rollbacks=sum(run.phase is Phase.ROLLED_BACK for run in runs) if not self.is_harm(truth) else 0,
        )

    def is_too_bad(self, truth: Assumed) -> bool:
        """Whether a promotion is false: a loss of the margin or more, or no goal reached."""
        gains = {ratio.metric: ratio.gain for ratio in self._ratios}
        goals = [goal.better_by < gains[goal.name] for goal in self.experiment.goals]
        too_bad = any(truth.losses.get(g.name, 0.0) >= margins(g, "")[0] for g in self.paired)
        return too_bad or (bool(goals) and not any(goals))

    def is_harm(self, truth: Assumed) -> bool:
        """Whether a rollback is right: a loss beyond the tolerance of all traffic, or of every slice."""
        if any(truth.losses.get(g.name, 0.0) > min(margins(g, where)[1] for where in ("", "*")) for g in self.paired):
            return True
        more, rate = truth.losses.get(ERRORS, 0.0), self._expected.error_rate or 0.0
        return any(
            g.max_relative is not None and g.name == ERRORS and more > (g.max_relative - 1) * rate
            for g in self.experiment.guardrails
        )


def _missing_gains(gains: Mapping[Any, tuple[float | None, float | None]]) -> Iterator[str]:
    for goal, (gain, spread) in gains.items():
        if gain is None:
            yield f"gains.{goal} is not given, and does not follow from prices"
        elif spread is None:
            yield f"spreads.{goal} is not given"


def _quantile(days: Sequence[float], share: float) -> float | None:
    if not days:
        return None
    found = days[math.ceil(share * len(days)) - 1]
    return None if math.isinf(found) else found
