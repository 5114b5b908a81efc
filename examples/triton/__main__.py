"""May an 8-bit intent classifier on Triton take over? Golden set, benchmark, and live traffic through the router.

    python -m examples.triton

Builds MiniLM in F32 and in 8 bits (ONNX), serves each by a Triton server of its own with dynamic batching, and puts the
router in front. Then: `touchstone golden run`, `touchstone bench-pair`, and live requests, of which the router mirrors
each to the other server; `touchstone explain` says what it makes of them. Exit code 2 and what to do if something is
missing: Triton needs a virtual environment of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import aiohttp
from rich.console import Console

from examples.children import ROOT, Children, ExampleError, fetch
from examples.triton import golden
from examples.triton.environment import python
from examples.triton.servers import ADMIN, FOLDER, PATH, ROUTER, RUN, build_models, start_router, start_triton

CONFIG = FOLDER / "config.toml"
EXPERIMENT = "intent-int8"
SERVERS = {"fp32": 9201, "int8-small": 9211}
"""Model -> port."""
_CLIENTS = 4
_PER_USER = 4
_GATE_TIMEOUT_S = 30.0
_QUIET_S = 6.0
"""After the last request: the mirrored ones come in, users go quiet, and a look is taken."""


def touchstone(arguments: Sequence[str], out: Console, *, allowed: frozenset[int] = frozenset({0})) -> None:
    """Run a command of Touchstone on this example's configuration and print what it says.

    Raises:
        ExampleError: Its exit code is none of the allowed ones.
    """
    out.rule(f"touchstone {' '.join(arguments)}")
    command = [sys.executable, "-m", "router", *arguments, "--config", str(CONFIG)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    out.print(done.stdout, markup=False, soft_wrap=True)
    if done.returncode not in allowed:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise ExampleError(f"touchstone {arguments[0]}: {lines[-1]}")


async def send(items: Sequence[dict[str, Any]]) -> int:
    """Send every item once through the router, some users at a time; returns how many were not answered with 200."""
    waiting, failed = iter(enumerate(items)), 0
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60), trust_env=False) as session:

        async def client() -> None:
            nonlocal failed
            for number, item in waiting:  # shared: each item is sent once
                headers = {"x-user-id": f"user-{number // _PER_USER}", "x-language": item["tags"]["language"]}
                async with session.post(ROUTER + PATH, json=item["request"], headers=headers) as response:
                    await response.read()
                    failed += response.status != 200

        await asyncio.gather(*(client() for _ in range(_CLIENTS)))
    return failed


def by_language(items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the items so that those behind each other, which one user sends, are of one language and not alike."""
    ordered: list[dict[str, Any]] = []
    for language in dict.fromkeys(item["tags"]["language"] for item in items):
        of_language = [item for item in items if item["tags"]["language"] == language]
        # The copies of a query stand together in the set; they are dealt to different users.
        copies = len(of_language) // len({item["tags"]["query"] for item in of_language})
        ordered += itertools.chain.from_iterable(of_language[start::copies] for start in range(copies))
    return ordered


def run(out: Console, copies: int) -> None:
    """Do all of it.

    Raises:
        ExampleError: Something is missing, or did not start.
    """
    interpreter = python()
    for name in ("touchstone.db", "touchstone.db-wal", "touchstone.db-shm"):
        (RUN / name).unlink(missing_ok=True)
    shutil.rmtree(RUN / "journal", ignore_errors=True)
    golden.write(RUN / "golden.jsonl", copies)
    clustered = golden.write(RUN / "clustered.jsonl", copies, clusters=True)
    out.print(f"Models: {build_models(interpreter)}")
    with Children(RUN / "logs") as children:
        for model, port in SERVERS.items():
            start_triton(children, interpreter, model, port, model=f"{model}.onnx")
        touchstone(["golden", "run", EXPERIMENT, "--no-keep"], out, allowed=frozenset({0, 1, 3}))
        touchstone(
            ["bench-pair", EXPERIMENT, "--golden", str(clustered), "--cluster", "query", "--concurrency", "4"],
            out,
        )
        start_router(children, CONFIG)
        wait_until_running(children)
        _live(out, copies)
        children.check()
        touchstone(["explain", EXPERIMENT], out)


def wait_until_running(children: Children) -> None:
    """Wait until the experiment is past its gate: what comes before is served by control, and compared with nothing.

    Raises:
        ExampleError: It is not after half a minute, or a process has ended.
    """
    deadline = time.monotonic() + _GATE_TIMEOUT_S
    while any(row["phase"] in {"draft", "gated"} for row in json.loads(fetch(f"{ADMIN}/api/v1/experiments"))):
        children.check()
        if time.monotonic() > deadline:
            raise ExampleError(f"the experiment waits at its gate after {_GATE_TIMEOUT_S:g} s; see {RUN}/logs")
        time.sleep(0.2)


def _live(out: Console, copies: int) -> None:
    items, started = by_language(list(golden.items(copies))), time.monotonic()
    failed = asyncio.run(send(items))
    seconds = time.monotonic() - started
    out.print(f"{len(items)} live requests through the router in {seconds:.1f} s, {failed} failed.")
    time.sleep(_QUIET_S)


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--copies", type=int, default=golden.COPIES, help="of each query (default: %(default)s)")
    options = parser.parse_args()
    try:
        run(Console(highlight=False, width=None if sys.stdout.isatty() else 140), max(1, options.copies))
    except ExampleError as error:
        print(f"examples.triton: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
