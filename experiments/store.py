"""The store: SQLite (WAL) or PostgreSQL behind one set of methods. Records in, records out.

Everything that belongs together is one transaction: a batch of exchanges with the journal offset that it was read up
to; the outcomes of pairs with the mark that they are scored; a look with the transition and the route that it caused.
So a process may be killed at any commit boundary and the next one goes on from there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import (
    Connection,
    Engine,
    ScalarSelect,
    Table,
    case,
    func,
    insert,
    select,
    update,
)

from experiments import migrations
from experiments.engines import Client, engine_for
from experiments.loading import load_beside_others, wait_for_loads
from experiments.looks import thin_look
from experiments.model import Drain, Role, Route
from experiments.rows import exchange_values, look_of, route_state, storable, stored_exchange, unprefixed
from experiments.scoring.outcome_rows import lock_outcomes, outcome_values
from experiments.statements import batches, insert_new, upserting
from experiments.stored import (
    Epoch,
    LoadedExchange,
    Look,
    Outcome,
    RouteState,
    StoredExchange,
    StoredFeedback,
    Transition,
    Watermarks,
)
from experiments.tables import (
    DRAIN,
    EPOCH,
    EXCHANGE,
    FEEDBACK,
    LOOK,
    OUTCOME,
    ROUTE,
    SCORE_TASK,
    SEGMENT,
    TRANSITION,
)

_GONE_SEGMENTS = "deleted"
"""Stands for all segments whose file is deleted: the damage that was met in them is not forgotten."""


__all__ = [
    "Epoch",
    "LoadedExchange",
    "Look",
    "Outcome",
    "RouteState",
    "Store",
    "StoredExchange",
    "StoredFeedback",
    "Transition",
    "Watermarks",
    "open_store",
]


class StaleRouteError(Exception):
    """A route was changed by somebody else while something was decided on it."""


class Store:
    """One database. Methods are synchronous and safe to call from several threads."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def __repr__(self) -> str:
        return f"<Store {self.engine.url.render_as_string(hide_password=True)}>"

    def migrate(self) -> None:
        """Bring the schema to the newest version; a new database gets it whole, and its folder if that is missing."""
        if self.engine.dialect.name == "sqlite" and self.engine.url.database:
            Path(self.engine.url.database).parent.mkdir(parents=True, exist_ok=True)
        if self.engine.dialect.name != "sqlite":
            with self.engine.begin() as connection:
                migrations.upgrade(connection)
            return
        # Python's driver opens no transaction for CREATE TABLE: killed half-way, it would leave half a schema. So ours.
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                migrations.upgrade(connection)
            except BaseException:
                connection.exec_driver_sql("ROLLBACK")
                raise
            connection.exec_driver_sql("COMMIT")

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    # --- loading: journal -> exchanges and feedback -------------------------------------------------------------------

    def segment_offset(self, name: str) -> int:
        """How many bytes of a journal segment have been loaded."""
        with self.engine.connect() as connection:
            row = connection.execute(select(SEGMENT.c.offset).where(SEGMENT.c.name == name)).first()
        return row[0] if row else 0

    def load(
        self,
        segment: str,
        offset: int,
        exchanges: Sequence[LoadedExchange],
        feedback: Sequence[dict[str, Any]] = (),
        *,
        damaged: int = 0,
    ) -> int:
        """Store a batch with the offset it was read up to, in one transaction; a record that is there already stays.

        Returns:
            How many exchanges were new.
        """
        with self.engine.begin() as connection:
            load_beside_others(connection)
            new = self._insert_ignoring(connection, EXCHANGE, [exchange_values(e) for e in exchanges])
            self._append_feedback(connection, feedback)
            self._advance_segment(connection, segment, offset, len(exchanges) + len(feedback), damaged)
        return new

    def _append_feedback(self, connection: Connection, feedback: Sequence[dict[str, Any]]) -> None:
        """Add what is new. A changed mind is a row of its own: looks that saw the earlier one must replay."""
        latest = self._latest_feedback(connection, sorted({item["exchange"] for item in feedback}))
        new = []
        for values in map(storable, feedback):
            key = (values["exchange"], values["metric"], values["source"])
            if latest.get(key) != values["value"]:
                latest[key] = values["value"]
                new.append(values)
        if new:
            connection.execute(insert(FEEDBACK), new)

    def _latest_feedback(self, connection: Connection, exchanges: list[str]) -> dict[tuple[str, str, str], float]:
        """Return (exchange, metric, source) -> the newest value."""
        columns = FEEDBACK.c
        found: dict[tuple[str, str, str], float] = {}
        for some in batches(exchanges):
            chosen = columns.exchange.in_(some)
            query = select(columns.exchange, columns.metric, columns.source, columns.value).where(chosen)
            for *key, value in connection.execute(query.order_by(columns.seq)):
                found[key[0], key[1], key[2]] = value
        return found

    def forget_segment(self, name: str) -> None:
        """Drop the bookkeeping of a segment whose file is deleted, but for the damage that was met in it."""
        with self.engine.begin() as connection:
            chosen = SEGMENT.c.name == name
            damaged = connection.execute(select(SEGMENT.c.damaged).where(chosen)).scalar_one_or_none()
            if damaged:
                self._advance_segment(connection, _GONE_SEGMENTS, 0, 0, damaged)
            connection.execute(SEGMENT.delete().where(chosen))

    def damaged_records(self) -> int:
        """Damaged or torn journal records met so far."""
        with self.engine.connect() as connection:
            return int(connection.execute(select(func.coalesce(func.sum(SEGMENT.c.damaged), 0))).scalar_one())

    def find_exchange(self, exchange_id: str) -> str | None:
        """Return the name of the experiment that an exchange belongs to; None if it is not stored."""
        with self.engine.connect() as connection:
            row = connection.execute(select(EXCHANGE.c.experiment).where(EXCHANGE.c.id == exchange_id)).first()
        return row[0] if row else None

    def latest_exchange_of(self, experiment: str, unit: str) -> str | None:
        """Return the id of a unit's newest live exchange: what feedback on a unit is attributed to."""
        columns = EXCHANGE.c
        query = (
            select(columns.id)
            .where(columns.experiment == experiment, columns.unit == unit, columns.role == Role.LIVE)
            .order_by(columns.seq.desc())
            .limit(1)
        )
        with self.engine.connect() as connection:
            return connection.execute(query).scalar_one_or_none()

    # --- scoring: pairs -> outcomes -----------------------------------------------------------------------------------

    def unscored_pairs(self, limit: int) -> list[tuple[StoredExchange, StoredExchange]]:
        """Return (live, shadow) of pairs of which both sides are stored and that no scorer has seen."""
        shadow, live = EXCHANGE.alias("s"), EXCHANGE.alias("l")
        query = (
            select(*(live.c[c.name].label(f"live_{c.name}") for c in live.c), shadow)
            .join_from(shadow, live, live.c.id == shadow.c.pair)
            .where(shadow.c.role == Role.SHADOW, live.c.role == Role.LIVE, shadow.c.scored.is_(False))
            .order_by(shadow.c.seq)
            .limit(limit)
        )
        with self.engine.connect() as connection:
            rows = connection.execute(query).mappings().all()
        return [(stored_exchange(unprefixed(row, "live_")), stored_exchange(row)) for row in rows]

    def save_outcomes(
        self, outcomes: Sequence[Outcome], scored: Iterable[int], tasks: Sequence[dict[str, Any]] = ()
    ) -> None:
        """Store outcomes and mark the shadow exchanges (by `seq`) that they came from as scored.

        Args:
            outcomes: Of any pairs.
            scored: See above.
            tasks: Rows of pairs that wait for a scorer which asks another server.
        """
        rows, marks = [outcome_values(outcome) for outcome in outcomes], list(scored)
        with self.engine.begin() as connection:
            if rows:
                lock_outcomes(connection)
            self._insert_ignoring(connection, OUTCOME, rows)
            insert_new(connection, SCORE_TASK, tasks)
            for some in batches(marks):
                chosen = EXCHANGE.c.seq.in_(some)
                connection.execute(update(EXCHANGE).where(chosen).values(scored=True))

    # --- reading forward: what a look folds in ------------------------------------------------------------------------

    def watermarks(self) -> Watermarks:
        """Return how far the tables are filled, from one snapshot: below these marks nothing is added any more.

        On PostgreSQL it waits for the batches that are being loaded, which takes a fraction of a second.
        """

        def top(row: Table) -> ScalarSelect[int]:
            return select(func.coalesce(func.max(row.c.seq), 0)).scalar_subquery()

        with self.engine.begin() as connection:
            wait_for_loads(connection)
            return Watermarks(*connection.execute(select(top(EXCHANGE), top(OUTCOME), top(FEEDBACK))).one())

    def exchanges(self, experiment: str, epoch: int, after: int, upto: int) -> list[StoredExchange]:
        """Return the experiment's exchanges with `after < seq <= upto`, in order."""
        columns = EXCHANGE.c
        query = (
            select(EXCHANGE)
            .where(columns.experiment == experiment, columns.epoch == epoch, columns.seq > after, columns.seq <= upto)
            .order_by(columns.seq)
        )
        with self.engine.connect() as connection:
            return [stored_exchange(row) for row in connection.execute(query).mappings()]

    def outcomes(self, experiment: str, epoch: int, after: int, upto: int) -> list[Outcome]:
        """Return the experiment's outcomes with `after < seq <= upto`, in order."""
        columns = OUTCOME.c
        query = (
            select(OUTCOME)
            .where(columns.experiment == experiment, columns.epoch == epoch, columns.seq > after, columns.seq <= upto)
            .order_by(columns.seq)
        )
        with self.engine.connect() as connection:
            return [Outcome(**row) for row in connection.execute(query).mappings()]

    def feedback(self, experiment: str, epoch: int, after: Watermarks, upto: Watermarks) -> list[StoredFeedback]:
        """Return feedback on live exchanges of the experiment that became visible between two watermarks, in order.

        It is visible once both it and its exchange are stored: another proxy's journal may be loaded first.
        """
        f, x = FEEDBACK.c, EXCHANGE.c
        of_exchange = (x.unit, x.stage, x.assigned, x.propensity, x.at.label("exchange_at"))
        query = (
            select(f.seq, f.exchange, f.metric, f.source, f.value, f.at, *of_exchange)
            .join_from(FEEDBACK, EXCHANGE, x.id == f.exchange)
            .where(x.experiment == experiment, x.epoch == epoch, x.role == Role.LIVE)
        )
        new = query.where(f.seq > after.feedback, f.seq <= upto.feedback, x.seq <= upto.exchange)
        waited = query.where(f.seq <= after.feedback, x.seq > after.exchange, x.seq <= upto.exchange)
        with self.engine.connect() as connection:
            rows = [row for part in (waited, new) for row in connection.execute(part).mappings()]
        return sorted((StoredFeedback(**row) for row in rows), key=lambda item: item.seq)

    # --- epochs, routes, looks, transitions ---------------------------------------------------------------------------

    def latest_epoch(self, experiment: str) -> Epoch | None:
        """Return the newest epoch of an experiment."""
        query = select(EPOCH).where(EPOCH.c.experiment == experiment)
        with self.engine.connect() as connection:
            row = connection.execute(query.order_by(EPOCH.c.number.desc()).limit(1)).mappings().first()
        return Epoch(**{k: v for k, v in row.items() if k != "id"}) if row else None

    def epochs(self, experiment: str) -> list[Epoch]:
        """Return all epochs of an experiment, in order."""
        query = select(EPOCH).where(EPOCH.c.experiment == experiment).order_by(EPOCH.c.number)
        with self.engine.connect() as connection:
            rows = connection.execute(query).mappings().all()
        return [Epoch(**{k: v for k, v in row.items() if k != "id"}) for row in rows]

    def begin_epoch(
        self, epoch: Epoch, state: RouteState, transition: Transition, *, before: Route | None = None
    ) -> None:
        """Start an epoch: its row, its route and the transition, in one transaction.

        Raises:
            StaleRouteError: The route is not the one before any more; nothing is stored.
        """
        with self.engine.begin() as connection:
            if before is not None and not self._is_still(connection, before):
                raise StaleRouteError(f"the route of {epoch.experiment} was changed before its next epoch")
            connection.execute(insert(EPOCH), [msgspec.structs.asdict(epoch)])
            self._put_route(connection, state)
            connection.execute(insert(TRANSITION), [msgspec.structs.asdict(transition)])

    def routes(self) -> list[Route]:
        """Return the routes of all experiments: what the proxies poll."""
        return [state.route for state in self.route_states().values()]

    def route_states(self) -> dict[str, RouteState]:
        """Return experiment -> route with its times."""
        with self.engine.connect() as connection:
            rows = connection.execute(select(ROUTE)).mappings().all()
        return {row["experiment"]: route_state(row) for row in rows}

    def move(self, before: Route, transition: Transition, state: RouteState) -> bool:
        """Store a transition and the route that it makes, in one transaction, if the route is still the one before.

        Returns:
            Whether it was; nothing is stored otherwise.
        """
        with self.engine.begin() as connection:
            if not self._is_still(connection, before):
                return False
            connection.execute(insert(TRANSITION), [msgspec.structs.asdict(transition)])
            self._put_route(connection, state)
        return True

    def _is_still(self, connection: Connection, route: Route) -> bool:
        """Whether a route is as it was read; until the transaction ends, nobody else changes it."""
        query = select(ROUTE).where(ROUTE.c.experiment == route.experiment)
        if self.engine.dialect.name == "sqlite":
            # The first write takes the lock; a read before it could be of an older state.
            unchanged = {"stage": ROUTE.c.stage}
            connection.execute(update(ROUTE).where(ROUTE.c.experiment == route.experiment).values(unchanged))
        row = connection.execute(query.with_for_update()).mappings().first()
        return row is not None and route_state(row).route == route

    def save_look(
        self,
        look: Look,
        transition: Transition | None = None,
        state: RouteState | None = None,
        *,
        before: Route | None = None,
    ) -> None:
        """Store a look, and what it caused, in one transaction.

        Args:
            look: What was seen and decided.
            transition: What follows from it.
            state: The route that the transition makes.
            before: The route that was decided on.

        Raises:
            StaleRouteError: Somebody has changed the route meanwhile; nothing is stored.
        """
        row = msgspec.structs.asdict(look)
        row |= {
            "action": look.decision.action.value,
            "evidence": msgspec.to_builtins(look.evidence),
            "decision": msgspec.to_builtins(look.decision),
        }
        with self.engine.begin() as connection:
            if before is not None and not self._is_still(connection, before):
                raise StaleRouteError(f"the route of {look.experiment} was changed during its look")
            connection.execute(insert(LOOK), [row])
            thin_look(connection, look.experiment, look.epoch, look.number - 1)
            if transition is not None:
                connection.execute(insert(TRANSITION), [msgspec.structs.asdict(transition)])
            if state is not None:
                self._put_route(connection, state)

    def looks(self, experiment: str, epoch: int) -> list[Look]:
        """Return all looks of an epoch, in order."""
        query = select(LOOK).where(LOOK.c.experiment == experiment, LOOK.c.epoch == epoch)
        with self.engine.connect() as connection:
            rows = connection.execute(query.order_by(LOOK.c.number)).mappings().all()
        return [look_of(row) for row in rows]

    def latest_look(self, experiment: str, epoch: int) -> Look | None:
        """Return the newest look of an epoch."""
        query = select(LOOK).where(LOOK.c.experiment == experiment, LOOK.c.epoch == epoch)
        with self.engine.connect() as connection:
            row = connection.execute(query.order_by(LOOK.c.number.desc()).limit(1)).mappings().first()
        return look_of(row) if row else None

    def transitions(self, experiment: str) -> list[Transition]:
        """Return what happened to an experiment, in order."""
        query = select(TRANSITION).where(TRANSITION.c.experiment == experiment)
        with self.engine.connect() as connection:
            rows = connection.execute(query.order_by(TRANSITION.c.seq)).mappings().all()
        return [msgspec.convert({k: v for k, v in row.items() if k != "seq"}, Transition) for row in rows]

    def count_exchanges(self, experiment: str | None = None) -> dict[str, int]:
        """Return role -> stored exchanges; for tests and reports, not for a page (it reads the table)."""
        columns = EXCHANGE.c
        query = select(columns.role, func.count()).group_by(columns.role)
        if experiment is not None:
            query = query.where(columns.experiment == experiment)
        with self.engine.connect() as connection:
            return {str(role): int(count) for role, count in connection.execute(query)}

    # --- drains -------------------------------------------------------------------------------------------------------

    def drains(self) -> list[Drain]:
        """Return everything that is being drained."""
        with self.engine.connect() as connection:
            rows = connection.execute(select(DRAIN).order_by(DRAIN.c.backend, DRAIN.c.endpoint)).mappings().all()
        return [Drain(**row) for row in rows]

    # --- helpers ------------------------------------------------------------------------------------------------------

    def _insert_ignoring(self, connection: Connection, row: Table, values: list[dict[str, Any]]) -> int:
        if not values:
            return 0
        before = connection.execute(select(func.coalesce(func.max(row.c.seq), 0))).scalar_one()
        insert_new(connection, row, values)
        return int(connection.execute(select(func.count()).where(row.c.seq > before)).scalar_one())

    def _upsert(
        self,
        connection: Connection,
        row: Table,
        values: list[dict[str, Any]],
        key: tuple[str, ...],
        replaced: tuple[str, ...],
    ) -> None:
        if not values:
            return
        statement = upserting(connection, row)
        new = {name: statement.excluded[name] for name in replaced}
        connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_=new), values)

    def _advance_segment(self, connection: Connection, name: str, offset: int, records: int, damaged: int) -> None:
        statement = upserting(connection, SEGMENT)
        table = SEGMENT.c
        # An offset never goes back, whoever comes second.
        furthest = case((table.offset > statement.excluded.offset, table.offset), else_=statement.excluded.offset)
        changes = {
            "offset": furthest,
            "records": table.records + statement.excluded.records,
            "damaged": table.damaged + statement.excluded.damaged,
        }
        connection.execute(
            statement.on_conflict_do_update(index_elements=["name"], set_=changes),
            [{"name": name, "offset": offset, "records": records, "damaged": damaged}],
        )

    def _put_route(self, connection: Connection, state: RouteState) -> None:
        values = msgspec.structs.asdict(state.route) | {
            "phase": state.route.phase.value,
            "epoch_started_at": state.epoch_started_at,
            "stage_started_at": state.stage_started_at,
        }
        replaced = tuple(name for name in values if name != "experiment")
        self._upsert(connection, ROUTE, [values], ("experiment",), replaced)


def open_store(url: str, client: Client = "command") -> Store:
    """Open a store by its SQLAlchemy URL; nothing is created or migrated until `migrate` is called.

    Args:
        url: Where it is.
        client: Whose connections they are: how many, and how patient, see `experiments.engines`.

    >>> open_store("sqlite://")
    <Store sqlite://>
    """
    return Store(engine_for(url, client))
