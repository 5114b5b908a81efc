"""The main job, end to end, on real models on this machine: `make demo`.

Starts three llama.cpp servers (the original, its 8-bit and its 4-bit copy) and `touchstone serve` with the repository's
`config.toml`; sends live traffic until both experiments are decided; checks what Touchstone claims against the full
golden set, run offline; writes a report; ends everything that it started.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import aiohttp
from rich.console import Console
from rich.live import Live

from examples.support_model.catalog import checked_path
from examples.support_model.claims import Claim, check_claims, claims_table, write_report
from examples.support_model.errors import SupportModelError, optional
from examples.support_model.screen import Screen, Standing, parse_evidence, parse_standings, plain
from examples.support_model.serve import INSTALL
from examples.support_model.traffic import Traffic, questions
from experiments.config import Config, ConfigError, load
from experiments.golden.sets import load_golden
from experiments.model import ENDED

ROOT = Path(__file__).resolve().parents[2]
RUN = ROOT / "demo-run"
MODELS = {"original": "f32", "int8": "q8_0", "int4": "q4_0"}
"""Backend of `config.toml` -> model file."""
_PER_SECOND = 90.0
_MOST_REQUESTS = 9_000
_SEED = 20_261_124
_NEEDED_BYTES = 200 * 2**20
_START_TIMEOUT_S = 20.0


class DemoError(Exception):
    """Something in the surroundings that keeps the demo from running: one clear line."""


class Processes:
    """The servers that the demo started; all are ended by their pid, last first.

    Each has its standard input held by this process: should the demo itself be killed, they end on their own.
    """

    def __init__(self) -> None:
        self._running: list[tuple[str, subprocess.Popen[bytes]]] = []

    def start(self, name: str, *arguments: str) -> None:
        """Start `python -m ...` with its output in the run's folder."""
        command = [sys.executable, "-m", *arguments, "--exit-with-parent"]
        with (RUN / f"{name}.log").open("wb") as log:
            # A session of its own: Ctrl-C reaches us alone, and we end the rest in order.
            process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
            )
        self._running.append((name, process))

    def check(self) -> None:
        """Raise if one of them has ended."""
        for name, process in self._running:
            if process.poll() is not None:
                lines = (RUN / f"{name}.log").read_text(errors="replace").strip().splitlines()
                raise DemoError(f"{name} ended: {lines[-1] if lines else f'exit code {process.returncode}'}")

    def stop(self) -> None:
        """End all, the router before the models."""
        for _, process in reversed(self._running):
            process.terminate()
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdin is not None:
                process.stdin.close()
        self._running.clear()


@contextlib.contextmanager
def servers(config: Config, out: Console) -> Iterator[Processes]:
    """Run the models and the router for the length of the block."""
    processes = Processes()
    try:
        started = time.monotonic()
        for backend, kind in MODELS.items():
            port = config.backends[backend].urls[0].rpartition(":")[2]
            processes.start(f"model-{backend}", "examples.support_model.serve", "--model", kind, "--port", port)
        processes.start("touchstone", "router", "serve", "--config", str(config.path))
        asyncio.run(_wait_until_ready(config, processes))
        out.print(f"Three models and the router are up ({time.monotonic() - started:.1f} s).")
        yield processes
    finally:
        processes.stop()


async def _wait_until_ready(config: Config, processes: Processes) -> None:
    urls = [f"http://{config.router.listen}/_touchstone/readyz", f"http://{config.router.admin}/readyz"]
    urls += [f"{backend.urls[0]}/health" for backend in config.backends.values()]
    deadline = time.monotonic() + _START_TIMEOUT_S
    async with aiohttp.ClientSession() as session:
        for url in urls:
            while not await _answers(session, url):
                processes.check()
                if time.monotonic() > deadline:
                    raise DemoError(f"{url} does not answer after {_START_TIMEOUT_S:g} s; see {RUN}/*.log")
                await asyncio.sleep(0.1)
        while not await _has_begun(session, f"http://{config.router.admin}/api/v1/experiments"):
            processes.check()
            if time.monotonic() > deadline:
                raise DemoError(f"the experiments wait at their gates; see {RUN}/touchstone.log")
            await asyncio.sleep(0.1)


async def _has_begun(session: aiohttp.ClientSession, url: str) -> bool:
    """Whether every experiment is past its gate."""
    async with session.get(url) as response:
        return all(row["phase"] not in {"draft", "gated"} for row in await response.json())


