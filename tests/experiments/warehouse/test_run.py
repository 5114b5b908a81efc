"""An analysis says what it was made of, and refuses what would mix figures."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from tests_rows import METRICS, experiment, history

from experiments.evaluation.counts import Key
from experiments.warehouse import Analysis, WarehouseError, analyze
from experiments.warehouse.sources import opened

ROWS = history(7, experiment(), requests=40)
TABLES = ROWS.tables()


def run(folder: Path, changes: dict[str, pa.Table] | None = None, **asked) -> Analysis:
    with opened(ROWS.write(folder, **(changes or {})), "support") as source:
        return analyze(source, ROWS.experiment, **asked)


def replaced(table: str, column: str, change: Callable[[pa.Array], pa.Array]) -> dict[str, pa.Table]:
    found = TABLES[table]
    return {table: found.set_column(found.schema.get_field_index(column), column, change(found[column]))}


def half(table: str, column: str, value: object) -> dict[str, pa.Table]:
    """The table with another value in its second half."""
    later = pc.greater(TABLES[table]["seq"], len(TABLES[table]) // 2)
    return replaced(table, column, lambda old: pc.if_else(later, pa.scalar(value, old.type), old))


def test_units_go_to_a_file_of_their_own(tmp_path: Path) -> None:
    found = run(tmp_path, as_of="all", units_out=tmp_path / "units.parquet")

    units = pq.read_table(tmp_path / "units.parquet").to_pylist()
    mine = [u for u in units if (u["metric"], u["slice"]) == ("agreement", "language=hi")]
    row = found.row("agreement", "language=hi")
    assert len(mine) == row.units
    assert sum(u["mean"] for u in mine) / len(mine) == pytest.approx(row.estimate)
    assert {(u["split_basis_points"], u["assigned"]) for u in units} <= {
        (split, arm) for split in (1_000, 5_000) for arm in ("control", "treatment")
    }


def test_only_attributes_that_are_asked_for_are_followed(tmp_path: Path) -> None:
    found = run(tmp_path, as_of="all", attributes=("language",))

    assert {row.slice.partition("=")[0] for row in found.metrics} == {"", "language"}


@pytest.mark.parametrize(
    ("changes", "asked", "message"),
    [
        (half("exchanges", "epoch", 2), {}, r"exchanges.epoch: support has epochs 1, 2, and .* --epoch N"),
        ({}, {"epoch": 4}, r"exchanges.epoch: support has no epoch 4; there are: 1$"),
        (half("outcomes", "scorer", "new/2"), {"as_of": "all"}, r"outcomes.scorer: \w+ has several versions, .* new/2"),
        (
            half("outcomes", "scorer", "new/2"),
            {"scorers": dict.fromkeys(METRICS, "new/2")},
            r"outcomes.scorer: \w+ has several versions: .*--as-of looks cannot",
        ),
        ({}, {"scorers": {"agreement": "x"}}, r"outcomes.scorer: agreement has no version 'x'; there are: agreement/1"),
        (half("outcomes", "value", 3.5), {}, r"outcomes.value: .* has 3.5, and a difference must be in \[-1, 1\]"),
        (half("outcomes", "value", float("nan")), {}, r"outcomes.value: .* has nan, and a difference must be"),
        (half("exchanges", "propensity", 1.5), {}, r"exchanges.propensity: 1.5 is there, and must be in \[0, 1\]"),
        (half("exchanges", "stage", -1), {}, r"exchanges.stage: -1 is there, and must be in \[0, 127\]"),
        (
            replaced("exchanges", "experiment", lambda old: pa.array(["other"] * len(old))),
            {},
            r"exchanges.experiment: there is no row of 'support'; there are: 'other'$",
        ),
        ({"exchanges": TABLES["exchanges"].slice(0, 0)}, {}, r"no row of 'support'; there are: no rows at all$"),
    ],
)  # fmt: skip
def test_what_cannot_be_counted_is_one_line(tmp_path: Path, changes: dict, asked: dict, message: str) -> None:
    with pytest.raises(WarehouseError, match=message) as caught:
        run(tmp_path, changes, **asked)
    assert "\n" not in str(caught.value)


def test_one_version_of_several_is_counted_if_it_is_chosen(tmp_path: Path) -> None:
    changes = half("outcomes", "scorer", "new/2")
    found = run(tmp_path, changes, as_of="all", scorers=dict.fromkeys(METRICS, "new/2")).row("agreement")

    assert found.scorer == "new/2"
    assert 0 < found.pairs < ROWS.ledger(at_once=True).pair_counts[Key("agreement")].pairs
