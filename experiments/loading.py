"""Several hosts load their journals into one PostgreSQL at the same time, and looks miss nothing of it.

Looks read exchanges and feedback by `seq`, up to the highest that is there. Of two batches that are loaded at the same
time the one with the higher numbers may be committed first, and a look would pass over the lower ones for good. So each
batch holds a lock that it shares with other batches, and who wants the mark asks for the same lock alone: that waits
for the batches on their way, and keeps new ones waiting for the moment that the question takes.

SQLite has one writer, whose numbers are committed in their order.
"""

from __future__ import annotations

from sqlalchemy import Connection

_LOCK = "1953459297, hashtext(coalesce(current_schema(), ''))"
"""An advisory lock's number, `tola` in ASCII, and the schema: two Touchstones in one database do not meet."""
_WAIT_MS = 10_000
"""A batch takes a fraction of a second. One that is not through by then hangs, and so would everybody behind us."""
_SILENCE_MS = 5_000
"""A host that is gone, or held up, in the middle of a batch: the server ends the batch, which is loaded again."""


def load_beside_others(connection: Connection) -> None:
    """Say that this transaction adds exchanges or feedback. It waits only while somebody asks for the mark."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SET LOCAL idle_in_transaction_session_timeout = {_SILENCE_MS}")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock_shared({_LOCK})")


def wait_for_loads(connection: Connection) -> None:
    """Wait until nobody adds exchanges or feedback, and keep others from beginning until this transaction ends.

    Raises:
        sqlalchemy.exc.OperationalError: Somebody took longer than ten seconds.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {_WAIT_MS}")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
