"""Pairs -> outcomes: runs the scorers of an experiment over a pair of exchanges. Pure but for `score_pending`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import structlog

from experiments.config.records import Backend, Config, Experiment, Guardrail, Monitor, Price
from experiments.golden.sets import Expected, GoldenSet, load_golden
from experiments.model import BACKEND_FAULTS, MISSING_SHADOW, TREATMENT, ErrorKind
from experiments.scorers import Answer, PairScore, Scorer, scorer_for
from experiments.store import Outcome, Store, StoredExchange

_log = structlog.get_logger(__name__)

ERRORS, LATENCY, TTFT, COST = "errors", "latency", "ttft", "cost"
STEPS = 256
"""Scores are kept in steps of 1/256. A power of two: sums of them are exact, so equal means of units are equal numbers,
and the evidence stays a histogram of bounded size however finely a scorer judges."""
_BATCH = 1_000


class Sides(NamedTuple):
    """A pair, by variant."""

    control: StoredExchange
    treatment: StoredExchange


class ExperimentScorer:
    """All metrics of one experiment that a pair can have.

    Args:
        experiment: What to score.
        golden: The references, or None.
        prices: Variant -> price, for `cost`.
    """

    def __init__(
        self, experiment: Experiment, golden: GoldenSet | None = None, prices: Mapping[str, Price | None] | None = None
    ) -> None:
        self._golden = golden
        self._prices = prices or {}
        metrics: list[Guardrail | Monitor] = [*experiment.guardrails, *experiment.monitors]
        self._scorers: dict[str, Scorer] = {m.name: s for m in metrics if (s := scorer_for(m)) is not None}

    def outcomes(self, live: StoredExchange, shadow: StoredExchange) -> list[Outcome]:
        """Score one pair. A pair that has no two sides to compare (shed, cancelled, client left) gives nothing."""
        if not comparable(live, shadow):
            return []
        sides = by_variant(live, shadow)
        values = (*self._quality(sides), *_operational(sides), *self._cost(sides))
        return [_outcome(live, *value) for value in values]

    def _quality(self, sides: Sides) -> Iterator[tuple[str, str, float, float, float]]:
        control, treatment = answer_of(sides.control), answer_of(sides.treatment)
        yield ERRORS, "errors/1", float(control.ok), float(treatment.ok), float(treatment.ok) - float(control.ok)
        expected = self._golden.expected(sides.control.prompt) if self._golden else None
        for metric, scorer in self._scorers.items():
            score = _scored(scorer, control, treatment, expected, metric, sides.control.exchange.pair)
            if score is not None:
                yield metric, scorer.version, score.control, score.treatment, score.treatment - score.control

    def _cost(self, sides: Sides) -> Iterator[tuple[str, str, float, float, float]]:
        if any(side.exchange.cached for side in sides):
            return  # it cost nothing, and the same request will cost the other variant nothing either
        costs = [cost_usd(side, self._prices.get(v)) for side, v in zip(sides, ("control", "treatment"), strict=True)]
        yield from _ratio(COST, *costs)


def _scored(
    scorer: Scorer, control: Answer, treatment: Answer, expected: Expected | None, metric: str, pair: str
) -> PairScore | None:
    """Let a scorer judge; one that raises, or says what is no score, costs its metric of this pair and nothing else."""
    try:
        score = scorer.score(control, treatment, expected)
        if score is None:
            return None
        if all(0.0 <= value <= 1.0 for value in score):
            return PairScore(*(round(value * STEPS) / STEPS for value in score))
        reason = "not a number from 0 to 1"
    except Exception as error:  # noqa: BLE001  # third-party scorers may raise anything; the loop must go on
        reason = type(error).__name__
    _log.error("score_failed", pair=pair, metric=metric, scorer=scorer.version, reason=reason)
    return None


def comparable(live: StoredExchange, shadow: StoredExchange) -> bool:
    """Whether a pair has two sides that came to an end of their own."""
    ends = {live.exchange.error, live.exchange.fallback, shadow.exchange.error}
    return not ends & (MISSING_SHADOW | {ErrorKind.CLIENT_CLOSED})


def by_variant(live: StoredExchange, shadow: StoredExchange) -> Sides:
    """Order a pair as (control, treatment), by what was assigned."""
    return Sides(shadow, live) if live.exchange.assigned == TREATMENT else Sides(live, shadow)


def failed(exchange: StoredExchange) -> bool:
    """Whether the assigned variant failed: an error of its backend, or the other's answer in place of one.

    An answer in place of a backend that is being drained says nothing of the backend.
    """
    return bool({exchange.exchange.fallback, exchange.exchange.error} & BACKEND_FAULTS)


def answer_of(exchange: StoredExchange) -> Answer:
    """Return the answer of the assigned variant; a fallback's answer is control's and does not count as its own."""
    if failed(exchange):
        return Answer(None, ok=False, prompt=exchange.prompt)
    # A 4xx is the caller's mistake, not the model's failure: there is no answer to judge, and no fault either.
    return Answer(
        exchange.answer,
        ok=True,
        finish_reason=exchange.finish_reason,
        tool_calls=exchange.tool_calls,
        empty=exchange.empty,
        prompt=exchange.prompt,
    )


def cost_usd(exchange: StoredExchange, price: Price | None) -> float | None:
    """Return the price of one answer in USD; None if the tokens or the price are not known."""
    if exchange.tokens_estimated and exchange.exchange.truncated:
        return None  # the chunks behind the limit were not counted
    if price is None or exchange.input_tokens is None or exchange.output_tokens is None:
        return None
    return (exchange.input_tokens * price.input + exchange.output_tokens * price.output) / 1e6


def _operational(sides: Sides) -> Iterator[tuple[str, str, float, float, float]]:
    # The duration of a failure says nothing of speed; failures are counted by `errors`.
    if any(failed(side) for side in sides):
        return
    yield from _ratio(LATENCY, *(side.exchange.latency_ms for side in sides))
    yield from _ratio(TTFT, *(side.exchange.ttft_ms for side in sides))


def _ratio(
    metric: str, control: float | None, treatment: float | None
) -> Iterator[tuple[str, str, float, float, float]]:
    if control and treatment:
        yield metric, f"{metric}/1", control, treatment, math.log(treatment / control)


def _outcome(live: StoredExchange, metric: str, scorer: str, control: float, treatment: float, value: float) -> Outcome:
    exchange = live.exchange
    return Outcome(
        pair=exchange.id,
        metric=metric,
        scorer=scorer,
        experiment=exchange.experiment,
        epoch=exchange.epoch,
        stage=exchange.stage,
        unit=exchange.unit,
        at=exchange.at,
        slices=exchange.slices,
        control_value=control,
        treatment_value=treatment,
        value=value,
    )


def scorers_of(config: Config) -> dict[str, ExperimentScorer]:
    """Return experiment -> its scorer, golden sets loaded.

    Raises:
        experiments.golden.sets.GoldenError: A golden set cannot be read.
    """

    def scorer(experiment: Experiment) -> ExperimentScorer:
        backends: dict[str, Backend] = config.backends
        control, treatment = backends[experiment.control], backends[experiment.treatment]
        golden = load_golden(experiment.golden, control.protocol) if experiment.golden else None
        return ExperimentScorer(experiment, golden, {"control": control.price, "treatment": treatment.price})

    return {name: scorer(experiment) for name, experiment in config.experiments.items()}


def score_pending(store: Store, scorers: Mapping[str, ExperimentScorer]) -> int:
    """Score every pair that waits; returns how many. A scorer that raises costs its pair, never the loop."""
    done = 0
    while pairs := store.unscored_pairs(_BATCH):
        outcomes: list[Outcome] = []
        for live, shadow in pairs:
            scorer = scorers.get(live.exchange.experiment)
            if scorer is None:
                continue  # an experiment that is no longer configured
            try:
                outcomes.extend(scorer.outcomes(live, shadow))
            except Exception:  # noqa: BLE001  # third-party scorers may raise anything; the loop must go on
                _log.exception("score_failed", pair=live.exchange.id, experiment=live.exchange.experiment)
        store.save_outcomes(outcomes, [shadow.seq for _, shadow in pairs])
        done += len(pairs)
    return done
