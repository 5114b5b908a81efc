"""The audit as it is stored: read for one experiment or for all, and written out as JSON lines or CSV."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from sqlalchemy import select

from experiments.drains import DrainEvent, DrainStore
from experiments.golden.store import GoldenRun
from experiments.privacy.forgetting import forgotten_notes
from experiments.rows import look_of
from experiments.store import Store
from experiments.stored import Look
from experiments.tables import GOLDEN_RUN, LOOK
from experiments.telling.audit import AuditRow, as_csv, as_json_lines, audit
from experiments.telling.incidents import incident_log

Format = Literal["json", "csv"]
_A_PAGE = 500
_LOOK_COLUMNS = [column for column in LOOK.c if column.name != "state"]
"""The folded state is most of a look's size, and says nothing to a person."""
_RUN_COLUMNS = [column for column in GOLDEN_RUN.c if column.name not in {"seq", "verdict", "items"}]


class UnknownExperimentError(Exception):
    """The store has no such experiment; the message says so."""


def audit_of(store: Store, experiment: str | None = None) -> list[AuditRow]:
    """Return the audit of one experiment, or of all that the store has ever seen, in the order of time.

    Drains are of backends, forgotten units of no experiment that could be told, and so in both.

    Args:
        store: Migrated.
        experiment: Its name; one that was taken out of the configuration is still there.

    Raises:
        UnknownExperimentError: There is none of this name.
    """
    known = sorted(store.route_states())
    if experiment is not None and experiment not in known:
        raise UnknownExperimentError(f"no experiment {experiment!r} has begun; there are: {', '.join(known) or 'none'}")
    names = known if experiment is None else [experiment]
    moves = [move for name in names for move in store.transitions(name)]
    taken_on = [
        one
        for one in incident_log(store).acknowledgements()
        if experiment is None or one.key.startswith(f"{experiment}/")
    ]
    runs, forgotten = _golden_runs(store, experiment), forgotten_notes(store.engine)
    return audit(moves, _looks(store, experiment), _drains(store), taken_on, runs, forgotten)


def written(rows: Iterable[AuditRow], kind: Format) -> Iterator[str]:
    """Yield the lines of an export, each with its end of line."""
    return as_csv(rows) if kind == "csv" else as_json_lines(rows)


def _looks(store: Store, experiment: str | None) -> Iterator[Look]:
    """Yield all looks in the order in which they were taken, a page at a time, so that months of them fit."""
    after = 0
    while True:
        query = select(*_LOOK_COLUMNS).where(LOOK.c.seq > after).order_by(LOOK.c.seq).limit(_A_PAGE)
        if experiment is not None:
            query = query.where(LOOK.c.experiment == experiment)
        with store.engine.connect() as connection:
            rows = connection.execute(query).mappings().all()
        for row in rows:
            yield look_of({**row, "state": {}})
        if len(rows) < _A_PAGE:
            return
        after = rows[-1]["seq"]


def _drains(store: Store) -> list[DrainEvent]:
    """Return what was drained and lifted; a drain from before there were events has at least its beginning."""
    events = list(DrainStore(store.engine).events())
    known = {(event.backend, event.endpoint, event.at) for event in events}
    events += [
        DrainEvent(at=d.since, backend=d.backend, endpoint=d.endpoint, action="drained", actor=d.actor, reason=d.reason)
        for d in store.drains()
        if (d.backend, d.endpoint, d.since) not in known
    ]
    return events


def _golden_runs(store: Store, experiment: str | None) -> list[GoldenRun]:
    query = select(*_RUN_COLUMNS).order_by(GOLDEN_RUN.c.seq)
    if experiment is not None:
        query = query.where(GOLDEN_RUN.c.experiment == experiment)
    with store.engine.connect() as connection:
        return [GoldenRun(**row) for row in connection.execute(query).mappings()]
