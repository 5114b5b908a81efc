"""What a golden run says, in plain words. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from experiments.golden.verdict import GateCode, GateReason, GateVerdict, Result

_LEADS = {Result.PASSED: "Passed", Result.FAILED: "Failed", Result.CANNOT_TELL: "Cannot tell"}
_MOST_IDS = 5


def summary(found: GateVerdict) -> str:
    """Say a verdict with its reasons.

    >>> from experiments.golden.verdict import verdict
    >>> summary(verdict([]))
    'Cannot tell: no item could be compared.'
    """
    small = [tag.tag for tag in found.tags if tag.result is Result.CANNOT_TELL]
    rest = f" Open by itself: {_named(small)}." if small else ""
    return f"{_LEADS[found.result]}: {'; '.join(map(sentence, found.reasons))}.{rest}"


def sentence(reason: GateReason) -> str:
    """Say a reason.

    >>> sentence(GateReason(code=GateCode.CRITICAL_LOST, items=("refund-3",), n=20))
    'the treatment gets 1 of 20 critical items wrong that control gets right (refund-3)'
    """
    return _SENTENCES[reason.code](reason)


def _too_little(reason: GateReason) -> str:
    if not reason.n:
        return "no item could be compared"
    so_far = "" if reason.value is None else f", it may be up to {_percent(reason.value)}"
    return f"{reason.n} items are too few to rule out a loss of {_percent(reason.threshold)}{so_far}"


def _worse(reason: GateReason) -> str:
    place = f" in {reason.tag}" if reason.tag else ""
    return f"the treatment is worse{place}: {_fewer(reason)}, lost are {_named(reason.items)}"


def _fewer(reason: GateReason) -> str:
    tolerated = f", {_percent(reason.threshold)} tolerated" if reason.threshold else ""
    count = round((reason.value or 0) * reason.n)
    return f"right on {count} fewer of {reason.n} items ({_percent(reason.value)}{tolerated})"


_SENTENCES: dict[GateCode, Callable[[GateReason], str]] = {
    GateCode.CRITICAL_LOST: lambda r: (
        f"the treatment gets {len(r.items)} of {r.n} critical items wrong that control gets right ({_named(r.items)})"
    ),
    GateCode.WORSE: _worse,
    GateCode.WORSE_IN_TAG: _worse,
    GateCode.NO_ANSWERS: lambda r: f"the treatment did not answer, and so is {_fewer(r)}",
    GateCode.CONTROL_AWAY: lambda r: (
        f"control did not answer {_percent(r.value)} of {r.n} items ({_percent(r.threshold)} allowed), "
        "so there is too little to compare with"
    ),
    GateCode.CONTROL_WRONG: lambda r: (
        f"control itself is right on only {_percent(r.value)} of {r.n} items ({_percent(r.threshold)} needed): "
        "the set does not fit the task"
    ),
    GateCode.NOT_JUDGED: lambda r: (
        f"{_percent(r.value)} of {r.n} items need a scorer, no program can judge them ({_percent(r.threshold)} allowed)"
    ),
    GateCode.CRITICAL_NOT_JUDGED: lambda r: (
        f"{len(r.items)} of {r.n} critical items could not be compared ({_named(r.items)})"
    ),
    GateCode.TOO_LITTLE: _too_little,
    GateCode.NOT_WORSE: lambda r: (
        f"on {r.n} items no loss was shown, and one of {_percent(r.threshold)} is ruled out "
        f"(it is {_percent(r.value)} at most)"
    ),
}


def _percent(share: float | None) -> str:
    return "an unknown share" if share is None else f"{100 * share:.3g} %"


def _named(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - _MOST_IDS} more" if len(ids) > _MOST_IDS else ""
    return ", ".join(ids[:_MOST_IDS]) + more
