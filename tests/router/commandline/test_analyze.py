"""`touchstone analyze`: what it says, and what it refuses."""

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import typer
from tests_commandline import one_line
from tests_history import CONFIG, Life, bad, live_through, living
from typer.testing import CliRunner, Result

from experiments.exporting.export import Export
from router.commandline.analyze import analyze
from router.commandline.common import out

pytestmark = pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")
EXPECTED = [
    "agreement",
    "all",
    "traffic",
    "80",
    "-30.0",
    "points",
    "-47.9",
    "to",
    "-14.6",
    *["24", "/", "0", "+6.5", "/", "-1.2"],
]
APP = typer.Typer(pretty_exceptions_enable=False)
APP.command()(analyze)


def asked(life: Life, *arguments: object) -> Result:
    return CliRunner().invoke(
        APP, ["support", "-c", str(life.config.path), *map(str, arguments)], env={"COLUMNS": "160"}
    )


@pytest.fixture(name="life", scope="module")
def _life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    folder = tmp_path_factory.mktemp("life")
    with living(folder, CONFIG.replace("sqlite:///touchstone.db", f"sqlite:///{folder}/touchstone.db")) as life:
        live_through(life, bad, ticks=2)
        list(Export(life.store.engine, "support", folder / "out", "parquet").run())
        yield life


def test_it_shows_every_metric_and_says_that_it_decides_nothing(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(out, "width", 160)

    done = asked(life)

    assert (done.exit_code, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].startswith(
        "support, epoch 1, as its 2 looks counted: 80 live exchanges, 80 units analysed (duckdb,"
    )
    assert lines[2].split() == EXPECTED
    assert "No interval for cost, latency, tokens_per_second, ttft: 81 units" in done.stdout
    assert lines[-1].startswith("No verdict:")


def test_an_export_needs_no_configuration_and_says_the_same(life: Life, tmp_path: Path) -> None:
    folder, units = life.config.path.parent / "out", tmp_path / "units.parquet"
    done = asked(
        life, "--data", folder, "-c", tmp_path / "none.toml", "--json", "--units-out", units, "--slice", "x-language=hi"
    )

    found = json.loads(done.stdout)
    assert {row["slice"] for row in found["metrics"]} == {"", "x-language=hi"}
    first = found["metrics"][0]
    assert (first["metric"], first["units"], first["losses"]) == ("agreement", 80, 24)
    assert first["estimate"] == pytest.approx(-0.3, abs=1e-9)
    assert pq.read_metadata(units).num_rows > 80


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--engine", "clickhouse"], "--engine 'clickhouse' is none that is run: duckdb, postgres, spark; for"),
        (["--as-of", "noon"], "--as-of 'noon' is neither looks nor all"),
        (["--scorer", "agreement"], "--scorer 'agreement' must be METRIC=VERSION"),
        (["--slice", "plan"], "--slice 'plan' is in no row; there are: x-language=en, x-language=hi"),
        (["--epoch", "7"], "exchanges.epoch: support has no epoch 7; there are: 1"),
        (["--data", "nowhere"], "nowhere is no folder"),
        (["--engine", "oracle", "--show-sql"], "--engine 'oracle' is unknown; there are: duckdb, postgres, spark"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_one_line(life: Life, arguments: list[str], message: str) -> None:
    assert one_line(asked(life, *arguments)).startswith(message)


def test_sql_is_shown_for_engines_that_are_not_run(life: Life) -> None:
    done = asked(life, "--engine", "clickhouse", "--show-sql")

    assert done.exit_code == 0
    assert done.stdout.startswith("-- clickhouse: compiled, not run\n")
    assert "-- places\nSELECT" in done.stdout
