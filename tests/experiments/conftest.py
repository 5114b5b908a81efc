"""Fixtures of the tests of `experiments`."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from tests_builders import make_exchange, make_experiment, make_pair  # found by the line above

from experiments.config.records import Experiment
from experiments.store import LoadedExchange, Store, StoredExchange, open_store


@pytest.fixture(name="experiment")
def _experiment() -> Callable[..., Experiment]:
    return make_experiment


@pytest.fixture(name="exchange")
def _exchange() -> Callable[..., StoredExchange]:
    return make_exchange


@pytest.fixture(name="pair")
def _pair() -> Callable[..., tuple[StoredExchange, StoredExchange]]:
    return make_pair


def loaded(stored: StoredExchange) -> LoadedExchange:
    values = {name: getattr(stored, name) for name in LoadedExchange.__struct_fields__}
    return LoadedExchange(**values)


@pytest.fixture(name="sqlite")
def _sqlite(tmp_path: Path) -> Iterator[Store]:
    """A store in `touchstone.db` of the test's folder."""
    store = open_store(f"sqlite:///{tmp_path / 'touchstone.db'}")
    store.migrate()
    yield store
    store.close()


@pytest.fixture(name="store", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def _store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """The same tests on both databases."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite")
        return
    store = open_store(request.getfixturevalue("migrated_postgres_url"))
    yield store
    store.close()


@pytest.fixture(name="load")
def _load(store: Store) -> Callable[..., None]:
    """Store exchanges as the recorder would."""
    offsets = itertools.count(1)

    def load(*stored: StoredExchange) -> None:
        store.load("segment", next(offsets), [loaded(item) for item in stored])

    return load
