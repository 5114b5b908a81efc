"""What was concluded, in words: a verdict and a decision, for a person at a terminal or in a notebook."""

from __future__ import annotations

import math
from html import escape

import msgspec

from experiments.evidence import Decision, Evidence, MetricEvidence
from experiments.explain import action_word, sentence
from experiments.showing.summary import ExperimentSummary
from experiments.workbench.rows import Column, Row, Table

EVIDENCE_COLUMNS = (
    Column("metric", "text", "Name of the metric."),
    Column("slice", "text", "`attribute=value`; empty for all traffic."),
    Column("kind", "text", "`paired`: a difference on pairs; `event`: bad events of live users; `ratio`: a ratio."),
    Column("role", "text", "`guardrail`, `goal` or `monitor`."),
    Column("units", "integer", "Independent units analysed.", "count"),
    Column("pairs", "integer", "Pairs analysed.", "count"),
    Column("estimate", "number", "Treatment - control; of a ratio, its change: -0.3 is 30 % less.", "share"),
    Column("low", "number", "Of the 95 % confidence sequence, valid at every look.", "share"),
    Column("high", "number", "Of the 95 % confidence sequence, valid at every look.", "share"),
    Column("margin", "number", "Loss to be ruled out; of a goal, the improvement asked for.", "share"),
    Column("tolerance", "number", "Loss at which one rolls back.", "share"),
    Column("e_harm", "number", 'E-value against "no more is lost than tolerated".'),
    Column("e_any_loss", "number", 'E-value against "nothing is lost".'),
    Column("e_noninferior", "number", 'E-value against "the margin or more is lost".'),
    Column("verdict", "text", "What follows: `harm`, `noninferior`, `superior`, `insufficient`, `not_estimable`."),
    Column("reason", "text", "Why it is `not_estimable`."),
)


def evidence_table(evidence: Evidence) -> Table:
    """Return what a look saw, a row for each metric, slice and kind."""
    name = f"evidence of look {evidence.look} of {evidence.experiment}"
    return Table(name, EVIDENCE_COLUMNS, [_row(row) for row in evidence.metrics])


def _row(row: MetricEvidence) -> Row:
    interval = row.interval
    return (
        row.metric,
        row.slice,
        row.kind.value,
        row.role,
        row.units,
        row.pairs,
        row.estimate,
        interval.lower if interval is not None else None,
        interval.upper if interval is not None else None,
        row.margin,
        row.tolerance,
        natural(row.log_e_harm),
        natural(row.log_e_any_loss),
        natural(row.log_e_noninferior),
        row.verdict.value,
        row.reason,
    )


def natural(log_e: float | None) -> float | None:
    """Return an e-value from its logarithm; inf where it is larger than a number can be.

    >>> natural(0.0), natural(1e9), natural(None)
    (1.0, inf, None)
    """
    if log_e is None:
        return None
    try:
        return math.exp(log_e)
    except OverflowError:
        return math.inf


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """What a look decided, and why."""

    look: int
    action: str
    """`hold`, `advance`, `promote`, `rollback`, `pause` or `stop_undecidable`."""
    in_words: str
    reasons: list[str]
    """In plain words."""
    record: Decision
    """As it is stored."""

    @classmethod
    def of(cls, look: int, decision: Decision) -> Decided:
        """Say a stored decision."""
        reasons = [sentence(reason) for reason in decision.reasons]
        words = action_word(decision.action)
        return cls(look=look, action=decision.action.value, in_words=words, reasons=reasons, record=decision)

    def __str__(self) -> str:
        return _text(f"look {self.look}: {self.in_words}", self.reasons)

    def _repr_html_(self) -> str:
        """Return the decision as a paragraph and a list."""
        return _html(f"look {self.look}: {self.in_words}", self.reasons)


class VerdictSaid(msgspec.Struct, frozen=True, kw_only=True):
    """How an experiment stands, as `touchstone status` and `touchstone report` say it."""

    sentence: str
    tone: str
    """`good`, `bad`, `waiting` or `neutral`."""
    phase: str
    look: int | None
    reasons: list[str]
    """Of the newest decision."""
    cautions: list[str]
    """What a reader has to know beside the figures, though it decides nothing."""
    changes: list[str]
    """What would change the decision."""
    summary: ExperimentSummary
    """All that the report is made of."""

    @classmethod
    def of(cls, summary: ExperimentSummary) -> VerdictSaid:
        """Say a summary."""
        return cls(
            sentence=summary.verdict,
            tone=summary.tone,
            phase=summary.phase.value,
            look=summary.look,
            reasons=summary.reasons,
            cautions=summary.remarks,
            changes=summary.changes,
            summary=summary,
        )

    def __str__(self) -> str:
        return _text(self.sentence, [*self.reasons, *self.cautions])

    def _repr_html_(self) -> str:
        """Return the verdict as a paragraph, with its reasons and cautions as a list."""
        return _html(self.sentence, [*self.reasons, *self.cautions])


def _text(head: str, reasons: list[str]) -> str:
    return "\n".join([head, *(f"- {reason}" for reason in reasons)])


def _html(head: str, reasons: list[str]) -> str:
    items = "".join(f"<li>{escape(reason)}</li>" for reason in reasons)
    below = f"<ul>{items}</ul>" if items else ""
    return f"<p><strong>{escape(head)}</strong></p>{below}"