async def _answers(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False


def prepare(config: Config) -> None:
    """Refuse to start on a machine on which the demo cannot run, and clear the last run's folder.

    Raises:
        DemoError: A port is taken, or the disk is full.
        SupportModelError: The wheel is missing, or a model file is not what it should be.
    """
    optional("xllamacpp", INSTALL)
    for kind in MODELS.values():
        checked_path(kind)
    addresses = [config.router.listen, config.router.admin]
    addresses += [backend.urls[0].removeprefix("http://") for backend in config.backends.values()]
    for address in addresses:
        _check_free(address)
    if (free := shutil.disk_usage(ROOT).free) < _NEEDED_BYTES:
        raise DemoError(
            f"only {free // 2**20} MiB are free on the disk of {ROOT}; the demo needs {_NEEDED_BYTES // 2**20}"
        )
    if RUN.exists():
        shutil.rmtree(RUN)
    RUN.mkdir()


def _check_free(address: str) -> None:
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
        except OSError as error:
            raise DemoError(
                f"port {port} is in use ({error.strerror}); stop what uses it, or change config.toml"
            ) from error


class Run:
    """Live traffic until both experiments are decided.

    Args:
        config: What runs.
        out: Where to show it.
        processes: Watched: one that ends is an error.
    """

    def __init__(self, config: Config, out: Console, processes: Processes) -> None:
        self._config = config
        self._out = out
        self._processes = processes
        self._traffic = Traffic(f"http://{config.router.listen}", _PER_SECOND, _MOST_REQUESTS)
        self.standings: dict[str, Standing] = {}

    async def go(self) -> dict[str, Standing]:
        """Send and show; returns how the experiments ended."""
        golden = load_golden(ROOT / "examples" / "support_model" / "golden.jsonl")
        source = questions(golden.items, _SEED)
        sending = asyncio.ensure_future(self._traffic.run(source, self._decided))
        try:
            async with aiohttp.ClientSession() as session:
                await self._show(session, sending)
            await sending
        finally:
            sending.cancel()
        if self._traffic.failed:
            self._out.print(f"{self._traffic.failed} of {self._traffic.sent} requests failed.")
        return self.standings

    def _decided(self) -> bool:
        ended = {phase.value for phase in ENDED}
        return bool(self.standings) and all(standing.phase in ended for standing in self.standings.values())

    async def _show(self, session: aiohttp.ClientSession, sending: asyncio.Future[None]) -> None:
        screen, said = Screen(self._config, _MOST_REQUESTS), 0.0
        live = Live(console=self._out, refresh_per_second=4) if self._out.is_terminal else contextlib.nullcontext()
        with live as shown:
            while not sending.done():
                await asyncio.sleep(0.5)
                self._processes.check()
                await self._read(session)
                if shown is not None:
                    shown.update(screen.render(self._traffic.sent, self.standings))
                elif time.monotonic() - said > 5:
                    said = time.monotonic()
                    self._out.print(plain(self._traffic.sent, self.standings), soft_wrap=True)
        if not self._out.is_terminal:
            self._out.print(screen.render(self._traffic.sent, self.standings))

    async def _read(self, session: aiohttp.ClientSession) -> None:
        base = f"http://{self._config.router.admin}/api/v1/experiments"
        async with session.get(base) as response:
            standings = parse_standings(await response.read())
        for name, standing in standings.items():
            async with session.get(f"{base}/{name}/evidence") as response:
                standing.evidence = parse_evidence(await response.read())
        self.standings = standings


def demo(out: Console) -> int:
    """Run the whole demo; returns the exit code."""
    started = time.monotonic()
    config = load(ROOT / "config.toml")
    prepare(config)
    out.rule("Touchstone: is the cheaper model as good?")
    out.print("Real models: a support model of 0.11 million parameters and its 8-bit and 4-bit copies (llama.cpp).")
    out.print("Simulated users: they ask bundled questions in English, Hinglish and Hindi. Prices are examples.\n")
    with servers(config, out) as processes:
        standings = asyncio.run(Run(config, out, processes).go())
        out.print()
        for standing in standings.values():
            out.print(f"[bold]{standing.says}[/]\n", soft_wrap=True)
        out.print("Checking these claims against the full golden set, run offline on the same models ...")
        claims = asyncio.run(check_claims(config, standings, MODELS, out))
    out.print(claims_table(claims))
    report = write_report(RUN / "report.md", config, standings, claims)
    _say_goodbye(out, report, time.monotonic() - started)
    return 0 if _as_promised(standings, claims) else 1


def _as_promised(standings: dict[str, Standing], claims: list[Claim]) -> bool:
    phases = {name: standing.phase for name, standing in standings.items()}
    expected = {"web-8bit": "promoted", "mobile-4bit": "rolled_back"}
    return phases == expected and all(claim.holds for claim in claims if not claim.slice)


def _say_goodbye(out: Console, report: Path, seconds: float) -> None:
    curl = """curl -s http://127.0.0.1:8080/v1/chat/completions -H 'content-type: application/json' \\
       -H 'x-user-id: me' -H 'x-language: en' \\
       -d '{"model": "support-web", "messages": [{"role": "user", "content": "where is my order 4711"}]}'"""
    lines = [
        f"\nEverything that was started has ended ({seconds:.0f} s in all).",
        f"  report           {report.relative_to(ROOT)}",
        f"  database         {(RUN / 'touchstone.db').relative_to(ROOT)}",
        "  recompute        .venv/bin/touchstone replay mobile-4bit",
        "  the reasons      .venv/bin/touchstone explain mobile-4bit",
        "  for a meeting    .venv/bin/touchstone report mobile-4bit --out demo-run/mobile-4bit.html",
        "  the dashboard    `make serve`, then http://127.0.0.1:8081/ in a browser",
        "  a request of your own: `make serve` in one terminal, and in another",
        f"       {curl}",
    ]
    for line in lines:
        out.print(line, soft_wrap=True, markup=False)


def serve_only(out: Console) -> int:
    """Start everything and keep serving until Ctrl-C."""
    config = load(ROOT / "config.toml")
    prepare(config)
    with servers(config, out) as processes:
        listen, admin = config.router.listen, config.router.admin
        out.print(f"Serving on http://{listen}, dashboard on http://{admin}/. Ctrl-C ends it.")
        while True:
            time.sleep(1)
            processes.check()


def console() -> Console:
    """Return the terminal; into a file, lines are as wide as the tables want."""
    return Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=140)


def main() -> None:
    """Run, and turn what a user can mend into one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--serve", action="store_true", help="start the models and the router, and keep serving")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _interrupt)
    out = console()
    try:
        sys.exit(serve_only(out) if options.serve else demo(out))
    except KeyboardInterrupt:
        out.print("\nStopped; everything that was started has ended.")
        sys.exit(130)
    except (DemoError, SupportModelError, ConfigError) as error:
        print(f"demo: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        print(f"demo: {error.strerror or error}: {error.filename or ''}".rstrip(": "), file=sys.stderr)
        sys.exit(2)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
