"""The route table: which experiment a request belongs to, and what happens to it while the store is away."""

import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_config import CHAT, make_config

from experiments.assignment import cohort
from experiments.config.records import Cohort, Config, Match, Source
from experiments.model import Phase, Route
from router.routes import RouteTable, RouteWatcher, read_source

ROUTE = Route(experiment="support", epoch=3, stage=1, phase=Phase.RUNNING, split_basis_points=1_000, salt="s")
BODY = b'{"model": "support", "user": "u1", "metadata": {"tenant": "acme", "tier": 3, "paid": true}, "none": null}'


def config(tmp_path: Path, *matches: Match) -> Config:
    """One experiment for each match, named after its place; `support` alone unless told otherwise."""
    one = make_config(tmp_path, "http://a", "http://b")
    if not matches:
        return one
    support = one.experiments["support"]
    several = {f"e{n}": support.model_copy(update={"name": f"e{n}", "match": match}) for n, match in enumerate(matches)}
    return one.model_copy(update={"experiments": several})


def found(table: RouteTable, path: str = CHAT, headers: dict[bytes, bytes] | None = None, body: bytes = BODY):
    found = table.find(path, headers or {}, body, "id")
    return found.bound.experiment.name if found else None


def test_a_request_is_found_by_its_exact_path(tmp_path: Path) -> None:
    table = RouteTable(config(tmp_path))

    assert table.paths == (CHAT,)
    assert found(table) == "support"
    assert [found(table, path) for path in (CHAT + "/", "/v1", "", CHAT.upper())] == [None] * 4


def test_two_experiments_on_one_path_are_told_apart_by_the_model(tmp_path: Path) -> None:
    table = RouteTable(config(tmp_path, Match(path=CHAT, model="web"), Match(path=CHAT, model="support")))

    assert found(table) == "e1"
    assert found(table, body=b'{"model": "web"}') == "e0"
    assert found(table, body=b'{"model": "other"}') is None


def test_all_headers_of_a_match_must_be_there_with_their_very_value(tmp_path: Path) -> None:
    table = RouteTable(config(tmp_path, Match(path=CHAT, headers={"x-tenant": "acme", "x-tier": "gold"})))

    assert found(table, headers={b"x-tenant": b"acme", b"x-tier": b"gold", b"x-more": b"1"}) == "e0"
    assert found(table, headers={b"x-tenant": b"acme"}) is None
    assert found(table, headers={b"x-tenant": b"acme", b"x-tier": b"Gold"}) is None


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"[" * 100_000, b'{"model": 3}', b"\xff\xfe", b'{"model": null}'])
def test_a_body_that_names_no_model_belongs_to_no_experiment_that_asks_for_one(tmp_path: Path, body: bytes) -> None:
    asks, asks_not = Match(path=CHAT, model="support"), Match(path="/v1/completions")
    table = RouteTable(config(tmp_path, asks, asks_not))

    assert found(table, body=body) is None
    assert found(table, "/v1/completions", body=body) == "e1"


def test_an_experiment_has_the_route_of_the_store_and_the_draft_until_there_is_one(tmp_path: Path) -> None:
    stranger = Route(experiment="of-another-configuration", split_basis_points=10_000)

    with_row = RouteTable(config(tmp_path), [stranger, ROUTE]).find(CHAT, {}, BODY, "id")
    without = RouteTable(config(tmp_path), [stranger]).find(CHAT, {}, BODY, "id")

    assert with_row is not None
    assert without is not None
    assert with_row.bound.route == ROUTE
    route = without.bound.route
    assert (route.phase, route.split_basis_points, route.mirror_basis_points) == (
        Phase.DRAFT,
        0,
        0,
    )


# --- units, and several treatments that divide them -------------------------------------------------------------------


def test_the_unit_is_what_the_request_says_and_the_exchange_where_it_says_nothing(tmp_path: Path) -> None:
    table = RouteTable(config(tmp_path))

    known, unknown = (table.find(CHAT, headers, BODY, "id-7") for headers in ({b"x-user-id": b"u1"}, {}))

    assert known is not None
    assert unknown is not None
    assert (known.unit_id, unknown.unit_id) == ("u1", "id-7")


