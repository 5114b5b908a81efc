"""What a golden run says: passed, failed or cannot tell, overall and for each tag, with the reasons as data. Pure.

The same items go to both variants, so the evidence lies in the pairs that differ: a loss is an item that only control
got right, a win one that only the treatment did. An answer that did not come counts as a wrong one of the treatment.

* **Failed**: a critical item was lost; or the treatment is shown to be worse by more than the tolerance, overall (at
  level alpha) or for a tag (at alpha for all tags together, by Holm).
* **Passed**: nothing failed, and a loss of the margin or more is ruled out overall (Tango's test, at level alpha).
* **Cannot tell**: neither; or the run says nothing, because control did not answer or was itself mostly wrong, or
  because a critical item could not be judged.

A run is one look. Runs that are repeated on a schedule are several: give each its part of alpha by `run_number`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum

import msgspec

from analysis.alpha_ledger import attempt_alpha
from analysis.multiplicity import holm
from analysis.paired import mcnemar, tango_interval, tango_noninferiority, tango_test
from analysis.result import Estimate
from experiments.golden.runs import ItemResult, Outcome


class GatePolicy(msgspec.Struct, frozen=True, kw_only=True):
    """When a golden run fails or passes. Shares are in 0..1."""

    alpha: float = 0.05
    """Chance of failing a treatment that is equally good: overall, and once more for all tags together; and chance of
    passing one that is worse by the margin. Of all runs of one build together, if runs are numbered."""
    margin: float = 0.10
    """A loss of this share of the items, or more, must be ruled out."""
    tolerance: float = 0.0
    """A loss of up to this share is not yet a failure, though it be shown."""
    min_control_right: float = 0.5
    """If control itself gets fewer right, the set does not fit the task, and the run says nothing."""
    max_unanswered: float = 0.05
    """So many items may be without an answer of control, or without a judgement."""

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise ValueError(f"alpha == {self.alpha!r}, must be in (0, 1)")
        if not 0 <= self.tolerance <= self.margin < 1 or self.margin == 0:
            raise ValueError(
                f"margin == {self.margin!r}, must be in (0, 1) and not below tolerance == {self.tolerance!r}"
            )


class Result(StrEnum):
    """What a run says."""

    PASSED = "passed"
    FAILED = "failed"
    CANNOT_TELL = "cannot_tell"


class GateCode(StrEnum):
    """Why."""

    CRITICAL_LOST = "critical_lost"
    WORSE = "worse"
    NO_ANSWERS = "no_answers"
    """As `worse`, but only because the treatment did not answer."""
    WORSE_IN_TAG = "worse_in_tag"
    CONTROL_AWAY = "control_away"
    CONTROL_WRONG = "control_wrong"
    NOT_JUDGED = "not_judged"
    CRITICAL_NOT_JUDGED = "critical_not_judged"
    TOO_LITTLE = "too_little"
    NOT_WORSE = "not_worse"


class GateReason(msgspec.Struct, frozen=True, kw_only=True):
    """One reason, as data; `experiments.golden.words` renders it."""

    code: GateCode
    tag: str = ""
    items: tuple[str, ...] = ()
    """Ids."""
    value: float | None = None
    threshold: float | None = None
    n: int = 0


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """All items, or those of a tag, in pairs."""

    tag: str = ""
    """Empty for all."""
    result: Result = Result.CANNOT_TELL
    n: int
    """Items that control answered and that both could be judged on."""
    both: int
    wins: int
    losses: int
    neither: int
    unanswered: int
    """Losses because the treatment did not answer."""
    p_worse: float
    """Of "not worse than tolerated", one-sided; for a tag adjusted by Holm for all tags."""
    loss: float | None
    """Share of the items: losses less wins; None without an item."""
    loss_at_most: float | None
    """Upper limit of the loss, one-sided at level alpha."""


class GateVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a run says, and why."""

    result: Result
    overall: Comparison
    tags: tuple[Comparison, ...]
    """By name."""
    reasons: tuple[GateReason, ...]
    """The weightiest first."""
    alpha: float
    """Of this run."""


def verdict(
    results: Sequence[ItemResult], policy: GatePolicy | None = None, run_number: int | None = None
) -> GateVerdict:
    """Return what a run says.

    Args:
        results: One of each item.
        policy: When to fail and when to pass.
        run_number: 1 for the first run of this build; the later, the smaller its part of alpha. None: the only run.

    Raises:
        ValueError: `run_number` is below 1.
    """
    policy = policy or GatePolicy()
    alpha = policy.alpha if run_number is None else attempt_alpha(policy.alpha, run_number)
    names = sorted({tag for result in results for tag in result.tags})
    tags = _adjusted([_compare([r for r in results if name in r.tags], policy, alpha, name) for name in names], alpha)
    overall = _compare(results, policy, alpha)
    failures = tuple(_failures(results, overall, tags, policy, alpha))
    doubts = tuple(_doubts(results, overall, policy))
    if failures:
        result = Result.FAILED
    elif doubts or overall.result is not Result.PASSED:
        result = Result.CANNOT_TELL
    else:
        result = Result.PASSED
    overall = msgspec.structs.replace(overall, result=result)
    reasons = failures + doubts
    if not reasons:
        code = GateCode.NOT_WORSE if result is Result.PASSED else GateCode.TOO_LITTLE
        reasons = (GateReason(code=code, value=overall.loss_at_most, threshold=policy.margin, n=overall.n),)
    return GateVerdict(result=result, overall=overall, tags=tags, reasons=reasons, alpha=alpha)


