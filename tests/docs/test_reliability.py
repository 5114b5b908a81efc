"""Every fault of the matrix names a test, and every test that the page names is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reliability.md").read_text(encoding="utf-8")
ROWS = {row.split("|")[1].strip(): row for row in PAGE.splitlines() if re.match(r"\| F\d+ \|", row)}
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))


def test_the_matrix_has_all_24_faults_in_order() -> None:
    assert list(ROWS) == [f"F{number}" for number in range(1, 25)]


@pytest.mark.parametrize("fault", ROWS)
def test_a_fault_names_a_test(fault: str) -> None:
    assert "`tests/" in ROWS[fault].split("|")[-2]


@pytest.mark.parametrize(("file", "test"), NAMED, ids=[test for _, test in NAMED])
def test_a_named_test_is_there(file: str, test: str) -> None:
    assert re.search(rf"^(async )?def {test}\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)
