"""`touchstone report`: what it writes, what it says, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from sqlalchemy import update
from tests_history import Life, bad, live_through, living
from typer.testing import CliRunner, Result

from experiments.tables import LOOK
from router.commandline.report import report


@pytest.fixture(name="life", scope="module")
def _life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    with living(tmp_path_factory.mktemp("life")) as life:
        live_through(life, bad)
        yield life


def touchstone(life: Life, out: Path, *arguments: str, experiment: str = "support") -> Result:
    app = typer.Typer()
    app.command()(report)
    words = [experiment, "--out", str(out), "--config", str(life.config.path), *arguments]
    return CliRunner().invoke(app, words, catch_exceptions=False)


@pytest.mark.parametrize(("name", "beginning"), [("report.html", "<!doctype html>"), ("REPORT.MD", "# support:")])
def test_the_form_follows_from_the_ending_and_the_verdict_is_printed(
    life: Life, tmp_path: Path, name: str, beginning: str
) -> None:
    out = tmp_path / name
    done = touchstone(life, out)

    assert done.exit_code == 0
    assert done.stdout.startswith(f"{out}: Rolled back: int4 does harm")
    assert out.read_text(encoding="utf-8").startswith(beginning)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_replay_that_differs_is_in_the_report_and_in_the_exit_code(life: Life, tmp_path: Path) -> None:
    out = tmp_path / "report.md"
    assert touchstone(life, out, "--replay").exit_code == 0
    where = (LOOK.c.epoch == 1, LOOK.c.number == 2)
    with life.store.engine.begin() as connection:
        kept = connection.execute(LOOK.select().where(*where)).mappings().one()
        connection.execute(update(LOOK).where(*where).values(exchange_seq=kept["exchange_seq"] - 1))
    try:
        done = touchstone(life, out, "--replay")
    finally:
        with life.store.engine.begin() as connection:
            connection.execute(update(LOOK).where(*where).values(exchange_seq=kept["exchange_seq"]))

    assert done.exit_code == 1
    assert "1 DIFFERENT" in out.read_text(encoding="utf-8")


def test_as_json_it_says_what_it_wrote_and_how_the_replay_came_out(life: Life, tmp_path: Path) -> None:
    done = touchstone(life, tmp_path / "report.md", "--replay", "--json")
    told = json.loads(done.stdout)

    looks = len(list(life.store.looks("support", 1)))
    assert told["replayed"] == [{"number": 1, "looks": looks, "same": looks}]
    assert told["phase"] == "rolled_back"


@pytest.mark.parametrize(
    ("name", "experiment", "said"),
    [
        ("report.pdf", "support", "must end in .html or .md; for PDF, print the .html file"),
        ("missing/report.md", "support", "cannot be written: No such file or directory"),
        ("report.md", "nobody", "no experiment 'nobody'"),
    ],
)
def test_what_cannot_be_written_is_one_line_and_leaves_nothing(
    life: Life, tmp_path: Path, name: str, experiment: str, said: str
) -> None:
    done = touchstone(life, tmp_path / name, experiment=experiment)

    assert done.exit_code == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