def _compare(results: Sequence[ItemResult], policy: GatePolicy, alpha: float, tag: str = "") -> Comparison:
    pairs = [r for r in results if _comparable(r)]
    n, lost = len(pairs), [r for r in pairs if _lost(r)]
    wins = sum(r.control is not Outcome.OK and r.treatment is Outcome.OK for r in pairs)
    both = sum(r.control is Outcome.OK and r.treatment is Outcome.OK for r in pairs)
    interval = tango_interval(wins, len(lost), n, level=1 - 2 * alpha) if n and alpha < 0.5 else None
    p_worse = _p_worse(wins, len(lost), n, policy.tolerance)
    # Two variants that are both wrong agree perfectly: that is no pass.
    fits = n > 0 and both + len(lost) >= policy.min_control_right * n
    passed = fits and tango_noninferiority(wins, len(lost), n, policy.margin).p_value <= alpha
    result = Result.FAILED if p_worse <= alpha else Result.PASSED if passed else Result.CANNOT_TELL
    return Comparison(
        tag=tag,
        result=result,
        n=n,
        both=both,
        wins=wins,
        losses=len(lost),
        neither=n - both - wins - len(lost),
        unanswered=sum(r.treatment is Outcome.FAILED for r in lost),
        p_worse=p_worse,
        loss=(len(lost) - wins) / n if n else None,
        loss_at_most=-interval.lower if isinstance(interval, Estimate) else None,
    )


def _comparable(result: ItemResult) -> bool:
    """Control's own failure says nothing of the treatment, nor does an answer that nobody can judge."""
    return result.control in {Outcome.OK, Outcome.WRONG} and result.treatment is not Outcome.UNKNOWN


def _lost(result: ItemResult) -> bool:
    return result.control is Outcome.OK and result.treatment in {Outcome.WRONG, Outcome.FAILED}


def _p_worse(wins: int, losses: int, n: int, tolerance: float) -> float:
    """Return the one-sided p of "not worse than tolerated": exact where nothing is tolerated, else Tango's."""
    if losses <= wins:
        return 1.0
    if tolerance > 0:
        return tango_test(wins, losses, n, -tolerance, "less").p_value
    return mcnemar(wins, losses).p_exact / 2


def _adjusted(tags: Sequence[Comparison], alpha: float) -> tuple[Comparison, ...]:
    decided = holm([tag.p_worse for tag in tags], alpha)
    found = []
    for number, (tag, p_worse) in enumerate(zip(tags, decided.adjusted_p, strict=True)):
        result = tag.result
        if result is Result.FAILED and number not in decided.rejected:
            result = Result.CANNOT_TELL
        found.append(msgspec.structs.replace(tag, p_worse=p_worse, result=result))
    return tuple(found)


def _failures(
    results: Sequence[ItemResult], overall: Comparison, tags: Sequence[Comparison], policy: GatePolicy, alpha: float
) -> Iterator[GateReason]:
    if lost := tuple(r.id for r in results if r.critical and _lost(r)):
        yield GateReason(code=GateCode.CRITICAL_LOST, items=lost, n=sum(r.critical for r in results))
    if overall.result is Result.FAILED:
        answered = overall.losses - overall.unanswered
        by_answers = _p_worse(overall.wins, answered, overall.n, policy.tolerance) <= alpha
        code = GateCode.WORSE if by_answers else GateCode.NO_ANSWERS
        # The weight of the reason is in its items: who reads it wants to look at them.
        ids = tuple(r.id for r in results if _comparable(r) and _lost(r))
        yield GateReason(code=code, items=ids, value=overall.loss, threshold=policy.tolerance, n=overall.n)
    for tag in tags:
        if tag.result is Result.FAILED:
            ids = tuple(r.id for r in results if tag.tag in r.tags and _comparable(r) and _lost(r))
            yield GateReason(
                code=GateCode.WORSE_IN_TAG,
                tag=tag.tag,
                items=ids,
                value=tag.loss,
                threshold=policy.tolerance,
                n=tag.n,
            )


def _doubts(results: Sequence[ItemResult], overall: Comparison, policy: GatePolicy) -> Iterator[GateReason]:
    away = tuple(r.id for r in results if r.control is Outcome.FAILED)
    unknown = tuple(r.id for r in results if Outcome.UNKNOWN in {r.control, r.treatment})
    shares = ((GateCode.CONTROL_AWAY, away), (GateCode.NOT_JUDGED, unknown))
    for code, ids in shares:
        if ids and len(ids) > policy.max_unanswered * len(results):
            share = len(ids) / len(results)
            yield GateReason(code=code, items=ids, value=share, threshold=policy.max_unanswered, n=len(results))
    unsure = tuple(r.id for r in results if r.critical and not _comparable(r) and r.treatment is not Outcome.OK)
    if unsure:
        yield GateReason(code=GateCode.CRITICAL_NOT_JUDGED, items=unsure, n=sum(r.critical for r in results))
    right = (overall.both + overall.losses) / overall.n if overall.n else None
    if right is not None and right < policy.min_control_right:
        yield GateReason(code=GateCode.CONTROL_WRONG, value=right, threshold=policy.min_control_right, n=overall.n)
