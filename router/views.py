"""How experiments stand, as data and as rich renderables: status, explain, replay."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from rich.console import RenderableType
from rich.table import Table

from experiments.config import Config, Experiment
from experiments.config.records import Experiment as ExperimentRecord
from experiments.evidence import Action, Decision, Evidence, MetricEvidence, Verdict
from experiments.explain import action_word, estimate_text, headline, interval_text, sentence, where
from experiments.journal.recorders import Recorders, troubles
from experiments.model import ENDED
from experiments.remarks import cautions, response_lines
from experiments.replay import Replayed
from experiments.replay import replay as replay_looks
from experiments.retention.dropped import dropped
from experiments.showing.ledger import ledger
from experiments.showing.reader import Showing
from experiments.showing.standing import Standing
from experiments.showing.words import verdict
from experiments.store import Store

_STYLES = {Verdict.HARM: "bold red", Verdict.NONINFERIOR: "green", Verdict.SUPERIOR: "green"}
_SHOWN = ("experiment", "phase", "split", "live", "pairs", "units", "says")


@dataclass
class View:
    """Something to show: plain data for `--json`, renderables for people."""

    data: Any
    parts: list[RenderableType] = field(default_factory=list)
    ok: bool = True

    def json(self) -> str:
        """Return the data as indented JSON."""
        return msgspec.json.format(msgspec.json.encode(self.data), indent=2).decode()


def status(store: Store, config: Config) -> View:
    """One row an experiment: phase, split, evidence so far, and the verdict in a sentence."""
    table = Table("experiment", "phase", "split", "live", "pairs", "units", "what it says", box=None)
    data: list[dict[str, Any]] = []
    saved: list[str] = []
    for standing in Showing(store, config).standings():
        row = _status_row(config.experiments, standing)
        data.append(row)
        shown = row | {"phase": row["phase"].replace("_", " ")}
        table.add_row(*(str(shown[key]) for key in _SHOWN))
        saved.extend(_saved(standing))
    return View(data, [table, *saved, *troubles(Recorders(store.engine).all(), time.time())])


def _status_row(configured: Mapping[str, Experiment], standing: Standing) -> dict[str, Any]:
    experiment, evidence, look = standing.experiment, standing.evidence, standing.look
    route = standing.state.route if standing.state is not None else None
    said = verdict(standing)
    return {
        "experiment": experiment.name,
        "phase": standing.phase.value,
        "split": f"{route.split_basis_points / 100:g} %" if route else "0 %",
        "live": evidence.exchanges if evidence else 0,
        "pairs": evidence.pairs if evidence else 0,
        "units": evidence.units if evidence else 0,
        "says": _said(said.sentence, configured[experiment.name]),
        "tone": said.tone,
        "epoch": route.epoch if route else 0,
        "stage": route.stage if route else 0,
        "looked_at": look.at if look else None,
        "savings": ledger(standing),
    }


def _saved(standing: Standing) -> Iterator[str]:
    """Say what a lever saves, a line each; nothing of those that are not used or cannot be told."""
    found, name = ledger(standing), standing.experiment.name
    for line in found.lines:
        if line.lever in {"cache", "spot"}:
            yield f"{name}, {line.lever}, {line.variant}: {line.text}"
    yield from (
        f"{name}: {saving.monthly}" for saving in found.projections if saving.metric == "cost" and saving.monthly
    )


def _said(sentence: str, experiment: Experiment) -> str:
    cohort = experiment.cohort
    return f"{sentence} One of {cohort.count} treatments of {cohort.group}." if cohort else sentence


def explain(store: Store, config: Config, name: str) -> View:
    """Evidence, decision and history of one experiment."""
    experiment = config.experiments[name]
    state = store.route_states().get(name)
    look = store.latest_look(name, state.route.epoch) if state else None
    transitions = store.transitions(name)
    data = {"experiment": name, "look": look, "transitions": transitions}
    if state is None or look is None:
        return View(data, [f"{name}: no look has been taken yet"])
    parts: list[RenderableType] = [
        _said(verdict(Showing(store, config).standing(name)).sentence, experiment),
        "",
        headline(experiment, state.route.phase, look.evidence, look.decision),
        "",
        evidence_table(look.evidence),
        "",
        f"Look {look.number}: {_done(look.evidence, look.decision)}, because",
        *(f"  - {sentence(reason)}" for reason in look.decision.reasons),
        *(f"  ! {said}" for said in cautions(look.evidence)),
        *(f"  {said}" for said in response_lines(look.evidence)),
        "",
        "History:",
        *(
            f"  {t.from_phase} -> {t.to_phase}, split {t.split_basis_points / 100:g} % (by {t.actor}): {t.reason}"
            for t in transitions
        ),
    ]
    return View(data, parts)


def _telling(looks: Sequence[Replayed]) -> list[Replayed]:
    """Return the looks at which something happened, and the last one if nothing has happened since."""
    acted = [found for found in looks if found.decision.action is not Action.HOLD]
    ended = bool(looks) and looks[-1].stored.evidence.phase in ENDED
    return acted if ended else [*acted, *(found for found in looks[-1:] if found not in acted)]


def _done(evidence: Evidence, decision: Decision) -> str:
    """Say in the past tense what a decision did; when all is over, a look only observes."""
    if decision.action is Action.HOLD and evidence.phase in ENDED:
        return "observed only"
    return action_word(decision.action)


def evidence_table(evidence: Evidence) -> Table:
    """Return all metrics and slices of a look as a table."""
    table = Table("metric", "in", "units", "difference", "always-valid 95 %", "lost / won pairs", "verdict", box=None)
    for row in evidence.metrics:
        if row.units or not row.slice:
            table.add_row(*_evidence_cells(row), style=_STYLES.get(row.verdict))
    return table


def _evidence_cells(row: MetricEvidence) -> tuple[str, ...]:
    return (
        row.metric + (" (live)" if row.kind == "event" else ""),
        where(row.slice),
        str(row.units),
        estimate_text(row),
        interval_text(row, row.interval),
        "-" if row.kind == "ratio" else f"{row.losses} / {row.wins}",
        row.verdict.replace("_", " "),
    )


def replay(store: Store, _config: Config, name: str) -> View:
    """Recompute every look of the newest epoch, under the configuration that the epoch itself carries."""
    epoch = store.latest_epoch(name)
    if epoch is None:
        return View({"looks": []}, [f"{name}: no epoch yet"], ok=False)
    gone = dropped(store.engine, name, epoch.number)
    if gone is not None:
        return View({"experiment": name, "epoch": epoch.number, "looks": []}, [str(gone)], ok=False)
    experiment = ExperimentRecord.model_validate_json(msgspec.json.encode(epoch.config))
    looks = list(replay_looks(store, experiment, epoch.number))
    different = [found for found in looks if not found.same]
    rows = [
        {"look": r.stored.number, "stored": r.stored.decision.action, "replayed": r.decision.action, "same": r.same}
        for r in looks
    ]
    parts: list[RenderableType] = [
        f"look {r.stored.number}: stored {r.stored.decision.action}, recomputed {r.decision.action}: DIFFERENT"
        for r in different
    ]
    same = len(looks) - len(different)
    parts.append(f"{name}, epoch {epoch.number}: {same} of {len(looks)} looks recomputed to the last bit.")
    for found in _telling(looks):
        parts.append(f"Look {found.stored.number}, recomputed: {_done(found.stored.evidence, found.decision)}, because")
        parts.extend(f"  - {sentence(reason)}" for reason in found.decision.reasons)
    return View({"experiment": name, "epoch": epoch.number, "looks": rows}, parts, ok=not different)
