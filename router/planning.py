"""What `touchstone plan` shows: the plan of each experiment, as data and in plain words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from experiments.config import Config, Experiment
from experiments.planning.plan import Plan, lines, make_plan
from experiments.planning.traffic import Expectations, ExpectationsError, parse_expectations
from router.views import View


class TrafficFileError(Exception):
    """The file of expectations cannot be used; says which, and why, a line for each reason."""


def read_traffic(path: Path) -> Expectations:
    """Read a file of expectations.

    Raises:
        TrafficFileError: It cannot be read, or does not say what is expected.
    """
    try:
        return parse_expectations(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TrafficFileError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TrafficFileError(f"{path}: is no UTF-8") from error
    except ExpectationsError as error:
        raise TrafficFileError("\n".join(f"{path}: {line}" for line in str(error).splitlines())) from error


def plan(config: Config, experiments: Sequence[Experiment], expected: Expectations) -> View:
    """Plan experiments, each under the same expectations.

    Args:
        config: Where their backends and prices are.
        experiments: Which to plan.
        expected: The traffic of one experiment, and what its metrics are expected to be.
    """
    plans = [
        make_plan(experiment, config.backends[experiment.control], config.backends[experiment.treatment], expected)
        for experiment in experiments
    ]
    tables = {experiment.cohort.group if experiment.cohort else experiment.name for experiment in experiments}
    return View(plans, list(_said(plans, len(tables))))


def _said(plans: Sequence[Plan], tables: int) -> Iterator[str]:
    if tables > 1:
        yield f"the same traffic is taken for each of {tables} experiments; choose one with --experiment"
        yield ""
    for number, made in enumerate(plans):
        if number:
            yield ""
        yield from lines(made)
