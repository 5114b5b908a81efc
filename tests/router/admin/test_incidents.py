"""What waits for a person, taking it on, and the audit, over the admin API on a real port and a real store."""

import csv
import io
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests_history import CONFIG, Life, living

from experiments.telling.escalation import Event, Severity
from experiments.telling.incidents import incident_log
from router.admin.app import build_admin
from router.admin.tokens import Role, create_token
from router.fakes.server import serving

KEY = "support/1/rolled_back/0"
ACKNOWLEDGE = f"/api/v1/incidents/{KEY}/acknowledge"
Ask = Callable[..., tuple[int, str, str]]
"""(path, body, role, accept) -> (status, content type, text)."""


@pytest.fixture(name="life")
def _life(tmp_path: Path) -> Iterator[Life]:
    with living(tmp_path, CONFIG.replace("[router]", '[router]\nadmin_tokens = "tokens"')) as life:
        life.start()
        event = Event(key=KEY, severity=Severity.CRITICAL, at=time.time(), experiment="support", title="rolled back")
        incident_log(life.store).record([event])
        yield life


@pytest.fixture(name="ask")
def _ask(life: Life, tmp_path: Path) -> Iterator[Ask]:
    tokens = {role: create_token(tmp_path / "tokens", f"a-{role}", role) for role in Role}
    with serving(build_admin(life.config, life.store)) as url:

        def ask(path: str, body: Any = None, role: Role = Role.OPERATE, accept: str = "*/*") -> tuple[int, str, str]:
            headers = {"authorization": f"Bearer {tokens[role]}", "content-type": "application/json", "accept": accept}
            request = urllib.request.Request(url + path, None if body is None else json.dumps(body).encode(), headers)
            try:
                with urllib.request.urlopen(request, timeout=5) as response:
                    return response.status, response.headers["content-type"], response.read().decode()
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, error.headers["content-type"], json.load(error)["detail"]

        yield ask


@pytest.mark.parametrize("path", [ACKNOWLEDGE, ACKNOWLEDGE.replace(KEY, KEY.replace("/", "%2F"))])
def test_an_incident_is_open_until_it_is_acknowledged_by_name_and_with_a_reason(ask: Ask, path: str) -> None:
    [incident] = json.loads(ask("/api/v1/incidents", role=Role.READ)[2])
    status, _, text = ask(path, {"reason": "on it"})
    done = json.loads(text)

    assert (incident["key"], incident["title"], incident["times"]) == (KEY, "rolled back", 1)
    assert (status, done["key"], done["actor"], done["reason"]) == (200, KEY, "a-operate", "on it")
    assert json.loads(ask("/api/v1/incidents")[2]) == []


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        (ACKNOWLEDGE, {}, 422, "reason"),
        (ACKNOWLEDGE, {"reason": "two\nlines"}, 422, "reason"),
        ("/api/v1/incidents/support/9/x/acknowledge", {"reason": "x"}, 404, "nothing has happened under the key"),
    ],
)
def test_what_cannot_be_acknowledged_is_refused(ask: Ask, path: str, body: Any, status: int, said: str) -> None:
    found, _, detail = ask(path, body)

    assert found == status
    assert said in detail
    assert len(json.loads(ask("/api/v1/incidents")[2])) == 1


def test_who_may_only_read_acknowledges_nothing(ask: Ask) -> None:
    assert ask(ACKNOWLEDGE, {"reason": "x"}, role=Role.READ)[0] == 403
    assert len(json.loads(ask("/api/v1/incidents")[2])) == 1


def test_the_audit_is_json_lines_or_csv_as_accept_asks(ask: Ask) -> None:
    ask(ACKNOWLEDGE, {"reason": "on it"})
    _, kind, text = ask("/api/v1/audit?experiment=support", role=Role.READ)
    _, csv_kind, table = ask("/api/v1/audit", role=Role.READ, accept="text/csv")

    lines = [json.loads(line) for line in text.splitlines()]
    rows = list(csv.DictReader(io.StringIO(table, newline="")))
    assert (kind, csv_kind) == ("application/jsonl; charset=utf-8", "text/csv; charset=utf-8")
    assert sorted((line["actor"], line["what"], line["why"]) for line in lines) == [
        ("a-operate", "acknowledged", "on it"),
        ("config", "epoch started", "first epoch"),
    ]
    assert [row["why"] for row in rows] == [line["why"] for line in lines]


def test_the_audit_of_an_unknown_experiment_is_not_found(ask: Ask) -> None:
    status, _, detail = ask("/api/v1/audit?experiment=suport")

    assert (status, detail) == (404, "no experiment 'suport' has begun; there are: support")
