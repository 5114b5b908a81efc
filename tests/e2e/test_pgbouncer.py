"""Behind a real PgBouncer: the proxy in transaction mode, the controller in session mode."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp
import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import OperationalError
from tests_history import CHAT, CONFIG, write_config

from experiments.store import open_store
from router.fakes.backend import FakeBackend
from router.fakes.server import serving
from router.processes.workers import bind

ROOT = Path(__file__).parents[2]
PGBOUNCER = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
pytestmark = [
    pytest.mark.cluster,
    pytest.mark.postgres,
    pytest.mark.skipif(PGBOUNCER is None, reason="no pgbouncer: apt-get install pgbouncer"),
]


def free_port() -> int:
    with bind("127.0.0.1:0") as probe:
        return int(probe.getsockname()[1])


@pytest.fixture(name="bouncers")
def _bouncers(tmp_path: Path, migrated_postgres_url: str) -> Iterator[dict[str, str]]:
    """Pool mode -> URL, in front of one database. It refuses to run as root: then it is the server's user's."""
    server = make_url(migrated_postgres_url)
    host, port = server.query.get("host") or server.host, server.port or server.query.get("port") or 5432
    owner = Path(host).owner() if str(host).startswith("/") else "nobody"
    with ExitStack() as stack, TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # pytest's own would be closed to the other user
        urls = {}
        for mode in ("transaction", "session"):
            listen = free_port()
            ini = Path(folder) / f"{mode}.ini"
            ini.write_text(
                f"[databases]\n* = host={host} port={port} user={server.username or 'postgres'}\n"
                f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {listen}\nunix_socket_dir =\n"
                f"auth_type = any\npool_mode = {mode}\ndefault_pool_size = 3\n"
                "ignore_startup_parameters = extra_float_digits\n"
            )
            words = [str(PGBOUNCER), str(ini)] + (["-u", owner] if os.geteuid() == 0 else [])
            log = stack.enter_context((tmp_path / f"{mode}.log").open("wb"))
            process = subprocess.Popen(words, stdout=log, stderr=log)
            stack.callback(_end, process)
            urls[mode] = f"postgresql+psycopg://any@127.0.0.1:{listen}/{server.database}"
            wait_for(lambda url=urls[mode]: answers(url))
        yield urls


def answers(url: str) -> bool:
    with closing(open_store(url)) as store:
        try:
            with store.engine.connect() as connection:
                return bool(connection.execute(text("SELECT 1")).scalar_one())
        except OperationalError:
            return False


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(20)


def wait_for(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


async def test_proxy_in_transaction_mode_and_controller_in_session_mode_do_their_work(
    tmp_path: Path, bouncers: dict[str, str]
) -> None:
    with ExitStack() as stack:
        urls = [stack.enter_context(serving(FakeBackend())) for _ in range(2)]
        config = CONFIG.replace("= 1.0\n", "= 0.1\n", 1).replace("min_days = 0", "min_days = 7")
        for url in urls:
            config = config.replace("http://127.0.0.1:9", url, 1)
        path = write_config(tmp_path, config + "[experiments.support.gate]\nhealthy = false\n")
        listen, processes = f"127.0.0.1:{free_port()}", []
        for command, mode in (("control", "session"), ("proxy", "transaction")):
            places = {"LISTEN": listen, "ADMIN": f"127.0.0.1:{free_port()}", "DATABASE": bouncers[mode]}
            environment = os.environ | {f"TOUCHSTONE_ROUTER_{name}": value for name, value in places.items()}
            processes.append(started(command, path, environment))
            stack.callback(processes[-1].kill)
        store = stack.enter_context(closing(open_store(bouncers["session"])))
        wait_for(lambda: ready(listen))
        wait_for(lambda: store.latest_epoch("support") is not None)
        # More polls than it takes for psycopg to prepare a statement, on sessions that change under the proxy.
        await asyncio.sleep(3.0)
        async with aiohttp.ClientSession() as session:
            for number in range(40):
                headers = {"x-user-id": f"user-{number}"}
                body = {"model": "support", "messages": [{"role": "user", "content": f"question {number}"}]}
                async with session.post(f"http://{listen}{CHAT}", json=body, headers=headers) as response:
                    assert response.status == 200
        wait_for(lambda: store.count_exchanges() == {"live": 40, "shadow": 40})
        wait_for(lambda: store.latest_look("support", 1).evidence.pairs == 40)
        logs = b"".join((tmp_path / f"{command}.log").read_bytes() for command in ("proxy", "control"))
        for process in processes:
            process.send_signal(signal.SIGTERM)
            process.wait(30)

    assert b"prepared statement" not in logs
    assert b"_failed" not in logs, logs.decode()
    assert b"unavailable" not in logs, logs.decode()


def started(command: str, config: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "router", command, "--config", str(config)]
    with config.with_name(f"{command}.log").open("wb") as log:
        return subprocess.Popen(words, cwd=ROOT, stdout=log, stderr=log, env=environment)


def ready(listen: str) -> bool:
    try:
        urllib.request.urlopen(f"http://{listen}/_touchstone/readyz", timeout=5).close()
    except OSError:
        return False
    return True
