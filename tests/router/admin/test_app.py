"""The admin API on a real port: what it says of experiments, and how it says that it cannot."""

import http.client
import json
import os
import ssl
import threading
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from tests_history import CONFIG, Life, bad, good, live_through, living

from experiments.config import Config
from experiments.config.serving import Tls
from experiments.journal.format import host_name, writer_name
from experiments.journal.recorder import Recorder
from experiments.journal.status import STATUS_SUFFIX, Status, StatusFile
from experiments.store import Store
from router.admin.app import admin_server, build_admin, routes
from router.fakes.server import serving
from router.processes.reload_status import clear_refused, write_refused
from router.processes.workers import ListenError, bind

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
    assert (row["experiment"], row["phase"]) == ("support", "draft")
    assert row["says"] == "Not started: control serves everyone."
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


@pytest.mark.parametrize("path", ["/api", "/api/v1", f"{API}/support/other", "/v1/chat/completions"])
def test_a_path_that_is_not_there_is_a_problem_too(url: str, path: str) -> None:
    assert get(url + path)[:2] == (404, "application/problem+json")


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT"])
def test_it_only_reads(url: str, method: str) -> None:
    request = urllib.request.Request(url + API, b"{}", {"content-type": "application/json"}, method=method)

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

    with admin_server(config, life.store):
        assert get(f"http://127.0.0.1:{port}/healthz")[0] == 200
        with pytest.raises(ListenError, match=f"^cannot listen on 127.0.0.1:{port}: Address already in use$"):
            admin_server(config, life.store)

    with pytest.raises(urllib.error.URLError):
        get(f"http://127.0.0.1:{port}/healthz")


# --- TLS --------------------------------------------------------------------------------------------------------------


@pytest.fixture(name="authority", scope="module")
def _authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(name="tls")
def _tls(authority: trustme.CA, tmp_path: Path) -> Tls:
    issued = authority.issue_cert("127.0.0.1")
    tls = Tls(certificate=tmp_path / "certificate.pem", key=tmp_path / "key.pem")
    tls.certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    tls.key.write_bytes(issued.private_key_pem.bytes())
    return tls


def _free_port() -> int:
    with bind("127.0.0.1:0") as probe:
        return int(probe.getsockname()[1])


def _with_tls(config: Config, port: int, tls: Tls) -> Config:
    config = _at(config, port)
    return config.model_copy(update={"router": config.router.model_copy(update={"admin_tls": tls})})


def test_with_a_certificate_the_admin_port_speaks_https_and_nothing_else(
    life: Life, authority: trustme.CA, tls: Tls
) -> None:
    port = _free_port()
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    with admin_server(_with_tls(life.config, port, tls), life.store):
        with urllib.request.urlopen(f"https://127.0.0.1:{port}/healthz", timeout=5, context=trusting) as answer:
            assert answer.read() == b"ok\n"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["server"] is None
        with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
            get(f"https://127.0.0.1:{port}/healthz")
        with pytest.raises((urllib.error.URLError, ConnectionError, http.client.HTTPException)):
            get(f"http://127.0.0.1:{port}/healthz")


def test_old_tls_is_refused(life: Life, authority: trustme.CA, tls: Tls) -> None:
    port = _free_port()
    old = ssl.create_default_context()
    authority.configure_trust(old)
    old.minimum_version = ssl.TLSVersion.TLSv1_2
    old.maximum_version = ssl.TLSVersion.TLSv1_2

    with admin_server(_with_tls(life.config, port, tls), life.store):
        with urllib.request.urlopen(f"https://127.0.0.1:{port}/healthz", timeout=5, context=old) as answer:
            assert answer.status == 200
        with warnings.catch_warnings(action="ignore"):  # that it is old is what is tested
            old.minimum_version = ssl.TLSVersion.TLSv1
            old.maximum_version = ssl.TLSVersion.TLSv1_1
            old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.raises(urllib.error.URLError):
            urllib.request.urlopen(f"https://127.0.0.1:{port}/healthz", timeout=5, context=old)


