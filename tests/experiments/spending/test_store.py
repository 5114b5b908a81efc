"""What answers used is added up once, by day and endpoint, however often and by however many it is asked for."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests_builders import make_exchange

from experiments.model import ErrorKind, Role
from experiments.spending.store import SpendStore
from experiments.store import Store

DAY_S = 86_400.0
MIDNIGHT = 20_000 * DAY_S
USED = {"latency_ms": 100.0, "input_tokens": 10, "output_tokens": 5, "backend": "original", "endpoint": "http://a"}


def test_answers_that_are_alike_are_one_row_and_each_day_has_its_own(store: Store, load: Callable[..., None]) -> None:
    load(
        make_exchange(**USED, at=MIDNIGHT - 0.5),
        make_exchange(**USED, at=MIDNIGHT),
        make_exchange(**USED, at=MIDNIGHT + DAY_S - 0.5),
        make_exchange(**USED, at=MIDNIGHT, role=Role.SHADOW),
        make_exchange(**USED, at=MIDNIGHT, experiment="other"),
    )

    added = SpendStore(store.engine).fold()
    rows = SpendStore(store.engine).read("support", 1)

    assert added == 5
    assert [(row.day, row.role, row.exchanges, row.input_tokens, row.busy_ms) for row in rows] == [
        ("2024-10-03", "live", 1, 10, 100.0),
        ("2024-10-04", "live", 2, 20, 200.0),
        ("2024-10-04", "shadow", 1, 10, 100.0),
    ]


def test_only_what_is_known_is_added(store: Store, load: Callable[..., None]) -> None:
    cut_off = {"tokens_estimated": True, "truncated": True}
    load(
        make_exchange(**USED),
        make_exchange(**USED | cut_off),
        make_exchange(**USED | {"output_tokens": None}),
        make_exchange(**USED | {"error": ErrorKind.RESET, "input_tokens": None}),
        make_exchange(**USED | {"latency_ms": None, "ttft_ms": None, "cached": True, "endpoint": ""}),
    )

    SpendStore(store.engine).fold()
    repeated, fresh = sorted(SpendStore(store.engine).read("support", 1), key=lambda row: row.endpoint)

    assert (fresh.exchanges, fresh.failed, fresh.counted, fresh.input_tokens, fresh.timed) == (4, 1, 1, 10, 3)
    assert (repeated.cached, repeated.counted, repeated.timed, repeated.busy_ms) == (True, 1, 0, 0.0)


def test_each_exchange_is_added_once_however_many_add(store: Store, load: Callable[..., None]) -> None:
    spending = SpendStore(store.engine)
    load(*(make_exchange(**USED) for _ in range(7)))
    spending.fold(batch=2)
    load(*(make_exchange(**USED) for _ in range(30)))

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(spending.fold, [3, 4, 5]))
    while spending.fold():
        pass

    assert [row.exchanges for row in spending.read("support", 1)] == [37]
