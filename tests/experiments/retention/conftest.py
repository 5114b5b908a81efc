"""A store with days of exchanges in it: two epochs of one experiment, the second of which goes on."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests_builders import make_outcome, make_pair

sys.path.insert(0, str(Path(__file__).parent))

from tests_days import DAY, NOW, id_at  # found by the line above

from experiments.lifecycle import start
from experiments.model import Phase
from experiments.retention.days import Span, day_of
from experiments.retention.partitions import KEYS, add
from experiments.store import Epoch, RouteState, Store, Transition


@pytest.fixture(name="begin")
def _begin(store: Store, experiment) -> Callable[..., None]:
    """Begin an epoch."""

    def begin(number: int, phase: Phase = Phase.RUNNING, name: str = "support") -> None:
        route = start(experiment(name=name), number)
        epoch = Epoch(experiment=name, number=number, config_hash=f"{number}", config={}, started_at=0.0)
        transition = Transition(
            experiment=name, epoch=number, look=None, at=0.0, actor="config", from_phase=Phase.DRAFT, to_phase=phase,
            from_stage=0, to_stage=0, split_basis_points=0, reason="test",
        )  # fmt: skip
        mirror = route.mirror_basis_points if phase is Phase.RUNNING else 0
        changed = replace(route, phase=phase, mirror_basis_points=mirror)
        state = RouteState(route=changed, epoch_started_at=0.0, stage_started_at=0.0)
        store.begin_epoch(epoch, state, transition)

    return begin


@pytest.fixture(name="serve")
def _serve(store: Store, load) -> Callable[..., str]:
    """Store a pair of some days ago with its outcome and a thumb; returns its id."""

    def serve(days_ago: float, epoch: int, name: str = "support") -> str:
        at = NOW - days_ago * DAY
        live, shadow = (id_at(at, f"{name:>10}{epoch}{side}".replace(" ", "0")) for side in "ls")
        common = {"at": at, "epoch": epoch, "pair": live, "experiment": name}
        load(*make_pair(common | {"id": live}, common | {"id": shadow}))
        store.save_outcomes([make_outcome("u", 0.0, pair=live, epoch=epoch, experiment=name, at=at)], [])
        thumb = {"exchange": live, "metric": "thumbs_up", "source": "client", "value": 1.0, "at": at}
        store.load("votes", 1, [], [thumb])
        return live

    return serve


@pytest.fixture(name="postgres_days")
def _postgres_days(store: Store) -> Store:
    """A store on PostgreSQL with a partition for each of the last twelve days of `NOW`."""
    with store.engine.begin() as connection:
        for table in KEYS:
            # Those of a new store would be of the real today.
            connection.exec_driver_sql(f"DROP TABLE {table}_first")
    today = day_of(NOW)
    add(store.engine, [Span(today - n * DAY, today - (n - 1) * DAY) for n in range(12, 0, -1)])
    return store
