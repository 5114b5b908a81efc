"""A report as a file: whole or not at all."""

from pathlib import Path

import pytest
from tests_history import Life

from router.reporting.writing import write_report


@pytest.mark.parametrize("name", ["report.html", "REPORT.MARKDOWN"])
def test_what_is_there_is_replaced_by_a_whole_report_and_nothing_else_is_left(
    life: Life, tmp_path: Path, name: str
) -> None:
    out = tmp_path / name
    out.write_text("the former one")

    report = write_report(life.store, life.config, "support", out, now=life.now)

    assert report.summary.name in out.read_text(encoding="utf-8")
    assert b"\r" not in out.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_report_that_cannot_be_made_leaves_the_former_one(life: Life, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    out.write_text("the former one")

    with pytest.raises(KeyError):
        write_report(life.store, life.config, "nobody", out, now=life.now)

    assert out.read_text() == "the former one"
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_another_ending_is_refused(life: Life, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must end in"):
        write_report(life.store, life.config, "support", tmp_path / "report.pdf", now=life.now)
