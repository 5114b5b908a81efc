"""What an operator may do to an experiment right now, each with what follows from it in words. Pure."""

from __future__ import annotations

from typing import NamedTuple

from experiments.model import ENDED, Phase
from experiments.operating import Command
from experiments.showing.summary import ExperimentSummary


class Operation(NamedTuple):
    """A button."""

    command: Command
    title: str
    consequence: str
    is_dangerous: bool = False


def operations(summary: ExperimentSummary) -> list[Operation]:
    """Return what makes sense in the experiment's phase, the gentlest first."""
    control, treatment, split = summary.control, summary.treatment, f"{summary.split_percent:g} %"
    all_to_control = f"{control} serves everyone within a second; answers on their way go on"
    found: list[Operation] = []
    if summary.phase is Phase.RUNNING:
        found.append(Operation(Command.PAUSE, "Pause", f"{all_to_control}. Resuming goes on at the same stage."))
        if summary.stage < summary.stages:
            next_stage = f"{treatment} serves the share of stage {summary.stage + 1} of {summary.stages} at once"
            found.append(Operation(Command.ADVANCE, "Advance", f"{next_stage}, whatever the evidence says."))
    if summary.phase is Phase.PAUSED:
        consequence = f"{treatment} serves the share of stage {summary.stage} of {summary.stages} again."
        found.append(Operation(Command.RESUME, "Resume", consequence))
    if summary.phase not in ENDED:
        found += [
            Operation(
                Command.PROMOTE,
                "Promote",
                f"{treatment} serves everyone (now {split}), whatever the evidence says. The experiment ends.",
                is_dangerous=True,
            ),
            Operation(
                Command.STOP, "Stop", f"{all_to_control}. The experiment ends without a winner.", is_dangerous=True
            ),
        ]
    if summary.phase not in ENDED or summary.phase is Phase.PROMOTED:
        found.append(
            Operation(Command.ROLLBACK, "Roll back", f"{all_to_control}. The experiment ends.", is_dangerous=True)
        )
    return found
