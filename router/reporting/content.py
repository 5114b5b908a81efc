"""What a report says, gathered once for every form of it."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from experiments.config import config_hash
from experiments.config.records import Config, Experiment
from experiments.evidence import SplitEvidence
from experiments.golden.store import GoldenRun
from experiments.replay import replay
from experiments.retention.dropped import dropped
from experiments.showing.differences import KEPT_BACK, Difference, epoch_differences
from experiments.showing.figures import Section, ShownFigure, figures
from experiments.showing.reader import SERIES_POINTS, Showing, experiment_of
from experiments.showing.standing import Standing
from experiments.showing.summary import ExperimentSummary, summarise
from experiments.store import Store
from experiments.stored import Epoch, Transition
from router.reporting.methods import Method, methods

_MOST_GOLDEN_RUNS = 50
"""The newest ones; a set that is sent daily for months would fill the report."""

_MOST_OVER_TIME = 6
"""Figures over time: what a meeting looks at."""


class ReplayedEpoch(NamedTuple):
    """How the looks of one epoch came out when they were computed again."""

    number: int
    looks: int
    same: int


class EpochEntry(NamedTuple):
    """One stretch with one configuration."""

    number: int
    started_at: float
    """Wall-clock time in seconds since the epoch (UTC)."""
    attempt: int
    candidate: str
    config_hash: str
    config: str
    """JSON, indented; without the salt."""
    changes: list[Difference]
    """Against the epoch before."""


class Report(NamedTuple):
    """Everything that a report says."""

    summary: ExperimentSummary
    experiment: Experiment
    """As its epoch has it."""
    made_at: float
    """Wall-clock time in seconds since the epoch (UTC)."""
    waits_for: list[str]
    """At its gate."""
    cause: Transition | None
    """What led to the present phase."""
    figures: list[ShownFigure]
    splits: list[SplitEvidence]
    golden: list[GoldenRun]
    transitions: list[Transition]
    epochs: list[EpochEntry]
    methods: list[Method]
    replayed: list[ReplayedEpoch] | None
    """None: nothing was computed again for this report."""
    present_hash: str
    """Of the configuration as the file has it now."""
    versions: dict[str, str]

    def of(self, section: Section) -> list[ShownFigure]:
        """Return the figures of a section, in order."""
        return [figure for figure in self.figures if figure.section is section]

    @property
    def replay_differs(self) -> bool:
        """Whether a look came out otherwise than it is stored."""
        return any(found.same != found.looks for found in self.replayed or [])

    @property
    def configured_now(self) -> bool:
        """Whether the newest epoch has the configuration that the file has now."""
        return bool(self.epochs) and self.epochs[-1].config_hash == self.present_hash


def gather(
    store: Store, config: Config, name: str, *, now: float, with_replay: bool = False, points: int = SERIES_POINTS
) -> Report:
    """Read what a report says.

    Args:
        store: Migrated.
        config: Has the experiment.
        name: Of the experiment.
        now: Wall-clock time in seconds since the epoch (UTC).
        with_replay: Compute every look of every epoch again; this reads all rows of the experiment.
        points: Looks in a figure over time, at most.

    Raises:
        KeyError: There is no experiment of this name.
    """
    showing = Showing(store, config)
    standing = showing.standing(name)
    summary = summarise(standing)
    epochs = showing.epochs(name)
    golden = [run for epoch in epochs for run in showing.golden_runs(name, epoch.number)][-_MOST_GOLDEN_RUNS:]
    series = showing.series(name, summary.epoch, points)
    days = showing.daily_quality(name, summary.epoch)
    return Report(
        summary=summary,
        experiment=standing.experiment,
        made_at=now,
        waits_for=_waits_for(standing),
        cause=standing.cause,
        figures=figures(standing, series, days, most_over_time=_MOST_OVER_TIME),
        splits=list(standing.evidence.splits) if standing.evidence is not None else [],
        golden=golden,
        transitions=list(standing.transitions),
        epochs=_entries(epochs),
        methods=methods(standing, len(golden)),
        replayed=_replayed(store, epochs) if with_replay else None,
        present_hash=config_hash(config.experiments[name], config.backends),
        versions=_versions(),
    )


def _waits_for(standing: Standing) -> list[str]:
    return list(standing.gate.waits_for) if standing.gate is not None else []


def _entries(epochs: Sequence[Epoch]) -> list[EpochEntry]:
    return [
        EpochEntry(
            number=epoch.number,
            started_at=epoch.started_at,
            attempt=epoch.attempt,
            candidate=epoch.candidate,
            config_hash=epoch.config_hash,
            config=indented(_shareable(epoch.config)),
            changes=changed.changes,
        )
        for epoch, changed in zip(epochs, epoch_differences(epochs), strict=True)
    ]


def _shareable(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration for people who may see figures only.

    Whoever has the salt can find out under which key a user is stored; and of a golden set its folder says nothing.
    """
    shown = {**config, "salt": KEPT_BACK}
    if isinstance(config.get("cohort"), dict):
        shown["cohort"] = {**config["cohort"], "salt": KEPT_BACK}
    if isinstance(config.get("golden"), str):
        shown["golden"] = Path(config["golden"]).name
    return shown


def indented(value: Any) -> str:
    """Write plain data as JSON for people."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _replayed(store: Store, epochs: Sequence[Epoch]) -> list[ReplayedEpoch]:
    found = []
    for epoch in epochs:
        if dropped(store.engine, epoch.experiment, epoch.number) is not None:
            continue  # nothing is left to recompute
        same = [look.same for look in replay(store, experiment_of(epoch), epoch.number)]
        found.append(ReplayedEpoch(epoch.number, len(same), sum(same)))
    return found


def _versions() -> dict[str, str]:
    """Return what computed this, by name."""
    libraries = ("numpy", "scipy", "statsmodels", "plotly")
    return {
        "touchstone": version("touchstone-router"),
        "python": platform.python_version(),
        **{library: version(library) for library in libraries},
    }
