"""The page says of each system what its newest run says, and of what did not run that it did not."""

from __future__ import annotations

from benchmarks.compatibility import Run, System, runs, systems
from benchmarks.compatibility_page import PAGE, page


def noted(system: str, result: str, command: str = "pytest a", detail: str = "3 passed") -> Run:
    return Run(
        system=system, version="1.2", command=command, at="2026-11-26 02:00", result=result, detail=detail,
        seconds=4.4, where="Python 3.11", revision="abc",
    )  # fmt: skip


def test_the_page_is_that_of_the_runs() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(systems(), runs())


def test_of_each_system_the_newest_run_counts_if_it_is_of_its_command() -> None:
    table = {
        name: System(name=name, area=area, what="w.", command="pytest a")
        for name, area in (("good", "One"), ("old", "One"), ("new", "Two"), ("bad", "Two"))
    } | {"never": System(name="never", area="Two", what="w.", not_run="No GPU | none.")}
    text = page(
        table,
        [
            noted("good", "failed"), noted("good", "passed"), noted("old", "passed", command="pytest b"),
            noted("bad", "failed", detail="1 failed"),
        ],
    )  # fmt: skip

    rows = {line.split(" | ")[0].removeprefix("| "): line for line in text.splitlines() if line.startswith("| ")}
    assert rows["good"] == (
        "| good | 1.2 | **passed**: 3 passed | w. `pytest a` | 2026-11-26 02:00, 4 s, Python 3.11, revision abc |"
    )
    assert "not run yet: its command has changed" in rows["old"]
    assert "not run yet" in rows["new"]
    assert "failed: 1 failed" in rows["bad"]
    assert rows["never"] == "| never |  | not run here | w. No GPU \\| none. |  |"
    assert sum("**passed**" in line for line in rows.values()) == 1
    assert text.index("## One") < text.index("## Two")
