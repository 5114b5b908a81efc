"""The `touchstone` command itself: every command with good and bad input, and never a traceback."""

import json
import sys
from pathlib import Path

import pytest
from tests_commandline import touchstone, write_traffic
from tests_history import CONFIG, good, live_through, living, write_config

from router.commandline import app as commandline
from router.commandline.reference import commands

REASON = ("--reason", "a test")
CASES: dict[str, tuple[str, ...]] = {
    "init": ("--control-url", "http://a", "--treatment-url", "http://b", "--force", "--yes"),
    "check": (),
    "plan": ("--traffic", "traffic.toml"),
    "simulate": ("--traffic", "traffic.toml", "--runs", "1", "--units", "100"),
    "bench-pair": ("support",),
    "convert": ("config.toml", "--to", "growthbook", "--stage", "0"),
    "demo": (),
    "serve": (),
    "proxy": (),
    "record": (),
    "control": (),
    "status": (),
    "explain": ("support",),
    "pairs": ("support",),
    "daily": ("support",),
    "savings": ("support",),
    "judge": ("support",),
    "replay": ("support",),
    "report": ("support", "--out", "report.html"),
    "audit": ("support",),
    "export": ("support", "--out", "out"),
    "analyze": ("support",),
    "pause": ("support", *REASON),
    "resume": ("support", *REASON),
    "advance": ("support", *REASON),
    "promote": ("support", *REASON),
    "rollback": ("support", *REASON),
    "stop": ("support", *REASON),
    "acknowledge": ("support/1/x/0", *REASON),
    "token": ("asha", "--role", "read"),
    "forget": ("--unit", "user-1", *REASON, "--wait", "0"),
    "rescore": ("support",),
    "golden run": ("support",),
    "labels import": ("labels.jsonl",),
    "feedback import": ("feedback.jsonl", "--experiment", "support"),
}
"""Every command, with arguments that it takes."""
RUNNING = {"demo", "serve", "proxy", "record", "control"}
WITHOUT_CONFIG = {"convert"}
"""It is named as what is to be converted."""
WITHOUT_STORE = {"bench-pair", "convert", "init", "check", "plan", "simulate", "token", "golden run", *RUNNING}
ALL_AT_ONCE = {"check", "status", "acknowledge", "token", "forget", "labels import", "init", *RUNNING}
"""Commands that name no experiment of the configuration, or need not."""
OTHERWISE = {
    "bench-pair": 2,  # there is no golden set
    "judge": 2,  # there is none in the configuration
    "resume": 2,
    "pause": 2,
    "advance": 2,
    "promote": 2,
    "stop": 2,  # it has been promoted already
    "acknowledge": 2,  # nothing happened under that key
    "token": 2,  # the configuration names no file for it
    "forget": 1,  # the journal is still being written: this process lives
    "golden run": 2,  # there is no golden set
}
"""Exit codes on an experiment that has been promoted, where they are not 0."""


def run(name: str, folder: Path, *more: str, arguments: tuple[str, ...] | None = None):
    given = CASES[name] if arguments is None else arguments
    places = [str(folder / word) if "." in word or word == "out" else word for word in given]
    config = () if name in WITHOUT_CONFIG else ("--config", folder / "config.toml")
    return touchstone(*name.split(), *places, *config, *more)


def test_every_command_there_is_is_tried_here() -> None:
    assert sorted(commands()) == sorted(CASES)


@pytest.fixture(name="lived", scope="module")
def _lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lived")
    with living(folder, CONFIG) as life:
        live_through(life, good)
    write_traffic(folder, "error_rate = 0.01\n[discordance]\nagreement = 0.1\n")
    for name in ("labels.jsonl", "feedback.jsonl"):
        (folder / name).touch()
    return folder


@pytest.mark.parametrize("name", [name for name in CASES if name not in {"init", *RUNNING}])
def test_a_command_does_its_work_or_says_why_not(lived: Path, name: str) -> None:
    done = run(name, lived)

    assert done.exit_code == OTHERWISE.get(name, 0), done.stderr
    assert ("touchstone: " in done.stderr.replace("touchstone: note: ", "")) == (name in OTHERWISE)


WITH_JSON = [name for name, command in commands().items() if any("--json" in option.opts for option in command.params)]


@pytest.mark.parametrize("name", [name for name in WITH_JSON if name not in {"rollback", "plan", "simulate"}])
def test_with_json_there_is_json_on_standard_output_and_nothing_else(lived: Path, name: str) -> None:
    done = run(name, lived, "--json")

    if done.exit_code == 2:
        assert (name in OTHERWISE, done.stdout) == (True, "")
    else:
        json.loads(done.stdout)


