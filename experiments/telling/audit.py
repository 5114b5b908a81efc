"""The audit: who or what did what to an experiment, when, why, and on which evidence. Pure: records in, rows out.

Rows are only ever added, as what they are made of is: a later look changes no earlier row. They carry no prompt, no
answer, no unit and no secret; the values of slices come from requests, so a cell may begin with anything.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

import msgspec

from experiments.drains import DrainEvent
from experiments.evidence import Action, Decision, Evidence, MetricEvidence, Verdict
from experiments.explain import called, estimate_text, interval_text, sentence, where
from experiments.golden.store import GoldenRun
from experiments.model import Phase
from experiments.stored import ForgottenNote, Look, Transition
from experiments.telling.escalation import Acknowledgement

_FORMULA = "=+-@\t\r\uff1d\uff0b\uff0d\uff20"
"""With one of these a spreadsheet begins a formula; the last four are their full-width forms."""
_SHOWN = 5
"""Metrics of an evidence summary; more are counted."""
_DID = {
    Action.HOLD: "hold",
    Action.ADVANCE: "advance",
    Action.PROMOTE: "promote",
    Action.ROLLBACK: "roll back",
    Action.PAUSE: "pause",
    Action.STOP_UNDECIDABLE: "stop as undecidable",
}


_Key = tuple[str, int, int | None]
"""Experiment, epoch, and number of a look."""
_Gist = tuple[Action, frozenset[tuple[str, str, str]]]
"""A decision without its figures."""


class AuditRow(msgspec.Struct, frozen=True, kw_only=True, rename={"before": "from", "after": "to"}):
    """One line of the audit; in an export, `before` and `after` are called `from` and `to`."""

    time: str
    """UTC, ISO 8601."""
    actor: str
    """`controller`, `config`, or who it was."""
    experiment: str
    epoch: int | None
    what: str
    before: str
    after: str
    why: str
    look: int | None
    """Number of the look, within the epoch, that it followed from; `touchstone replay` recomputes it."""
    evidence: str
    """What that look saw, in a line."""


def audit(
    transitions: Iterable[Transition],
    looks: Iterable[Look],
    drains: Iterable[DrainEvent] = (),
    acknowledgements: Iterable[Acknowledgement] = (),
    golden: Iterable[GoldenRun] = (),
    forgotten: Iterable[ForgottenNote] = (),
) -> list[AuditRow]:
    """Return the audit of an experiment, in the order of time.

    There is a row for each transition, for each look that decided otherwise than the one before it and moved nothing,
    for each drain and its lifting, for each acknowledgement, for each golden run, and for each unit that was forgotten.

    Args:
        transitions: In order.
        looks: Of all epochs; of each epoch in order. They are read once, and none is kept.
        drains: In order.
        acknowledgements: In order.
        golden: In order.
        forgotten: In order; nobody is named.
    """
    moves = list(transitions)
    seen, turns = _read(looks, {_key_of_move(move) for move in moves})
    timed = [(move.at, _of_transition(move, seen.get(_key_of_move(move), ""))) for move in moves]
    timed += turns
    timed += [(event.at, _of_drain(event)) for event in drains]
    timed += [(one.at, _of_acknowledgement(one)) for one in acknowledgements]
    timed += [(run.at, _of_golden_run(run)) for run in golden]
    timed += [(one.at, _of_forgotten(one)) for one in forgotten]
    # Sorting is stable: what one look caused stays in its order.
    return [row for _, row in sorted(timed, key=lambda item: item[0])]


def _read(looks: Iterable[Look], moved: set[_Key]) -> tuple[dict[_Key, str], list[tuple[float, AuditRow]]]:
    """Return what those looks saw that moved something, and a row for each of the others that says something new."""
    seen: dict[_Key, str] = {}
    rows: list[tuple[float, AuditRow]] = []
    last: dict[tuple[str, int], _Gist] = {}
    for look in looks:
        key, gist = (look.experiment, look.epoch, look.number), _gist(look.decision)
        if key in moved:
            seen[key] = evidence_line(look.evidence)
        elif last.get(key[:2]) != gist:
            rows.append((look.at, _of_look(look)))
        last[key[:2]] = gist
    return seen, rows


def as_json_lines(rows: Iterable[AuditRow]) -> Iterator[str]:
    """Render rows as JSON, an object a line."""
    for row in rows:
        yield msgspec.json.encode(row).decode() + "\n"


def as_csv(rows: Iterable[AuditRow]) -> Iterator[str]:
    """Render rows as CSV (RFC 4180) with a header; no cell is taken for a formula by a spreadsheet."""
    yield _csv_line(list(AuditRow.__struct_encode_fields__))
    for row in rows:
        yield _csv_line([guarded(value) for value in msgspec.structs.astuple(row)])


def guarded(value: str | int | None) -> str:
    """Return a cell that no spreadsheet runs.

    >>> guarded("=HYPERLINK(...)"), guarded(" -1"), guarded("a-b"), guarded(-1), guarded(None)
    ("'=HYPERLINK(...)", "' -1", 'a-b', '-1', '')
    """
    if isinstance(value, str):
        text = value.lstrip(" \n")
        return f"'{value}" if text and text[0] in _FORMULA else value
    return "" if value is None else str(value)


def _csv_line(cells: Sequence[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerow(cells)
    return buffer.getvalue()


# --- rows -------------------------------------------------------------------------------------------------------------


def _of_transition(move: Transition, seen: str) -> AuditRow:
    return AuditRow(
        time=_iso(move.at),
        actor=move.actor,
        experiment=move.experiment,
        epoch=move.epoch,
        what=_what(move),
        before=_state(move.from_phase, move.from_stage),
        after=f"{_state(move.to_phase, move.to_stage)}, {move.split_basis_points / 100:g} % to the treatment",
        why=move.reason,
        look=move.look,
        evidence=seen,
    )


def _what(move: Transition) -> str:
    if move.from_phase is Phase.DRAFT:
        return "epoch started"
    if move.to_phase is Phase.GATED:
        return "A/A run started" if move.split_basis_points else "A/A run ended"
    if move.from_phase is move.to_phase:
        return "stage changed"
    return move.to_phase.value.replace("_", " ") if move.to_phase is not Phase.RUNNING else "started to run"


def _of_look(look: Look) -> AuditRow:
    state = _state(look.evidence.phase, look.stage)
    return AuditRow(
        time=_iso(look.at),
        actor="controller",
        experiment=look.experiment,
        epoch=look.epoch,
        what=f"decided to {_DID[look.decision.action]}",
        before=state,
        after=state,
        why="; ".join(sentence(reason) for reason in look.decision.reasons),
        look=look.number,
        evidence=evidence_line(look.evidence),
    )


def _of_drain(event: DrainEvent) -> AuditRow:
    of = f"backend {event.backend}" + (f", endpoint {event.endpoint}" if event.endpoint else ", all endpoints")
    return AuditRow(
        time=_iso(event.at),
        actor=event.actor,
        experiment="",
        epoch=None,
        what="drained" if event.action == "drained" else "drain lifted",
        before="serving" if event.action == "drained" else "drained",
        after=of if event.action == "drained" else f"serving: {of}",
        why=event.reason,
        look=None,
        evidence="",
    )


def _of_golden_run(run: GoldenRun) -> AuditRow:
    return AuditRow(
        time=_iso(run.at),
        actor=run.actor,
        experiment=run.experiment,
        epoch=run.epoch,
        what=f"golden set {'cannot tell' if run.result == 'cannot_tell' else run.result}",
        before="",
        after=f"run {run.number}",
        why=run.summary,
        look=None,
        evidence="",
    )


def _of_forgotten(one: ForgottenNote) -> AuditRow:
    return AuditRow(
        time=_iso(one.at),
        actor=one.actor,
        experiment="",
        epoch=None,
        what="a unit was forgotten",
        before="",
        after=f"{one.exchanges} exchanges without texts and without its key",
        why=one.reason,
        look=None,
        evidence="",
    )


def _of_acknowledgement(one: Acknowledgement) -> AuditRow:
    # A key begins with the experiment that it is about; a channel's stands for none.
    experiment, _, rest = one.key.partition("/")
    return AuditRow(
        time=_iso(one.at),
        actor=one.actor,
        experiment=experiment if "/" in rest else "",
        epoch=None,
        what="acknowledged",
        before="",
        after=one.key,
        why=one.reason,
        look=None,
        evidence="",
    )


def _gist(decision: Decision) -> _Gist:
    return decision.action, frozenset((r.code.value, r.metric, r.slice) for r in decision.reasons)


def _key_of_move(move: Transition) -> _Key:
    return move.experiment, move.epoch, move.look


def _state(phase: Phase, stage: int) -> str:
    return f"{phase.value}, stage {stage + 1}"


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# --- evidence ---------------------------------------------------------------------------------------------------------


def evidence_line(evidence: Evidence) -> str:
    """Say in a line what a look saw: the proven harm if there is any, else the guardrails and goals of all traffic."""
    harmed = [row for row in evidence.metrics if row.verdict is Verdict.HARM]
    rows = harmed or [row for row in evidence.metrics if not row.slice and row.role != "monitor"]
    parts = [f"{evidence.units} units, {evidence.pairs} pairs, {evidence.exchanges} live requests"]
    parts += [_metric(row) for row in rows[:_SHOWN]]
    if len(rows) > _SHOWN:
        parts.append(f"{len(rows) - _SHOWN} more metrics")
    parts += [f"the split of the {split.name} units does not hold" for split in evidence.splits if split.alarm]
    return "; ".join(parts)


def _metric(row: MetricEvidence) -> str:
    said = f"{called(row.metric)} in {where(row.slice)}: {row.verdict.value.replace('_', ' ')}"
    if row.estimate is None:
        return said
    return f"{said}, {estimate_text(row)} ({interval_text(row, row.interval)}) after {row.units} units"
