"""`touchstone forget` on a real database and journal: done, done with a rest that is named, or refused in one line."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from sqlalchemy import select
from tests_history import Life, living
from typer.testing import CliRunner, Result

from experiments.journal.format import end_mark, segment_name
from experiments.tables import EXCHANGE, FORGOTTEN
from router.commandline.forget import forget


@pytest.fixture(name="life")
def _life(tmp_path: Path) -> Iterator[Life]:
    with living(tmp_path) as life:
        life.start()
        yield life


def run(life: Life, *arguments: str) -> Result:
    app = typer.Typer()
    app.command()(forget)
    return CliRunner().invoke(app, [*arguments, "-c", str(life.config.path)], catch_exceptions=False)


def end_segment(life: Life) -> None:
    with (life.journal / segment_name(os.getpid(), 1, 1)).open("ab") as file:
        file.write(end_mark())


def test_a_user_is_forgotten_though_all_of_theirs_was_still_in_the_journal(life: Life) -> None:
    life.serve(0, 6)
    end_segment(life)

    done = run(life, "--unit", "user-3", "--reason", "she  asked\nfor it", "-e", "support")

    assert (done.exit_code, list(life.journal.glob("*.journal"))) == (0, [])
    assert "support: 2 exchanges are of nobody now, and have no texts" in done.output
    with life.store.engine.connect() as connection:
        prompts = connection.execute(select(EXCHANGE.c.id, EXCHANGE.c.prompt).where(EXCHANGE.c.role == "live"))
        assert {row.id for row in prompts if row.prompt is None} == {"live-3"}
        assert connection.execute(select(FORGOTTEN.c.reason)).scalars().all() == ["she asked for it"]
    again = run(life, "--unit", "user-3", "--reason", "again")
    assert (again.exit_code, "nothing is stored of this user" in again.output) == (0, True)


def test_what_may_still_be_in_a_file_is_named(life: Life) -> None:
    life.serve(0, 6)

    done = run(life, "--unit", "user-3", "--reason", "asked", "--wait", "0")

    assert done.exit_code == 1
    assert f"{segment_name(os.getpid(), 1, 1)} is not loaded yet, and may hold texts: run this again" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--unit", "user-3", "--reason", "user-3 asked"), "the reason is kept: it must not contain the id"),
        (("--unit", "user-3", "--reason", " "), "the user's id and a reason are needed"),
        (("--unit", "", "--reason", "asked"), "the user's id and a reason are needed"),
        (("--unit", "user-3", "--reason", "asked", "-e", "suport"), "there is no experiment 'suport', neither in"),
    ],
)
def test_what_cannot_be_done_is_one_line(life: Life, arguments: tuple[str, ...], said: str) -> None:
    done = run(life, *arguments)

    assert done.exit_code == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
