"""What guards users: empty answers, golden runs, gates; and which attempt of a build an epoch is."""

import sqlalchemy as sa
from alembic import op

# As in `experiments.tables`: a growing key of 64 bits, which SQLite only gives to INTEGER.
SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("epoch", sa.Column("candidate", sa.String(), nullable=False, server_default=""))
    op.add_column("epoch", sa.Column("attempt", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("exchange", sa.Column("empty", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_table(
        "golden_run",
        sa.Column("seq", SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("experiment", sa.String(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("result", sa.String(), nullable=False),
        sa.Column("summary", sa.String(), nullable=False),
        sa.Column("verdict", sa.JSON(), nullable=False),
        sa.Column("items", sa.JSON(), nullable=False),
        sa.UniqueConstraint("experiment", "epoch", "number"),
    )
    op.create_table(
        "gate",
        sa.Column("experiment", sa.String(), primary_key=True),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("waits_for", sa.JSON(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("gate")
    op.drop_table("golden_run")
    op.drop_column("exchange", "empty")
    op.drop_column("epoch", "attempt")
    op.drop_column("epoch", "candidate")
