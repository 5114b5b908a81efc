"""The `touchstone` command: what it prints, its exit codes, and never a traceback for what a user can mend."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from tests_history import CONFIG, Life, bad, good, live_through, living, write_config
from typer.testing import CliRunner, Result

from experiments.telling.escalation import Event, Severity
from experiments.telling.incidents import incident_log
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


def test_an_experiment_is_paused_and_resumed_with_a_reason_that_is_kept(life: Life) -> None:
    life.start()

    paused = touchstone("pause", "support", "--reason", "the pager\nrings", "-c", life.config.path)
    again = one_line(touchstone("pause", "support", "-r", "x", "-c", life.config.path))
    resumed = touchstone("resume", "support", "-r", "all clear", "-c", life.config.path)

    assert (paused.exit_code, paused.stdout) == (0, "support: running -> paused, split 0 %\n")
    assert again == "support is paused: only a running experiment is paused"
    assert resumed.stdout.startswith("support: paused -> running")
    told = [(t.actor.partition(":")[0], t.reason) for t in life.store.transitions("support")[1:]]
    assert told == [("cli", "the pager rings"), ("cli", "all clear")]


@pytest.mark.parametrize("command", ["pause", "resume", "rollback", "promote", "stop"])
def test_a_command_needs_a_reason_and_an_experiment_that_there_is(life: Life, command: str) -> None:
    life.start()

    assert touchstone(command, "support", "-c", life.config.path).exit_code == 2
    assert one_line(touchstone(command, "support", "-r", " ", "-c", life.config.path)).startswith("a reason is needed")
    assert "there are: support" in one_line(touchstone(command, "other", "-r", "x", "-c", life.config.path))


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


# --- plan -------------------------------------------------------------------------------------------------------------


def _traffic(folder: Path, more: str = "") -> Path:
    path = folder / "traffic.toml"
    path.write_text(f"requests_per_day = 2000\nunits_per_day = 1000\n{more}", encoding="utf-8")
    return path


def test_plan_says_before_the_start_what_to_expect_and_needs_no_database(tmp_path: Path) -> None:
    config = write_config(tmp_path)

    done = touchstone("plan", "--traffic", _traffic(tmp_path, "[discordance]\nagreement = 0.1\n"), "-c", config)

    assert (done.exit_code, done.stderr) == (0, "")
    said = done.stdout.splitlines()
    assert said[0] == "support: 1,000 new units a day, 1,000 of them with a mirrored request"
    assert any(line.startswith("- agreement, all traffic: if there is no loss, one of 20 points is") for line in said)
    assert any(line.startswith("warning: cannot tell") for line in said)
    assert not (tmp_path / "touchstone.db").exists()


def test_plan_as_json_has_the_same_experiments(tmp_path: Path) -> None:
    done = touchstone("plan", "-t", _traffic(tmp_path), "-e", "support", "--json", "-c", write_config(tmp_path))

    assert [made["experiment"] for made in json.loads(done.stdout)] == ["support"]


def test_plan_refuses_an_unknown_experiment_and_a_file_of_traffic_that_is_wrong_in_one_line(tmp_path: Path) -> None:
    config = write_config(tmp_path)

    stranger = one_line(touchstone("plan", "-t", _traffic(tmp_path), "-e", "suport", "-c", config))
    missing = one_line(touchstone("plan", "-t", tmp_path / "none.toml", "-c", config))
    misspelt = one_line(touchstone("plan", "-t", _traffic(tmp_path, "eror_rate = 0.1"), "-c", config))

    assert stranger == f"no experiment 'suport' in {config}; there are: support"
    assert missing == f"{tmp_path / 'none.toml'}: cannot be read: No such file or directory"
    assert misspelt.startswith(f"{tmp_path / 'traffic.toml'}: eror_rate: ")
    assert touchstone("plan", "-c", config).exit_code == 2


def test_plan_of_a_configuration_without_experiments_is_one_line(tmp_path: Path) -> None:
    config = write_config(tmp_path, '[router]\ndefault_backend = "a"\n[backends.a]\nurl = "http://127.0.0.1:9"\n')

    assert "there is nothing to plan" in one_line(touchstone("plan", "-t", _traffic(tmp_path), "-c", config))


# --- acknowledge and audit --------------------------------------------------------------------------------------------


def test_an_incident_is_acknowledged_by_its_key_and_stands_in_the_audit(life: Life, tmp_path: Path) -> None:
    life.start()
    key, now = "support/1/rolled_back/0", time.time()
    incident_log(life.store).record([Event(key=key, severity=Severity.CRITICAL, at=now, title="rolled back")])
    config = tmp_path / "config.toml"

    done = touchstone("acknowledge", key, "--reason", " on\nit ", "-c", config)
    again = touchstone("acknowledge", "support/9/x", "--reason", "on it", "-c", config)
    silent = touchstone("acknowledge", key, "--reason", " ", "-c", config)
    audit = touchstone("audit", "support", "-c", config)

    assert (done.exit_code, done.stdout) == (0, f"{key}: acknowledged, and told no more unless it happens again\n")
    assert one_line(again).startswith("nothing has happened under the key 'support/9/x'")
    assert one_line(silent) == "a reason is needed: --reason TEXT"
    rows = [json.loads(line) for line in audit.stdout.splitlines()]
    assert [(row["what"], row["why"]) for row in rows] == [("epoch started", "first epoch"), ("acknowledged", "on it")]
    assert rows[1]["actor"].startswith("cli:")


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
