"""Connections to the store: how many a process holds, and how soon it notices that the other end is gone.

What a database's address says itself goes before what stands here: `?connect_timeout=2&application_name=...`, any of
libpq's words.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url

Client = Literal["proxy", "controller", "pages", "command"]
"""Who connects: a proxy process, the controller's threads, the admin port's pages, or a command."""
_BUSY_TIMEOUT_MS = 5_000
_RECYCLE_S = 1_800
"""A connection that is older is replaced: firewalls and poolers forget old ones without a word."""
_PATIENCE_S = 10
"""How long a thread waits for one of the process's own connections."""
_LIBPQ: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""A server whose machine is gone says no goodbye: it is noticed within a minute, and not after two hours."""


class Pool(NamedTuple):
    """What one process may hold of a PostgreSQL's connections."""

    kept: int
    """Connections that stay open."""
    more: int
    """Further ones, closed after use."""
    statement_ms: int | None = None
    """A statement that reads for longer is ended by the server."""
    prepares: bool = True
    """Whether statements are prepared on the server; a pooler that gives a transaction another session each time
    (PgBouncer's transaction mode) may not know them there."""


POOLS: dict[Client, Pool] = {
    # It polls routes and drains, and now and then asks whose an exchange is.
    "proxy": Pool(kept=1, more=1, statement_ms=5_000, prepares=False),
    "controller": Pool(kept=4, more=6),
    "pages": Pool(kept=2, more=6, statement_ms=30_000),
    "command": Pool(kept=1, more=4),
}


def engine_for(url: str, client: Client) -> Engine:
    """Return an engine for a store; nothing is connected yet.

    Args:
        url: SQLAlchemy URL.
        client: Whose connections they are.

    Raises:
        ModuleNotFoundError: The database's driver is not installed.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        engine = create_engine(parsed)
        event.listen(engine, "connect", _prepare_sqlite)
        return engine
    pool = POOLS[client]
    engine = create_engine(
        parsed,
        pool_size=pool.kept,
        max_overflow=pool.more,
        pool_timeout=_PATIENCE_S,
        pool_recycle=_RECYCLE_S,
        pool_pre_ping=True,
        pool_use_lifo=True,
        connect_args=_connect_args(parsed, client, pool),
    )
    if pool.statement_ms is not None:
        # In each transaction, and not once a connection: behind a pooler, the next one may be another session.
        limit = f"SET LOCAL statement_timeout = {pool.statement_ms}"
        event.listen(engine, "begin", lambda connection: _say(connection, limit))
    return engine


def _say(connection: Connection, statement: str) -> None:
    connection.exec_driver_sql(statement)


def _connect_args(url: URL, client: Client, pool: Pool) -> dict[str, Any]:
    if not url.get_driver_name().startswith("psycopg"):
        return {}
    words = _LIBPQ | {"application_name": f"touchstone {client}"}
    if url.get_driver_name() == "psycopg" and not pool.prepares:
        words["prepare_threshold"] = None
    return {name: value for name, value in words.items() if name not in url.query}


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    # WAL: readers never wait for the writer. FULL: a commit survives a power cut, since journal segments are
    # deleted once they are committed here. Secure: what is erased is overwritten in the file.
    durable = ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON")
    for pragma in (*durable, f"busy_timeout={_BUSY_TIMEOUT_MS}", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
