"""`touchstone rescore`: what it says that it did."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from sqlalchemy import text
from tests_history import Life, bad, living
from typer.testing import CliRunner, Result

from router.commandline.rescore import rescore


@pytest.fixture(name="life")
def _life(tmp_path: Path) -> Iterator[Life]:
    with living(tmp_path) as life:
        life.start()
        life.serve(0, 6, bad)
        life.tick()
        yield life


def touchstone(life: Life, *arguments: str) -> Result:
    app = typer.Typer()
    app.command()(rescore)
    return CliRunner().invoke(app, [*arguments, "--config", str(life.config.path)], catch_exceptions=False)


def test_it_says_what_was_scored_anew_and_then_that_all_is_well(life: Life) -> None:
    with life.store.engine.begin() as connection:
        connection.execute(text("UPDATE outcome SET scorer = 'agreement/0' WHERE metric = 'agreement'"))
        connection.execute(text("UPDATE exchange SET answer = NULL, erased_at = 1 WHERE id = 'live-5'"))

    done, again = touchstone(life, "support"), touchstone(life, "support", "--metric", "agreement")

    assert (done.exit_code, again.exit_code) == (0, 0)
    assert "5 scored anew, 1 left as they were, since their texts are erased" in done.stdout
    assert "scored anew" not in again.stdout


def test_nothing_to_do_is_said_too(life: Life) -> None:
    assert touchstone(life, "support").stdout.endswith("all are of the present version\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["suport"], "no experiment"), (["support", "-m", "x"], "agreement"), (["support", "--labels"], "no labels")],
)
def test_what_cannot_be_rescored_is_one_line(life: Life, arguments: list[str], said: str) -> None:
    done = touchstone(life, *arguments)

    assert (done.exit_code, done.stdout) == (2, "")
    [line] = done.stderr.splitlines()
    assert said in line