def test_only_what_prints_one_line_or_is_json_anyway_or_runs_has_no_json() -> None:
    assert {*CASES} - {*WITH_JSON} == {"init", "convert", "acknowledge", "token", "audit", *RUNNING}


@pytest.mark.parametrize("name", [name for name in CASES if name not in {"init", "demo", *WITHOUT_CONFIG}])
def test_a_configuration_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    done = run(name, tmp_path)

    assert (done.exit_code, done.stdout) == (2, "")
    problem = done.stderr.splitlines()[1]
    assert problem == f"{tmp_path}/config.toml:1  file: cannot be read: No such file or directory"


@pytest.mark.parametrize("name", [name for name in CASES if name not in WITHOUT_STORE])
def test_without_a_database_it_says_so_in_one_line(tmp_path: Path, name: str) -> None:
    write_config(tmp_path, CONFIG + JUDGED)

    done = run(name, tmp_path)

    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == (
        f"touchstone: no database at {tmp_path}/touchstone.db: has `touchstone serve` run with this configuration?\n"
    )


JUDGED = """\
[experiments.support.monitors]
better = { scorer = "judge", judge = { backend = "original", allow_compared = true } }
"""


@pytest.mark.parametrize("name", [name for name in CASES if name not in WITHOUT_STORE])
def test_a_database_that_was_never_set_up_is_one_line(tmp_path: Path, name: str) -> None:
    write_config(tmp_path, CONFIG + JUDGED)
    (tmp_path / "touchstone.db").touch()
    (tmp_path / "labels.jsonl").write_text('{"pair": "live-1", "metric": "agreement", "label": "a"}\n')
    (tmp_path / "feedback.jsonl").write_text('{"exchange": "live-1", "metric": "complaint", "value": true}\n')

    done = run(name, tmp_path)

    assert done.exit_code == 2
    assert done.stderr.splitlines()[-1].startswith("touchstone: the database cannot be read: no such table: ")


@pytest.mark.parametrize("name", [name for name in CASES if name not in ALL_AT_ONCE])
def test_an_experiment_that_there_is_not_is_told_with_those_that_there_are(lived: Path, name: str) -> None:
    named = tuple("suport" if word == "support" else word for word in CASES[name])
    arguments = named if "suport" in named else (*named, "--experiment", "suport")

    done = run(name, lived, arguments=arguments)

    assert done.exit_code == 2
    assert "no experiment 'suport'" in done.stderr
    assert done.stderr.rstrip().endswith("there are: support")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("name", CASES)
def test_an_option_that_there_is_not_is_refused_and_every_command_explains_itself(tmp_path: Path, name: str) -> None:
    assert run(name, tmp_path, "--no-such-option").exit_code == 2
    shown = touchstone(*name.split(), "--help")
    assert shown.exit_code == 0
    assert ("--config" in shown.stdout) == (name not in {"demo", *WITHOUT_CONFIG})
    for hidden in ("--exit-with-parent", "--fd", "--snapshot"):
        assert hidden not in shown.stdout


def test_without_a_command_it_lists_them_and_an_unknown_one_is_refused() -> None:
    shown = touchstone("--help").stdout

    for name in CASES:
        assert f" {name.split()[0]} " in shown
    assert touchstone("chek").exit_code == 2
    assert touchstone("explain").exit_code == 2


def test_a_fault_of_our_own_is_one_line_with_a_code_of_its_own_and_can_be_seen_in_full(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> None:
        raise ZeroDivisionError("a\nfault")

    monkeypatch.setattr(commandline, "app", broken)
    monkeypatch.setattr(sys, "argv", ["touchstone", "status"])
    with pytest.raises(SystemExit) as ended:
        commandline.main()
    assert ended.value.code == 4
    said = capsys.readouterr().err
    assert said.startswith("touchstone: a fault of Touchstone itself: ZeroDivisionError: a fault (")
    monkeypatch.setattr(sys, "argv", ["touchstone", "serve"])
    with pytest.raises(ZeroDivisionError):
        commandline.main()


def test_a_missing_postgresql_driver_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_config(tmp_path, CONFIG.replace("sqlite:///touchstone.db", "postgresql://u@127.0.0.1:1/t"))
    monkeypatch.setitem(sys.modules, "psycopg", None)

    done = touchstone("status", "-c", path)

    assert done.exit_code == 2
    assert done.stderr == (
        "touchstone: the database needs the module psycopg: pip install 'touchstone-router[postgres]'\n"
    )


def test_a_postgresql_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    path = write_config(tmp_path, CONFIG.replace("sqlite:///touchstone.db", "postgresql://u@127.0.0.1:1/t"))

    done = touchstone("status", "-c", path)

    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
