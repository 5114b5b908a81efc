"""Texts leave the store when the policy says so, and no sooner: scored, settled, or out of time."""

import itertools

import pytest
from sqlalchemy import select
from tests_builders import make_experiment, make_outcome, make_pair

from experiments.config.records import Config
from experiments.model import Role
from experiments.privacy.erasure import Eraser, keyed_hash
from experiments.store import Store
from experiments.tables import EXCHANGE, LABEL, OUTCOME

DAY = 86_400.0
NOW = 1_700_000_000.0


def eraser(store: Store, tmp_path, **changes) -> Eraser:
    experiment = make_experiment(**changes)
    return Eraser(Config(path=tmp_path / "c.toml", backends={}, experiments={"support": experiment}), store)


def texts(store: Store) -> dict[str, tuple[str | None, str | None, float | None]]:
    columns = EXCHANGE.c
    with store.engine.connect() as connection:
        rows = connection.execute(select(columns.id, columns.prompt, columns.answer, columns.erased_at)).all()
    return {row.id: (row.prompt, row.answer, row.erased_at) for row in rows}


def mark_scored(store: Store) -> None:
    store.save_outcomes([], [shadow.seq for _, shadow in store.unscored_pairs(1_000)])


def test_a_pair_is_hashed_once_it_is_scored_and_not_before(store, load, tmp_path) -> None:
    live, shadow = make_pair({"at": NOW, "prompt": "why?", "answer": "so"}, {"at": NOW, "answer": "no"})
    load(live, shadow)
    erasing = eraser(store, tmp_path, capture="hashed")

    assert erasing.erase(NOW + 1) == 0
    assert texts(store)[live.exchange.id] == ("why?", "so", None)
    mark_scored(store)
    assert erasing.erase(NOW + 2) == 2

    key = b"support"
    found = texts(store)
    assert found[live.exchange.id] == (keyed_hash(key, "why?"), keyed_hash(key, "so"), NOW + 2)
    assert found[shadow.exchange.id] == (None, keyed_hash(key, "no"), NOW + 2)
    assert erasing.erase(NOW + 3) == 0, "a hash is not hashed again"


def test_an_exchange_without_a_pair_is_hashed_at_once(store, load, exchange, tmp_path) -> None:
    load(exchange(id="a", at=NOW, prompt="why?"))

    eraser(store, tmp_path, capture="hashed").erase(NOW)

    assert texts(store)["a"] == (keyed_hash(b"support", "why?"), keyed_hash(b"support", "yes"), NOW)


def test_a_live_side_whose_shadow_never_came_is_hashed_when_it_can_come_no_more(store, load, tmp_path) -> None:
    live, _ = make_pair({"at": NOW})
    load(live)
    erasing = eraser(store, tmp_path, capture="hashed")

    assert erasing.erase(NOW + 3_600) == 0
    assert erasing.erase(NOW + 3_611) == 1, "after the total timeout and the settling time"


def test_full_capture_keeps_texts_until_their_time_is_up(store, load, exchange, tmp_path) -> None:
    load(exchange(id="old", at=NOW - 8 * DAY, prompt="why?"), exchange(id="new", at=NOW - 6 * DAY, prompt="why?"))

    assert eraser(store, tmp_path, retention_days=7.0).erase(NOW) == 1

    assert texts(store) == {"old": (None, None, NOW), "new": ("why?", "yes", None)}


def test_exchanges_of_no_configured_experiment_are_kept_for_thirty_days(store, load, exchange, tmp_path) -> None:
    for name, days in itertools.product(("", "ended"), (29, 31)):
        load(exchange(id=f"{name}-{days}", experiment=name, at=NOW - days * DAY))

    eraser(store, tmp_path, retention_days=1.0).erase(NOW)

    assert {name for name, (_, answer, _) in texts(store).items() if answer} == {"-29", "ended-29"}


def test_figures_stay(store, load, exchange, tmp_path) -> None:
    before = exchange(id="a", at=NOW - 90 * DAY, slices={"language": "hi"}, input_tokens=7)
    load(before)

    eraser(store, tmp_path).erase(NOW)

    [after] = store.exchanges("support", 1, 0, 99)
    assert after.exchange == before.exchange
    assert (after.input_tokens, after.answer) == (7, None)


def test_a_backlog_is_taken_in_batches_a_tick_each(store, load, exchange, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("experiments.privacy.erasure._BATCH", 3)
    load(*(exchange(at=NOW - 90 * DAY) for _ in range(7)))
    erasing = eraser(store, tmp_path)

    assert [erasing.erase(NOW + tick) for tick in range(4)] == [3, 3, 1, 0]
    load(exchange(at=NOW - 90 * DAY))
    assert erasing.erase(NOW + 10) == 0, "looked at once a minute when nothing waits"
    assert erasing.erase(NOW + 70) == 1


@pytest.mark.parametrize("role", [Role.GOLDEN, Role.WARMUP])
def test_synthetic_requests_are_treated_alike(store, load, exchange, tmp_path, role: Role) -> None:
    load(exchange(id="a", at=NOW, role=role))

    assert eraser(store, tmp_path, capture="hashed").erase(NOW) == 1


def test_of_a_sample_the_texts_stay_and_of_the_others_they_are_hashed_a_pair_together(store, load, tmp_path) -> None:
    ends = {"kept": "3fffffff", "left out": "40000000"}
    pairs = {
        name: make_pair(
            {"id": f"{name}-{end}", "pair": f"{name}-{end}", "at": NOW},
            {"id": f"{name}-shadow-00000000", "pair": f"{name}-{end}", "at": NOW},
        )
        for name, end in ends.items()
    }
    for live, shadow in pairs.values():
        load(live, shadow)
    mark_scored(store)

    assert eraser(store, tmp_path, capture_percent=25.0).erase(NOW) == 2

    gone = {name: [texts(store)[side.exchange.id][2] for side in pair] for name, pair in pairs.items()}
    assert gone == {"kept": [None, None], "left out": [NOW, NOW]}


def test_what_quotes_a_text_goes_with_it_and_what_says_who_was_better_stays(store, load, tmp_path) -> None:
    live, shadow = make_pair({"at": NOW}, {"at": NOW})
    load(live, shadow)
    pair = live.exchange.id
    detail = {"picked": "A", "reason": "it says so"}
    store.save_outcomes(
        [make_outcome(live.exchange.unit, -1.0, pair=pair, detail=detail)], [seq_of(store, shadow.exchange.id)]
    )
    with store.engine.begin() as connection:
        said = {"pair": pair, "experiment": "support", "source": "asha", "at": NOW}
        connection.execute(
            LABEL.insert(), [said | {"metric": "a", "value": value} for value in ("tie", "a right answer")]
        )

    eraser(store, tmp_path, retention_days=1.0).erase(NOW + 2 * DAY)

    with store.engine.connect() as connection:
        assert connection.execute(select(OUTCOME.c.detail)).scalar_one() == {"picked": "A"}
        assert connection.execute(select(LABEL.c.value)).scalars().all() == ["tie"]


def seq_of(store: Store, exchange_id: str) -> int:
    with store.engine.connect() as connection:
        return connection.execute(select(EXCHANGE.c.seq).where(EXCHANGE.c.id == exchange_id)).scalar_one()
