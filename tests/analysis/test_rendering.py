"""Results render as small tables: escaped, without script, the same whatever they hold."""

import re

import pytest

from analysis.confidence import confidence_sequence
from analysis.eprocess import DifferenceCounts
from analysis.outcomes import paired_differences
from analysis.paired_means import paired_t
from analysis.rendering import cell, table_html
from analysis.request_log import Requests
from analysis.result import Estimate, NotEstimable, TestResult
from analysis.samples import unit_states
from analysis.sequential import MeanState

RESULTS = [
    Estimate(0.1, float("-inf"), 0.2, 0.95, 40, "<b>a method</b>", ("independent units",)),
    NotEstimable("<script>alert(1)</script>"),
    TestResult(1.5, 0.13, 40, "a test"),
    confidence_sequence(DifferenceCounts.from_ltw(3, 50, 1), 0.05),
    paired_t(MeanState.of([0.1, 0.3, -0.2, 0.4])),
    unit_states(Requests(["a", "b"]), {"m": paired_differences([1, 0], [1, 1])}),
]


@pytest.mark.parametrize("result", RESULTS, ids=lambda result: type(result).__name__)
def test_a_result_is_a_table_with_a_caption_and_a_row_a_field(result) -> None:
    html = result._repr_html_()

    assert html.startswith(f"<table><caption>{type(result).__name__}</caption>")
    assert set(re.findall(r"</?(\w+)", html)) == {"table", "caption", "tbody", "tr", "th", "td"}
    assert html.count("<tr>") == html.count('<th scope="row">') > 0


def test_rendering_leaves_records_as_they_were() -> None:
    estimate = RESULTS[0]

    assert estimate == Estimate(0.1, float("-inf"), 0.2, 0.95, 40, "<b>a method</b>", ("independent units",))
    assert not hasattr(estimate, "__dict__")


def test_a_table_has_a_heading_for_each_column_and_a_long_text_is_cut() -> None:
    html = table_html("<pairs>", ["<a>", "b"], [["x" * 1_000, None]])

    assert html.count('<th scope="col">') == 2
    assert "<a>" not in html
    assert len(cell("x" * 1_000)) == 300
