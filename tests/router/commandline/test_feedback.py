"""`touchstone feedback import`: what it prints, its exit codes, and never a traceback for what a user can mend."""

from pathlib import Path

import pytest
from tests_history import good, living
from typer.testing import CliRunner, Result

from experiments.model import Role
from experiments.store import Store
from router.commandline.feedback import feedback


@pytest.fixture(name="lived", scope="module")
def _lived(tmp_path_factory: pytest.TempPathFactory):
    """A folder with a configuration and a store that knows answers."""
    with living(tmp_path_factory.mktemp("lived")) as life:
        life.start()
        life.serve(0, 20, good)
        life.tick()
        yield life


def touchstone(*arguments: object) -> Result:
    return CliRunner().invoke(feedback, [str(argument) for argument in arguments], catch_exceptions=False)


def bring(lived, file: Path, *more: object) -> Result:
    return touchstone("import", file, "--experiment", "support", "--config", lived.config.path, *more)


def an_answer(store: Store) -> str:
    exchanges = store.exchanges("support", 1, 0, 10**9)
    return next(item.exchange.id for item in exchanges if item.exchange.role == Role.LIVE)


def test_a_good_file_is_stored_and_a_second_time_changes_nothing(lived, tmp_path: Path) -> None:
    file = tmp_path / "votes.csv"
    file.write_text(f"exchange,metric,value\n{an_answer(lived.store)},complaint,false\n")

    tried = bring(lived, file, "--dry-run")
    before = lived.store.watermarks().feedback
    done, again = bring(lived, file), bring(lived, file)

    assert (tried.exit_code, done.exit_code, again.exit_code) == (0, 0, 0)
    assert tried.stdout == "1 lines: 1 feedback and 0 right answers would be stored, 0 there already, 0 refused\n"
    assert done.stdout == "1 lines: 1 feedback and 0 right answers stored, 0 there already, 0 refused\n"
    assert again.stdout == "1 lines: 0 feedback and 0 right answers stored, 1 there already, 0 refused\n"
    assert lived.store.watermarks().feedback == before + 1


def test_refused_lines_are_told_by_number_and_no_terminal_obeys_them(lived, tmp_path: Path) -> None:
    file = tmp_path / "votes.jsonl"
    file.write_text('{"exchange": "\\u001b[31m", "metric": "complaint", "value": 1}\n' * 25)

    done = bring(lived, file)

    told = done.stdout.splitlines()
    assert done.exit_code == 1
    assert told[0].startswith(f"{file}:1: no exchange has the id")
    assert told[19:] == [
        told[0].replace(":1:", ":20:"),
        "... and 5 more lines that are refused",
        "25 lines: 0 feedback and 0 right answers stored, 0 there already, 25 refused",
    ]
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("votes.csv", "exchange,metric\n", "votes.csv:1: no column value"),
        ("votes.txt", "", "votes.txt: a file of feedback is .csv, .jsonl or .ndjson"),
        ("missing.csv", None, "missing.csv cannot be read: No such file or directory"),
    ],
)
def test_a_file_that_is_wrong_is_one_clear_line(lived, tmp_path: Path, name: str, content, said: str) -> None:
    file = tmp_path / name
    if content is not None:
        file.write_text(content)

    done = bring(lived, file)

    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == f"touchstone: {tmp_path}/{said}\n"


def test_an_experiment_that_is_none_is_told(lived, tmp_path: Path) -> None:
    done = touchstone("import", tmp_path / "x.csv", "-e", "nobody", "-c", lived.config.path)

    assert done.exit_code == 2
    assert "no experiment 'nobody'" in done.stderr


def test_a_source_must_have_a_name_and_no_novel(lived, tmp_path: Path) -> None:
    unnamed = [bring(lived, tmp_path / "x.csv", "--source", name) for name in (" ", "s" * 201)]

    assert [done.exit_code for done in unnamed] == [2, 2]
    assert "--source must not be empty" in unnamed[0].stderr
    assert "--source: the source is longer than 200 characters" in unnamed[1].stderr
