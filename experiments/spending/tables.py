"""The rows of the ledger of what answers used; the rest of the schema is in `experiments.tables`."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column
from sqlmodel import Field, SQLModel


class SpendRow(SQLModel, table=True):
    """What the answers of one day (UTC) that are alike used; see `experiments.spending.store`."""

    __tablename__ = "spend"

    experiment: str = Field(primary_key=True)
    epoch: int = Field(primary_key=True)
    day: str = Field(primary_key=True)
    variant: str = Field(primary_key=True)
    role: str = Field(primary_key=True)
    backend: str = Field(primary_key=True)
    endpoint: str = Field(primary_key=True)
    cached: bool = Field(primary_key=True)
    exchanges: int = Field(sa_column=Column(BigInteger, nullable=False))
    failed: int = Field(sa_column=Column(BigInteger, nullable=False))
    counted: int = Field(sa_column=Column(BigInteger, nullable=False))
    input_tokens: int = Field(sa_column=Column(BigInteger, nullable=False))
    output_tokens: int = Field(sa_column=Column(BigInteger, nullable=False))
    timed: int = Field(sa_column=Column(BigInteger, nullable=False))
    busy_ms: float


class SpendMarkRow(SQLModel, table=True):
    """How far the exchanges have been added up into `spend`: one row."""

    __tablename__ = "spend_mark"

    id: int = Field(primary_key=True)
    exchange_seq: int = Field(sa_column=Column(BigInteger, nullable=False))


SPEND, SPEND_MARK = (SQLModel.metadata.tables[name] for name in ("spend", "spend_mark"))
