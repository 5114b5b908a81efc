"""A golden run, and how an experiment stands, as what is sent of them: tags, figures, files. Pure.

Of a person's order is told only that it was one: their words may be about people. Items have ids, no prompt, no answer.
"""

from __future__ import annotations

import csv
import io
from typing import Any, NamedTuple

import msgspec

from experiments.evidence import Decision
from experiments.golden.store import GoldenRun
from experiments.model import ENDED
from experiments.stored import Epoch, RouteState, Transition
from router.monitoring.report import RunReport

RESULTS = "golden-results.jsonl"
"""Each item's id and how both variants did."""
BY_TAG = "golden-by-tag.csv"
_COLUMNS = ("tag", "result", "n", "both", "wins", "losses", "neither", "unanswered", "p_worse", "loss", "loss_at_most")
_MACHINERY = frozenset({"controller", "config", "gate", "schedule"})
_FIGURES = tuple(name for name in _COLUMNS if name not in {"tag", "result"})


class Standing(NamedTuple):
    """Where an experiment is, and what brought it there."""

    state: RouteState
    epoch: Epoch
    change: Transition | None
    """The newest change of its epoch."""
    decision: Decision | None
    """What that change's look decided; None if a person, or the gate, made the change."""


def golden_report(run: GoldenRun) -> RunReport:
    """Return a golden run with its items and its table by tag."""
    return RunReport(
        kind="golden",
        name=f"{run.experiment}/{run.epoch}/golden-{run.number}",
        started_at=run.at,
        ended_at=run.at,
        tags={
            "touchstone.experiment": run.experiment,
            "touchstone.epoch": str(run.epoch),
            "touchstone.golden_number": str(run.number),
            "touchstone.golden_result": run.result,
            "touchstone.golden_asked_by": _by(run.actor),
            "touchstone.golden_summary": run.summary,
        },
        words=[f"golden:{run.result}"],
        figures=_figures(run.verdict),
        files={
            RESULTS: "".join(f"{msgspec.json.encode(item).decode()}\n" for item in run.items),
            BY_TAG: _table(run.verdict),
        },
    )


def standing_report(standing: Standing) -> RunReport:
    """Return how an experiment stands, as tags: where it is, what was decided, why, and under which configuration."""
    route, change, epoch = standing.state.route, standing.change, standing.epoch
    decision, reason = _why(standing)
    return RunReport(
        kind="standing",
        name=f"{route.experiment}/{route.epoch}",
        started_at=standing.state.epoch_started_at,
        ended_at=change.at if change is not None and route.phase in ENDED else None,
        tags={
            "touchstone.experiment": route.experiment,
            "touchstone.epoch": str(route.epoch),
            "touchstone.config_hash": epoch.config_hash,
            "touchstone.candidate": epoch.candidate,
            "touchstone.attempt": str(epoch.attempt),
            "touchstone.phase": route.phase.value,
            "touchstone.stage": str(route.stage),
            "touchstone.decision": decision,
            "touchstone.reason": reason,
            "touchstone.decided_by": "nobody" if change is None else _by(change.actor),
        },
        words=[f"phase:{route.phase.value}", f"decision:{decision}"],
        figures={"split_percent": route.split_basis_points / 100, "stage": float(route.stage)},
    )


def _by(actor: str) -> str:
    """Return what acted; of a person, only that it was one: the name of a token is often theirs."""
    return actor if actor in _MACHINERY else "person"


def _why(standing: Standing) -> tuple[str, str]:
    """Return the newest decision that changed something, and its reasons, a word each."""
    if standing.change is None:
        return "none", ""
    if standing.decision is None:
        by = _by(standing.change.actor)
        moved = f"{standing.change.from_phase.value} -> {standing.change.to_phase.value}"
        return "by_hand" if by == "person" else f"by_{by}", moved
    named = {f"{r.code.value}({r.metric})" if r.metric else r.code.value for r in standing.decision.reasons}
    return standing.decision.action.value, ", ".join(sorted(named))


def _figures(verdict: dict[str, Any]) -> dict[str, float]:
    overall = verdict.get("overall", {})
    return {name: float(overall[name]) for name in _FIGURES if overall.get(name) is not None}


def _table(verdict: dict[str, Any]) -> str:
    """Return all items together, then each tag, as CSV."""
    written = io.StringIO()
    rows = csv.DictWriter(written, _COLUMNS, extrasaction="ignore", lineterminator="\n")
    rows.writeheader()
    for comparison in (verdict.get("overall"), *verdict.get("tags", ())):
        if comparison is not None:
            rows.writerow(comparison | {"tag": comparison.get("tag") or "all"})
    return written.getvalue()
