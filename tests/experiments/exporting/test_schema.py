"""What is exported changes only with its version, and the documentation has every table as it is."""

import re
from pathlib import Path

import pytest

from experiments.exporting.manifest import SCHEMA_VERSION
from experiments.exporting.schema import markdown, schema

FINGERPRINTS = {1: "a23057615b97fba1", 2: "107b0a97e1f310c3"}
"""Schema version -> of that version. Something else is exported: raise SCHEMA_VERSION, and add its fingerprint."""
DOCUMENTATION = Path(__file__).parents[3] / "docs" / "export.md"


def test_what_is_exported_changes_only_with_the_version_of_the_schema() -> None:
    assert schema().fingerprint == FINGERPRINTS[SCHEMA_VERSION]


@pytest.mark.parametrize("table", schema().tables, ids=lambda table: table.name)
def test_the_documentation_has_every_table_as_it_is(table) -> None:
    text = DOCUMENTATION.read_text(encoding="utf-8")

    section = re.search(rf"### `{table.name}`\n(.*?)(?=\n##|\Z)", text, re.DOTALL)

    assert section is not None
    assert markdown(table) in section.group(1), f"write instead:\n\n{markdown(table)}"
    assert table.row in section.group(1)