@pytest.mark.parametrize("spoil", ["certificate", "key"])
def test_a_certificate_that_cannot_be_used_is_told_in_a_line_and_frees_the_port(
    life: Life, tls: Tls, spoil: str
) -> None:
    port = _free_port()
    getattr(tls, spoil).write_text("no pem")

    with pytest.raises(ListenError, match=rf"^cannot serve https on 127\.0\.0\.1:{port}: \S+"):
        admin_server(_with_tls(life.config, port, tls), life.store)
    bind(f"127.0.0.1:{port}").close()


# --- the gate ---------------------------------------------------------------------------------------------------------


def test_every_action_of_every_route_refuses_what_a_form_can_send(life: Life) -> None:
    life.store.migrate()
    actions = [
        (route.path.replace(":path", "").format(name="int4", key="support"), method)
        for route in routes(life.config, life.store)
        for method in (route.methods or set()) - {"GET", "HEAD"}
    ]
    assert actions
    with serving(build_admin(life.config, life.store)) as url:
        for path, method in actions:
            form = {"content-type": "application/x-www-form-urlencoded"}
            request = urllib.request.Request(url + path, b"reason=x", form, method=method)
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(request, timeout=5)
            with caught.value as error:
                assert (error.code, json.load(error)["title"]) == (415, "Unsupported Media Type")


def test_the_configured_tokens_guard_everything_but_health(tmp_path: Path) -> None:
    text = CONFIG.replace("[router]", '[router]\nadmin_tokens = "tokens"')
    with living(tmp_path, text) as life, serving(build_admin(life.config, life.store)) as url:
        asked = {
            route.path.replace(":path", "").format(name="int4", key="support")
            for route in routes(life.config, life.store)
        }
        assert {path: get(url + path)[0] for path in asked} == dict.fromkeys(asked, 401) | {"/healthz": 200}


def test_a_fault_of_our_own_is_a_problem_without_its_details(life: Life) -> None:
    class Broken(Store):
        def route_states(self):
            raise RuntimeError("hush")

    with serving(build_admin(life.config, Broken(life.store.engine))) as url:
        status, kind, problem = get(f"{url}/readyz")

    assert (status, kind, "hush" in str(problem)) == (500, "application/problem+json", False)


def test_readiness_tells_of_a_refused_configuration_and_of_recording_that_is_shed(url: str, life: Life) -> None:
    life.store.migrate()
    write_refused(life.journal, ["config.toml:5: no such key"], 1_700_000_000.0)
    status = StatusFile(life.journal / f"{writer_name(os.getpid(), 1)}{STATUS_SUFFIX}")
    status.write(Status(shed=1, shedding="the disk is full"))
    Recorder(life.config, life.store).record()

    code, _, text = get(f"{url}/readyz")

    assert (code, text.splitlines()) == (200, [
        "ready",
        "the configuration on disk is refused since 2023-11-14T22:13:20+00:00: config.toml:5: no such key",
        f"recording is shed by a proxy of {host_name()}, and experiments are held: the proxy's own readiness says why",
    ])  # fmt: skip
    assert get(f"{url}/api/v1/config")[2] == {
        "path": str(life.config.path),
        "refused": {"since": 1_700_000_000.0, "problems": ["config.toml:5: no such key"]},
    }

    clear_refused(life.journal)
    status.write(Status(shed=1))
    Recorder(life.config, life.store).record()
    assert get(f"{url}/readyz")[2] == "ready\n"
    assert get(f"{url}/api/v1/config")[2]["refused"] is None


def test_a_store_that_comes_to_life_later_needs_no_restart(url: str, life: Life) -> None:
    before = get(f"{url}/readyz")[0]

    life.start()

    assert (before, get(f"{url}/readyz")[0]) == (503, 200)
    assert get(url + API)[2][0]["phase"] == "running"
