"""The rows of a plan in plain words. Pure; every number comes with what it means."""

from __future__ import annotations

from collections.abc import Callable

from experiments.explain import called, points, where
from experiments.planning.metrics import POWER, MetricPlan, Question, Wait

_ENDLESS_DAYS = 3650
_SEEN = f"{100 * POWER:.0f} %"


def sentence(row: MetricPlan, max_days: float) -> str:
    """Say what to expect of one metric in one slice.

    >>> sentence(MetricPlan("quality", Question.SAFE, missing="nothing is mirrored"), 28)
    'quality, all traffic: cannot tell how long a proof of no harm takes: nothing is mirrored'
    """
    subject = f"{called(row.metric)}, {where(row.slice)}"
    if row.missing:
        return f"{subject}: cannot tell how long {_ASKED[row.question]} takes: {row.missing}"
    asked = f"{subject}: {_TRUTHS[row.question](row)} {in_words(row.wait)}" if row.wait else subject
    return f"{asked}; within {max_days:g} days the chance is {_percent(row.chance)}, and {_smallest(row)}"


def in_words(wait: Wait) -> str:
    """Say how long a wait is.

    >>> in_words(Wait(1454.0, 2956.0, 2.908, 5.912))
    'after 2.9 days (1,454 units) in one of two cases, 5.9 days (2,956 units) in nine of ten'
    """
    return (
        f"after {days(wait.median_days)} ({wait.median_units:,.0f} units) in one of two cases, "
        f"{days(wait.ninetieth_days)} ({wait.ninetieth_units:,.0f} units) in nine of ten"
    )


def days(number: float) -> str:
    """Render a number of days.

    >>> days(0.31), days(41.2), days(1e6)
    ('0.3 days', '41 days', 'more than ten years')
    """
    if number > _ENDLESS_DAYS:
        return "more than ten years"
    return f"{number:.1f} days" if number < 10 else f"{number:.0f} days"


def undecided(row: MetricPlan, max_days: float, lead: str) -> str:
    """Say that a question will probably not be answered in time, with the arithmetic."""
    needed = f"about {days(row.wait.median_days)} are needed" if row.wait else "no number of days is enough"
    return (
        f"{called(row.metric)}, {where(row.slice)}: {lead} within {max_days:g} days (chance {_percent(row.chance)}): "
        f"{needed}, and {_smallest(row)}"
    )


def _percent(share: float | None) -> str:
    if share is None:
        return "unknown"
    if share < 0.01:
        return "below 1 %"
    return "above 99 %" if share > 0.99 else f"{100 * share:.0f} %"


def _smallest(row: MetricPlan) -> str:
    number = row.smallest
    if row.question is Question.SAFE:
        return (
            "no margin can be ruled out" if number is None else f"the smallest margin is {points(number, signed=False)}"
        )
    if number is None:
        return "no effect however large would be seen for sure"
    size = {
        Question.HARM: lambda: f"a loss of {points(number, signed=False)}",
        Question.EVENTS: lambda: f"{number:.2f} times as many",
        Question.GOAL: lambda: f"a gain of {100 * number:.1f} %",
    }[row.question]()
    return f"the smallest effect seen with a chance of {_SEEN} is {size}"


_ASKED = {
    Question.SAFE: "a proof of no harm",
    Question.HARM: "the discovery of harm",
    Question.EVENTS: "the discovery of too many",
    Question.GOAL: "a proof of the goal",
}
_TRUTHS: dict[Question, Callable[[MetricPlan], str]] = {
    Question.SAFE: lambda r: f"if there is no loss, one of {points(r.limit, signed=False)} is ruled out",
    Question.HARM: lambda r: (
        f"if {points(r.truth, signed=False)} are lost, more than the tolerated {points(r.limit, signed=False)} show"
    ),
    Question.EVENTS: lambda r: (
        f"if there are {r.truth:g} times as many as with control, more than the allowed {r.limit:g} times are proven"
    ),
    Question.GOAL: lambda r: f"if it is {100 * r.truth:.0f} % lower, {100 * r.limit:g} % are proven",
}
