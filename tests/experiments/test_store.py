import sqlite3
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlalchemy.exc import OperationalError

from experiments import migrations
from experiments.evidence import Action, Decision, Evidence
from experiments.lifecycle import start
from experiments.model import Phase, Role
from experiments.store import (
    Epoch,
    LoadedExchange,
    Look,
    Outcome,
    RouteState,
    Store,
    Transition,
    Watermarks,
    open_store,
)


def _outcome(pair: str, metric: str = "quality") -> Outcome:
    return Outcome(
        pair=pair, metric=metric, scorer="exact/1", experiment="support", epoch=1, stage=0, unit="u", at=1.0,
        slices={"language": "hi"}, control_value=1.0, treatment_value=0.0, value=-1.0,
    )  # fmt: skip


def _begin(store: Store, experiment) -> RouteState:
    state = RouteState(route=start(experiment(), 1), epoch_started_at=5.0, stage_started_at=5.0)
    epoch = Epoch(experiment="support", number=1, config_hash="abc", config={"a": 1}, started_at=5.0)
    store.begin_epoch(epoch, state, _transition(None))
    return state


def _transition(look: int | None) -> Transition:
    return Transition(
        experiment="support", epoch=1, look=look, at=5.0, actor="config", from_phase=Phase.DRAFT,
        to_phase=Phase.RUNNING, from_stage=0, to_stage=0, split_basis_points=5000, reason="first epoch",
    )  # fmt: skip


def _look(number: int) -> Look:
    evidence = Evidence(
        experiment="support",
        epoch=1,
        look=number,
        at=6.0,
        stage=0,
        phase=Phase.RUNNING,
        units=0,
        stage_units=0,
        exchanges=0,
        served_by_treatment=0,
        pairs=0,
        metrics=[],
        splits=[],
        completeness=[],
        log_e_family=0.0,
        peak_log_e_family=0.0,
    )
    return Look(
        experiment="support", epoch=1, number=number, at=6.0, stage=0, exchange_seq=1, outcome_seq=2, feedback_seq=0,
        evidence=evidence, decision=Decision(action=Action.HOLD, reasons=[]), state={"units": 0},
    )  # fmt: skip


def test_the_newest_migration_and_the_tables_in_code_are_the_same(store: Store) -> None:
    with store.engine.begin() as connection:
        migrations.check(connection)


def test_migrating_twice_changes_nothing(store: Store) -> None:
    store.migrate()

    assert store.count_exchanges() == {}


def test_an_exchange_comes_back_as_it_was_stored(store: Store, exchange, load) -> None:
    stored = exchange(slices={"language": "hi"}, prompt="कहाँ है", answer="{}", input_tokens=3, output_tokens=4)

    load(stored)

    [found] = store.exchanges("support", 1, after=0, upto=10)
    assert found.exchange == stored.exchange
    assert (found.prompt, found.answer, found.input_tokens, found.output_tokens) == ("कहाँ है", "{}", 3, 4)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    texts=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), max_size=6), at=st.floats(0, 1e18)
)
def test_whatever_an_exchange_says_is_stored_to_the_letter_and_in_order(
    store: Store, exchange, load, texts: list[str], at: float
) -> None:
    before = store.watermarks().exchange
    sent = [exchange(prompt=text, answer="\\" + text, slices={text: '"'}, at=at, ttft_ms=None) for text in texts]

    load(*sent)

    found = store.exchanges("support", 1, after=before, upto=before + len(sent))
    assert [(one.exchange, one.prompt, one.answer) for one in found] == [
        (one.exchange, one.prompt, one.answer) for one in sent
    ]


def test_an_exchange_that_is_loaded_twice_is_in_the_store_once(store: Store, exchange, load) -> None:
    one, two = exchange(), exchange()

    load(one, two)
    load(two, one)

    assert store.count_exchanges() == {"live": 2}


def test_the_journal_offset_is_stored_with_the_batch_and_never_goes_back(store: Store) -> None:
    store.load("a.journal", 100, [])
    store.load("a.journal", 40, [], damaged=2)

    assert store.segment_offset("a.journal") == 100
    assert store.segment_offset("unknown.journal") == 0
    assert store.damaged_records() == 2


def test_a_batch_that_fails_leaves_neither_rows_nor_offset(sqlite: Store, exchange, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "touchstone.db") as raw:
        raw.execute("CREATE TRIGGER full BEFORE INSERT ON segment BEGIN SELECT RAISE(ABORT, 'disk full'); END")

    with pytest.raises(Exception, match="disk full"):
        sqlite.load("a.journal", 100, [exchange_loaded(exchange())])

    assert sqlite.count_exchanges() == {}
    assert sqlite.segment_offset("a.journal") == 0


