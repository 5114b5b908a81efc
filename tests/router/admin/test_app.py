"""The admin API on a real port: what it says of experiments, and how it says that it cannot."""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests_history import Life, bad, good, live_through, living

from experiments.config import Config
from experiments.store import Store
from router.admin.app import AdminServer, build_admin
from router.fakes.server import serving
from router.workers import ListenError, bind

API = "/api/v1/experiments"


def get(url: str) -> tuple[int, str, Any]:
    """Return status, content type and body."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            body, status, kind = response.read(), response.status, response.headers["content-type"]
    except urllib.error.HTTPError as error:
        with error:
            body, status, kind = error.read(), error.code, error.headers["content-type"]
    return status, kind, json.loads(body) if "json" in kind else body.decode()


@pytest.fixture(name="life")
def _life(tmp_path: Path) -> Iterator[Life]:
    with living(tmp_path) as life:
        yield life


@pytest.fixture(name="url")
def _url(life: Life) -> Iterator[str]:
    with serving(build_admin(life.config, life.store)) as url:
        yield url


def test_before_the_store_exists_it_is_healthy_and_not_ready_and_says_why(url: str) -> None:
    assert get(f"{url}/healthz")[::2] == (200, "ok\n")
    for path in ("/readyz", API, f"{API}/support", f"{API}/support/evidence", f"{API}/support/decisions"):
        status, kind, problem = get(url + path)
        assert (status, kind, problem["status"]) == (503, "application/problem+json", 503)
        assert problem["detail"] == "the store cannot be read: OperationalError"


def test_before_the_first_look_there_is_a_draft_and_no_evidence(url: str, life: Life) -> None:
    life.store.migrate()

    assert get(f"{url}/readyz")[::2] == (200, "ready\n")
    [row] = get(url + API)[2]
    assert (row["experiment"], row["phase"], row["says"]) == ("support", "draft", "not started")
    assert get(f"{url}{API}/support/evidence") == (200, "application/json", None)
    assert get(f"{url}{API}/support/decisions")[2] == []
    assert get(f"{url}{API}/support")[2] == {"experiment": "support", "look": None, "transitions": []}


@pytest.mark.parametrize(("answer", "phase", "split"), [(good, "promoted", "100 %"), (bad, "rolled_back", "0 %")])
def test_what_happened_is_told_with_its_evidence_and_its_reasons(
    url: str, life: Life, answer, phase: str, split: str
) -> None:
    live_through(life, answer)

    [row] = get(url + API)[2]
    evidence = get(f"{url}{API}/support/evidence")[2]
    whole = get(f"{url}{API}/support")[2]
    decisions = get(f"{url}{API}/support/decisions")[2]

    assert (row["phase"], row["split"], row["epoch"]) == (phase, split, 1)
    assert row["units"] == evidence["units"] > 0
    assert whole["look"]["evidence"] == evidence
    assert whole["transitions"] == decisions
    assert (decisions[0]["actor"], decisions[-1]["actor"]) == ("config", "controller")
    assert decisions[-1]["to_phase"] == phase
    assert decisions[-1]["reason"]


@pytest.mark.parametrize("path", ["other", "other/evidence", "other/decisions", "Support", "a%20b"])
def test_an_experiment_that_is_not_configured_does_not_exist(url: str, life: Life, path: str) -> None:
    life.store.migrate()

    status, kind, problem = get(f"{url}{API}/{path}")

    assert (status, kind, problem["title"]) == (404, "application/problem+json", "Not Found")
    assert problem["detail"].startswith("no experiment is named '")


@pytest.mark.parametrize("path", ["/", "/api", "/api/v1", f"{API}/support/other", "/v1/chat/completions"])
def test_a_path_that_is_not_there_is_a_problem_too(url: str, path: str) -> None:
    assert get(url + path)[:2] == (404, "application/problem+json")


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT"])
def test_it_only_reads(url: str, method: str) -> None:
    request = urllib.request.Request(url + API, b"{}", method=method)

    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=5)
    with caught.value as error:
        assert (error.code, json.load(error)["title"]) == (405, "Method Not Allowed")


def test_a_store_that_takes_long_never_delays_the_health_check(life: Life) -> None:
    asked, answer = threading.Event(), threading.Event()

    class Slow(Store):
        def route_states(self):
            asked.set()
            answer.wait(10)
            return {}

    slow = Slow(life.store.engine)
    with serving(build_admin(life.config, slow)) as url:
        waiting = threading.Thread(target=get, args=(f"{url}/readyz",))
        waiting.start()
        assert asked.wait(5)
        assert get(f"{url}/healthz")[0] == 200
        assert waiting.is_alive()
        answer.set()
        waiting.join()


def _at(config: Config, port: int) -> Config:
    router = config.router.model_copy(update={"admin": f"127.0.0.1:{port}"})
    return config.model_copy(update={"router": router})


def test_the_server_listens_for_the_length_of_its_block_and_a_taken_port_is_told(life: Life) -> None:
    with bind("127.0.0.1:0") as probe:
        port = probe.getsockname()[1]
    config = _at(life.config, port)

    with AdminServer(config, life.store):
        assert get(f"http://127.0.0.1:{port}/healthz")[0] == 200
        with pytest.raises(ListenError, match=f"^cannot listen on 127.0.0.1:{port}: Address already in use$"):
            AdminServer(config, life.store)

    with pytest.raises(urllib.error.URLError):
        get(f"http://127.0.0.1:{port}/healthz")


def test_a_store_that_comes_to_life_later_needs_no_restart(url: str, life: Life) -> None:
    before = get(f"{url}/readyz")[0]

    life.start()

    assert (before, get(f"{url}/readyz")[0]) == (503, 200)
    assert get(url + API)[2][0]["phase"] == "running"
