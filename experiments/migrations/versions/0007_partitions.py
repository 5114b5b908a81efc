"""Exchanges and outcomes by days on PostgreSQL; what was dropped; of looks, only the newest keeps its state.

On PostgreSQL the tables become the first partitions of new ones: no row is copied. What is rebuilt are the indexes of
ids, which sort by bytes from here on. All of it is one transaction; proxies serve meanwhile, and their journal waits.
"""

import time

import sqlalchemy as sa
from alembic import op

from experiments.retention.days import day_of, first_id
from experiments.retention.partitions import FIRST, KEYS, REST, attach

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_DAY_S = 86_400
_IDS = {
    "exchange": ("id", "pair"),
    "outcome": ("pair",),
    "feedback": ("exchange",),
    "label": ("pair",),
    "score_task": ("pair",),
}
"""Table -> columns that hold ids of exchanges."""
_UNIQUE = {
    "exchange": ("exchange_id_key", "id"),
    "outcome": ("uq_outcome_pair_metric_scorer", "pair, metric, scorer"),
}
_INDEXES = {
    "exchange": {
        "ix_exchange_experiment_seq": "(experiment, epoch, seq)",
        "ix_exchange_unit": "(experiment, unit)",
        "ix_exchange_unscored": "(seq) WHERE role = 'shadow' AND NOT scored",
        "ix_exchange_shadow_of": "(pair) WHERE role = 'shadow'",
    },
    "outcome": {
        "ix_outcome_experiment_seq": "(experiment, epoch, seq)",
        "ix_outcome_metric_value": "(experiment, epoch, metric, value, seq)",
        "ix_outcome_failed": "(experiment, epoch, metric, seq) WHERE failure <> ''",
    },
}


def upgrade() -> None:
    op.create_table(
        "dropped",
        sa.Column("experiment", sa.String(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("first_at", sa.Float(), nullable=False),
        sa.Column("last_at", sa.Float(), nullable=False),
        sa.Column("exchanges", sa.BigInteger(), nullable=False),
        sa.Column("keep_days", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("experiment", "epoch"),
    )
    _thin_looks()
    if op.get_bind().dialect.name == "postgresql":
        _collate("C")
        # Of the running day, too: what comes today stays with what came before.
        until = first_id(day_of(time.time()) + _DAY_S)
        for table, key in KEYS.items():
            _partition(table, key, until)


def _thin_looks() -> None:
    """Empty the states of looks that neither are the newest of their epoch nor changed anything."""
    op.execute(
        "UPDATE look SET state = '{}' WHERE number < (SELECT max(l.number) FROM look l WHERE "
        "l.experiment = look.experiment AND l.epoch = look.epoch) AND NOT EXISTS (SELECT 1 FROM transition t WHERE "
        "t.experiment = look.experiment AND t.epoch = look.epoch AND t.look = look.number)"
    )


def _collate(collation: str) -> None:
    for table, columns in _IDS.items():
        changes = ", ".join(f'ALTER COLUMN {name} TYPE varchar COLLATE "{collation}"' for name in columns)
        op.execute(f"ALTER TABLE {table} {changes}")


def _partition(table: str, key: str, until: str) -> None:
    first, rest = f"{table}_{FIRST}", f"{table}_{REST}"
    op.execute(f"ALTER TABLE {table} RENAME TO {first}")
    op.execute(f"ALTER TABLE {first} DROP CONSTRAINT {table}_pkey")
    for name in (_UNIQUE[table][0], *_INDEXES[table]):
        op.execute(f"ALTER INDEX {name} RENAME TO {name}_{FIRST}")
    op.execute(f"CREATE TABLE {table} (LIKE {first} INCLUDING DEFAULTS) PARTITION BY RANGE ({key})")
    op.execute(f"ALTER SEQUENCE {table}_seq_seq OWNED BY {table}.seq")
    op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {_UNIQUE[table][0]} UNIQUE ({_UNIQUE[table][1]})")
    op.execute(f"CREATE INDEX ix_{table}_seq ON {table} (seq)")
    _create_indexes(table)
    op.execute(f"CREATE TABLE {rest} PARTITION OF {table} DEFAULT")
    op.execute(
        f"WITH odd AS (DELETE FROM {first} WHERE {key} >= '{until}' RETURNING *) INSERT INTO {rest} SELECT * FROM odd"  # noqa: S608
    )
    # Its indexes become those of the table; the one of seq is made here.
    attach(op.get_bind(), table, first, "", until)


def _create_indexes(table: str) -> None:
    for name, on in _INDEXES[table].items():
        op.execute(f"CREATE INDEX {name} ON {table} {on}")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table in KEYS:
            _unpartition(table)
        _collate("default")
    op.drop_table("dropped")


def _unpartition(table: str) -> None:
    op.execute(f"CREATE TABLE {table}_plain (LIKE {table} INCLUDING DEFAULTS)")
    op.execute(f"INSERT INTO {table}_plain SELECT * FROM {table}")  # noqa: S608
    op.execute(f"ALTER SEQUENCE {table}_seq_seq OWNED BY {table}_plain.seq")
    op.execute(f"DROP TABLE {table}")
    op.execute(f"ALTER TABLE {table}_plain RENAME TO {table}")
    op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {table}_pkey PRIMARY KEY (seq)")
    op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {_UNIQUE[table][0]} UNIQUE ({_UNIQUE[table][1]})")
    _create_indexes(table)
