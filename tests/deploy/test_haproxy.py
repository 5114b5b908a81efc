"""The shipped HAProxy file and its equivalent for nginx: accepted by both, and in agreement with the proxies."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import tempfile
import time
from pathlib import Path

from tests_deploy import DEPLOY, ROOT, installed, said
from tests_fleet import SHIPPED_PORTS, free_port, nginx_file, shipped_haproxy

from experiments.config.records import RouterSettings
from experiments.config.serving import ClientLimits
from router.app import _OWN
from router.front.probes import Probes

FILE = DEPLOY / "haproxy.cfg"
TEXT = FILE.read_text()
PAGE = (ROOT / "docs" / "how-to" / "load-balancer.md").read_text()
DEFAULTS, LIMITS = RouterSettings(), ClientLimits()


def seconds(words: str, text: str = TEXT) -> float:
    """Return a time of a file, in seconds."""
    [found] = re.findall(rf"^\s*{re.escape(words)} (\d+)(m?s);?", text, re.MULTILINE)
    return int(found[0]) / (1_000 if found[1] == "ms" else 1)


def test_haproxy_accepts_the_file() -> None:
    assert "valid" in said(installed("haproxy"), "-c", "-f", str(FILE))


def test_nginx_accepts_the_equivalent(tmp_path: Path) -> None:
    path = nginx_file(tmp_path, 0, list(SHIPPED_PORTS))
    assert "test is successful" in said(installed("nginx"), "-t", "-e", "stderr", "-p", str(tmp_path), "-c", str(path))


def test_it_asks_for_health_as_often_as_a_proxy_that_ends_waits_for() -> None:
    assert f"httpchk GET {_OWN}healthz" in TEXT
    every_s = float(re.findall(r"check inter (\d+)s", TEXT)[0])
    probes = Probes()
    for number in range(3):
        probes.note("10.0.0.1", number * every_s)
    probes.ending = True
    assert probes.is_waited_for(2 * every_s, DEFAULTS.shutdown_grace_s / 2)


def test_balancers_are_more_patient_than_a_proxy_that_asks_control_after_the_treatment() -> None:
    twice_s = 2 * DEFAULTS.first_byte_timeout_s
    assert seconds("timeout server") > twice_s
    assert seconds("proxy_read_timeout", PAGE) > twice_s
    assert min(seconds("timeout server"), seconds("timeout client")) > DEFAULTS.between_bytes_timeout_s


def test_balancers_drop_idle_connections_before_the_proxies_do() -> None:
    assert seconds("timeout http-keep-alive") < LIMITS.idle_timeout_s
    assert seconds("keepalive_timeout", PAGE) < LIMITS.idle_timeout_s


def test_what_was_sent_once_is_never_sent_again() -> None:
    assert re.findall(r"^\s*retry-on (.*)$", TEXT, re.MULTILINE) == ["conn-failure"]
    assert re.findall(r"^\s*proxy_next_upstream (\w+);", PAGE, re.MULTILINE) == ["error"]


def test_a_proxy_is_sent_no_more_at_a_time_than_it_takes() -> None:
    [most] = re.findall(r"default-server .* maxconn (\d+)", TEXT)
    assert int(most) <= LIMITS.max_in_flight


def test_operating_it_is_for_this_machine_only() -> None:
    assert re.findall(r"^\s*bind (\S+)", TEXT.partition("frontend stats")[2], re.MULTILINE) == ["127.0.0.1:8404"]
    assert re.findall(r"stats socket (\S+)", TEXT) == ["/run/haproxy/admin.sock"]


def test_what_haproxy_says_itself_has_the_shape_of_an_openai_error() -> None:
    program, front = installed("haproxy"), free_port()
    with tempfile.TemporaryDirectory(prefix="fleet-") as folder:
        path = shipped_haproxy(Path(folder), front, [free_port() for _ in SHIPPED_PORTS], hurried=True)
        with subprocess.Popen([program, "-db", "-f", str(path)], stderr=subprocess.DEVNULL) as balancer:
            try:
                status, body, again = asked(front)
            finally:
                balancer.kill()

    assert (status, again) == (503, "1")
    assert json.loads(body)["error"] == {
        "message": "no router can take the request",
        "type": "server_error",
        "param": None,
        "code": "balancer",
    }


def asked(port: int) -> tuple[int, bytes, str | None]:
    """Ask once a server listens; status, body, and when to ask again."""
    deadline = time.monotonic() + 30
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        try:
            connection.request("POST", "/v1/chat/completions", b"{}")
            response = connection.getresponse()
            return response.status, response.read(), response.headers["retry-after"]
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        finally:
            connection.close()
