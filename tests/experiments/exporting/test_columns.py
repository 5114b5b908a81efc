"""Every column of an export is described, once, with the unit that its name promises."""

from experiments.exporting import columns as meanings
from experiments.exporting.schema import schema, sources


def test_every_column_that_is_exported_is_described_and_no_other() -> None:
    described = [meanings.EXCHANGE, meanings.OUTCOME, meanings.FEEDBACK, meanings.LOOK, meanings.TRANSITION]

    for source, texts in zip(sources(with_texts=True), described, strict=True):
        assert set(source.columns) == set(texts), source.schema.name
        assert all(text.text.endswith(".") for text in texts.values())
        assert {"seq", "epoch", "at"} <= set(source.columns), "what part files need"


def test_a_name_that_ends_in_a_unit_has_that_unit() -> None:
    suffixes = {"_ms": "ms", "_at": "s since 1970-01-01 (UTC)", "_tokens": "tokens", "_basis_points": "basis points"}
    for table in schema().tables:
        for column in table.columns:
            for suffix, unit in suffixes.items():
                if column.name.endswith(suffix):
                    assert column.unit.startswith(unit), column.name
