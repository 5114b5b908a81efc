"""A golden run as it is sent: its figures, a line an item, a row a tag; nothing of a prompt or an answer."""

from __future__ import annotations

import csv
import json

import msgspec

from experiments.golden.runs import ItemResult, Outcome
from experiments.golden.store import GoldenRun
from experiments.golden.verdict import verdict
from experiments.golden.words import summary
from router.monitoring.runs import BY_TAG, RESULTS, golden_report

OK, WRONG = Outcome.OK, Outcome.WRONG


def stored(number: int = 2) -> GoldenRun:
    """Run the verdict for real: 40 items, of which the treatment loses eight in Hindi."""
    results = [
        ItemResult(
            id=f"i{n}",
            control=OK,
            treatment=WRONG if n < 8 else OK,
            tags=("language=hi",) if n < 20 else ("language=en",),
        )
        for n in range(40)
    ]
    found = verdict(results, run_number=number)
    items = [{"id": r.id, "control": r.control.value, "treatment": r.treatment.value} for r in results]
    return GoldenRun(
        experiment="support", epoch=3, number=number, at=1_700_000_000.0, actor="cli:ann", result=found.result.value,
        summary=summary(found), verdict=msgspec.to_builtins(found), items=items,
    )  # fmt: skip


def test_it_has_its_items_its_table_by_tag_and_its_figures() -> None:
    report = golden_report(stored())

    assert report.name == "support/3/golden-2"
    assert (report.tags["touchstone.golden_result"], report.words) == ("failed", ["golden:failed"])
    assert report.tags["touchstone.golden_asked_by"] == "person"
    assert (report.figures["n"], report.figures["losses"], report.figures["loss"]) == (40.0, 8.0, 0.2)
    lines = [json.loads(line) for line in report.files[RESULTS].splitlines()]
    assert lines[0] == {"id": "i0", "control": "ok", "treatment": "wrong"}
    assert len(lines) == 40
    rows = {row["tag"]: row for row in csv.DictReader(report.files[BY_TAG].splitlines())}
    assert set(rows) == {"all", "language=hi", "language=en"}
    assert (rows["language=hi"]["losses"], rows["language=en"]["losses"], rows["all"]["n"]) == ("8", "0", "40")


def test_its_digest_changes_with_anything_of_it() -> None:
    assert golden_report(stored()).digest == golden_report(stored()).digest != golden_report(stored(3)).digest


def test_a_run_without_a_verdict_has_an_empty_table() -> None:
    bare = msgspec.structs.replace(stored(), verdict={}, items=[])

    report = golden_report(bare)

    assert report.figures == {}
    assert report.files[RESULTS] == ""
    assert len(report.files[BY_TAG].splitlines()) == 1
