"""A report as HTML: whole, alone, and deaf to whatever people and models wrote into the experiment."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from base64 import b64encode
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from tests_history import START, living

from router.reporting.content import Report, gather
from router.reporting.html import render_html

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Reading(HTMLParser):
    """A report as a browser would take it apart."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.texts: list[str] = []
        self.open = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.open = tag
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002  # the name is html.parser's
        self.open = ""

    def handle_data(self, data: str) -> None:
        if self.open == "script":
            attributes, text = self.scripts.pop()
            self.scripts.append((attributes, text + data))
        else:
            self.texts.append(data)


@pytest.fixture(name="text", scope="module")
def _text(report: Report) -> str:
    return render_html(report)


@pytest.fixture(name="reading", scope="module")
def _reading(text: str) -> Reading:
    return Reading(text)


def test_no_element_points_anywhere(reading: Reading) -> None:
    addresses = [
        value
        for _, attributes in reading.elements
        for name, value in attributes.items()
        if name in {"src", "href", "srcset", "action", "data", "poster"}
    ]

    assert addresses == ["data:,"]


def test_hostile_texts_are_shown_as_texts_and_make_no_element(reading: Reading, hostile: str) -> None:
    said = "".join(reading.texts)

    assert said.count(hostile) >= 6  # hypothesis, owner, slice, golden run, reason, configuration
    assert not any(tag == "img" or "onerror" in attributes for tag, attributes in reading.elements)
    assert [attributes for attributes, _ in reading.scripts if "src" in attributes] == []


def test_the_only_scripts_that_may_run_are_those_whose_hashes_its_policy_names(reading: Reading) -> None:
    policy = next(a["content"] for tag, a in reading.elements if tag == "meta" and "http-equiv" in a) or ""
    running = [text for attributes, text in reading.scripts if attributes.get("type") != "application/json"]

    named = set(re.findall(r"'sha256-([^']+)'", policy))
    assert named == {b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in running}
    assert len(running) == 2
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy.partition("script-src")[2].partition(";")[0]


def test_every_figure_is_in_it_with_a_sentence_and_a_table(reading: Reading, report: Report) -> None:
    figures = [attributes for tag, attributes in reading.elements if "data-figure" in attributes]
    specs = {a["id"]: json.loads(text) for a, text in reading.scripts if a.get("type") == "application/json"}

    assert [figure["data-figure"] for figure in figures] == list(specs)
    assert set(specs) == {figure.id for figure in report.figures}
    assert all(figure["aria-label"] for figure in figures)
    assert sum(1 for tag, _ in reading.elements if tag == "figure") == len(figures)


def test_it_says_what_a_meeting_and_an_auditor_need(reading: Reading, report: Report) -> None:
    said = " ".join("".join(reading.texts).split())
    summary = report.summary

    looks = [f"epoch {found.number}: {found.same} of {found.looks} looks identical" for found in report.replayed or []]
    hashes = [epoch.config_hash for epoch in report.epochs]
    for part in (summary.verdict, *summary.reasons, summary.savings[0].text, *looks, *hashes, "asymptotic"):
        assert " ".join(part.split()) in said
    assert said.index(" ".join(summary.verdict.split())) < said.index("Decision and reasons")


def test_an_experiment_that_has_not_begun_has_a_report_too(tmp_path: Path) -> None:
    with living(tmp_path) as life:
        life.store.migrate()
        report = gather(life.store, life.config, "support", now=START, with_replay=True)
    said = " ".join("".join(Reading(render_html(report)).texts).split())

    for part in ("Not started", "No look has been taken yet.", "there is no look yet", report.present_hash):
        assert part in said


def test_signs_that_turn_the_reading_direction_are_shown(report: Report) -> None:
    summary = msgspec.structs.replace(report.summary, hypothesis="safe \u202egnihton")

    assert "safe \\u202egnihton" in render_html(report._replace(summary=summary))


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_browser_draws_it_from_a_file_and_asks_for_nothing(text: str, report: Report, tmp_path: Path) -> None:
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the extra dev")
    file = tmp_path / "report.html"
    file.write_text(text, encoding="utf-8", newline="\n")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        asked: list[str] = []
        errors: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("dialog", lambda dialog: errors.append(dialog.message))
        page.goto(file.as_uri())
        drawn = page.locator("[data-figure] svg.main-svg >> nth=0").count()
        figures = page.evaluate(
            "[...document.querySelectorAll('[data-figure]')].filter(f => f.querySelector('svg')).length"
        )
        paper = page.pdf(prefer_css_page_size=True)
        browser.close()

    assert asked == [file.as_uri()]
    assert errors == []
    assert drawn
    assert figures == len(report.figures)
    assert paper.startswith(b"%PDF")
