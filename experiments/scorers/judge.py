"""A model that says which of two answers is better: blinded, its position drawn and sometimes swapped.

The judge sees "answer A" and "answer B", never whose they are. Which one is A is drawn by the pair's id. A share of the
pairs is asked a second time in the other order: a judge that then says something else has judged the position, and the
pair is a tie.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from experiments.config import asking
from experiments.model import CONTROL, TREATMENT
from experiments.protocols import protocol
from experiments.scorers import judge_prompt
from experiments.scorers.asking import Asked, Asking, Failed, Question, drawn
from experiments.scorers.base import Answer, PairScore
from experiments.scorers.verdicts import TIE, Verdict, read_verdict

PATH = "/v1/chat/completions"
_MOST_TOKENS = 400
_BETTER = {CONTROL: PairScore(1.0, 0.0), TREATMENT: PairScore(0.0, 1.0), TIE: PairScore(0.5, 0.5)}
_OTHER = {CONTROL: TREATMENT, TREATMENT: CONTROL}


class Judge:
    """The better answer scores 1 and the other 0; a tie is a half for both.

    A failed or empty answer loses against one that is there, and nothing is asked; nor is it where both say the same.

    Args:
        judge: The metric's `judge = { ... }`.
    """

    def __init__(self, judge: asking.Judge) -> None:
        self._model, self._ties, self._swap_percent = judge.model, judge.ties, judge.swap_percent
        self._rubric = judge.rubric.strip() or judge_prompt.RUBRIC
        self.asking = Asking(
            backend=judge.backend,
            sample_percent=judge.sample_percent,
            max_calls_per_day=judge.max_calls_per_day,
            timeout_s=judge.timeout_s,
            retries=judge.retries,
            may_be_compared=judge.allow_compared,
        )
        told = (judge.backend, self._model, self._rubric, str(self._ties), judge_prompt.TEMPLATE)
        self.version = f"judge/1:{sha256(repr(told).encode()).hexdigest()[:6]}"

    def questions(self, pair: str, control: Answer, treatment: Answer) -> list[Question]:
        """Return one question, or two if the pair is drawn to be swapped; none where the answers themselves tell."""
        if _told(control, treatment) is not None or None in (control.text, treatment.text):
            return []
        first = self._question(pair, control, treatment, self._first(pair))
        if not self._is_swapped(pair):
            return [first]
        return [first, self._question(pair, control, treatment, _OTHER[self._first(pair)])]

    def read(self, pair: str, control: Answer, treatment: Answer, replies: Sequence[bytes]) -> Asked | Failed | None:
        """Score a pair by what the judge said; None where an answer is a call of a tool, or neither can be read."""
        if (told := _told(control, treatment)) is not None:
            return told
        if not replies:
            return None
        verdicts: list[Verdict] = []
        for reply in replies:
            verdict = read_verdict(_content(reply), ties=self._ties)
            if isinstance(verdict, Failed):
                return verdict
            verdicts.append(verdict)
        return self._asked(self._first(pair), verdicts)

    def _asked(self, first: str, verdicts: Sequence[Verdict]) -> Asked:
        better = [_variant(verdict, shown) for verdict, shown in zip(verdicts, (first, _OTHER[first]), strict=False)]
        swapped = len(verdicts) > 1
        consistent = len(set(better)) == 1
        detail: dict[str, Any] = {
            "first": first,
            "picked": verdicts[0].picked,
            "swapped": swapped,
            "consistent": consistent,
            "reason": verdicts[0].reason,
        }
        if swapped:
            detail["picked_swapped"] = verdicts[1].picked
        return Asked(_BETTER[better[0] if consistent else TIE], detail)

    def _question(self, pair: str, control: Answer, treatment: Answer, first: str) -> Question:
        one, other = (control, treatment) if first == CONTROL else (treatment, control)
        asked = judge_prompt.messages(
            pair, self._rubric, control.prompt, one.text or "", other.text or "", ties=self._ties
        )
        body: dict[str, Any] = {
            "messages": asked,
            "temperature": 0,
            "max_tokens": _MOST_TOKENS,
            "response_format": judge_prompt.response_format(ties=self._ties),
        }
        return Question(PATH, body | ({"model": self._model} if self._model else {}))

    def _first(self, pair: str) -> str:
        return CONTROL if drawn(50, pair, "position") else TREATMENT

    def _is_swapped(self, pair: str) -> bool:
        return drawn(self._swap_percent, pair, "swap")


def _told(control: Answer, treatment: Answer) -> Asked | None:
    """Return what needs no judge: a side with nothing to judge, or the same answer twice."""
    there = [_is_there(answer) for answer in (control, treatment)]
    if all(there):
        texts = [answer.text for answer in (control, treatment) if answer.text is not None]
        same = len(texts) == 2 and texts[0].split() == texts[1].split()
        return _unasked(_BETTER[TIE], "the same answer") if same else None
    if any(there):
        return _unasked(_BETTER[CONTROL if there[0] else TREATMENT], "only one answer")
    if not (control.ok and treatment.ok):
        # As in other scorers: a failure counts, and never falls out of the figures.
        return _unasked(PairScore(0.0, 0.0), "no answer")
    return _unasked(_BETTER[TIE], "both empty") if control.empty and treatment.empty else None


def _is_there(answer: Answer) -> bool:
    """Whether there is something to judge. A call of a tool is something, though no judge can be shown it."""
    return answer.ok and (bool((answer.text or "").strip()) or bool(answer.tool_calls))


def _unasked(score: PairScore, why: str) -> Asked:
    return Asked(score, {"asked": False, "why": why})


def _variant(verdict: Verdict, first: str) -> str:
    return TIE if verdict.picked == TIE else first if verdict.picked == "A" else _OTHER[first]


def _content(reply: bytes) -> str | None:
    return protocol("openai").answer(reply.decode("utf-8", "replace")).text
