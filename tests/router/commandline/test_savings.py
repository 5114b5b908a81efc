"""`touchstone savings`: what was used and saved, as a table and as data, also before anything has run."""

from __future__ import annotations

import json
from pathlib import Path

import typer
from tests_history import CONFIG, good, live_through, living, write_config
from typer.testing import CliRunner

from experiments.store import open_store
from router.commandline.savings import savings

app = typer.Typer()
app.command()(savings)
WIDE = {"COLUMNS": "200", "NO_COLOR": "1"}


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    found = CliRunner().invoke(app, [*arguments, "--config", str(folder / "config.toml")], env=WIDE)
    return found.exit_code, found.output


def test_it_adds_up_what_is_new_and_tells_it_by_variant(tmp_path: Path) -> None:
    with living(tmp_path) as life:
        live_through(life, good, ticks=3)

    code, said = run(tmp_path)
    _, data = run(tmp_path, "support", "--json")

    # 10 tokens asked and 5 answered, at 1 and at 0.5 USD per million.
    control, treatment = json.loads(data)[0]["account"]["variants"]
    assert code == 0
    for one, price in ((control, 1.0), (treatment, 0.5)):
        assert one["answers"] > 0
        assert round(one["spent"]["usd"] * 1e6, 6) == one["answers"] * 15 * price
    assert "control (original)" in said
    assert "Money: saves" in said, "it is promoted"
    assert "Energy: cannot tell: no pair has a known energy; both backends need their power" in said
    assert "treatment: its answers to users have saved" in said
    assert "the traffic is taken as it was seen" in said


def test_before_anything_has_run_nothing_is_claimed(tmp_path: Path) -> None:
    write_config(tmp_path, CONFIG)
    missing = run(tmp_path)
    store = open_store(f"sqlite:///{tmp_path / 'touchstone.db'}")
    store.migrate()
    store.close()

    code, said = run(tmp_path)

    assert missing[0] == 2
    assert "no database at" in missing[1]
    assert code == 0
    assert "Money: cannot tell: no request has come in yet" in said


def test_an_experiment_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    write_config(tmp_path, CONFIG)

    code, said = run(tmp_path, "nothing")

    assert code == 2
    assert "no experiment 'nothing'" in said