def several(tmp_path: Path, unit: Source, *treatments: str) -> Config:
    """An experiment for each treatment, on the same requests, in an order that is not that of the cohorts."""
    one = make_config(tmp_path, "http://a", "http://b")
    members = {}
    for index, treatment in reversed(list(enumerate(treatments))):
        shared = Cohort(group="support", index=index, count=len(treatments), salt="support")
        change = {"name": f"support.{treatment}", "treatment": treatment, "cohort": shared, "unit": unit}
        members[f"support.{treatment}"] = one.experiments["support"].model_copy(update=change)
    return one.model_copy(update={"experiments": members})


@given(user=st.binary(min_size=1, max_size=20), ids=st.tuples(st.uuids(), st.uuids()))
def test_a_user_is_in_the_experiment_of_the_cohort_and_always_in_the_same(user: bytes, ids) -> None:
    table = RouteTable(several(Path(), Source(kind="header", name="x-user-id"), "int2", "int4", "int8"))

    first, second = (table.find(CHAT, {b"x-user-id": user}, BODY, str(id_)) for id_ in ids)

    assert first is not None
    assert first == second
    own = first.bound.experiment.cohort
    assert own is not None
    assert own.index == cohort("support", user.decode("utf-8", "replace").encode(), 3)


@given(st.text(min_size=1, max_size=20))
def test_a_unit_named_beside_the_group_is_of_the_same_member_as_its_requests(user: str) -> None:
    table = RouteTable(several(Path(), Source(kind="header", name="x-user-id"), "int2", "int4", "int8"))

    asked = table.find(CHAT, {b"x-user-id": user.encode("utf-8", "replace")}, BODY, "id")

    assert asked is not None
    assert table.member("support", asked.unit_id) == asked.bound
    own = asked.bound.experiment.name
    assert table.member(own, "anybody") is not None
    assert table.member("nothing", user) is None


def test_where_each_request_is_a_unit_the_requests_are_divided(tmp_path: Path) -> None:
    table = RouteTable(several(tmp_path, Source(kind="request"), "int4", "int8"))

    names = [found.bound.experiment.name for n in range(200) if (found := table.find(CHAT, {}, BODY, f"id-{n}"))]

    assert len(names) == 200
    assert set(names) == {"support.int4", "support.int8"}


def test_each_of_several_treatments_has_its_own_route(tmp_path: Path) -> None:
    rows = [Route(experiment="support.int8", phase=Phase.PROMOTED, split_basis_points=10_000)]
    table = RouteTable(several(tmp_path, Source(kind="request"), "int4", "int8"), rows)

    bound = [found.bound for n in range(50) if (found := table.find(CHAT, {}, BODY, f"id-{n}"))]

    assert {(b.experiment.treatment, b.route.phase, b.route.split_basis_points) for b in bound} == {
        ("int8", Phase.PROMOTED, 10_000),
        ("int4", Phase.DRAFT, 0),
    }


# --- sources ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        ("header", "x-user-id", "u-é"),
        ("header", "x-empty", None),
        ("header", "x-other", None),
        ("cookie", "session", "abc"),
        ("cookie", "quoted", "q"),
        ("cookie", "other", None),
        ("cookie", "empty", None),
        ("body", "user", "u1"),
        ("body", "metadata.tenant", "acme"),
        ("body", "metadata.tier", "3"),
        ("body", "metadata.paid", "true"),
        ("body", "metadata", None),
        ("body", "metadata.tenant.deeper", None),
        ("body", "none", None),
        ("request", "", None),
    ],
)
def test_a_source_is_read_where_the_configuration_says(kind, name: str, value: str | None) -> None:
    cookies = b'theme=dark; Session=abc; quoted="q"; empty='
    headers = {b"x-user-id": "u-é".encode(), b"x-empty": b"", b"cookie": cookies}

    assert read_source(Source(kind=kind, name=name), headers, BODY) == value


