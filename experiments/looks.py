"""The looks of an epoch, one after the other: weeks have hundreds of thousands of them, and no one holds all.

Each look is kept with its evidence: a replay takes the same looks at the same times, since units are closed and bets
are placed at looks, and holds what it finds against what was found. The statistics' state beside it serves to draw the
newest look; a replay makes its own. So once another look has come it is kept only of those that changed something.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, Engine, select, update

from experiments.rows import look_of
from experiments.stored import Look
from experiments.tables import LOOK, TRANSITION

_A_PAGE = 200


def each_look(engine: Engine, experiment: str, epoch: int, after: int = 0) -> Iterator[Look]:
    """Yield the looks of an epoch in order; memory stays that of a page.

    Args:
        engine: Of a migrated store.
        experiment: Its name.
        epoch: Its number.
        after: Only looks of higher numbers.
    """
    columns = LOOK.c
    query = select(LOOK).where(columns.experiment == experiment, columns.epoch == epoch).order_by(columns.number)
    while True:
        with engine.connect() as connection:
            rows = connection.execute(query.where(columns.number > after).limit(_A_PAGE)).mappings().all()
        yield from (look_of(row) for row in rows)
        if len(rows) < _A_PAGE:
            return
        after = rows[-1]["number"]


def thin_look(connection: Connection, experiment: str, epoch: int, number: int) -> None:
    """Empty the state of a look that changed nothing; nothing happens if there is none of this number."""
    columns, caused = LOOK.c, TRANSITION.c
    chosen = (columns.experiment == experiment, columns.epoch == epoch, columns.number == number)
    of_look = (caused.experiment == experiment, caused.epoch == epoch, caused.look == number)
    changed = select(caused.seq).where(*of_look).exists()
    connection.execute(update(LOOK).where(*chosen, ~changed).values(state={}))
