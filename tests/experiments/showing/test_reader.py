"""What is shown is read by key: never the exchanges, never a whole series of looks."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, insert, text
from tests_builders import make_experiment
from tests_standings import BEGAN, make_epoch, make_evidence, make_row, make_standing, make_transition

from experiments.config.records import Config, Policy
from experiments.config.serving import Backend, Power
from experiments.golden.store import GoldenRun, GuardStore
from experiments.model import Phase
from experiments.showing.reader import Showing, chosen_looks
from experiments.store import Store
from experiments.tables import DAILY_QUALITY, LOOK


@pytest.fixture(name="showing")
def _showing(store: Store) -> Showing:
    """A store with an epoch of the experiment `support`, of which the file says something newer."""
    begun = make_standing()
    assert begun.state is not None
    store.begin_epoch(make_epoch(make_experiment(policy=Policy(alpha_promote=0.0038))), begun.state, make_transition())
    backends = {
        name: Backend(name=name, urls=("http://127.0.0.1:1",), power=Power(watts=300, uncertainty_percent=percent))
        for name, percent in (("original", 20.0), ("int4", 40.0))
    }
    experiments = {"support": make_experiment(owner="new")}
    return Showing(store, Config(path=Path("config.toml"), backends=backends, experiments=experiments))


def fill(store: Store, looks: int) -> None:
    """Store looks 1, 2, ... of epoch 1, all alike but for their number and time."""
    evidence = msgspec.to_builtins(make_evidence(make_row(), make_row(slice="language=hi")))
    common = {"experiment": "support", "epoch": 1, "stage": 0, "action": "hold", "evidence": evidence}
    common |= {"exchange_seq": 0, "outcome_seq": 0, "feedback_seq": 0, "state": {"ballast": "x" * 1_000}}
    common["decision"] = {"action": "hold", "reasons": []}
    rows: list[dict[str, Any]] = [common | {"number": n, "at": BEGAN + n} for n in range(1, looks + 1)]
    with store.engine.begin() as connection:
        connection.execute(insert(LOOK), rows)


@contextmanager
def statements(store: Store) -> Iterator[list[tuple[str, Any]]]:
    """Everything that is asked of the database meanwhile."""
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    event.listen(store.engine, "before_cursor_execute", note)
    yield asked
    event.remove(store.engine, "before_cursor_execute", note)


def test_a_series_is_thin_and_keeps_both_ends_and_what_acted(store: Store, showing: Showing) -> None:
    fill(store, 500)
    acted = make_transition(look=123, from_phase=Phase.RUNNING, to_stage=1)
    state = make_standing().state
    assert state is not None
    assert store.move(state.route, acted, state)

    series = showing.series("support", 1, 20)

    numbers = [point.number for point in series]
    assert len(numbers) <= 20
    assert {1, 123, 500} <= set(numbers)
    assert series[-1].at == BEGAN + 500
    assert [(row.metric, row.slice, row.log_e_harm) for row in series[0].metrics] == [
        ("quality", "", 0.2),
        ("quality", "language=hi", 0.2),
    ]


def test_no_page_reads_exchanges_outcomes_feedback_or_the_states_of_a_series(store: Store, showing: Showing) -> None:
    fill(store, 50)
    with statements(store) as asked:
        showing.series("support", 1)
        of_series = list(asked)
        showing.standings()
        showing.standing("support")
        showing.epochs("support")
        showing.golden_runs("support", 1)
        showing.daily_quality("support", 1)
        showing.incidents(BEGAN)

    words = {word.strip('",()').lower() for statement, _ in asked for word in statement.split()}
    assert "look" in words
    assert not words & {"exchange", "outcome", "feedback"}
    assert not any("state" in statement for statement, _ in of_series)


def test_looks_are_found_by_their_key(sqlite: Store) -> None:
    begun = make_standing()
    assert begun.state is not None
    sqlite.begin_epoch(make_epoch(make_experiment()), begun.state, make_transition())
    fill(sqlite, 50)
    config = Config(path=Path("config.toml"), backends={}, experiments={"support": make_experiment()})
    with statements(sqlite) as asked:
        Showing(sqlite, config).series("support", 1)
        Showing(sqlite, config).latest_look("support", 1)

    about_looks = [(statement, parameters) for statement, parameters in asked if "FROM look" in statement]
    assert len(about_looks) == 4
    with sqlite.engine.connect() as connection:
        for statement, parameters in about_looks:
            plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
            assert all(step.startswith("SEARCH look USING") and "experiment=? AND epoch=?" in step for step in plan), (
                plan
            )


def test_an_epoch_is_shown_under_its_own_configuration(showing: Showing) -> None:
    standing = showing.standing("support")

    assert standing.experiment.policy.alpha_promote == 0.0038
    assert standing.experiment.owner == ""


def test_the_larger_uncertainty_of_both_backends_goes_with_the_figures(showing: Showing) -> None:
    assert showing.standing("support").power_uncertainty_percent == 40.0


def test_what_has_not_begun_is_shown_too(store: Store) -> None:
    config = Config(path=Path("config.toml"), backends={}, experiments={"support": make_experiment()})
    showing = Showing(store, config)

    (standing,) = showing.standings()

    assert (standing.phase, standing.look, showing.series("support", 1)) == (Phase.DRAFT, None, [])
    with pytest.raises(KeyError):
        showing.standing("unknown")


def test_the_newest_golden_run_comes_without_its_items(store: Store, showing: Showing) -> None:
    guards = GuardStore(store.engine)
    for number in (1, 2):
        values = {"experiment": "support", "epoch": 1, "at": 0.0, "actor": "gate", "summary": ""}
        guards.add_run(GoldenRun(number=number, result="passed", items=[{"id": "a"}], **values))

    found = showing.latest_golden("support", 1)

    assert found is not None
    assert (found.number, found.items) == (2, [])
    assert showing.golden_runs("support", 1)[0].items == [{"id": "a"}]


def test_daily_quality_comes_by_day(store: Store, showing: Showing) -> None:
    common = {"experiment": "support", "epoch": 1, "metric": "quality", "slice": "", "variant": "control", "pairs": 9}
    missing = {"mean": None, "macro_f1": None, "win_rate": None}
    with store.engine.begin() as connection:
        connection.execute(insert(DAILY_QUALITY), [common | missing | {"day": f"2026-11-{d}"} for d in (12, 11)])

    assert [row.day for row in showing.daily_quality("support", 1)] == ["2026-11-11", "2026-11-12"]


def test_a_series_of_one_point_is_refused(showing: Showing) -> None:
    with pytest.raises(ValueError, match="points == 1"):
        showing.series("support", 1, 1)


@given(st.integers(1, 10**6), st.integers(0, 10**6), st.integers(2, 300), st.lists(st.integers(1, 2 * 10**6)))
def test_chosen_looks_are_few_in_order_and_hold_both_ends(first: int, more: int, points: int, acted: list[int]) -> None:
    last = first + more
    chosen = chosen_looks(first, last, points, acted)

    assert chosen == sorted(set(chosen))
    assert {first, last} <= set(chosen)
    assert len(chosen) <= points
    assert first <= chosen[0] <= chosen[-1] <= last


def test_the_evidence_is_decoded_from_what_the_database_keeps(store: Store, showing: Showing) -> None:
    fill(store, 1)
    with store.engine.connect() as connection:
        assert connection.execute(text("select count(*) from look")).scalar_one() == 1

    (point,) = showing.series("support", 1)

    assert point.metrics[0].interval == make_row().interval
    assert (point.phase, point.units) == (Phase.RUNNING, 400)
