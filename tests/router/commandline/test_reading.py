"""`status`, `explain`, `replay` and `audit`: what they print, and their exit codes."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from tests_commandline import one_line, touchstone
from tests_history import Life, bad, good, live_through, living

READERS = (["status"], ["explain", "support"], ["replay", "support"])


@pytest.fixture(name="life")
def _life(tmp_path: Path) -> Iterator[Life]:
    with living(tmp_path) as life:
        yield life


@pytest.mark.parametrize(("answer", "said"), [(good, "promoted"), (bad, "rolled back")])
def test_what_was_decided_is_shown_and_recomputed(life: Life, answer, said: str) -> None:
    live_through(life, answer)

    status, explained, replayed = (touchstone(*arguments, "--config", life.config.path) for arguments in READERS)

    assert [done.exit_code for done in (status, explained, replayed)] == [0, 0, 0]
    assert f"int4 against original: {said}." in " ".join(explained.stdout.split())
    assert "looks recomputed to the last bit." in replayed.stdout
    assert "support" in status.stdout


def test_as_json_it_is_data_and_nothing_else(life: Life) -> None:
    live_through(life, good)

    status, explained, replayed = (
        json.loads(touchstone(*arguments, "--json", "-c", life.config.path).stdout) for arguments in READERS
    )

    assert [row["phase"] for row in status] == ["promoted"]
    assert explained["look"]["decision"]["action"] == "promote"
    assert [look["same"] for look in replayed["looks"]] == [True] * 3


def test_a_replay_that_comes_out_otherwise_has_exit_code_1_and_names_the_look(life: Life) -> None:
    live_through(life, good)
    with life.store.engine.begin() as connection:
        connection.execute(text("UPDATE outcome SET value = -1 WHERE seq > 400"))

    done = touchstone("replay", "support", "--config", life.config.path)

    assert done.exit_code == 1
    assert "look 3: stored promote, recomputed " in done.stdout
    assert "DIFFERENT" in done.stdout
    assert (
        json.loads(touchstone("replay", "support", "--json", "-c", life.config.path).stdout)["looks"][2]["same"]
        is False
    )


def test_before_the_first_look_nothing_is_wrong_and_there_is_nothing_to_replay(life: Life) -> None:
    life.store.migrate()

    codes = [touchstone(*arguments, "--config", life.config.path).exit_code for arguments in READERS]

    assert codes == [0, 0, 1]


@pytest.mark.parametrize("arguments", [["status"], ["explain", "support"]])
def test_a_slice_value_of_a_user_can_never_break_the_command_line(tmp_path: Path, arguments: list[str]) -> None:
    """A slice value is what a client sent in a header; square brackets in it are no markup."""
    with living(tmp_path) as life:
        life.start()
        life.serve(0, 40, lambda _: "no", **{"x-language": "[/b]"})
        life.tick()
        done = touchstone(*arguments, "-c", life.config.path)
    assert done.exit_code == 0
    assert "[/b]" in done.stdout


def test_the_audit_as_csv_has_a_header_and_the_ends_of_lines_of_csv(life: Life, tmp_path: Path) -> None:
    live_through(life, bad)

    done = touchstone("audit", "--format", "csv", "-c", tmp_path / "config.toml")

    header, *rows = done.stdout_bytes.decode().split("\r\n")
    assert header == "time,actor,experiment,epoch,what,from,to,why,look,evidence"
    assert len(rows) >= 3


def test_the_audit_refuses_an_unknown_experiment_and_an_unknown_format_in_one_line(life: Life, tmp_path: Path) -> None:
    life.start()
    config = tmp_path / "config.toml"

    assert one_line(touchstone("audit", "suport", "-c", config)) == (
        "no experiment 'suport' has begun; there are: support"
    )
    assert one_line(touchstone("audit", "--format", "xml", "-c", config)) == "'xml' is no format: json or csv"
