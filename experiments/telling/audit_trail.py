"""The audit as it is stored: read for one experiment or for all, and written out as JSON lines or CSV."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

from experiments.store import Store
from experiments.stored import Look
from experiments.telling.audit import AuditRow, as_csv, as_json_lines, audit
from experiments.telling.incidents import incident_log

Format = Literal["json", "csv"]


class UnknownExperimentError(Exception):
    """The store has no such experiment; the message says so."""


def audit_of(store: Store, experiment: str | None = None) -> list[AuditRow]:
    """Return the audit of one experiment, or of all that the store has ever seen, in the order of time.

    Drains are of backends, and so in both.

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
    looks = (look for name in names for look in _looks(store, name))
    taken_on = [
        one
        for one in incident_log(store).acknowledgements()
        if experiment is None or one.key.startswith(f"{experiment}/")
    ]
    return audit(moves, looks, store.drains(), taken_on)


def written(rows: Iterable[AuditRow], kind: Format) -> Iterator[str]:
    """Yield the lines of an export, each with its end of line."""
    return as_csv(rows) if kind == "csv" else as_json_lines(rows)


def _looks(store: Store, experiment: str) -> Iterator[Look]:
    """Yield all looks, an epoch at a time and without their folded state, which is most of their size."""
    newest = store.latest_epoch(experiment)
    for number in range(1, newest.number + 1 if newest else 1):
        for look in store.looks(experiment, number):
            yield msgspec.structs.replace(look, state={})
