"""The provider in OpenFeature's own SDK, on a real store: values, reasons, errors, and what the app is told."""

from __future__ import annotations

import importlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEvent
from openfeature.exception import ErrorCode
from tests_history import Life, living

from experiments.assignment import assign, unit_of
from experiments.interop.flag_source import FlagSource
from experiments.interop.openfeature import TouchstoneProvider
from experiments.model import Route

USER = EvaluationContext(targeting_key="user-1", attributes={"plan": "gold"})


@pytest.fixture(name="life")
def _life(tmp_path: Path) -> Iterator[Life]:
    with living(tmp_path) as life:
        yield life


@pytest.fixture(name="ask")
def _ask(life: Life) -> Iterator[Callable[[], OpenFeatureClient]]:
    def start() -> OpenFeatureClient:
        api.set_provider(TouchstoneProvider.of(life.config.path, poll_s=0.02))
        return api.get_client()

    yield start
    api.clear_providers()


def until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 30
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def test_an_app_is_told_each_users_variant_as_they_are_assigned(life: Life, ask) -> None:
    life.start()
    client = ask()
    assert until(lambda: client.get_string_details("support", "", USER).error_code is None)

    route = life.store.route_states()["support"].route
    for number in range(50):
        user = EvaluationContext(targeting_key=f"user-{number}")
        variant = assign(unit_of(route.salt, f"user-{number}".encode()).bucket, route.split_basis_points).variant
        treated = variant == "treatment"
        assert client.get_string_value("support", "", user) == variant
        assert client.get_boolean_value("support", not treated, user) == treated
        assert client.get_string_value("support:backend", "", user) == ("int4" if treated else "original")
    details = client.get_object_details("support", {}, USER)
    assert (details.reason, details.variant, details.value["variant"]) == ("SPLIT", details.variant, details.variant)
    assert dict(details.flag_metadata) | {"epoch": 0} == {
        "experiment": "support", "backend": details.value["backend"], "phase": "running", "stage": 0, "epoch": 0,
        "propensity": 0.9 if details.variant == "control" else 0.1,
    }  # fmt: skip


def test_a_question_without_an_answer_gets_the_default_and_the_reason_why(life: Life, ask) -> None:
    life.start()
    client = ask()
    assert until(lambda: client.get_string_details("support", "", USER).error_code is None)

    nobody = EvaluationContext()
    found = [
        client.get_boolean_details("suport", True, USER),
        client.get_boolean_details("support", True, nobody),
        client.get_string_details("support:treated", "mine", USER),
        client.get_integer_details("support", 7, USER),
        client.get_float_details("support", 0.5, USER),
    ]

    assert [details.value for details in found] == [True, True, "mine", 7, 0.5]
    missing, mismatch = ErrorCode.TARGETING_KEY_MISSING, ErrorCode.TYPE_MISMATCH
    assert [details.error_code for details in found] == [ErrorCode.FLAG_NOT_FOUND, missing, *3 * [mismatch]]
    assert 'did you mean "support"?' in str(found[0].error_message)


def test_the_app_hears_when_the_store_comes_goes_and_changes(life: Life) -> None:
    heard: list[ProviderEvent] = []
    away = threading.Event()

    def load() -> list[Route]:
        if away.is_set():
            raise OSError("no route to the store")
        return life.store.routes()

    api.set_provider(TouchstoneProvider(FlagSource(life.config.experiments, load), poll_s=0.02))
    client = api.get_client()

    def stage() -> int:
        return int(client.get_object_value("support", {"stage": -1}, USER)["stage"])

    try:
        assert until(lambda: client.get_boolean_details("support", True, USER).error_code is not None)
        first = client.get_boolean_details("support", True, USER)
        assert (first.value, first.error_code) == (True, ErrorCode.PROVIDER_NOT_READY), "no store was migrated yet"
        for event in (ProviderEvent.PROVIDER_STALE, ProviderEvent.PROVIDER_CONFIGURATION_CHANGED):
            client.add_handler(event, lambda _, event=event: heard.append(event))

        life.start()
        assert until(lambda: stage() == 0), "the store is there now"
        away.set()
        assert until(lambda: ProviderEvent.PROVIDER_STALE in heard)
        life.serve(0, 200)
        life.tick()
        assert stage() == 0, "the last good routes hold"
        away.clear()
        assert until(lambda: stage() == 1)
        assert until(lambda: heard[-1] is ProviderEvent.PROVIDER_CONFIGURATION_CHANGED)
        assert heard.count(ProviderEvent.PROVIDER_STALE) == 1, "told once, however long it lasts"
    finally:
        api.clear_providers()


def test_without_the_sdk_the_error_names_the_command_that_installs_it(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "openfeature.provider", None)
    monkeypatch.delitem(sys.modules, "experiments.interop.openfeature")

    with pytest.raises(ModuleNotFoundError, match=r"pip install 'touchstone-router\[openfeature\]'"):
        importlib.import_module("experiments.interop.openfeature")
