"""What serving adds: cached answers, tool calls, inter-token latency, erased texts; and backends that are drained."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("exchange", sa.Column("cached", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("exchange", sa.Column("model", sa.String(), nullable=False, server_default=""))
    op.add_column("exchange", sa.Column("tool_calls", sa.Integer(), nullable=True))
    op.add_column("exchange", sa.Column("inter_token_ms", sa.Float(), nullable=True))
    op.add_column("exchange", sa.Column("erased_at", sa.Float(), nullable=True))
    op.create_table(
        "drain",
        sa.Column("backend", sa.String(), nullable=False),
        sa.Column("endpoint", sa.String(), nullable=False),
        sa.Column("since", sa.Float(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("backend", "endpoint"),
    )


def downgrade() -> None:
    op.drop_table("drain")
    for column in ("erased_at", "inter_token_ms", "tool_calls", "model", "cached"):
        op.drop_column("exchange", column)
