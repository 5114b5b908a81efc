"""One metric's scorer for pairs that were served before: with a label as the reference where there is one."""

from __future__ import annotations

import msgspec

from experiments.config.records import Config, Experiment, Guardrail, Monitor
from experiments.golden.expectations import Expected, flaw
from experiments.golden.sets import GoldenSet, load_golden
from experiments.scorers.asking import asks
from experiments.scorers.catalogue import needs_reference, scorer_for
from experiments.scoring.experiment_scorer import ExperimentScorer
from experiments.stored import Outcome, StoredExchange


class UnusableReferenceError(ValueError):
    """A right answer that its metric's scorer cannot compare with; the message says why."""


def scored_metrics(experiment: Experiment) -> dict[str, Guardrail | Monitor]:
    """Return name -> guardrail or monitor, of those that name a scorer."""
    metrics: list[Guardrail | Monitor] = [*experiment.guardrails, *experiment.monitors]
    return {metric.name: metric for metric in metrics if metric.scorer is not None}


def takes_reference(metric: Guardrail | Monitor) -> bool:
    """Whether a metric compares with a right answer, so that a label of it is one."""
    return metric.scorer is not None and needs_reference(metric.scorer)


def reference_of(scorer: str, text: str) -> Expected:
    """Return a right answer as the scorer of a metric expects it.

    Args:
        scorer: Its name.
        text: The right answer, in words; a pattern for `regex`, a JSON schema for `json_schema`.

    Raises:
        UnusableReferenceError: The text is empty, or is no pattern or no schema.

    >>> reference_of("label", "refund").label, reference_of("exact", "42").exact
    ('refund', '42')
    """
    if not text.strip():
        raise UnusableReferenceError("is empty")
    if scorer == "json_schema":
        try:
            expected = Expected(json_schema=msgspec.json.decode(text, type=dict))
        except (msgspec.DecodeError, RecursionError) as error:
            raise UnusableReferenceError("is no JSON schema") from error
    else:
        made = {"label": {"label": text}, "contains": {"contains": (text,)}, "regex": {"regex": text}}
        expected = msgspec.convert(made.get(scorer, {"exact": text}), Expected)
    if found := flaw(expected):
        raise UnusableReferenceError(found.rule)
    return expected


class MetricScorer:
    """Scores one metric of one experiment, and nothing else.

    Args:
        config: Of the experiment and its backends.
        experiment: Its name.
        metric: Name of a guardrail or monitor with a scorer.
        golden: The experiment's golden set; loaded unless given.

    Raises:
        experiments.golden.sets.GoldenError: The golden set cannot be read.
        experiments.scorers.base.ScorerError: The scorer cannot be made.
    """

    def __init__(self, config: Config, experiment: str, metric: str, golden: GoldenSet | None = None) -> None:
        configured = config.experiments[experiment]
        found = scored_metrics(configured).get(metric)
        made = scorer_for(found) if found is not None else None
        if found is None or found.scorer is None or made is None:
            raise LookupError(f"{experiment} has no metric {metric} with a scorer")
        self.metric = metric
        self.version = made.version
        self.asks = asks(made)
        """Whether it asks another server: then `outcome` is always None."""
        self.takes_reference = takes_reference(found)
        self._name = found.scorer
        if golden is None and configured.golden is not None and self.takes_reference:
            golden = load_golden(configured.golden, config.backends[configured.control].protocol)
        self._references = _References(golden)
        self._scorer = ExperimentScorer(_only(configured, metric), self._references)

    def __repr__(self) -> str:
        return f"<MetricScorer {self.metric}: {self.version}>"

    def outcome(self, live: StoredExchange, shadow: StoredExchange, label: str | None = None) -> Outcome | None:
        """Score a pair whose texts are there; None if the metric does not apply to it.

        Args:
            live: The user's exchange.
            shadow: The other one.
            label: The right answer, for a prompt that the golden set does not know.
        """
        try:
            self._references.label = None if label is None else reference_of(self._name, label)
        except UnusableReferenceError:
            return None  # it came another way than through the import, which refuses it
        return next((o for o in self._scorer.outcomes(live, shadow) if o.metric == self.metric), None)


class _References(GoldenSet):
    """A golden set, and the label of the pair at hand."""

    def __init__(self, golden: GoldenSet | None) -> None:
        super().__init__(())
        self._golden = golden
        self.label: Expected | None = None

    def __bool__(self) -> bool:
        return True  # though it has no items of its own: it may know an answer

    def expected(self, prompt: str | None) -> Expected | None:
        known = self._golden.expected(prompt) if self._golden is not None else None
        return known if known is not None else self.label


def _only(experiment: Experiment, metric: str) -> Experiment:
    return experiment.model_copy(
        update={
            "guardrails": tuple(g for g in experiment.guardrails if g.name == metric),
            "monitors": tuple(m for m in experiment.monitors if m.name == metric),
        }
    )
