"""Buttons: what makes sense in each phase, and what follows from it."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests_history import START, living

from experiments.model import Phase
from experiments.showing.reader import Showing
from experiments.showing.summary import ExperimentSummary, summarise
from router.dashboard.operations import operations


@pytest.fixture(name="summary", scope="module")
def _summary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExperimentSummary]:
    folder: Path = tmp_path_factory.mktemp("life")
    with living(folder) as life:
        life.controller.start(START)
        yield summarise(Showing(life.store, life.config).standing("support"))


@pytest.mark.parametrize(
    ("phase", "commands"),
    [
        (Phase.GATED, ["promote", "stop", "rollback"]),
        (Phase.RUNNING, ["pause", "advance", "promote", "stop", "rollback"]),
        (Phase.PAUSED, ["resume", "promote", "stop", "rollback"]),
        (Phase.PROMOTED, ["rollback"]),
        (Phase.ROLLED_BACK, []),
        (Phase.STOPPED, []),
    ],
)
def test_only_what_makes_sense_is_offered(summary: ExperimentSummary, phase: Phase, commands: list[str]) -> None:
    found = operations(msgspec.structs.replace(summary, phase=phase))

    assert [operation.command for operation in found] == commands


def test_each_names_its_consequence_for_the_users(summary: ExperimentSummary) -> None:
    said = {operation.command: operation.consequence for operation in operations(summary)}

    assert said["rollback"].startswith("original serves everyone within a second")
    assert said["promote"].startswith("int4 serves everyone (now 10 %)")
