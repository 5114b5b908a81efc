"""Units that are drawn at random, from what is expected and an assumed truth: exchanges, outcomes and feedback. Pure.

A unit sends one request, as in a plan: more of them can only make it quicker.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from analysis.power import split_discordance
from experiments.config.records import Experiment, Guardrail
from experiments.model import CONTROL, TREATMENT, ErrorKind, Exchange, Role, Route
from experiments.planning.traffic import Expectations, Flow
from experiments.scoring.experiment_scorer import ERRORS
from experiments.stored import Outcome, StoredExchange, StoredFeedback

SECONDS_PER_DAY = 86_400.0
START = 1_000_000_000.0
"""When the first unit comes, in seconds since the epoch: any time would do."""
_SCORER = "simulated/1"


class Ratio(NamedTuple):
    """What is expected of a goal."""

    metric: str
    gain: float
    """How much less the treatment's figure is, as a share."""
    spread: float
    """Standard deviation of log(treatment / control) among units."""


class Drawing:
    """Draws the units of one experiment.

    Args:
        experiment: Its metrics and slices.
        expected: Traffic and baseline of this experiment.
        ratios: Its goals.
        losses: Paired metric -> loss of the treatment, as a share.
        seed: The same one draws the same units.
    """

    def __init__(
        self,
        experiment: Experiment,
        expected: Expectations,
        ratios: tuple[Ratio, ...],
        losses: Mapping[str, float],
        seed: str,
    ) -> None:
        self._experiment, self._expected = experiment, expected
        self._flow = Flow.of(experiment, expected)
        self._draw = random.Random(seed)  # noqa: S311  # a simulation, and no secret
        self._chances = [
            (guardrail.name, *_chances(guardrail, expected, losses.get(guardrail.name, 0.0)))
            for guardrail in experiment.guardrails
            if guardrail.margin is not None
        ]
        self._ratios = [(r.metric, math.log1p(-r.gain), r.spread) for r in ratios]
        self._slices = [
            (s.attribute, [*shares, None], [*shares.values(), max(0.0, 1 - sum(shares.values()))])
            for s in experiment.slices
            if (shares := expected.shares.get(s.attribute))
        ]
        failing = expected.error_rate or 0.0
        worse = min(1.0, max(0.0, failing + losses.get(ERRORS, 0.0)))
        self._failing_of = {
            variant: 1 - (1 - rate) ** self._flow.requests_per_unit
            for variant, rate in ((CONTROL, failing), (TREATMENT, worse))
        }
        """Chance that a unit meets a failure at all: that is what counts of its live requests."""
        self._paired_share = self._flow.paired_units_per_day / self._flow.units_per_day
        self._number = 0

    def __repr__(self) -> str:
        return f"<Drawing {self._experiment.name} [{self._number} units]>"

    def until(
        self, number: int, route: Route, now: float
    ) -> tuple[list[StoredExchange], list[Outcome], list[StoredFeedback]]:
        """Draw the units up to a number that have not been drawn yet; they come evenly in time.

        Args:
            number: How many have come since the start.
            route: As it is while they come.
            now: Wall-clock time in seconds since the epoch: none comes later.
        """
        exchanges: list[StoredExchange] = []
        outcomes: list[Outcome] = []
        feedback: list[StoredFeedback] = []
        each_s = SECONDS_PER_DAY / self._flow.units_per_day
        first, self._number = self._number, max(self._number, number)
        for each in range(first, self._number):
            live = self._live(each, route, min(now, START + (each + 1) * each_s))
            exchanges.append(StoredExchange(exchange=live, seq=0))
            if self._draw.random() < self._paired_share:
                exchanges.append(StoredExchange(exchange=_mirrored(live), seq=0))
                outcomes.extend(self._outcomes(live))
            feedback.extend(self._feedback(live))
        return exchanges, outcomes, feedback

    def _live(self, number: int, route: Route, at: float) -> Exchange:
        draw = self._draw
        split, bucket = route.split_basis_points, draw.randrange(10_000)
        variant = TREATMENT if bucket < split else CONTROL
        failing = draw.random() < self._failing_of[variant]
        slices = {}
        for attribute, values, shares in self._slices:
            [value] = draw.choices(values, shares)
            if value is not None:
                slices[attribute] = value
        return Exchange(
            id=f"u{number}",
            at=at,
            experiment=route.experiment,
            epoch=1,
            stage=route.stage,
            unit=f"u{number}",
            bucket=bucket,
            propensity=split / 10_000 if variant == TREATMENT else 1 - split / 10_000,
            assigned=variant,
            served=variant,
            pair=f"u{number}",
            status=500 if failing else 200,
            error=ErrorKind.STATUS if failing else "",
            slices=slices,
        )

    def _outcomes(self, live: Exchange) -> Iterator[Outcome]:
        for metric, loss, win in self._chances:
            x = self._draw.random()
            yield _outcome(live, metric, float(x >= loss + win or x < loss), float(x >= loss))
        for metric, mean, spread in self._ratios:
            value = self._draw.gauss(mean, spread)
            yield msgspec.structs.replace(_outcome(live, metric, 1.0, math.exp(value)), value=value)

    def _feedback(self, live: Exchange) -> Iterator[StoredFeedback]:
        for guardrail in self._experiment.guardrails:
            rate = self._expected.feedback_rates.get(guardrail.name) if guardrail.feedback else None
            if rate is not None and self._draw.random() < rate:
                yield StoredFeedback(
                    seq=0,
                    exchange=live.id,
                    metric=guardrail.name,
                    source="simulated",
                    value=0.0,
                    at=live.at,
                    unit=live.unit,
                    stage=live.stage,
                    assigned=live.assigned,
                    propensity=live.propensity,
                    exchange_at=live.at,
                )


def _chances(guardrail: Guardrail, expected: Expectations, loss: float) -> tuple[float, float]:
    """Return the chance that only control is right, and that only the treatment is."""
    lost, won = split_discordance(expected.discordance_of(guardrail.name) or 0.0, abs(loss))
    return (lost, won) if loss >= 0 else (won, lost)


def _mirrored(live: Exchange) -> Exchange:
    other = CONTROL if live.assigned == TREATMENT else TREATMENT
    # Its own failure, if any, is in the outcome of `errors`.
    return msgspec.structs.replace(
        live, id=f"{live.id}m", role=Role.SHADOW, assigned=other, served=other, status=200, error=""
    )


def _outcome(live: Exchange, metric: str, control: float, treatment: float) -> Outcome:
    return Outcome(
        pair=live.id,
        metric=metric,
        scorer=_SCORER,
        experiment=live.experiment,
        epoch=1,
        stage=live.stage,
        unit=live.unit,
        at=live.at,
        slices=live.slices,
        control_value=control,
        treatment_value=treatment,
        value=treatment - control,
    )
