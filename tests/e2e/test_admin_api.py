"""The admin API on a real port, asked by schemathesis as an operator, as a reader, as nobody, and where no token is."""

import json
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests_history import CONFIG, bad, live_through, living

from experiments.config import load
from experiments.store import open_store
from router.admin.app import admin_server
from router.processes.workers import bind

schemathesis = pytest.importorskip("schemathesis", reason="needs schemathesis, of the extra dev")
ROOT = Path(__file__).parents[2]
WITH_TOKENS = CONFIG.replace("[router]", '[router]\nadmin_tokens = "tokens"')
DRAIN = "/api/v1/backends/int4/drain"
DRAIN_PATH = "/api/v1/backends/{name}/drain"


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store in which an experiment ended, for all servers of this file."""
    folder = tmp_path_factory.mktemp("life")
    with living(folder, WITH_TOKENS) as life:
        live_through(life, bad)
    return folder


@contextmanager
def admin(folder: Path, text: str) -> Iterator[str]:
    """Serve the admin port, as the controller does."""
    with bind("127.0.0.1:0") as probe:
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    path = folder / "served.toml"
    path.write_text(text.replace('admin = "127.0.0.1:0"', f'admin = "{address}"'))
    config = load(path, {})
    store = open_store(config.router.database)
    try:
        with admin_server(config, store):
            yield f"http://{address}"
    finally:
        store.close()


@pytest.fixture(name="guarded", scope="module")
def _guarded(folder: Path) -> Iterator[str]:
    with admin(folder, WITH_TOKENS) as url:
        yield url


def token(folder: Path, name: str, role: str) -> dict[str, str]:
    """Make a token by the command, as its users do, and return the header that shows it."""
    command = [sys.executable, "-m", "router", "token", name, "--role", role, "--config", str(folder / "config.toml")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    return {"authorization": f"Bearer {done.stdout.strip()}"}


@dataclass
class Asked:
    """What schemathesis did and found."""

    cases: int = 0
    checks: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    """(path, status) -> how often."""


def ask(url: str, headers: dict[str, str], shown: dict[str, str] | None = None, examples: int = 5) -> Asked:
    """Let schemathesis make all its checks in all its phases.

    Args:
        url: Of the admin port.
        headers: Sent with every request.
        shown: Sent to read the document, where that is more.
        examples: How many of each operation, at most, in each phase that draws them.
    """
    from schemathesis.config import SchemathesisConfig  # noqa: PLC0415
    from schemathesis.engine import from_schema  # noqa: PLC0415

    settings = {
        "headers": headers,
        "generation": {"max-examples": examples},
        "seed": 1,
        # Which parts of a question exclude each other, and which cursor belongs to it, no schema can say.
        "operations": [
            {
                "include-path": "/api/v1/experiments/{name}/pairs",
                "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", 401, 403, 404, 422, 503]}},
            }
        ],
    }
    config = SchemathesisConfig.from_dict(settings)
    # A stream of events never ends: tests/router/admin/test_events.py reads it.
    document = schemathesis.openapi.from_url(f"{url}/openapi.json", config=config, headers=shown or headers)
    schema = document.exclude(path="/api/v1/events")
    asked = Asked()
    for event in from_schema(schema).execute():
        assert "Error" not in type(event).__name__, event
        if hasattr(event, "recorder"):
            _note(asked, event.recorder)
    return asked


def _note(asked: Asked, recorder) -> None:
    asked.cases += len(recorder.cases)
    for name, interaction in recorder.interactions.items():
        if interaction.response is not None and name in recorder.cases:
            asked.answers[recorder.cases[name].value.operation.path, interaction.response.status_code] += 1
    for check in (check for found in recorder.checks.values() for check in found):
        asked.checks.add(check.name)
        if check.failure_info is not None:
            asked.wrong.append(str(check.failure_info.failure))


def test_an_operator_gets_what_the_document_promises(folder: Path, guarded: str) -> None:
    asked = ask(guarded, token(folder, "operator", "operate"), examples=15)

    assert asked.wrong == []
    assert asked.cases > 150
    assert {
        "not_a_server_error",
        "response_schema_conformance",
        "ignored_auth",
        "negative_data_rejection",
    } <= asked.checks
    assert {
        (DRAIN_PATH, 200),
        ("/metrics", 200),
        ("/api/v1/config", 200),
        ("/api/v1/audit", 200),
    } <= asked.answers.keys()


def test_a_reader_gets_what_the_document_promises_and_changes_nothing(folder: Path, guarded: str) -> None:
    asked = ask(guarded, token(folder, "reader", "read"))

    assert asked.wrong == []
    assert {status for (path, status) in asked.answers if path == DRAIN_PATH} <= {401, 403, 405}
    assert asked.answers[DRAIN_PATH, 403] > 0


def test_nobody_gets_anything_but_health(folder: Path, guarded: str) -> None:
    asked = ask(guarded, {}, token(folder, "document", "read"))

    assert asked.wrong == []
    assert {path for (path, status) in asked.answers if status == 200} == {"/healthz"}
    assert {status for (path, status) in asked.answers if path != "/healthz"} == {401}


def test_where_no_tokens_are_configured_everyone_on_this_machine_gets_what_the_document_promises(folder: Path) -> None:
    with admin(folder, CONFIG) as url:
        asked = ask(url, {})

    assert asked.wrong == []
    assert asked.answers[DRAIN_PATH, 200] > 0


def test_a_drain_by_a_token_of_the_command_is_kept_with_its_name_and_lifted(folder: Path, guarded: str) -> None:
    headers = token(folder, "spot-hook", "operate") | {"content-type": "application/json"}

    def send(method: str, body: bytes | None = None) -> bytes:
        request = urllib.request.Request(guarded + DRAIN, body, headers, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read()

    drain = json.loads(send("POST", b'{"reason": "two minutes left"}'))

    assert (drain["backend"], drain["actor"], drain["reason"]) == ("int4", "spot-hook", "two minutes left")
    assert send("DELETE") == b""
