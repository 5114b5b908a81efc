"""One user leaves the store: every text of theirs is erased, and nothing leads back to their id any more.

A unit is stored under a keyed hash of its id, which anyone with the salt could compute again. Forgetting puts a random
key in its place, the same one in all of its rows: who belongs together stays known, so that every figure, and every
replay of a decision, stays the same to the last bit, while no id leads there. Texts go for good; the exchanges' times,
sizes, slices and scores stay, of nobody.

What still lies in the journal is in no row yet: it has to be loaded first, see `settle_journal`.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, bindparam, delete, func, insert, null, select, update

from experiments.assignment import unit_of
from experiments.config.records import Config, Experiment
from experiments.journal.format import SUFFIX
from experiments.journal.post import RecordingPost
from experiments.journal.recorder import Recorder
from experiments.journal.recorders import Recorded, Recorders
from experiments.journal.report import identity
from experiments.leadership import Leadership
from experiments.privacy.stored_texts import empty_wal, overwrite_deleted
from experiments.statements import batches
from experiments.store import Store
from experiments.stored import ForgottenNote
from experiments.tables import CHECKPOINT, EPOCH, EXCHANGE, FORGOTTEN, LABEL, OUTCOME, ROUTE, SCORE_TASK

_LOOK_AGAIN_S = 0.25
KEY_BYTES = 16
"""As many as a unit's own key has: a row does not show that it is of a forgotten one."""


class Forgotten(NamedTuple):
    """What a forgetting came to."""

    exchanges: Mapping[str, int]
    """Experiment -> exchanges whose texts are erased and whose unit has a new key; only those with any."""
    overwritten: bool
    """Whether the old rows are gone from the database's files too, as far as that is ours to do; see `Forgetting`."""


class _Found(NamedTuple):
    seq: int
    id: str
    key: str


class Forgetting:
    """Forgets units.

    On SQLite the old rows are overwritten, in the database and in its write-ahead log. On PostgreSQL the server does
    that, when it vacuums and recycles its log.

    Args:
        store: Migrated.
        configured: The experiments of the configuration, whose salts count beside those of the stored epochs.
    """

    def __init__(self, store: Store, configured: Iterable[Experiment] = ()) -> None:
        self._engine = store.engine
        self._configured = [(experiment.name, experiment.salt) for experiment in configured]

    def __repr__(self) -> str:
        return f"<Forgetting in {self._engine.url.render_as_string(hide_password=True)}>"

    def forget(
        self, unit_id: str, *, actor: str, reason: str, now: float, experiments: Sequence[str] | None = None
    ) -> Forgotten:
        """Forget a unit, in one transaction for each experiment; a second time, there is nothing left to do.

        Args:
            unit_id: As the requests named it. It is written nowhere.
            actor: Who asked for it.
            reason: Kept with it: it must not name the unit.
            now: Wall-clock time in seconds since the epoch (UTC).
            experiments: Their names; all of the store and of the configuration unless given.

        Raises:
            ValueError: The reason contains the id.
        """
        if unit_id in reason:
            raise ValueError("the reason is kept: it must not contain the id")
        exchanges = {}
        for name, keys in self._keys(unit_id).items():
            if experiments is None or name in experiments:
                with self._engine.begin() as connection:
                    exchanges[name] = self._forget(connection, name, keys, _Said(now, actor, reason))
        found = {name: count for name, count in exchanges.items() if count}
        if not found:
            # That it was asked for is known all the same.
            with self._engine.begin() as connection:
                _note(connection, _Said(now, actor, reason), 0)
        return Forgotten(found, empty_wal(self._engine))

    def knows(self, experiment: str) -> bool:
        """Whether there is an experiment of this name, in the store or in the configuration."""
        return experiment in self._keys("")

    def _keys(self, unit_id: str) -> dict[str, set[str]]:
        """Return experiment -> the keys that the unit has or had there: each epoch may have a salt of its own."""
        with self._engine.connect() as connection:
            epochs = connection.execute(select(EPOCH.c.experiment, EPOCH.c.config)).all()
            routes = connection.execute(select(ROUTE.c.experiment, ROUTE.c.salt)).all()
        salts = [(row.experiment, str(row.config.get("salt", ""))) for row in epochs]
        salts += [(row.experiment, row.salt) for row in routes] + self._configured
        keys: dict[str, set[str]] = {}
        for name, salt in salts:
            keys.setdefault(name, set()).add(unit_of(salt, unit_id.encode("utf-8", "surrogateescape")).key)
        return keys

    def _forget(self, connection: Connection, name: str, keys: set[str], said: _Said) -> int:
        overwrite_deleted(connection)
        columns = EXCHANGE.c
        query = select(columns.seq, columns.id, columns.unit).where(columns.experiment == name, columns.unit.in_(keys))
        found = [_Found(*row) for row in connection.execute(query)]
        if found:
            _erase(connection, found, {key: secrets.token_hex(KEY_BYTES) for key in keys}, said.at)
            # It holds the keys of units; the rows themselves say all that it does.
            connection.execute(delete(CHECKPOINT).where(CHECKPOINT.c.experiment == name))
            _note(connection, said, len(found))
        return len(found)


