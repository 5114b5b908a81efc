"""What servers say of their own time in an answer: computing, and waiting in their queue."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("exchange", sa.Column("server_compute_ms", sa.Float(), nullable=True))
    op.add_column("exchange", sa.Column("server_queue_ms", sa.Float(), nullable=True))


def downgrade() -> None:
    for column in ("server_queue_ms", "server_compute_ms"):
        op.drop_column("exchange", column)
