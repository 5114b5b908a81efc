"""`touchstone daily`: a day's table, as words and as data, and one line where there is nothing."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
import typer
from tests_history import CONFIG, write_config
from typer.testing import CliRunner

from experiments.store import Outcome, open_store
from router.commandline import common
from router.commandline.daily import daily

app = typer.Typer()
app.command()(daily)
DAY = "2026-03-01"
WIDE = {"COLUMNS": "160", "NO_COLOR": "1"}


@pytest.fixture(name="config")
def _config(tmp_path: Path) -> str:
    power = "[backends.int4.power]\nwatts = 350\nuncertainty_percent = 25\n[experiments.support]"
    path = write_config(tmp_path, CONFIG.replace("[experiments.support]", power, 1))
    store = open_store(f"sqlite:///{tmp_path / 'touchstone.db'}")
    store.migrate()
    at = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()
    made = [
        Outcome(
            pair=f"p{n}", metric=metric, scorer=scorer, experiment="support", epoch=1, stage=0, unit="u", at=at,
            slices={"x-language": "hi-Latn"}, control_value=control, treatment_value=treatment, value=0.0,
        )
        for n in range(4)
        for metric, scorer, control, treatment in (
            ("agreement", "agreement/1", 1.0, float(n > 0)),
            ("latency", "latency/1", 100.0, 50.0),
            ("energy", "energy/1", 0.42, 0.21),
        )
    ]  # fmt: skip
    store.save_outcomes(made, [])
    store.close()
    return str(path)


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, arguments, env=WIDE)
    return result.exit_code, result.output


def test_a_day_is_a_table_with_units(config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common.out, "_width", 160)  # it is made before any test can say how wide the terminal is
    code, said = run("support", "--day", DAY, "--config", config)

    lines = [" ".join(line.replace("│", " ").split()) for line in said.splitlines()]
    assert code == 0
    assert lines[0] == f"support, epoch 1, {DAY} (UTC)"
    assert "agreement all traffic treatment 4 75.0 % - -" in lines
    assert "agreement Hinglish control 4 100.0 % - -" in lines
    assert "latency all traffic treatment 4 50 ms - -" in lines
    assert "energy all traffic treatment 4 0.21 Wh (± 25 %) - -" in lines


def test_as_data_it_is_what_is_stored(config: str) -> None:
    code, said = run("--day", DAY, "--json", "--config", config)

    rows = msgspec.json.decode(said)
    with closing(sqlite3.connect(Path(config).parent / "touchstone.db")) as connection:
        [stored] = connection.execute("SELECT count(*) FROM daily_quality").fetchall()
    assert code == 0
    assert stored == (len(rows),) == (12,)
    assert rows[0] == {
        "experiment": "support",
        "epoch": 1,
        "day": DAY,
        "metric": "agreement",
        "slice": "",
        "variant": "control",
        "pairs": 4,
        "mean": 1.0,
        "macro_f1": None,
        "win_rate": None,
    }


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--day", "2026-03-02"], 0, "no outcome of 2026-03-02 (UTC)"),
        (["--day", "yesterday"], 2, "touchstone: 'yesterday' is no day: YYYY-MM-DD"),
        (["another"], 2, "no experiment 'another'"),
        (["--day", DAY, "--send"], 2, "there is nowhere to send it: set mlflow_tracking_uri or wandb_project"),
    ],
)
def test_what_is_not_there_is_one_line(config: str, arguments: list[str], code: int, said: str) -> None:
    found = run(*arguments, "--config", config)

    assert found[0] == code
    assert said in found[1]
