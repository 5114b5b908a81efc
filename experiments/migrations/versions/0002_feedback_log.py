"""feedback is a log: a changed mind is a row of its own, so that looks that saw the earlier one replay."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_KEY = ["exchange", "metric", "source"]
# The first schema gave its constraint no name: PostgreSQL chose one, SQLite has none but what this convention says.
_NAMES = {"uq": "uq_%(table_name)s_%(column_0_name)s"}


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        with op.batch_alter_table(
            "feedback", naming_convention=_NAMES, table_kwargs={"sqlite_autoincrement": True}
        ) as batch:
            batch.drop_constraint("uq_feedback_exchange", type_="unique")
    else:
        op.drop_constraint("feedback_exchange_metric_source_key", "feedback", type_="unique")
    op.create_index("ix_feedback_key", "feedback", _KEY)


def downgrade() -> None:
    op.drop_index("ix_feedback_key", "feedback")
    older = "DELETE FROM feedback WHERE seq NOT IN (SELECT max(seq) FROM feedback GROUP BY exchange, metric, source)"
    op.execute(sa.text(older))
    if op.get_bind().dialect.name == "sqlite":
        with op.batch_alter_table("feedback", table_kwargs={"sqlite_autoincrement": True}) as batch:
            batch.create_unique_constraint("uq_feedback_exchange", _KEY)
    else:
        op.create_unique_constraint("feedback_exchange_metric_source_key", "feedback", _KEY)
