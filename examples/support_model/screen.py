"""What the demo shows while it runs: traffic, split, pairs, and the evidence against its thresholds."""

from __future__ import annotations

import math
from typing import Any

import msgspec
from rich.console import Group, RenderableType
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.progress_bar import ProgressBar
from rich.table import Table

from experiments.config import Config, Experiment
from experiments.evidence import Evidence, Kind, MetricEvidence
from experiments.explain import estimate_text, interval_text, where

QUALITY = "quality"
_STYLE = {"promoted": "bold green", "rolled_back": "bold red"}


class Standing(msgspec.Struct):
    """How one experiment stands, as read from the admin API."""

    phase: str = "draft"
    split: str = "0 %"
    says: str = ""
    evidence: Evidence | None = None


class Screen:
    """Renders the state of the run.

    Args:
        config: The experiments.
        most: Requests at which the traffic ends at the latest.
    """

    def __init__(self, config: Config, most: int) -> None:
        self._config = config
        self._progress = Progress(
            TextColumn("live traffic"), BarColumn(40), TextColumn("{task.completed} requests"), TaskProgressColumn(),
            TextColumn("of the most that may be needed"), TimeElapsedColumn(),
        )  # fmt: skip
        self._task = self._progress.add_task("traffic", total=most)

    def render(self, sent: int, standings: dict[str, Standing]) -> RenderableType:
        """Return the whole screen."""
        self._progress.update(self._task, completed=sent)
        tables = [self._experiment(e, standings.get(e.name, Standing())) for e in self._config.experiments.values()]
        return Group(self._progress, *tables)

    def _experiment(self, experiment: Experiment, standing: Standing) -> Table:
        title = f"{experiment.name}: {experiment.treatment} against {experiment.control}"
        phase = standing.phase.replace("_", " ")
        table = Table(
            title=f"\n{title}  [{_STYLE.get(standing.phase, 'bold')}]{phase}[/]", title_justify="left", box=None
        )
        for column in (
            "right answers",
            "units",
            "difference",
            "always-valid 95 %",
            "evidence of harm",
            "evidence of safety",
        ):
            table.add_column(column)
        evidence = standing.evidence
        if evidence is None:
            return table
        share = evidence.served_by_treatment / evidence.exchanges if evidence.exchanges else 0.0
        table.caption = (
            f"split {standing.split}, {evidence.exchanges} live requests ({share:.0%} by {experiment.treatment}), "
            f"{evidence.pairs} pairs, {evidence.units} users analysed"
        )
        table.caption_justify = "left"
        for row in rows(evidence, QUALITY):
            table.add_row(*self._cells(row, experiment))
        return table

    def _cells(self, row: MetricEvidence, experiment: Experiment) -> tuple[RenderableType, ...]:
        policy = experiment.policy
        weighted = (row.peak_log_e_harm or 0.0) + math.log(row.weight or 1.0)
        harm = weighted / math.log(1 / policy.alpha_rollback)
        safe = (row.peak_log_e_noninferior or 0.0) / math.log(1 / policy.alpha_promote)
        return (
            where(row.slice),
            str(row.units),
            estimate_text(row),
            interval_text(row, row.interval),
            _bar(harm, "red"),
            _bar(safe, "green"),
        )


def rows(evidence: Evidence, metric: str) -> list[MetricEvidence]:
    """Return the rows of a paired metric: all traffic, then its slices."""
    found = [row for row in evidence.metrics if row.metric == metric and row.kind is Kind.PAIRED]
    return sorted(found, key=lambda row: row.slice)


def _bar(share: float, style: str) -> RenderableType:
    """Evidence on a logarithmic scale: a full bar is the threshold at which Touchstone acts."""
    return ProgressBar(
        total=1.0, completed=min(1.0, max(0.0, share)), width=18, complete_style=style, finished_style=style
    )


def plain(sent: int, standings: dict[str, Standing]) -> str:
    """Return the state as one line, for a log."""
    parts = [f"{sent} requests"]
    for name, standing in standings.items():
        units = standing.evidence.units if standing.evidence else 0
        parts.append(f"{name}: {standing.phase}, split {standing.split}, {units} users analysed")
    return " | ".join(parts)


def parse_evidence(data: bytes) -> Evidence | None:
    """Read evidence from the admin API's JSON; None before the first look."""
    return msgspec.json.decode(data, type=Evidence | None)


def parse_standings(data: bytes) -> dict[str, Standing]:
    """Read the overview of the admin API."""
    overview: list[dict[str, Any]] = msgspec.json.decode(data)
    return {row["experiment"]: Standing(row["phase"], row["split"], row["says"]) for row in overview}
