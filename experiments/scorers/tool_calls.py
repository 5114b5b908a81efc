"""Whether the treatment calls as many tools as control does."""

from __future__ import annotations

from experiments.golden.sets import Expected
from experiments.scorers.base import Answer, PairScore


class ToolCalls:
    """Control scores 1 by definition; the treatment scores 1 if it calls the same number of tools.

    The number is all that the store keeps of a call: its name and its arguments are not compared. Traffic that calls
    no tool agrees in every pair, so match it away, or the figure says less than it seems to.
    """

    version = "tool_calls/1 count"
    needs_text = False

    def score(self, control: Answer, treatment: Answer, expected: Expected | None) -> PairScore | None:  # noqa: ARG002
        """Compare the two counts; None where control failed, or this kind of answer has no tools."""
        if not control.ok or control.tool_calls is None:
            return None
        return PairScore(1.0, float(treatment.ok and treatment.tool_calls == control.tool_calls))
