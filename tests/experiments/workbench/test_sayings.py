"""What was concluded, in words and in a notebook."""

import math

from experiments.evidence import Action, Code, Decision, Reason
from experiments.workbench.sayings import Decided, natural


def test_a_decision_is_a_sentence_with_its_reasons_and_escaped_in_html() -> None:
    reason = Reason(code=Code.NOT_YET_NONINFERIOR, metric="<script>", margin=0.02, estimate=0.0, units=3)

    decided = Decided.of(7, Decision(action=Action.HOLD, reasons=[reason]))

    assert str(decided).splitlines() == [
        "look 7: kept running",
        "- <script> may still be worse by 2 points or more: +0.0 points after 3 units",
    ]
    assert decided._repr_html_().startswith("<p><strong>look 7: kept running</strong></p><ul><li>&lt;script&gt; may")


def test_an_e_value_beyond_all_numbers_is_infinite() -> None:
    assert (natural(math.log(20)), natural(5_000.0), natural(None)) == (math.exp(math.log(20)), math.inf, None)
