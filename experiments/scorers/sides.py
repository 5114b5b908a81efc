"""How the two sides of a pair are scored: each by itself, or the treatment by its likeness to control. Pure.

What scorers have in common stands here, so that a failure costs the same in all of them: it scores 0, and never
falls out of the figures.
"""

from __future__ import annotations

from collections.abc import Callable

from experiments.scorers.base import Answer, PairScore


def each(control: Answer, treatment: Answer, judge: Callable[[Answer], float | None]) -> PairScore | None:
    """Score each answer by itself.

    A failed answer scores 0. So does one that cannot be read, if the other can: a treatment that refuses requests
    which control answers would otherwise choose its own sample. Where neither can be read, there is nothing to judge.

    Args:
        control: Control's answer.
        treatment: The treatment's answer.
        judge: Returns a score in 0..1, or None for "cannot tell"; it only sees answers that did not fail.

    Returns:
        None if the judge cannot tell of one of them.
    """
    if _unread(control) and _unread(treatment):
        return None
    scores = [0.0 if not answer.ok or _unread(answer) else judge(answer) for answer in (control, treatment)]
    first, second = scores
    return None if first is None or second is None else PairScore(first, second)


def referred(control: Answer, treatment: Answer, judge: Callable[[str], float | None]) -> PairScore | None:
    """Score each answer's text against a reference that both share: without a text, an answer is wrong.

    Args:
        control: Control's answer.
        treatment: The treatment's answer.
        judge: Returns the score of a text in 0..1, or None for "cannot tell".
    """
    first, second = (judge(a.text) if a.ok and a.text is not None else 0.0 for a in (control, treatment))
    return None if first is None or second is None else PairScore(first, second)


def against_control(
    control: Answer, treatment: Answer, likeness: Callable[[str, str], float | None]
) -> PairScore | None:
    """Score the treatment by its likeness to control, which scores 1 by definition.

    Where control itself failed, or its answer could not be read, there is nothing to be like: the pair does not count.

    Args:
        control: Control's answer.
        treatment: The treatment's answer.
        likeness: Of (control's text, the treatment's text), in 0..1; None for "cannot tell".
    """
    if not control.ok or control.text is None:
        return None
    if not treatment.ok or treatment.text is None:
        return PairScore(1.0, 0.0)
    found = likeness(control.text, treatment.text)
    return None if found is None else PairScore(1.0, found)


def _unread(answer: Answer) -> bool:
    return answer.ok and answer.text is None and not answer.empty and not answer.tool_calls
