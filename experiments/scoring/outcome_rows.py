"""Outcomes on their way into the store, from whichever thread or process has made them."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection

from experiments.rows import storable
from experiments.stored import Outcome


def outcome_values(outcome: Outcome) -> dict[str, Any]:
    """Return the row of an outcome that has not been stored."""
    values = msgspec.structs.asdict(outcome)
    del values["seq"]
    return storable(values)


def lock_outcomes(connection: Connection) -> None:
    """Keep others from adding outcomes until this transaction ends. Readers do not notice.

    Looks read outcomes by `seq`, up to the highest that they see. Two transactions that add at the same time could
    commit in the other order than they took their numbers, and a look would pass over the lower one for good. SQLite
    has one writer in any case.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("LOCK TABLE outcome IN SHARE ROW EXCLUSIVE MODE")