class _Said(NamedTuple):
    at: float
    actor: str
    reason: str


def _note(connection: Connection, said: _Said, exchanges: int) -> None:
    connection.execute(insert(FORGOTTEN), [said._asdict() | {"exchanges": exchanges}])


def _erase(connection: Connection, found: Sequence[_Found], new_keys: Mapping[str, str], at: float) -> None:
    exchange = update(EXCHANGE).where(EXCHANGE.c.seq == bindparam("of"))
    rows = [{"of": row.seq, "key": new_keys[row.key]} for row in found]
    connection.execute(exchange.values(unit=bindparam("key"), prompt=None, answer=None, erased_at=at), rows)
    outcome = update(OUTCOME).where(OUTCOME.c.pair == bindparam("of"))
    pairs = [{"of": row.id, "key": new_keys[row.key]} for row in found]
    connection.execute(outcome.values(unit=bindparam("key"), detail=null()), pairs)
    for some in batches(found):
        for table in (LABEL, SCORE_TASK):
            connection.execute(delete(table).where(table.c.pair.in_([row.id for row in some])))


def forgotten_notes(engine: Engine) -> list[ForgottenNote]:
    """Return what is recorded of each forgetting, in order."""
    columns = [FORGOTTEN.c[name] for name in ForgottenNote.__struct_fields__]
    with engine.connect() as connection:
        rows = connection.execute(select(*columns).order_by(FORGOTTEN.c.seq)).mappings().all()
    return [ForgottenNote(**row) for row in rows]


def newest_forgetting(engine: Engine) -> int:
    """Return the number of the newest forgetting, 0 if there is none: whoever holds units' keys takes them anew."""
    with engine.connect() as connection:
        return int(connection.execute(select(func.coalesce(func.max(FORGOTTEN.c.seq), 0))).scalar_one())


def mend_outcomes(engine: Engine, after: int) -> int:
    """Give outcomes the key that their exchange has by now, for those that were scored while it was forgotten.

    Args:
        engine: Of a migrated store.
        after: Outcomes up to this number have been looked at; they were right.

    Returns:
        How many were mended.
    """
    late = (
        select(OUTCOME.c.seq, EXCHANGE.c.unit)
        .join_from(OUTCOME, EXCHANGE, EXCHANGE.c.id == OUTCOME.c.pair)
        .where(OUTCOME.c.seq > after, OUTCOME.c.unit != EXCHANGE.c.unit)
    )
    with engine.begin() as connection:
        rows: list[dict[str, Any]] = [{"of": row.seq, "key": row.unit} for row in connection.execute(late)]
        if rows:
            statement = update(OUTCOME).where(OUTCOME.c.seq == bindparam("of"))
            connection.execute(statement.values(unit=bindparam("key"), detail=null()), rows)
    return len(rows)


def settle_journal(config: Config, store: Store, leadership: Leadership, patience_s: float) -> list[str]:
    """Wait until all that the journal holds now is in the store and its files are deleted.

    A segment that a proxy still writes is closed within a minute. If another process records the folder, it loads them;
    if none does, this one does it, and keeps the leadership, so that no controller starts meanwhile. Of other hosts it
    is known when all that they hold now is in the store; their files follow within a minute.

    Args:
        config: Says where the journal is.
        store: Migrated.
        leadership: To be released by the caller.
        patience_s: How long to wait.

    Returns:
        The names of the files that are still there, and of hosts whose journal is not loaded: they may hold texts.
    """
    folder = Path(config.router.journal)
    post = RecordingPost(Recorder(config, store), folder)
    elsewhere = _Elsewhere(Recorders(store.engine), identity(folder))
    waiting = [path.name for path in folder.glob(f"*{SUFFIX}")]
    deadline = time.monotonic() + patience_s
    try:
        while True:
            leadership.try_lead()
            post.record()
            waiting = sorted(name for name in waiting if (folder / name).exists())
            left = [*waiting, *elsewhere.waiting()]
            if not left or time.monotonic() >= deadline:
                return left
            time.sleep(_LOOK_AGAIN_S)
    finally:
        post.close()  # if it was ours: nobody is to be missed there once this command is through


class _Elsewhere:
    """The journals of other hosts: each is in the store when its recorder has begun and ended a pass since."""

    def __init__(self, recorders: Recorders, here: str) -> None:
        self._recorders = recorders
        self._here = here
        self._begun = {one.report.folder: one.beat for one in self._others()}

    def _others(self) -> list[Recorded]:
        found = self._recorders.all()
        return [one for one in found if one.report.folder != self._here and not one.report.ended]

    def waiting(self) -> list[str]:
        """Return what is to be waited for; a folder that appeared since holds nothing of before."""
        return [
            f"the journal of {one.report.host}"
            for one in self._others()
            # The next word may be of a pass that had begun already.
            if one.report.waiting_bytes or one.beat < self._begun.get(one.report.folder, -2) + 2
        ]