def exchange_loaded(stored):
    return LoadedExchange(exchange=stored.exchange)


def test_a_pair_waits_until_both_sides_are_there_and_is_scored_once(store: Store, pair, load) -> None:
    live, shadow = pair()

    load(shadow)
    assert store.unscored_pairs(10) == []
    load(live)
    [(found_live, found_shadow)] = store.unscored_pairs(10)
    store.save_outcomes([_outcome(live.exchange.id)], [found_shadow.seq])

    assert found_live.exchange == live.exchange
    assert found_shadow.exchange.role is Role.SHADOW
    assert store.unscored_pairs(10) == []


def test_outcomes_are_read_forward_in_order_and_kept_once(store: Store) -> None:
    store.save_outcomes([_outcome("a"), _outcome("b")], [])
    store.save_outcomes([_outcome("a")], [])

    found = store.outcomes("support", 1, after=0, upto=store.watermarks().outcome)

    assert [o.pair for o in found] == ["a", "b"]
    assert store.outcomes("support", 1, after=found[0].seq, upto=99)[0].pair == "b"


def test_feedback_is_joined_with_its_exchange_and_a_changed_mind_is_added_once(store: Store, exchange, load) -> None:
    stored = exchange()
    load(stored)
    thumb = {"exchange": stored.exchange.id, "metric": "thumbs_up", "source": "client", "value": 1.0, "at": 7.0}

    store.load("b", 1, [], [thumb])
    store.load("b", 2, [], [thumb | {"at": 8.0}, thumb | {"value": 0.0, "at": 8.0}])

    first, found = store.feedback("support", 1, Watermarks(0, 0, 0), Watermarks(99, 99, 99))
    assert first.value == 1.0
    assert (found.value, found.unit, found.assigned) == (0.0, stored.exchange.unit, "control")


def test_a_look_its_transition_and_its_route_are_one_transaction(sqlite: Store, experiment, tmp_path: Path) -> None:
    state = _begin(sqlite, experiment)
    with sqlite3.connect(tmp_path / "touchstone.db") as raw:
        raw.execute("CREATE TRIGGER full BEFORE INSERT ON route BEGIN SELECT RAISE(ABORT, 'disk full'); END")

    with pytest.raises(Exception, match="disk full"):
        sqlite.save_look(_look(1), _transition(1), state)

    assert sqlite.looks("support", 1) == []
    assert len(sqlite.transitions("support")) == 1


def test_a_look_comes_back_as_it_was_stored(store: Store, experiment) -> None:
    _begin(store, experiment)
    store.save_look(_look(1))
    store.save_look(_look(2))

    assert [replace(look, state={"units": 0}) for look in store.looks("support", 1)] == [_look(1), _look(2)]
    assert store.latest_look("support", 1) == _look(2)


def test_of_the_looks_only_the_newest_and_those_that_changed_something_keep_their_state(
    store: Store, experiment
) -> None:
    state = _begin(store, experiment)
    store.save_look(_look(1))
    store.save_look(_look(2), _transition(2), state)
    store.save_look(_look(3))
    store.save_look(_look(4))

    assert [look.state for look in store.looks("support", 1)] == [{}, {"units": 0}, {}, {"units": 0}]


def test_routes_are_what_the_epoch_began_with(store: Store, experiment) -> None:
    state = _begin(store, experiment)

    assert store.routes() == [state.route]
    epoch = store.latest_epoch("support")
    assert epoch is not None
    assert (epoch.number, epoch.config) == (1, {"a": 1})
    assert store.latest_epoch("other") is None


def test_an_exchange_is_found_by_its_id(store: Store, exchange, load) -> None:
    stored = exchange()
    load(stored)

    assert store.find_exchange(stored.exchange.id) == "support"
    assert store.find_exchange("nobody") is None
    assert store.latest_exchange_of("support", stored.exchange.unit) == stored.exchange.id


def test_an_empty_store_has_watermarks_of_zero(store: Store) -> None:
    assert store.watermarks() == Watermarks(0, 0, 0)


def test_a_store_that_was_never_migrated_says_so(tmp_path: Path) -> None:
    empty = open_store(f"sqlite:///{tmp_path / 'empty.db'}")

    with pytest.raises(OperationalError, match="no such table"):
        empty.routes()

    empty.close()
