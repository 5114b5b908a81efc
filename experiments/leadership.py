"""Who of several controllers leads: one a store, and another one soon after it is gone, however it went.

On PostgreSQL a session's advisory lock on a connection of its own, on SQLite a lock on a file beside the database: the
server, or the kernel, lets go of either when the process that holds it ends, by kill -9 too. Nothing is timed, so no
clock that jumps and no process that is held up makes a second leader. A store in memory has one process, which leads.

Should a leader lose its connection without noticing at once, the store's own keys still keep what two controllers do
apart: each look has one number.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Protocol

import structlog
from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, make_url, text
from sqlalchemy.exc import SQLAlchemyError

from experiments.file_lock import FileLock

_log = structlog.get_logger(__name__)
LOCK_SUFFIX = ".leader"
_LOCK_NUMBER = 0x746F7563
"""The first half of the advisory lock's number, in which other applications on the database know ours."""
_CONNECT_S = 5
_SILENCE_MS = 5_000
"""A connection that says nothing for so long, in spite of being asked, is over: at both of its ends."""
_STATEMENT_MS = 5_000


class Lock(Protocol):
    """What is held by one process at a time."""

    def take(self) -> bool:
        """Take it if it is free; called only while it is not held."""
        ...

    def is_held(self) -> bool:
        """Whether it is still ours; once it is not, everything of it is closed."""
        ...

    def release(self) -> None:
        """Let go; no error if it is not held."""
        ...


class Leadership:
    """Whether this process may lead. For one thread.

    Args:
        store_url: SQLAlchemy URL of the store. A PostgreSQL behind a pool must give sessions, not transactions.
    """

    def __init__(self, store_url: str) -> None:
        self._lock = _lock_of(make_url(store_url))
        self._leads = False

    def __repr__(self) -> str:
        return f"<Leadership {self._lock!r} [{'leads' if self._leads else 'follows'}]>"

    @property
    def leads(self) -> bool:
        """Whether we did when the lock was last asked; from any thread, and without asking."""
        return self._leads

    def try_lead(self) -> bool:
        """Lead if nobody else does; returns whether we do.

        It never waits for another leader. Where the store is away nobody leads, which is logged and not raised.
        """
        if self._leads:
            return self.still_leads()
        self._leads = self._lock.take()
        if self._leads:
            _log.info("leads", lock=repr(self._lock))
        return self._leads

    def still_leads(self) -> bool:
        """Whether we lead, by asking the lock: to be asked before anything is written that only a leader may write."""
        if self._leads and not self._lock.is_held():
            self._leads = False
            _log.warning("leadership_lost", lock=repr(self._lock))
        return self._leads

    def release(self) -> None:
        """Stop leading, so that another one may at once."""
        self._lock.release()
        self._leads = False


def _lock_of(url: URL) -> Lock:
    if url.get_backend_name() != "sqlite":
        return _SessionLock(url)
    path = _sqlite_path(url)
    return _NoLock() if path is None else _StoreFileLock(path.with_name(path.name + LOCK_SUFFIX))


def _sqlite_path(url: URL) -> Path | None:
    """Return the file of a SQLite database; None for one in memory."""
    database = url.database or ""
    if database.startswith("file:"):
        if url.query.get("mode") == "memory":
            return None
        database = database.removeprefix("file:").partition("?")[0]
    return None if database in {"", ":memory:"} else Path(database)


class _NoLock:
    """For a store that no other process can see."""

    def __repr__(self) -> str:
        return "<no lock>"

    def take(self) -> bool:
        return True

    def is_held(self) -> bool:
        return True

    def release(self) -> None:
        return


class _StoreFileLock(FileLock):
    """Beside a SQLite database; where it cannot be had, nobody leads."""

    def take(self) -> bool:
        try:
            return super().take()
        except OSError as error:
            _log.error("leadership_unavailable", lock=repr(self), reason=error.strerror)
            return False


class _SessionLock:
    """PostgreSQL's advisory lock of a session: held for as long as the connection lives.

    It stands for the database and the schema, so that two Touchstones in one database do not know of each other.
    """

    def __init__(self, url: URL) -> None:
        self._url = url
        self._engine: Engine | None = None
        self._connection: Connection | None = None

    def __repr__(self) -> str:
        return f"<advisory lock of {self._url.get_backend_name()} {self._url.database}>"

    def take(self) -> bool:
        try:
            if self._connection is None:
                self._connect()
            return self._ask("SELECT pg_try_advisory_lock(:number, hashtext(coalesce(current_schema(), '')))")
        except SQLAlchemyError as error:
            # By its name alone: the message may hold the address.
            _log.error("leadership_unavailable", lock=repr(self), reason=type(error).__name__)
            self._drop()
            return False

    def is_held(self) -> bool:
        if self._connection is None:
            return False
        try:
            return self._ask(
                "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() "
                "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
                "AND classid::bigint = :number AND objsubid = 2 AND granted)"
            )
        except SQLAlchemyError:
            # Not to be used again: SQLAlchemy would connect anew, and that session holds nothing.
            self._drop()
            return False

    def release(self) -> None:
        if self._connection is not None:
            # Said, and not left to the connection's end, which the server takes note of a little later.
            with contextlib.suppress(SQLAlchemyError):
                self._connection.execute(text("SELECT pg_advisory_unlock_all()"))
        self._drop()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        engine, self._engine = self._engine, None
        if connection is not None:
            # The session's end gives the lock back, whether or not the server can still be asked.
            connection.invalidate()
            connection.close()
        if engine is not None:
            engine.dispose()

    def _ask(self, statement: str) -> bool:
        assert self._connection is not None  # noqa: S101  # connected just now, or checked by the caller
        return bool(self._connection.execute(text(statement), {"number": _LOCK_NUMBER}).scalar_one())

    def _connect(self) -> None:
        # No transaction: a session that is idle in one keeps the server from cleaning up.
        self._engine = create_engine(
            self._url, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=_patience(self._url)
        )
        self._connection = self._engine.connect()
        for name, value in _SERVER_PATIENCE.items():
            self._connection.execute(text(f"SET {name} = {value}"))


_SERVER_PATIENCE = {
    "statement_timeout": _STATEMENT_MS,
    # A leader whose machine is gone says no goodbye: the server is to notice in seconds, not in hours.
    "tcp_keepalives_idle": 2,
    "tcp_keepalives_interval": 1,
    "tcp_keepalives_count": 3,
    "tcp_user_timeout": _SILENCE_MS,
}


def _patience(url: URL) -> dict[str, int]:
    """Return libpq's words for noticing in seconds that the server is gone; another driver gets none."""
    if not url.get_driver_name().startswith("psycopg"):
        return {}
    return {
        "connect_timeout": _CONNECT_S,
        "keepalives_idle": 2,
        "keepalives_interval": 1,
        "keepalives_count": 3,
        "tcp_user_timeout": _SILENCE_MS,
    }
