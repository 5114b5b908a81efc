"""What answers use is added up by day, variant and endpoint: money, time and tokens for the pages."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_KEYS = ("experiment", "epoch", "day", "variant", "role", "backend", "endpoint", "cached")
_COUNTS = ("exchanges", "failed", "counted", "input_tokens", "output_tokens", "timed")


def upgrade() -> None:
    op.create_table(
        "spend",
        sa.Column("experiment", sa.String(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        *(sa.Column(key, sa.String(), nullable=False) for key in _KEYS[2:-1]),
        sa.Column("cached", sa.Boolean(), nullable=False),
        *(sa.Column(count, sa.BigInteger(), nullable=False) for count in _COUNTS),
        sa.Column("busy_ms", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint(*_KEYS),
    )
    mark = op.create_table(
        "spend_mark",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("exchange_seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.bulk_insert(mark, [{"id": 1, "exchange_seq": 0}])


def downgrade() -> None:
    op.drop_table("spend_mark")
    op.drop_table("spend")