@given(
    kind=st.sampled_from(["header", "cookie", "body"]),
    header=st.binary(max_size=40),
    body=st.binary(max_size=40) | st.text(max_size=20).map(str.encode),
)
def test_whatever_a_client_sends_reading_a_source_never_raises(kind, header: bytes, body: bytes) -> None:
    found = read_source(Source(kind=kind, name="a.b"), {b"a.b": header, b"cookie": header}, body)

    assert found is None or isinstance(found, str)


class Rows:
    """Route rows as a store would give them, or its failure."""

    def __init__(self, *rows: Route) -> None:
        self.rows = list(rows)
        self.broken: Exception | None = None
        self.reads = 0

    def __call__(self) -> Sequence[Route]:
        self.reads += 1
        if self.broken is not None:
            raise self.broken
        return list(self.rows)


def split(watcher: RouteWatcher) -> int:
    found = watcher.table.find(CHAT, {}, BODY, "id")
    assert found is not None
    return found.bound.route.split_basis_points


def test_before_the_store_was_ever_read_control_serves_everyone(tmp_path: Path) -> None:
    rows = Rows(ROUTE)
    rows.broken = OSError("no such file")
    watcher = RouteWatcher(config(tmp_path), rows)

    watcher.refresh()

    assert not watcher.loaded
    assert split(watcher) == 0


@pytest.mark.parametrize("error", [OSError("away"), ValueError("an unknown phase"), RuntimeError("anything")])
def test_while_the_store_is_away_the_last_good_routes_hold(tmp_path: Path, error: Exception) -> None:
    rows = Rows(ROUTE)
    watcher = RouteWatcher(config(tmp_path), rows)
    watcher.refresh()

    rows.rows, rows.broken = [], error
    watcher.refresh()
    held = split(watcher)
    rows.broken = None
    watcher.refresh()

    assert watcher.loaded
    assert (held, split(watcher)) == (1_000, 0)


def test_the_table_is_swapped_whole_and_only_when_a_row_changed(tmp_path: Path) -> None:
    rows = Rows(ROUTE)
    watcher = RouteWatcher(config(tmp_path), rows)
    watcher.refresh()
    first = watcher.table

    watcher.refresh()
    assert watcher.table is first

    rows.rows = [Route(experiment="support", epoch=3, split_basis_points=5_000)]
    watcher.refresh()
    held = first.find(CHAT, {}, BODY, "id")
    assert held is not None
    assert held.bound.route is ROUTE, "a request that holds the old table sees nothing of the change"
    assert split(watcher) == 5_000


def test_what_else_the_store_says_is_taken_up_and_its_failure_keeps_no_route_back(tmp_path: Path) -> None:
    rows, also = Rows(ROUTE), Rows()
    watcher = RouteWatcher(config(tmp_path), rows, also=also)

    also.broken = OSError("no such table")
    watcher.refresh()
    failing = split(watcher)
    age_before = watcher.age_s
    also.broken = None
    watcher.refresh()

    assert (failing, also.reads) == (1_000, 2)
    assert 0 <= watcher.age_s < age_before + 1


def test_a_started_watcher_follows_the_store_through_an_outage_and_ends_when_told(tmp_path: Path) -> None:
    rows = Rows(ROUTE)
    watcher = RouteWatcher(config(tmp_path), rows, poll_seconds=0.01)
    watcher.start()
    assert watcher.loaded, "the first read is done before the first request"

    rows.broken = OSError("away")
    wait_for(lambda: rows.reads > 3)
    rows.broken, rows.rows = None, [Route(experiment="support", split_basis_points=10_000)]
    wait_for(lambda: split(watcher) == 10_000)
    watcher.close()

    assert not watcher._thread.is_alive()


def test_a_watcher_that_was_never_started_can_be_closed(tmp_path: Path) -> None:
    RouteWatcher(config(tmp_path), Rows()).close()


def wait_for(condition, seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)
