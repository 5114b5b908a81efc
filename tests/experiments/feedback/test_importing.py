"""Feedback from a file: by the same rules as over HTTP, on what the store knows, as often as one likes."""

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from tests_builders import make_exchange, make_experiment

from experiments.assignment import unit_of
from experiments.config.records import Guardrail, Monitor
from experiments.feedback.file import Given, Line
from experiments.feedback.importing import FeedbackImport, Imported
from experiments.model import Role
from experiments.pairs.labels import LabelStore
from experiments.store import LoadedExchange, Store
from experiments.tables import FEEDBACK

NOW = 1_800_000_000.0
WRITTEN = NOW - 3_600
EXPERIMENT = make_experiment(
    guardrails=(Guardrail(name="right", scorer="exact", margin=0.1),),
    monitors=(Monitor(name="thumbs_up", feedback=True), Monitor(name="stars", feedback=True)),
)


def vote(exchange: str = "x1", value: Any = True, at: float | None = NOW - 60, **changes: Any) -> Given:
    values = {"metric": "thumbs_up", "value": value, "exchange": exchange, "unit": "", "at": at}
    return Given(**(values | changes))


def lines(given: Iterable[Given]) -> list[Line]:
    return [Line(number, item) for number, item in enumerate(given, 2)]


@pytest.fixture(name="bring")
def _bring(store: Store, load: Callable[..., None]) -> Callable[..., Imported]:
    unit = unit_of("support", b"user-1").key
    load(
        make_exchange(id="x1", unit=unit, at=NOW - 1_000),
        make_exchange(id="x2", unit=unit, at=NOW - 500),
        make_exchange(id="other", experiment="elsewhere"),
        make_exchange(id="mirrored", role=Role.SHADOW, pair="x1"),
    )

    def bring(*given: Given, source: str = "desk", dry_run: bool = False) -> Imported:
        work = FeedbackImport(store, EXPERIMENT, source, now=NOW, written_at=WRITTEN, dry_run=dry_run)
        return work.run(lines(given))

    return bring


def rows(store: Store) -> list[tuple[Any, ...]]:
    columns = FEEDBACK.c
    query = select(columns.exchange, columns.metric, columns.source, columns.value, columns.at).order_by(columns.seq)
    with store.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(query)]


def test_a_good_line_is_a_row(bring, store: Store) -> None:
    done = bring(vote(), vote("x2", 4.5, None, metric="stars"))

    assert (done.lines, done.stored, done.known, done.refused) == (2, 2, 0, 0)
    assert rows(store) == [
        ("x1", "thumbs_up", "desk", 1.0, NOW - 60),
        ("x2", "stars", "desk", 4.5, WRITTEN),
    ]


def test_the_same_file_twice_changes_nothing_even_after_a_user_has_changed_his_mind(bring, store: Store) -> None:
    first, second = vote(value=True, at=NOW - 60), vote(value=False, at=NOW - 50)
    bring(first, second)

    again = bring(first, second, vote(value=True, at=NOW - 40), vote(value=True, at=NOW - 30), first)

    assert (again.stored, again.known) == (1, 4)
    assert [row[3:] for row in rows(store)] == [(1.0, NOW - 60), (0.0, NOW - 50), (1.0, NOW - 40)]


def test_a_file_that_was_corrected_corrects_what_it_said(bring, store: Store) -> None:
    bring(vote(value=True))

    assert bring(vote(value=False)).stored == 1
    assert [row[3] for row in rows(store)] == [1.0, 0.0]


def test_every_source_has_a_vote_of_its_own(bring, store: Store) -> None:
    bring(vote(), source="desk")

    assert bring(vote(), source="survey").stored == 1
    assert [row[2] for row in rows(store)] == ["desk", "survey"]


def test_a_unit_votes_on_the_answer_that_it_had_had_by_then(bring, store: Store) -> None:
    done = bring(
        vote("", unit="user-1", at=NOW - 700),
        vote("", unit="user-1", at=NOW - 400),
        vote("", unit="user-1", at=NOW - 1_001),
        vote("", unit="user-2"),
    )

    assert [row[0] for row in rows(store)] == ["x1", "x2"]
    assert done.faults == [(4, "the unit had had no answer by then"), (5, "the unit had had no answer by then")]


def test_each_line_that_breaks_a_rule_is_told_and_the_others_are_stored(bring, store: Store) -> None:
    wrong = {
        vote(metric="applause"): "'applause' takes no feedback in support; metrics that do: right, stars, thumbs_up",
        vote(value="great"): "the value must be a number, true or false",
        vote(value=float("inf")): "the value must be a number from -1e9 to 1e9",
        vote(at=NOW + 301): "the time lies more than 5 minutes in the future",
        vote(at=1.0): "the time lies more than 400 days in the past",
        vote("nobody"): "no exchange has the id 'nobody'",
        vote("other"): "other is of experiment 'elsewhere', not of 'support'",
        vote("mirrored"): "mirrored is no answer that a user got: it is a shadow exchange",
    }

    done = bring(vote(), *wrong, vote("x2"))

    assert (done.stored, done.refused) == (2, len(wrong))
    assert sorted(done.faults) == list(enumerate(wrong.values(), 3))
    assert [row[0] for row in rows(store)] == ["x1", "x2"]


def test_of_many_wrong_lines_the_first_are_told_and_all_counted(bring) -> None:
    done = bring(*[vote("nobody")] * 50)

    assert (done.refused, len(done.faults), done.faults[-1][0]) == (50, 20, 21)


def test_a_right_answer_becomes_a_label_of_its_pair(bring, store: Store) -> None:
    done = bring(vote(metric="right", value="Paris"), vote("x2", metric="right", value="Rome"))
    again = bring(vote(metric="right", value="Paris"))

    labels = LabelStore(store.engine).latest(["x1", "x2"], "right")
    assert (done.labels, done.stored, again.labels) == (2, 0, 0)
    assert {pair: (label.value, label.source, label.experiment) for pair, label in labels.items()} == {
        "x1": ("Paris", "desk", "support"),
        "x2": ("Rome", "desk", "support"),
    }
    assert rows(store) == []


def test_a_dry_run_says_what_would_be_and_writes_nothing(bring, store: Store) -> None:
    given = (vote(), vote(metric="right", value="Paris"), vote("nobody"))

    dry = bring(*given, dry_run=True)

    assert rows(store) == []
    assert LabelStore(store.engine).latest(["x1"], "right") == {}
    assert dry == bring(*given)


def test_the_latest_word_of_a_file_counts_however_often_it_is_brought(store: Store) -> None:
    store.load("segment", 1, [LoadedExchange(exchange=make_exchange(id=name).exchange) for name in ("x1", "x2")])
    sources = map("source-{}".format, itertools.count())
    vote_of_some_time = st.tuples(st.sampled_from(["x1", "x2"]), st.booleans(), st.integers(1, 4))

    @settings(max_examples=40, deadline=None)
    @given(st.lists(vote_of_some_time, max_size=8), st.integers(1, 3))
    def check(votes: list[tuple[str, bool, int]], times: int) -> None:
        source, latest = next(sources), dict[str, tuple[int, bool]]()
        for name, value, at in votes:
            if at >= latest.get(name, (0, value))[0]:
                latest[name] = (at, value)

        for _ in range(times):
            work = FeedbackImport(store, EXPERIMENT, source, now=NOW, written_at=WRITTEN)
            work.run(lines([vote(name, value, NOW - 100 + at) for name, value, at in votes]))

        found = {row[0]: row[3] for row in rows(store) if row[2] == source}
        assert found == {name: float(value) for name, (_, value) in latest.items()}

    check()
