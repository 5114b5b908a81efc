"""A flag says of every unit what the proxy's own plan says, in every phase, split and cohort."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests_assignments import config_of

from experiments.config import Config
from experiments.config.serving import RouterSettings
from experiments.interop.evaluation import FORMS, FlagError, Flags, form_of
from experiments.model import ENDED, Phase, Route
from router.plan import Request
from router.proxy import Proxy
from router.routes import RouteWatcher
from router.shadow import ShadowPool
from router.timing import uuid7
from router.upstream.retry_budget import RetryBudget
from router.upstream.upstream import Transports, Upstream

CHAT = "/v1/chat/completions"
CONFIG = config_of(
    {
        "backends": {name: {"url": f"http://127.0.0.1:{n}"} for n, name in enumerate(("original", "int8", "int4"), 1)},
        "experiments": {
            "support": {
                "match": {"path": CHAT},
                "control": "original",
                "treatment": "int8",
                "unit": "header:x-user-id",
            },
            "web": {
                "match": {"path": "/web"},
                "control": "original",
                "treatments": ["int8", "int4"],
                "unit": "header:x-user-id",
            },
            "drawn": {"match": {"path": "/drawn"}, "control": "original", "treatment": "int4"},
        },
    }
)
routes = st.builds(
    Route,
    experiment=st.just(""),
    epoch=st.integers(0, 9),
    stage=st.integers(0, 3),
    phase=st.sampled_from(Phase),
    split_basis_points=st.integers(0, 10_000),
    salt=st.text(max_size=70),
)
units = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40).map(str.strip).filter(bool)


def named(route: Route, name: str) -> Route:
    values = {field: getattr(route, field) for field in Route.__struct_fields__}
    return Route(**(values | {"experiment": name}))


@pytest.fixture(name="transports")
async def _transports() -> AsyncIterator[Transports]:
    transports = Transports(RouterSettings())
    yield transports
    await transports.close()


def proxy_of(config: Config, rows: list[Route], transports: Transports) -> Proxy:
    watcher = RouteWatcher(config, lambda: rows)
    watcher.refresh()
    upstreams = {name: Upstream(backend, transports, 30.0) for name, backend in config.backends.items()}
    return Proxy(config, watcher, upstreams, lambda *_: None, ShadowPool(lambda *_: None, 1), RetryBudget(20))


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(routes, min_size=3, max_size=3), units, st.sampled_from([("support", CHAT), ("web", "/web")]))
async def test_a_flag_agrees_with_the_proxys_own_plan(
    transports: Transports, drawn: list[Route], unit: str, asked: tuple[str, str]
) -> None:
    rows = [named(route, name) for route, name in zip(drawn, ("support", "web.int8", "web.int4"), strict=True)]
    headers = {b"x-user-id": unit.encode()}
    request = Request("POST", asked[1], asked[1], headers, list(headers.items()), b"{}")

    plan = proxy_of(CONFIG, rows, transports).plan(request, uuid7())
    found = Flags(CONFIG.experiments, rows).evaluate(asked[0], unit)

    assert plan is not None
    fields = plan.fields
    assert (found.variant, found.backend) == (fields["served"], plan.upstream.name)
    for name in ("experiment", "epoch", "stage", "propensity"):
        assert getattr(found, name) == fields[name], name
    assert found.treated == (found.backend != "original")


def row(phase: Phase, split: int) -> Flags:
    return Flags(CONFIG.experiments, [Route(experiment="support", phase=phase, split_basis_points=split, salt="s")])


def test_the_reason_says_whether_units_are_divided_everyone_gets_the_same_or_nothing_runs() -> None:
    def reasons(phases: frozenset[Phase], split: int) -> set[str]:
        return {row(phase, split).evaluate("support", "u").reason for phase in phases}

    waiting = frozenset({Phase.DRAFT, Phase.GATED, Phase.PAUSED})
    assert reasons(waiting, 0) == {"DISABLED"}
    assert reasons(frozenset({Phase.RUNNING}), 1_000) == {"SPLIT"}
    assert reasons(ENDED, 0) == reasons(frozenset({Phase.PROMOTED}), 10_000) == {"STATIC"}
    assert reasons(frozenset({Phase.PROMOTED}), 9_900) == {"SPLIT"}, "some units are held back"
    assert Flags(CONFIG.experiments, []).evaluate("support", "u").reason == "DISABLED", "no route yet: control serves"


def test_a_value_comes_in_each_form() -> None:
    found = row(Phase.RUNNING, 10_000).evaluate("support", "user-1")

    assert [found.value(form) for form in FORMS[:3]] == ["treatment", True, "int8"]
    assert found.value("details") == {
        "variant": "treatment", "treated": True, "experiment": "support", "backend": "int8",
        "phase": "running", "stage": 0, "epoch": 0, "propensity": 1.0,
    }  # fmt: skip
    assert [form_of(key) for key in ("a", "a:treated")] == [("a", "variant"), ("a", "treated")]


@pytest.mark.parametrize(
    ("key", "unit", "code", "says"),
    [
        ("suport", "u", "FLAG_NOT_FOUND", 'did you mean "support"?'),
        ("web.int8", "u", "FLAG_NOT_FOUND", 'ask for "web"'),
        ("support:nothing", "u", "FLAG_NOT_FOUND", "variant, treated, backend, details"),
        ("support", "", "TARGETING_KEY_MISSING", "the unit's id"),
        ("support", None, "TARGETING_KEY_MISSING", "the unit's id"),
        ("support", "\ud800", "INVALID_CONTEXT", "in Unicode"),
        ("drawn", "u", "INVALID_CONTEXT", "draws every request anew"),
    ],
)
def test_what_has_no_value_says_why(key: str, unit: str | None, code: str, says: str) -> None:
    flags = row(Phase.RUNNING, 5_000)

    with pytest.raises(FlagError) as caught:
        flags.evaluate(form_of(key)[0], unit)

    assert (caught.value.code, says in str(caught.value)) == (code, True)
    assert flags.names == ("support", "web")
