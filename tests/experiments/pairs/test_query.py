"""Questions for pairs: what is refused, and that the database answers through its indexes."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.dialects import sqlite

from experiments.pairs.query import PairQuery, PairQueryError, checked, page_statements
from experiments.store import Store


def plan(store: Store, query: PairQuery) -> list[str]:
    said = []
    with store.engine.connect() as connection:
        for statement in page_statements(query, 1, checked(query)):
            sql = statement.limit(20).compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
            said += [row[-1] for row in connection.execute(text(f"EXPLAIN QUERY PLAN {sql}"))]
    return said


@pytest.mark.parametrize(
    ("query", "index", "statements"),
    [
        (PairQuery("support", 1, "quality"), "ix_outcome_metric_value", 1),
        (PairQuery("support", 1, "quality", order="best", cursor="0.5_7"), "ix_outcome_metric_value", 1),
        (PairQuery("support", 1, "quality", "language=hi", disagreeing=True), "ix_outcome_metric_value", 2),
        (PairQuery("support", 1, "quality", failed=True, cursor="12"), "ix_outcome_failed", 1),
        (PairQuery("support", 1), "ix_exchange_experiment_seq", 1),
    ],
)
def test_a_page_is_read_from_an_index_in_its_order(
    sqlite: Store, query: PairQuery, index: str, statements: int
) -> None:
    said = plan(sqlite, query)

    assert sum(index in line for line in said) == statements
    assert not [line for line in said if line.startswith("SCAN") or "TEMP B-TREE" in line]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"limit": 0}, "limit is 0"),
        ({"limit": 501}, "from 1 to 500"),
        ({"epoch": 0}, "epoch is 0"),
        ({"epoch": 2**40}, "epoch is"),
        ({"order": "middle"}, "order is"),
        ({"slice": "language"}, "attribute=value"),
        ({"slice": "=hi"}, "attribute=value"),
        ({"metric": "a\0b"}, "metric has a sign"),
        ({"slice": "a=\udc80"}, "slice has a sign"),
        ({"slice": 'a"b=hi'}, "attribute=value"),
        ({"metric": None, "disagreeing": True}, "needs a metric"),
        ({"failed": True, "disagreeing": True}, "exclude each other"),
        ({"cursor": "x"}, "cursor"),
        ({"cursor": "17"}, "cursor"),
        ({"cursor": "nan_17"}, "cursor"),
        ({"cursor": "0.5_0"}, "cursor"),
        ({"cursor": f"0.5_{2**63}"}, "cursor"),
        ({"metric": None, "cursor": "0.5_17"}, "cursor"),
    ],
)
def test_a_question_that_means_nothing_is_refused_in_words(changes: dict, said: str) -> None:
    with pytest.raises(PairQueryError, match=said):
        checked(PairQuery("support", metric="quality")._replace(**changes))
