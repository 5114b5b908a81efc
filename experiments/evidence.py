"""What a look saw and what it decided, as frozen records: the contract between evaluation, decision and the faces."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from experiments.model import Phase

RULES = 2
"""Version of the rules by which rows are counted; each look says by which it was taken, and is replayed by those.

1: feedback counts at once and whenever it comes; a metric goes on when its scorer changes. 2: see docs/decisions.md.
"""


class Verdict(StrEnum):
    """What the evidence says of one metric in one slice."""

    HARM = "harm"
    """Worse than tolerated, proven."""
    NONINFERIOR = "noninferior"
    """Not worse by more than the margin, proven."""
    SUPERIOR = "superior"
    """Better by what the goal asks, proven."""
    INSUFFICIENT = "insufficient"
    """Not enough evidence yet for either."""
    NOT_ESTIMABLE = "not_estimable"
    """Cannot be computed; the reason is given."""


class Kind(StrEnum):
    """How a metric is measured."""

    PAIRED = "paired"
    """Bounded difference of two answers to the same request; higher is better."""
    EVENT = "event"
    """Bad events of assigned units, unpaired."""
    RATIO = "ratio"
    """Logarithm of the ratio treatment/control on pairs; lower is better."""


class Interval(msgspec.Struct, frozen=True):
    """A range of values; None where a side is unbounded."""

    lower: float | None
    upper: float | None


class MetricFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What is counted of one metric in one slice, and what that says at one look. E-values are natural logarithms."""

    metric: str
    role: str
    """`guardrail`, `goal` or `monitor`."""
    kind: Kind
    slice: str = ""
    """`attribute=value`, or empty for all traffic."""
    scorer: str = ""
    """Version of the scorer whose outcomes these are; empty before the first one."""
    units: int
    """Independent units analysed; of events, all that were exposed."""
    pairs: int = 0
    losses: int = 0
    """Pairs in which only control did well."""
    ties: int = 0
    wins: int = 0
    """Pairs in which only the treatment did well."""
    failed: int = 0
    """Pairs that are due and missing, since their scorer could not say anything."""
    control_mean: float | None = None
    treatment_mean: float | None = None
    estimate: float | None = None
    """Mean difference treatment - control, or for a ratio the change of the geometric mean (-0.3 is 30 % less)."""
    interval: Interval | None = None
    """95 % confidence sequence."""
    fixed_interval: Interval | None = None
    """95 % interval that would hold if this were the only look and pairs were independent; for display."""
    margin: float | None = None
    tolerance: float | None = None
    log_e_harm: float | None = None
    log_e_any_loss: float | None = None
    """Against "no loss at all": stops the ramp, does not roll back."""
    log_e_noninferior: float | None = None


class MetricEvidence(MetricFigures, frozen=True, kw_only=True):
    """One metric in one slice as the controller sees it: its interval is the intersection over all looks so far."""

    verdict: Verdict
    reason: str = ""
    """Why the verdict is `not_estimable`."""
    weight: float = 0.0
    """Share of the rollback alpha."""
    peak_log_e_harm: float | None = None
    """Highest so far: what the alarm looks at."""
    peak_log_e_noninferior: float | None = None
    p_value: float | None = None
    """Anytime-valid, for a goal: of "not better by what is asked"."""
    since: float | None = None
    """When the scorer's version took over and the metric began anew, in seconds since the epoch; None: it never did."""


class SplitEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the units came to the variants in the configured shares (sample ratio mismatch)."""

    name: str
    """`assigned` units, or `analysed` ones."""
    stages: list[tuple[int, int, int]]
    """(split in basis points, control units, treatment units) for each stage."""
    log_bayes_factor: float
    peak_log_bayes_factor: float
    alarm: bool


class Completeness(msgspec.Struct, frozen=True, kw_only=True):
    """Mirrored requests of one variant that came to an end of their own (answer or failure), of all that were due."""

    variant: str
    complete: int
    due: int

    @property
    def share(self) -> float:
        """Complete share, 1.0 when none was due."""
        return self.complete / self.due if self.due else 1.0


class Shed(msgspec.Struct, frozen=True, kw_only=True):
    """What the proxies could not record since the look before: it is missing from the evidence."""

    now: bool = False
    """Whether a proxy is shedding while the look is taken."""
    records: int = 0
    """Exchanges and feedback that were not recorded."""
    texts: int = 0
    """Exchanges that were recorded without prompt and answer."""


class Elapsed(msgspec.Struct, frozen=True, kw_only=True):
    """How long something has run, by a steady clock."""

    epoch_s: float
    """The epoch."""
    stage_s: float
    """Its present stage."""


class Recent(msgspec.Struct, frozen=True, kw_only=True):
    """Requests of one variant within the window of the hard trips, mirrored ones too."""

    variant: str
    requests: int = 0
    failed: int = 0
    """Of them, those that failed or were never sent."""
    empty: int = 0
    """Of them, those whose answer has nothing in it."""


class Late(msgspec.Struct, frozen=True, kw_only=True):
    """The watch over one guardrail after a promotion: an e-detector, which forgets how good it once was."""

    metric: str
    kind: Kind = Kind.PAIRED
    """Whether pairs are watched, or bad events."""
    units: int
    """Analysed since the promotion; of bad events, the units that had one."""
    peak: float
    """log(1 + M), highest so far."""
    threshold: float
    """Reached once in so many units as the policy says while nothing is wrong, on average."""


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """How many units of one variant gave feedback of a metric at all, while both variants had a chance."""

    metric: str
    variant: str
    units: int
    """Exposed."""
    answered: int

    @property
    def share(self) -> float:
        """Response rate, 0.0 when no unit was exposed."""
        return self.answered / self.units if self.units else 0.0


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that one look saw."""

    rules: int = 1
    """Version of the rules by which it counted."""

    experiment: str
    epoch: int
    look: int
    at: float
    stage: int
    phase: Phase
    """Phase of the experiment when the look was taken; after a rollback it only observes."""
    units: int
    """Units analysed in this epoch."""
    stage_units: int
    """Units analysed in this stage."""
    exchanges: int
    """Live requests in this epoch."""
    served_by_treatment: int
    pairs: int
    metrics: list[MetricEvidence]
    splits: list[SplitEvidence]
    completeness: list[Completeness]
    log_e_family: float
    """Weighted sum of the harm e-values of all guardrails and slices, as a logarithm: a valid global alarm."""
    peak_log_e_family: float
    recent: tuple[Recent, ...] = ()
    """Control's and the treatment's last requests; empty in looks of earlier versions."""
    late: tuple[Late, ...] = ()
    """After a promotion only."""
    responses: tuple[Response, ...] = ()
    """Of each feedback metric: control, then the treatment."""
    unequal_responses: tuple[str, ...] = ()
    """Feedback metrics whose response rates differ between the variants beyond chance; a caution, decides nothing."""
    shed: Shed = Shed()
    """Comes from the proxies, not from the rows: a replay takes it from the stored look."""
    elapsed: Elapsed | None = None
    """Comes from the controller's steady clock, as `shed` does; None in looks of earlier versions."""

    def of(self, metric: str, slice_: str = "", kind: Kind | None = None) -> MetricEvidence | None:
        """Return the evidence of one metric in one slice, or None."""
        for row in self.metrics:
            if row.metric == metric and row.slice == slice_ and kind in {None, row.kind}:
                return row
        return None


class Action(StrEnum):
    """What is to happen with the experiment."""

    HOLD = "hold"
    """Nothing changes."""
    ADVANCE = "advance"
    """The next stage of the ramp."""
    PROMOTE = "promote"
    """The treatment serves everyone."""
    ROLLBACK = "rollback"
    """Control serves everyone."""
    PAUSE = "pause"
    """Control serves everyone until somebody resumes."""
    STOP_UNDECIDABLE = "stop_undecidable"
    """The time is up without an answer: control serves everyone."""


class Code(StrEnum):
    """Why: one word a reason; `experiments.explain` turns it into a sentence."""

    HARM = "harm"
    FAMILY_HARM = "family_harm"
    ANY_LOSS = "any_loss"
    SPLIT_MISMATCH = "split_mismatch"
    INCOMPLETE = "incomplete"
    SCORING_INCOMPLETE = "scoring_incomplete"
    RECORDING_SHED = "recording_shed"
    FAILING = "failing"
    EMPTY_ANSWERS = "empty_answers"
    CONTROL_FAILING = "control_failing"
    SLICE_HARM = "slice_harm"
    LATE_HARM = "late_harm"
    NONINFERIOR = "noninferior"
    NOT_YET_NONINFERIOR = "not_yet_noninferior"
    GOAL_REACHED = "goal_reached"
    GOAL_NOT_REACHED = "goal_not_reached"
    SLICE_NOT_SAFE = "slice_not_safe"
    TOO_FEW_UNITS = "too_few_units"
    TOO_EARLY = "too_early"
    STAGE_DONE = "stage_done"
    TIME_IS_UP = "time_is_up"
    ASSUMPTIONS_VIOLATED = "assumptions_violated"


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """One reason of a decision, as data."""

    code: Code
    metric: str = ""
    slice: str = ""
    value: float | None = None
    """The evidence, in the unit of the threshold."""
    threshold: float | None = None
    estimate: float | None = None
    lower: float | None = None
    upper: float | None = None
    margin: float | None = None
    units: int | None = None
    kind: Kind | None = None
    """How it was measured, where the metric alone does not say so."""


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What should happen and why. The controller does it."""

    action: Action
    reasons: list[Reason]
