"""A report as Markdown: the same words, tables that hold together, and no markup but its own."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.reporting.content import Report
from router.reporting.markdown import plain, render_markdown
from router.reporting.words import readable


@pytest.fixture(name="text", scope="module")
def _text(report: Report) -> str:
    return render_markdown(report)


def _outside_of_fences(text: str) -> list[str]:
    lines, fence = [], ""
    for line in text.splitlines():
        opening = re.match(r"`{3,}", line)
        if fence:
            fence = "" if line == fence else fence
        elif opening:
            fence = opening[0]
        else:
            lines.append(line)
    assert fence == ""
    return lines


def test_nothing_that_people_wrote_is_html_or_a_cell_of_its_own(text: str) -> None:
    lines = _outside_of_fences(text)

    assert not [line for line in lines if re.search(r"(?<!\\)<", line)]
    assert [line for line in lines if r"\| owner" in line]


def test_every_row_of_a_table_has_as_many_cells_as_its_head(text: str) -> None:
    width = 0
    for line in _outside_of_fences(text):
        cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
        assert cells == width or not width or not cells, line
        width = cells


def test_it_says_what_the_html_says(text: str, report: Report) -> None:
    for part in (report.summary.verdict, *report.summary.reasons, *(method.subject for method in report.methods)):
        assert plain(part) in text
    assert all(epoch.config_hash in text and epoch.config in text for epoch in report.epochs)
    assert f"{report.replayed[0].same} of {report.replayed[0].looks} looks identical" in text if report.replayed else ""
    assert all(plain(figure.drawn.alt_text()) in text for figure in report.figures if "forest" not in figure.id)


@given(st.text())
def test_a_text_is_one_line_without_a_bare_sign_of_markup(written: str) -> None:
    said = plain(written)

    assert len(said.splitlines()) <= 1
    assert re.sub(r"\\(.)", r"\1", said) == readable(" ".join(written.split()))
    assert not re.search(r"(?<!\\)(?:\\\\)*[<>|`*_\[\]]", said.replace("\\\\", ""))
