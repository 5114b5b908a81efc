"""Every test that the threat model names is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/security.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))


def test_the_threat_model_names_tests() -> None:
    assert len(NAMED) > 25


def test_every_threat_names_what_shows_that_it_is_met() -> None:
    _, _, threats = PAGE.partition("## Threats and measures")
    threats, _, _ = threats.partition("## What is not covered")
    rows = [line for line in threats.splitlines() if line.startswith("|") and not line.startswith(("| threat", "|---"))]

    assert len(rows) > 30
    assert [row for row in rows if "`tests/" not in row and "by reading" not in row] == []


@pytest.mark.parametrize(("file", "test"), NAMED, ids=[test for _, test in NAMED])
def test_a_named_test_is_there(file: str, test: str) -> None:
    assert re.search(rf"^(async )?def {test}\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)
