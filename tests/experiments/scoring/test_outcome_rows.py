"""Outcomes from several transactions at once: a look that reads up to the highest number misses none."""

import threading
import time

import pytest
from sqlalchemy import insert
from tests_builders import make_pair

from experiments.scoring.experiment_scorer import ExperimentScorer
from experiments.scoring.outcome_rows import lock_outcomes, outcome_values
from experiments.store import Store
from experiments.tables import OUTCOME


def rows(experiment) -> list[dict]:
    return [outcome_values(outcome) for outcome in ExperimentScorer(experiment()).outcomes(*make_pair())]


def test_a_row_has_no_number_and_no_nul(experiment) -> None:
    [row, *_] = rows(lambda: experiment(guardrails=()))

    assert "seq" not in row
    live, shadow = make_pair({"slices": {"language": "h\0i"}})
    [found, *_] = ExperimentScorer(experiment(guardrails=())).outcomes(live, shadow)
    assert outcome_values(found)["slices"] == {"language": "h\ufffdi"}


@pytest.mark.postgres
def test_numbers_grow_in_the_order_of_committing(postgres_url: str, experiment) -> None:
    from experiments.store import open_store  # noqa: PLC0415

    store: Store = open_store(postgres_url)
    store.migrate()
    seen = []

    def second() -> None:
        with store.engine.begin() as connection:
            lock_outcomes(connection)
            connection.execute(insert(OUTCOME), rows(experiment))

    with store.engine.begin() as connection:
        lock_outcomes(connection)
        connection.execute(insert(OUTCOME), rows(experiment))
        other = threading.Thread(target=second)
        other.start()
        time.sleep(0.2)
        seen.append(store.watermarks().outcome)  # a reader does not wait
    other.join()
    assert seen == [0]
    assert store.watermarks().outcome > 0
    store.close()
