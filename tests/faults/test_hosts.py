"""Three hosts on one PostgreSQL, a journal each: one is killed whole, and nothing that it acknowledged is lost.

A host is simulated: a folder of its own and processes of its own, on this machine. Two of them have a controller, the
third has proxy and recorder only.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from tests_history import CHAT, CONFIG, write_config

from experiments.config import load
from experiments.journal.format import SUFFIX
from experiments.journal.recorders import Recorders
from experiments.replay import replay
from experiments.store import Store, open_store
from router.fakes.backend import FakeBackend
from router.fakes.server import serving
from router.processes.workers import bind

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0


def free_address() -> str:
    with bind("127.0.0.1:0") as probe:
        return f"127.0.0.1:{probe.getsockname()[1]}"


@dataclass
class Host:
    """Processes that see one folder; they share with other hosts the file and the database."""

    folder: Path
    config: Path
    commands: tuple[str, ...]
    listen: str = field(default_factory=free_address)
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> None:
        self.folder.mkdir(exist_ok=True)
        places = {"LISTEN": self.listen, "ADMIN": free_address(), "JOURNAL": str(self.folder / "journal")}
        environment = os.environ | {f"TOUCHSTONE_ROUTER_{name}": value for name, value in places.items()}
        for command in self.commands:
            words = [sys.executable, "-m", "router", command, "--config", str(self.config)]
            with (self.folder / f"{command}.log").open("ab") as log:
                self.running.append(subprocess.Popen(words, cwd=ROOT, stdout=log, stderr=log, env=environment))

    def kill(self) -> None:
        for process in self.running:
            process.kill()
        for process in self.running:
            process.wait()
        self.running = []

    def stop(self) -> list[int]:
        """Stop as an operator would: the proxy first, then whoever records what it wrote."""
        codes = []
        for process in self.running:
            process.send_signal(signal.SIGTERM)
            codes.append(process.wait(30))
        self.running = []
        return codes

    @property
    def segments(self) -> list[Path]:
        return list((self.folder / "journal").glob(f"*{SUFFIX}"))

    def is_ready(self) -> bool:
        try:
            urllib.request.urlopen(f"http://{self.listen}/_touchstone/readyz", timeout=5).close()
        except OSError:
            return False
        return True


@pytest.fixture(name="hosts")
def _hosts(tmp_path: Path, migrated_postgres_url: str) -> Iterator[tuple[list[Host], Store]]:
    with ExitStack() as stack:
        urls = [stack.enter_context(serving(FakeBackend())) for _ in range(2)]
        text = CONFIG.replace("sqlite:///touchstone.db", migrated_postgres_url).replace("= 1.0\n", "= 0.1\n", 1)
        text = text.replace("min_days = 0", "min_days = 7")
        for url in urls:
            text = text.replace("http://127.0.0.1:9", url, 1)
        config = write_config(tmp_path, text + "[experiments.support.gate]\nhealthy = false\n")
        roles = (("proxy", "control"), ("proxy", "control"), ("proxy", "record"))
        hosts = [Host(tmp_path / f"host-{number}", config, commands) for number, commands in enumerate(roles)]
        for host in hosts:
            stack.callback(host.kill)
            host.start()
        store = stack.enter_context(closing(open_store(migrated_postgres_url)))
        wait_for(lambda: all(host.is_ready() for host in hosts) and store.latest_epoch("support") is not None)
        time.sleep(1.0)  # by then every proxy has read that it runs
        yield hosts, store


def wait_for(condition) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


async def send(host: Host, first: int, last: int, answered: dict[str, int]) -> None:
    """Send requests one after the other; what was answered, and by that acknowledged, is noted."""
    async with aiohttp.ClientSession() as session:
        for number in range(first, last):
            body = {"model": "support", "messages": [{"role": "user", "content": f"question {number}"}]}
            headers = {"x-user-id": f"user-{number}", "x-language": "en"}
            try:
                async with session.post(f"http://{host.listen}{CHAT}", json=body, headers=headers) as response:
                    await response.read()
                    answered[response.headers["x-touchstone-exchange"]] = number
            except aiohttp.ClientError:
                await asyncio.sleep(0.01)


def looks(store: Store) -> int:
    look = store.latest_look("support", 1)
    return look.number if look else 0


def stored(store: Store) -> Counter[str]:
    return Counter(row.exchange.id for row in store.exchanges("support", 1, 0, 10**9) if row.exchange.role == "live")


@pytest.mark.cluster
@pytest.mark.postgres
async def test_a_host_killed_whole_costs_nothing_that_was_acknowledged_and_another_one_leads(hosts) -> None:
    (first, second, third), store = hosts
    answered: dict[str, int] = {}
    await asyncio.gather(*(send(host, n * 1_000, n * 1_000 + 60, answered) for n, host in enumerate(hosts[0])))
    # Each host's own journal is in the store, whichever controller leads.
    await asyncio.to_thread(wait_for, lambda: sum(stored(store).values()) >= 180)

    load_goes_on = asyncio.gather(
        *(send(host, n * 1_000 + 100, n * 1_000 + 300, answered) for n, host in enumerate(hosts[0]))
    )
    await asyncio.sleep(0.3)
    first.kill()
    second_leads_after = looks(store)
    await load_goes_on
    await asyncio.to_thread(wait_for, lambda: looks(store) >= second_leads_after + 3)
    missing = set(answered) - set(stored(store))
    left_behind = first.segments

    first.start()
    await asyncio.to_thread(wait_for, lambda: set(answered) <= set(stored(store)))
    reports = Recorders(store.engine).all()
    codes = [code for host in (third, second, first) for code in host.stop()]

    config = load(first.config)
    found = list(replay(store, config.experiments["support"], 1))
    by_host = Counter(number // 1_000 for number in answered.values())
    assert len(answered) > 500, by_host
    assert missing == set() or left_behind, "what is missing lies in the journal of the host that is away"
    assert set(stored(store).values()) == {1}
    assert len(reports) == 3
    assert [one.report.ended for one in Recorders(store.engine).all()] == [True] * 3
    assert {*codes} <= {0, -signal.SIGTERM}
    assert [look.stored.number for look in found] == list(range(1, len(found) + 1))
    assert all(look.same for look in found), "no look passed over what another host committed late"
