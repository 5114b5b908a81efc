"""`touchstone status --watch`: draws again when something has changed, says what is old, and ends on Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from tests_history import Life, living

from router.commandline import watching
from router.views import View

ROOT = Path(__file__).parents[3]


@pytest.fixture(name="life")
def _life(tmp_path: Path) -> Iterator[Life]:
    with living(tmp_path) as life:
        life.start()
        yield life


def test_a_look_a_transition_and_a_gate_change_what_is_compared(life: Life) -> None:
    seen = [watching.fingerprint(life.store)]
    life.serve(0, 10)
    seen.append(watching.fingerprint(life.store))
    life.tick()
    seen.append(watching.fingerprint(life.store))

    assert seen[0] == seen[1], "requests alone change nothing that is shown"
    assert seen[1] != seen[2]


def test_a_store_that_is_away_is_told_once_and_its_return_too(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    rename = "ALTER TABLE {} RENAME TO {}"

    def execute(statement: str) -> None:
        with life.store.engine.begin() as connection:
            connection.execute(text(statement))

    steps = iter([
        lambda: execute(rename.format("route", "away")),
        lambda: None,
        lambda: execute(rename.format("away", "route")),
        lambda: None,
    ])  # fmt: skip

    def sleep(_seconds: float) -> None:
        step = next(steps, None)
        if step is None:
            raise KeyboardInterrupt
        step()

    monkeypatch.setattr(watching.time, "sleep", sleep)
    with pytest.raises(KeyboardInterrupt):
        watching._follow(life.store, life.config, lambda _view, note: drawn.append(note.split()[0]), 1.0)

    assert drawn == ["as", "STALE", "as"]


def test_ctrl_c_is_no_error(life: Life, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(watching.time, "sleep", interrupt)

    watching.watch_status(life.store, life.config, json=False)

    assert "support" in capsys.readouterr().out


def test_a_line_is_one_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    watching.print_line(View([{"a": "b\nc"}]))

    assert capsys.readouterr().out == '[{"a":"b\\nc"}]\n'


def test_as_a_process_it_prints_a_line_a_change_and_ends_with_0_on_ctrl_c(life: Life) -> None:
    command = [sys.executable, "-m", "router", "status", "--watch", "--json", "-c", str(life.config.path)]
    pipe = subprocess.PIPE
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment) as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        life.serve(0, 10)
        life.tick()
        second = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        try:
            _, errors = process.communicate(timeout=15)
        finally:
            process.kill()  # where SIGINT is ignored from the start (a job in the background), it would never end

    assert (process.returncode, errors) == (0, "")
    assert [first[0]["units"], second[0]["units"]] == [0, 10]
