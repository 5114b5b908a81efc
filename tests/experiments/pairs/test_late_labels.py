"""Right answers that arrive as feedback become labels of their pair; whatever else is a text becomes nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests_builders import make_exchange, make_experiment

from experiments.config.records import Config, Guardrail, Monitor
from experiments.model import Feedback
from experiments.pairs.labels import LabelStore
from experiments.pairs.late_labels import LateLabels
from experiments.store import LoadedExchange, Store

EXPERIMENT = make_experiment(
    guardrails=(Guardrail(name="right", scorer="exact", margin=0.1),),
    monitors=(Monitor(name="thumbs_up", feedback=True),),
)
CONFIG = Config(path=Path("c.toml"), backends={}, experiments={"support": EXPERIMENT})


@pytest.fixture(name="late")
def _late(store: Store) -> Callable[..., int]:
    answers = [make_exchange(id="x1", unit="key"), make_exchange(id="y", experiment="gone")]
    store.load("segment", 1, [LoadedExchange(exchange=answer.exchange) for answer in answers])
    late = LateLabels(CONFIG, store)
    return lambda *records, **arriving: late.add(records, arriving)


def said(value: float | str = "Paris", exchange: str = "x1", metric: str = "right", **more: str) -> Feedback:
    return Feedback(exchange=exchange, metric=metric, value=value, source="desk", at=5.0, **more)


def labels(store: Store, *pairs: str) -> dict[str, tuple[str, str, str]]:
    found = LabelStore(store.engine).latest(pairs, "right")
    return {pair: (label.value, label.source, label.experiment) for pair, label in found.items()}


def test_a_right_answer_is_a_label_of_its_exchange_and_is_stored_once(late, store: Store) -> None:
    assert [late(said()), late(said())] == [1, 0]
    assert labels(store, "x1") == {"x1": ("Paris", "desk", "support")}


def test_a_changed_answer_is_the_one_that_counts(late, store: Store) -> None:
    late(said("Paris"), said("Rome"))

    assert labels(store, "x1")["x1"][0] == "Rome"


def test_the_answer_to_an_exchange_that_arrives_in_the_same_batch_is_kept(late, store: Store) -> None:
    assert late(said(exchange="x2"), x2="support") == 1
    assert labels(store, "x2") == {"x2": ("Paris", "desk", "support")}


def test_a_unit_stands_for_its_newest_exchange(late, store: Store) -> None:
    assert late(said(exchange="", unit="key", experiment="support")) == 1
    assert "x1" in labels(store, "x1")


@pytest.mark.parametrize(
    "record",
    [
        said(exchange="nobody"),
        said(exchange="y"),
        said(metric="thumbs_up"),
        said(metric="applause"),
        said(" "),
        said(1.0),
        said(exchange="", unit="stranger", experiment="support"),
    ],
)
def test_whatever_else_it_is_becomes_no_label(late, record: Feedback) -> None:
    assert late(record) == 0
