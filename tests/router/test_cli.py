"""The `touchstone` command: what it prints, its exit codes, and never a traceback for what a user can mend."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from tests_history import CONFIG, Life, bad, good, live_through, living, write_config
from typer.testing import CliRunner, Result

from router.cli import app

ROOT = Path(__file__).parents[2]
READERS = (["status"], ["explain", "support"], ["replay", "support"])


def touchstone(*arguments: str | Path) -> Result:
    """Run the command in this process; what it does not catch itself is raised here."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


def one_line(result: Result) -> str:
    """What was said on standard error, which is one line, with exit code 2 and nothing else."""
    assert (result.exit_code, result.stdout) == (2, "")
    [line] = result.stderr.splitlines()
    assert line.startswith("touchstone: ")
    return line.removeprefix("touchstone: ")


@pytest.fixture(name="life")
def _life(tmp_path: Path) -> Iterator[Life]:
    with living(tmp_path) as life:
        yield life


@pytest.mark.parametrize("command", ["check", "serve"])
def test_a_file_of_warm_up_requests_that_cannot_be_used_is_one_line(tmp_path: Path, command: str) -> None:
    config = write_config(tmp_path)
    (tmp_path / "warm.jsonl").write_text('{"path": "/v1/models", "body": {}}\nnot json\n')
    name = next(line for line in config.read_text().splitlines() if line.startswith("[backends."))
    config.write_text(config.read_text() + f'\n{name[:-1]}.warmup]\nrequests = "warm.jsonl"\n')

    assert "warm.jsonl:2" in one_line(touchstone(command, "--config", config))


# --- check ------------------------------------------------------------------------------------------------------------


def test_check_says_what_a_configuration_means(tmp_path: Path) -> None:
    path = write_config(tmp_path)

    done = touchstone("check", "--config", path)

    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == f"{path}: fine. 2 backends (original, int4), 1 experiments."
    assert "int4 against original, split 10 % -> 50 %" in done.stdout


def test_check_shows_the_shipped_configuration_to_be_fine() -> None:
    done = touchstone("check", "--config", ROOT / "config.toml")

    assert done.exit_code == 0
    assert len(done.stdout.splitlines()) == 3


def test_check_tells_every_error_at_once_with_its_line(tmp_path: Path) -> None:
    path = write_config(tmp_path, CONFIG.replace("mirror_percent = 100", "mirror_percent = 101\nmirorr = 1"))

    done = touchstone("check", "--config", path)

    assert (done.exit_code, done.stdout) == (2, "")
    said = done.stderr.splitlines()
    assert said[0] == "touchstone: the configuration has errors:"
    assert [line.removeprefix(str(path)).partition("  ")[0] for line in said[1:]] == [":20", ":21"]
    assert "must be between 0 and 100" in said[1]


@pytest.mark.parametrize("arguments", [["check"], *READERS, ["serve"], ["proxy"], ["control"]])
def test_a_configuration_that_is_not_there_is_named(tmp_path: Path, arguments: list[str]) -> None:
    done = touchstone(*arguments, "-c", tmp_path / "none.toml")

    assert done.exit_code == 2
    _, problem = done.stderr.splitlines()
    assert problem == f"{tmp_path}/none.toml:1  file: cannot be read: No such file or directory"


def test_the_configuration_is_looked_for_in_the_folder_one_is_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_config(tmp_path)
    monkeypatch.chdir(tmp_path)

    assert touchstone("check").stdout.startswith(f"{tmp_path}/config.toml: fine.")


# --- status, explain, replay ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", READERS)
def test_without_a_database_it_says_so_in_one_line(tmp_path: Path, arguments: list[str]) -> None:
    done = touchstone(*arguments, "--config", write_config(tmp_path))

    assert one_line(done) == (
        f"no database at {tmp_path}/touchstone.db: has `touchstone serve` run with this configuration?"
    )


@pytest.mark.parametrize("arguments", READERS)
@pytest.mark.parametrize(
    ("content", "said"), [(b"", "no such table: "), (b"no database" * 99, "file is not a database")]
)
def test_a_database_that_cannot_be_read_is_one_line(
    tmp_path: Path, arguments: list[str], content: bytes, said: str
) -> None:
    path = write_config(tmp_path)
    (tmp_path / "touchstone.db").write_bytes(content)

    assert one_line(touchstone(*arguments, "--config", path)).startswith(f"the database cannot be read: {said}")


@pytest.mark.parametrize("command", ["explain", "replay"])
def test_an_experiment_that_is_not_configured_is_told_with_those_that_are(tmp_path: Path, command: str) -> None:
    path = write_config(tmp_path)

    said = one_line(touchstone(command, "suport", "--config", path))

    assert said == f"no experiment 'suport' in {path}; there are: support"


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


# --- the command itself -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["check", "serve", "proxy", "control", "status", "explain", "replay"])
def test_every_command_explains_itself_and_hides_what_only_the_supervisor_uses(command: str) -> None:
    done = touchstone(command, "--help")

    assert done.exit_code == 0
    assert "--config" in done.stdout
    assert "--exit-with-parent" not in done.stdout
    assert "--fd" not in done.stdout


def test_without_a_command_it_lists_them_and_an_unknown_one_is_refused() -> None:
    for command in ("check", "serve", "status", "explain", "replay"):
        assert command in touchstone("--help").stdout
    assert touchstone("chek").exit_code == 2
    assert touchstone("explain").exit_code == 2


def test_the_command_line_is_there_before_anything_heavy_is_loaded() -> None:
    code = (
        "import sys, router.cli; print([m for m in ('sqlalchemy', 'pydantic', 'scipy', 'aiohttp') if m in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


def test_as_a_process_it_has_exit_code_2_and_no_traceback(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "router", "check"]

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "touchstone: the configuration has errors:\nconfig.toml:1  file: cannot be read: No such file or directory\n"
    )


@pytest.mark.parametrize("arguments", [["status"], ["explain", "support"]])
def test_a_slice_value_of_a_user_can_never_break_the_command_line(tmp_path: Path, arguments: list[str]) -> None:
    """A slice value is what a client sent in a header; square brackets in it are no markup."""
    with living(tmp_path) as life:
        life.start()
        life.serve(0, 40, lambda _: "no", **{"x-language": "[/b]"})
        life.tick()
        done = CliRunner().invoke(app, [*arguments, "-c", str(life.config.path)], catch_exceptions=False)
    assert done.exit_code == 0
    assert "[/b]" in done.stdout


def test_a_missing_postgresql_driver_is_one_line(tmp_path: Path) -> None:
    path = write_config(tmp_path, CONFIG.replace("sqlite:///touchstone.db", "postgresql://u@127.0.0.1:1/t"))
    code = """
import sys
sys.modules["psycopg"] = None
sys.argv = ["touchstone", "status", "-c", sys.argv[1]]
from router.cli import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_a_postgresql_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    path = write_config(tmp_path, CONFIG.replace("sqlite:///touchstone.db", "postgresql://u@127.0.0.1:1/t"))
    done = CliRunner().invoke(app, ["status", "-c", str(path)], catch_exceptions=False)
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
