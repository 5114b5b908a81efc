"""An app that asks by OpenFeature is told the variant that the proxy really serves: in process, and by OFREP.

Proxy, admin port and store are real and on loopback; they are threads of this process, as a start of processes takes
longer than the whole test.
"""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from tests_history import CONFIG, living

from experiments.interop.openfeature import TouchstoneProvider
from router.admin.app import build_admin
from router.app import build_app
from router.fakes.backend import FakeBackend
from router.fakes.server import serving

USERS = [f"user-{number}" for number in range(60)] + ["हिन्दी", "name with spaces", "a" * 300]


class Running(NamedTuple):
    url: str
    admin: str
    config: Path


@pytest.fixture(name="running")
def _running(tmp_path: Path) -> Iterator[Running]:
    with ExitStack() as stack:
        text = CONFIG.replace('model = "support" }\n', 'model = "support" }\nexpose_variant = true\nsalt = "another"\n')
        for _ in range(2):
            text = text.replace("http://127.0.0.1:9", stack.enter_context(serving(FakeBackend())), 1)
        life = stack.enter_context(living(tmp_path, text.replace("[10, 50]", "[40, 50]")))
        life.start()
        proxy = build_app(life.config, load_routes=life.store.routes, lookup_exchange=lambda _: None)
        url = stack.enter_context(serving(proxy, clients=life.config.router.clients))
        yield Running(url, stack.enter_context(serving(build_admin(life.config, life.store))), life.config.path)


def served_variant(url: str, user: str) -> str:
    body = json.dumps({"model": "support", "messages": [{"role": "user", "content": "hello"}]}).encode()
    headers = {"content-type": "application/json", "x-user-id": user.encode().decode("latin-1")}
    request = urllib.request.Request(f"{url}/v1/chat/completions", body, headers)
    with urllib.request.urlopen(request, timeout=10) as response:
        return str(response.headers["x-touchstone-variant"])


def until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def test_the_provider_and_ofrep_say_what_the_proxy_serves(running: Running) -> None:
    ofrep = pytest.importorskip("openfeature.contrib.provider.ofrep", reason="openfeature-provider-ofrep is missing")
    api.set_provider(TouchstoneProvider.of(running.config), domain="here")
    api.set_provider(ofrep.OFREPProvider(running.admin), domain="remote")
    try:
        here, remote = api.get_client(domain="here"), api.get_client(domain="remote")
        assert until(lambda: here.get_string_details("support", "", EvaluationContext("u")).reason == "SPLIT")
        said = {}
        for user in USERS:
            context = EvaluationContext(targeting_key=user)
            said[user] = here.get_string_value("support", "", context)
            details = remote.get_string_details("support", "", context)
            assert (details.value, details.error_code) == (said[user], None)
        treated = remote.get_boolean_value("support:treated", False, EvaluationContext("user-1"))
        served_to = {user: served_variant(running.url, user) for user in USERS}
    finally:
        api.clear_providers()

    assert said == served_to
    assert set(said.values()) == {"control", "treatment"}
    assert treated == (said["user-1"] == "treatment")
