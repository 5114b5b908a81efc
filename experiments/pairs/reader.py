"""Reading pairs: both answers to one request, with their scores, a page at a time.

A page is found through an index and never loads more than was asked for, so that the worst twenty of a million pairs
come as fast as of a hundred. What filters by a slice reads on, in order, until the page is full: the rarer the slice,
the longer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, select

from experiments.pairs.query import (
    MOST_A_PAGE,
    Found,
    PairQuery,
    PairQueryError,
    checked,
    cursor_after,
    page_statements,
)
from experiments.pairs.stored_pairs import stored_pairs
from experiments.scoring.sides import by_variant, failed
from experiments.stored import StoredExchange
from experiments.tables import EPOCH, OUTCOME

__all__ = ["MOST_A_PAGE", "Pair", "PairPage", "PairQuery", "PairQueryError", "PairReader", "PairSide", "Score"]


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """What the newest version of a metric's scorer says of a pair."""

    metric: str
    scorer: str
    control: float
    treatment: float
    value: float
    """What the statistics use: the treatment's less control's, or the logarithm of their ratio."""
    failure: str = ""
    """Why there is no score; the figures mean nothing then."""
    detail: dict[str, Any] | None = None


class PairSide(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two answers."""

    exchange: str
    """Its id."""
    backend: str
    status: int
    """HTTP status; 0 if no response was had."""
    error: str
    """What went wrong, the fallback's reason included; empty if nothing did."""
    failed: bool
    """Whether that counts against the variant."""
    latency_ms: float | None
    ttft_ms: float | None
    finish_reason: str | None
    answer: str | None
    """None if there was none, it could not be read, or it is erased."""
    erased_at: float | None
    """When the text was erased or hashed, in seconds since the epoch (UTC); None while it is there."""


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """A request with the answers of both variants."""

    pair: str
    """Its id: that of the live exchange, which the user had as `x-touchstone-exchange`."""
    experiment: str
    epoch: int
    stage: int
    at: float
    """When the request arrived, in seconds since the epoch (UTC)."""
    slices: dict[str, str]
    prompt: str | None
    control: PairSide
    treatment: PairSide
    scores: list[Score]

    @property
    def is_erased(self) -> bool:
        """Whether a text of it is there no more."""
        return self.control.erased_at is not None or self.treatment.erased_at is not None


class PairPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some pairs, and where the next ones begin."""

    experiment: str
    epoch: int
    pairs: list[Pair]
    next_cursor: str | None
    """Of the next page; None on the last one."""


class PairReader:
    """Reads pairs from the store.

    Args:
        engine: Of a migrated store.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __repr__(self) -> str:
        return f"<PairReader {self._engine.url.render_as_string(hide_password=True)}>"

    def page(self, query: PairQuery) -> PairPage:
        """Return one page.

        Raises:
            PairQueryError: The question has a part that means nothing.
        """
        conditions = checked(query)
        with self._engine.connect() as connection:
            epoch = query.epoch if query.epoch is not None else _newest_epoch(connection, query.experiment)
            found: list[Found] = []
            for statement in page_statements(query, epoch, conditions):
                rows = connection.execute(statement.limit(query.limit + 1 - len(found)))
                found += [Found(*row) for row in rows]
                if len(found) > query.limit:
                    break
        chosen = found[: query.limit]
        pairs = _loaded(self._engine, [row.pair for row in chosen])
        more = cursor_after(query, chosen[-1]) if len(found) > query.limit else None
        return PairPage(experiment=query.experiment, epoch=epoch, pairs=pairs, next_cursor=more)

    def each(self, query: PairQuery, most: int) -> Iterator[Pair]:
        """Yield up to so many pairs, page by page: memory stays that of one page.

        Raises:
            PairQueryError: As `page`.
        """
        cursor = query.cursor
        while most > 0:
            page = self.page(query._replace(limit=min(most, MOST_A_PAGE), cursor=cursor))
            yield from page.pairs
            most -= len(page.pairs)
            cursor = page.next_cursor
            if cursor is None:
                return


def _newest_epoch(connection: Connection, experiment: str) -> int:
    query = select(EPOCH.c.number).where(EPOCH.c.experiment == experiment).order_by(EPOCH.c.number.desc())
    return connection.execute(query.limit(1)).scalar_one_or_none() or 0


def _loaded(engine: Engine, ids: list[str]) -> list[Pair]:
    stored = stored_pairs(engine, ids)
    scores: dict[str, dict[str, Score]] = {}
    with engine.connect() as connection:
        scored = select(OUTCOME).where(OUTCOME.c.pair.in_(ids)).order_by(OUTCOME.c.seq)
        rows = connection.execute(scored).mappings().all()
    for row in rows:
        scores.setdefault(row["pair"], {})[row["metric"]] = Score(
            **{name: row[name] for name in ("metric", "scorer", "value", "failure", "detail")},
            control=row["control_value"],
            treatment=row["treatment_value"],
        )
    return [
        _pair(found.live, found.shadow, list(scores.get(key, {}).values()))
        for key in ids
        if (found := stored.get(key)) is not None and found.shadow is not None
    ]


def _pair(live: StoredExchange, shadow: StoredExchange, scores: list[Score]) -> Pair:
    exchange = live.exchange
    control, treatment = by_variant(live, shadow)
    return Pair(
        pair=exchange.id,
        experiment=exchange.experiment,
        epoch=exchange.epoch,
        stage=exchange.stage,
        at=exchange.at,
        slices=exchange.slices,
        prompt=None if live.erased_at is not None else live.prompt,
        control=_side(control),
        treatment=_side(treatment),
        scores=scores,
    )


def own_answer(stored: StoredExchange) -> str | None:
    """Return the text of a variant's own answer; None if there is none, or it is erased."""
    # The answer of a fallback is control's: it is no answer of this variant.
    return None if stored.erased_at is not None or stored.exchange.fallback else stored.answer


def _side(stored: StoredExchange) -> PairSide:
    exchange = stored.exchange
    return PairSide(
        exchange=exchange.id,
        backend=exchange.backend,
        status=exchange.status,
        error=exchange.fallback or exchange.error,
        failed=failed(stored),
        latency_ms=exchange.latency_ms,
        ttft_ms=exchange.ttft_ms,
        finish_reason=stored.finish_reason,
        answer=own_answer(stored),
        erased_at=stored.erased_at,
    )
