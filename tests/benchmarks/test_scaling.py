"""What the page on scaling says is what the stored costs say, and bad assumptions are refused."""

from pathlib import Path

import msgspec
import pytest

from benchmarks.fleet import Assumptions, UnitCosts
from benchmarks.scaling import PLANS, STORED, assumed, options_of, plan_part, units_part
from benchmarks.scaling_page import PAGE, put, table


def test_the_page_holds_the_stored_costs_and_what_follows_of_them() -> None:
    """After a change of the arithmetic: `python -m benchmarks.scaling --stored`."""
    stored, page = msgspec.json.decode(STORED.read_bytes(), type=UnitCosts), PAGE.read_text(encoding="utf-8")
    assert units_part(stored) in page
    assert plan_part(stored, PLANS) in page


def test_one_section_is_replaced_and_all_else_stays(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- one: begin -->\nold\n<!-- one: end -->\nb\n<!-- two: begin -->\n2\n<!-- two: end -->\n")
    put("one", table(["what", "costs"], [["it", "1"]]), page)
    assert page.read_text() == (
        "a\n<!-- one: begin -->\n| what | costs |\n| --- | ---: |\n| it | 1 |\n<!-- one: end -->\nb\n"
        "<!-- two: begin -->\n2\n<!-- two: end -->\n"
    )
    with pytest.raises(ValueError, match="has no section between <!-- three: begin -->"):
        put("three", "", page)


def test_assumptions_come_from_the_command_line() -> None:
    found = assumed(options_of(["--requests-per-s", "5e4", "--mirror-percent", "0", "--host-cores", "8"]))
    assert found == Assumptions(requests_per_s=5e4, mirror_percent=0.0, host_cores=8)
    assert assumed(options_of(["--stored"])) is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--mirror-percent", "101"], "--mirror-percent 101: a number, 0 or more and at most 100"),
        (["--requests-per-s", "0"], "--requests-per-s 0: a number, above 0"),
        (["--kept-days", "-1"], "--kept-days -1: a number, 0 or more"),
        (["--busy-percent", "nan"], "--busy-percent nan: a number, above 0 and at most 100"),
    ],
)
def test_an_assumption_that_makes_no_sense_is_refused(arguments: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=f"^{said}$"):
        assumed(options_of(arguments))
