"""What a person does to an experiment from a terminal: with a reason that is kept, or refused."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests_commandline import one_line, touchstone
from tests_history import Life, living

from experiments.telling.escalation import Event, Severity
from experiments.telling.incidents import incident_log
from router.commandline.acting import COMMANDS


@pytest.fixture(name="life")
def _life(tmp_path: Path) -> Iterator[Life]:
    with living(tmp_path) as life:
        yield life


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


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_needs_a_reason_and_an_experiment_that_there_is(life: Life, command: str) -> None:
    life.start()

    assert touchstone(command, "support", "-c", life.config.path).exit_code == 2
    assert one_line(touchstone(command, "support", "-r", " ", "-c", life.config.path)).startswith("a reason is needed")
    assert "there are: support" in one_line(touchstone(command, "other", "-r", "x", "-c", life.config.path))


def test_the_next_stage_is_begun_by_hand_and_after_the_last_one_there_is_none(life: Life) -> None:
    life.start()
    path = life.config.path

    done = touchstone("advance", "support", "-r", "a demo", "-c", path)
    again = touchstone("advance", "support", "-r", "a demo", "-c", path)

    assert (done.exit_code, done.stdout) == (0, "support: running -> running, stage 2, split 50 %\n")
    assert one_line(again) == "support is at its last stage: what follows is a promotion"
    assert life.store.routes()[0].split_basis_points == 5_000


def test_what_was_done_can_be_had_as_json(life: Life) -> None:
    life.start()

    done = json.loads(touchstone("stop", "support", "-r", "enough", "--json", "-c", life.config.path).stdout)

    assert (done["to_phase"], done["reason"], done["split_basis_points"]) == ("stopped", "enough", 0)


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
