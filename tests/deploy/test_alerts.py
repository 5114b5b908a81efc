"""The alert rules ring for what they are for, ask for what is exposed, and say what to do."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests_promql import problems, series_of

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "prometheus"
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="needs promtool (Debian: apt-get install prometheus)")


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((FOLDER / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def promtool(*arguments: str) -> str:
    done = subprocess.run([str(PROMTOOL), *arguments], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@needs_promtool
def test_prometheus_takes_the_files_and_each_rule_rings_for_what_it_is_for() -> None:
    promtool("check", "config", "prometheus.yml")
    promtool("check", "rules", "--lint=all", "--lint-fatal", "alerts.yml")
    assert "SUCCESS" in promtool("test", "rules", "alerts_test.yml")


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_a_rule_asks_for_what_is_exposed(rule: dict[str, Any]) -> None:
    assert problems(rule["expr"]) == []
    # And its texts name only labels that its result can have.
    named = set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
    assert problems(f"sum by ({', '.join(sorted(named))}) ({rule['expr']})") == []


def test_each_rule_says_how_urgent_it_is_what_happened_and_where_to_read_what_to_do() -> None:
    page = (ROOT / "docs" / "observability.md").read_text(encoding="utf-8")
    headings = {heading.lower() for heading in re.findall(r"^#### (\w+)$", page, re.MULTILINE)}

    for rule in rules():
        notes = rule["annotations"]
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert notes["summary"].endswith(".")
        link = re.fullmatch(r"\{\{ \$externalLabels\.docs \}\}observability\.html#(\w+)", notes["runbook_url"])
        assert link is not None
        assert link[1] == rule["alert"].lower()
        assert link[1] in headings, rule["alert"]
    assert headings == {rule["alert"].lower() for rule in rules()}, "a heading for an alert that is no more"


def test_each_rule_is_tested_both_ways() -> None:
    tests = yaml.safe_load((FOLDER / "alerts_test.yml").read_text(encoding="utf-8"))["tests"]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    rings = {case["alertname"] for case in cases if case["exp_alerts"]}
    quiet = {case["alertname"] for case in cases if not case["exp_alerts"]}

    assert rings == quiet == {rule["alert"] for rule in rules()}


def test_what_is_wrong_in_an_expression_is_found() -> None:
    assert problems("touchstone_gone_total > 0") == ["no series touchstone_gone_total"]
    assert problems('touchstone_proxies{variant="a"} > 0') == ["touchstone_proxies has no label variant"]
    assert problems("sum by (variant) (touchstone_proxies) > 0")[0].endswith("has the label variant")
    assert series_of("rate(touchstone_request_duration_seconds_count[5m])") == {
        "touchstone_request_duration_seconds_count"
    }
