"""`touchstone judge`: figures for people and for programs, and one clear line for what is wrong."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from experiments.scoring.score_tasks import task_values
from experiments.store import open_store
from router.commandline.judge import judge

CONFIG = """\
[backends.original]
url = "http://127.0.0.1:9101"
[backends.int4]
url = "http://127.0.0.1:9102"
[backends.big]
url = "http://127.0.0.1:9103"
[experiments.support]
match = { path = "/v1/chat/completions" }
control = "original"
treatment = "int4"
mirror_percent = 10
split_percent = 10
[experiments.support.monitors]
better = { scorer = "judge", judge = { backend = "big" } }
same = { scorer = "agreement" }
"""


@pytest.fixture(name="run")
def _run(tmp_path: Path):
    (tmp_path / "config.toml").write_text(CONFIG)
    store = open_store(f"sqlite:///{tmp_path / 'touchstone.db'}")
    store.migrate()
    store.save_outcomes([], [], [task_values("p1", "support", 1, "better", 1.0)])
    store.close()
    app = typer.Typer()
    app.command()(judge)
    return lambda *args: CliRunner().invoke(app, [*args, "--config", str(tmp_path / "config.toml")])


def test_the_only_judge_is_meant_unless_another_is_named(run) -> None:
    shown = run("support")

    assert shown.exit_code == 0
    assert "1 wait" in shown.stdout
    assert "none: cannot tell" in shown.stdout


def test_the_same_as_json(run) -> None:
    found = json.loads(run("support", "--metric", "better", "--json").stdout)

    assert (found["metric"], found["waiting"], found["wins"]["tie"]["share"]) == ("better", 1, None)


def test_a_metric_without_a_judge_is_refused_with_those_that_have_one(run) -> None:
    refused = run("support", "--metric", "same")

    assert refused.exit_code == 2
    assert "no metric 'same' with a judge in support; there are: better" in refused.stderr
