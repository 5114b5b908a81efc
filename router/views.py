"""What the command line shows, as data and as rich renderables: status, explain, replay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from rich.console import RenderableType
from rich.table import Table

from experiments.config import Config, Experiment
from experiments.config.records import Experiment as ExperimentRecord
from experiments.evidence import Action, Decision, Evidence, MetricEvidence, Verdict
from experiments.explain import (
    action_word,
    estimate_text,
    headline,
    interval_text,
    sentence,
    where,
)
from experiments.golden.store import Gate, GuardStore
from experiments.model import ENDED, Phase
from experiments.replay import Replayed
from experiments.replay import replay as replay_looks
from experiments.store import Look, RouteState, Store

_STYLES = {Verdict.HARM: "bold red", Verdict.NONINFERIOR: "green", Verdict.SUPERIOR: "green"}


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
    """One row an experiment: phase, split, evidence so far, and the headline."""
    states, gates = store.route_states(), GuardStore(store.engine).gates()
    table = Table("experiment", "phase", "split", "live", "pairs", "units", "what it says", box=None)
    data = []
    for experiment in config.experiments.values():
        state = states.get(experiment.name)
        look = store.latest_look(experiment.name, state.route.epoch) if state else None
        row = _status_row(experiment, state, look, gates.get(experiment.name))
        data.append(row)
        table.add_row(*(str(row[key]) for key in row if key != "epoch"))
    return View(data, [table])


def _status_row(
    experiment: Experiment, state: RouteState | None, look: Look | None, gate: Gate | None
) -> dict[str, Any]:
    evidence = look.evidence if look else None
    phase = state.route.phase if state else None
    said = headline(experiment, phase, evidence, look.decision if look else None) if phase else "not started"
    if phase is Phase.GATED:
        said = f"waits at its gate: {'; '.join(gate.waits_for) if gate else 'it has just begun'}"
    return {
        "experiment": experiment.name,
        "phase": phase.value if phase else "draft",
        "split": f"{state.route.split_basis_points / 100:g} %" if state else "0 %",
        "live": evidence.exchanges if evidence else 0,
        "pairs": evidence.pairs if evidence else 0,
        "units": evidence.units if evidence else 0,
        "says": said,
        "epoch": state.route.epoch if state else 0,
    }


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
        headline(experiment, state.route.phase, look.evidence, look.decision),
        "",
        evidence_table(look.evidence),
        "",
        f"Look {look.number}: {_done(look.evidence, look.decision)}, because",
        *(f"  - {sentence(reason)}" for reason in look.decision.reasons),
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
