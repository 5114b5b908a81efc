"""What is noted of a run is what came of it: nothing is passed that did not run."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import compatibility
from benchmarks.compatibility import ROOT, Came, System, of_tests, run, runs, systems

CASE = '<testcase classname="c" name="{0}">{1}</testcase>'
SKIPPED = '<skipped type="pytest.skip" message="{0}"/>'


def report(*cases: str) -> str:
    return f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>"


@pytest.mark.parametrize(
    ("cases", "came"),
    [
        ([CASE.format("a", ""), CASE.format("b", "")], Came("passed", "2 passed")),
        (
            [CASE.format("a", ""), CASE.format("b", SKIPPED.format("no GPU"))],
            Came("passed", "1 passed, 1 skipped: no GPU"),
        ),
        ([CASE.format("a", SKIPPED.format("no GPU"))], Came("skipped", "1 skipped: no GPU")),
        ([CASE.format("a", "<failure/>"), CASE.format("b", "")], Came("failed", "1 failed, the first is a; 1 passed")),
        ([CASE.format("a", "<error/>")], Came("failed", "1 failed, the first is a; 0 passed")),
        ([], Came("failed", "no test was found")),
    ],
)
def test_a_run_of_tests_has_passed_if_some_have_and_none_has_failed(cases: list[str], came: Came) -> None:
    assert of_tests(report(*cases)) == came


@pytest.mark.parametrize(
    ("status", "result"), [(0, "passed"), (1, "failed"), (2, "skipped"), (3, "skipped"), (139, "failed")]
)
def test_of_a_program_its_exit_code_counts_and_its_last_line_is_told(status: int, result: str) -> None:
    code = f"print('1,000 tokens in /home/me/venv/bin/x'); raise SystemExit({status})"
    system = System(name="n", area="a", what="w.", command=f'python -c "{code}"', version_command="python --version")

    done = run("here", system)

    assert (done.result, done.detail, done.system) == (result, "1,000 tokens in x", "here")
    assert done.version.startswith("3.")


@pytest.mark.parametrize(("status", "told"), [(0, "2.0 times as fast"), (1, "a warning")])
def test_of_one_that_passed_the_line_is_told_that_its_row_asks_for(status: int, told: str) -> None:
    code = f"print('2.0 times as fast'); print('a warning'); raise SystemExit({status})"
    system = System(name="n", area="a", what="w.", command=f'python -c "{code}"', says="times as fast$")

    assert run("here", system).detail == told


def test_without_its_package_or_program_nothing_is_run() -> None:
    nowhere = System(name="n", area="a", what="w.", command="python -c pass", package="no-such-package-anywhere")
    missing = System(name="n", area="a", what="w.", command="no-such-program")

    assert (run("x", nowhere).result, run("x", nowhere).detail) == (
        "skipped",
        "the package no-such-package-anywhere is not installed",
    )
    assert (run("x", missing).result, run("x", missing).detail) == (
        "skipped",
        "no-such-program: No such file or directory",
    )


def test_the_table_is_whole_and_what_was_noted_is_of_systems_in_it() -> None:
    table = systems()

    assert {run.system for run in runs()} <= table.keys()
    for key, system in table.items():
        assert bool(system.command) != bool(system.not_run), key
        files = [word for word in system.command.split() if word.startswith(("tests/", "examples/"))]
        assert [name for name in files if not (ROOT / name).exists()] == [], key


def test_an_unknown_system_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert compatibility.main(["--only", "nobody"]) == 2
    assert capsys.readouterr().err.startswith("no system 'nobody'; there are: llama-cpp, ")


def test_no_run_names_a_folder_of_the_machine_that_it_was_run_on() -> None:
    text = compatibility.RUNS.read_text(encoding="utf-8")

    assert str(Path.home()) not in text
    assert str(ROOT) not in text
