"""Scores by other servers, labels, daily quality, forgotten units; what earlier attempts exposed; drains that ended."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_CONVENTION = {"uq": "uq_%(table_name)s_%(column_0_N_name)s"}


def _seq() -> sa.Column[int]:
    return sa.Column("seq", _SEQUENCE, autoincrement=True, nullable=False)


def _upgrade_outcome() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    old = "uq_outcome_pair_metric" if is_sqlite else "outcome_pair_metric_key"
    with op.batch_alter_table(
        "outcome", naming_convention=_CONVENTION, table_kwargs={"sqlite_autoincrement": True}
    ) as outcome:
        outcome.add_column(sa.Column("scored_at", sa.Float(), nullable=True))
        outcome.add_column(sa.Column("failure", sa.String(), nullable=False, server_default=""))
        outcome.add_column(sa.Column("detail", sa.JSON(), nullable=True))
        outcome.drop_constraint(old, type_="unique")
        outcome.create_unique_constraint("uq_outcome_pair_metric_scorer", ["pair", "metric", "scorer"])


def _add_indexes() -> None:
    """What reading pairs needs: the other side of a live exchange, and a metric's pairs from worst to best."""
    columns = ["experiment", "epoch", "metric"]
    op.create_index("ix_exchange_unit", "exchange", ["experiment", "unit"])
    op.create_index("ix_outcome_metric_value", "outcome", [*columns, "value", "seq"])
    for name, table, keys, where in (
        ("ix_outcome_failed", "outcome", [*columns, "seq"], "failure <> ''"),
        ("ix_exchange_shadow_of", "exchange", ["pair"], "role = 'shadow'"),
    ):
        op.create_index(name, table, keys, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def upgrade() -> None:
    op.add_column("route", sa.Column("exposed", sa.JSON(), nullable=False, server_default="[]"))
    _upgrade_outcome()
    _add_indexes()
    op.create_table(
        "drain_event",
        _seq(),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("backend", sa.String(), nullable=False),
        sa.Column("endpoint", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_table(
        "checkpoint",
        sa.Column("experiment", sa.String(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("look", sa.Integer(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("experiment"),
    )
    op.create_table(
        "score_task",
        _seq(),
        sa.Column("pair", sa.String(), nullable=False),
        sa.Column("experiment", sa.String(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("metric", sa.String(), nullable=False),
        sa.Column("due_at", sa.Float(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("trouble", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("pair", "metric"),
    )
    op.create_index("ix_score_task_due", "score_task", ["due_at"])
    op.create_table(
        "score_spend",
        sa.Column("experiment", sa.String(), nullable=False),
        sa.Column("metric", sa.String(), nullable=False),
        sa.Column("day", sa.String(), nullable=False),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.Column("input_tokens", sa.Integer(), nullable=False),
        sa.Column("output_tokens", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("experiment", "metric", "day"),
    )
    op.create_table(
        "label",
        _seq(),
        sa.Column("pair", sa.String(), nullable=False),
        sa.Column("experiment", sa.String(), nullable=False),
        sa.Column("metric", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index("ix_label_pair", "label", ["pair", "metric"])
    op.create_table(
        "daily_quality",
        sa.Column("experiment", sa.String(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("day", sa.String(), nullable=False),
        sa.Column("metric", sa.String(), nullable=False),
        sa.Column("slice", sa.String(), nullable=False),
        sa.Column("variant", sa.String(), nullable=False),
        sa.Column("pairs", sa.Integer(), nullable=False),
        sa.Column("mean", sa.Float(), nullable=True),
        sa.Column("macro_f1", sa.Float(), nullable=True),
        sa.Column("win_rate", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("experiment", "epoch", "day", "metric", "slice", "variant"),
    )
    op.create_table(
        "forgotten",
        _seq(),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("exchanges", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )


def downgrade() -> None:
    for table in ("forgotten", "daily_quality", "label", "score_spend", "score_task", "checkpoint", "drain_event"):
        op.drop_table(table)
    op.drop_index("ix_exchange_unit", "exchange")
    op.drop_index("ix_exchange_shadow_of", "exchange")
    op.drop_index("ix_outcome_failed", "outcome")
    op.drop_index("ix_outcome_metric_value", "outcome")
    op.drop_column("route", "exposed")
    with op.batch_alter_table(
        "outcome", naming_convention=_CONVENTION, table_kwargs={"sqlite_autoincrement": True}
    ) as outcome:
        for column in ("detail", "failure", "scored_at"):
            outcome.drop_column(column)
        outcome.drop_constraint("uq_outcome_pair_metric_scorer", type_="unique")
        outcome.create_unique_constraint("uq_outcome_pair_metric", ["pair", "metric"])
