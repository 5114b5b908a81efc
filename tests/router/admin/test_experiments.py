"""What an operator does to an experiment over the admin API, on a real port and a real store."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests_history import CONFIG, Life, living

from experiments.model import Phase
from router.admin.app import build_admin
from router.admin.tokens import Role, create_token
from router.fakes.server import serving

SUPPORT = "/api/v1/experiments/support"
Ask = Callable[..., tuple[int, Any]]


@pytest.fixture(name="life")
def _life(tmp_path: Path) -> Iterator[Life]:
    with living(tmp_path, CONFIG.replace("[router]", '[router]\nadmin_tokens = "tokens"')) as life:
        life.start()
        yield life


@pytest.fixture(name="ask")
def _ask(life: Life, tmp_path: Path) -> Iterator[Ask]:
    tokens = {role: create_token(tmp_path / "tokens", f"a-{role}", role) for role in Role}
    with serving(build_admin(life.config, life.store)) as url:

        def ask(path: str, body: Any, role: Role = Role.OPERATE) -> tuple[int, Any]:
            headers = {"authorization": f"Bearer {tokens[role]}", "content-type": "application/json"}
            request = urllib.request.Request(url + path, json.dumps(body).encode(), headers, method="POST")
            try:
                with urllib.request.urlopen(request, timeout=5) as response:
                    return response.status, json.loads(response.read())
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, json.load(error)["detail"]

        yield ask


def phase(life: Life) -> Phase:
    return life.store.route_states()["support"].route.phase


def test_an_experiment_is_paused_and_resumed_by_name_and_with_a_reason(ask: Ask, life: Life) -> None:
    status, done = ask(f"{SUPPORT}/pause", {"reason": "the pager rings"})
    paused = phase(life)
    resumed, _ = ask(f"{SUPPORT}/resume", {"reason": "it was the other system"})

    assert (status, resumed, paused, phase(life)) == (200, 200, Phase.PAUSED, Phase.RUNNING)
    assert (done["actor"], done["reason"], done["to_phase"]) == ("a-operate", "the pager rings", "paused")
    assert [t.actor for t in life.store.transitions("support")] == ["config", "a-operate", "a-operate"]


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        (f"{SUPPORT}/resume", {"reason": "x"}, 409, "only a paused experiment is resumed"),
        (f"{SUPPORT}/pause", {}, 422, "reason"),
        (f"{SUPPORT}/pause", {"reason": ""}, 422, "reason"),
        (f"{SUPPORT}/pause", {"reason": "x", "force": True}, 422, "force"),
        ("/api/v1/experiments/suport/pause", {"reason": "x"}, 404, "no experiment is named"),
        (f"{SUPPORT}/explode", {"reason": "x"}, 404, "Not Found"),
    ],
)
def test_what_cannot_be_done_is_refused_and_changes_nothing(
    ask: Ask, life: Life, path: str, body: dict, status: int, said: str
) -> None:
    found, detail = ask(path, body)

    assert found == status
    assert said in detail
    assert phase(life) is Phase.RUNNING


def test_who_may_only_read_changes_nothing(ask: Ask, life: Life) -> None:
    status, _ = ask(f"{SUPPORT}/rollback", {"reason": "x"}, role=Role.READ)

    assert (status, phase(life)) == (403, Phase.RUNNING)
