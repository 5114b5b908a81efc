"""How long the server takes for each page of the dashboard, with a million exchanges: `python -m benchmarks.dashboard`.

The experiment is a short real one under the real controller; its exchanges, outcomes and looks are then multiplied in
the store, so that a query that grows with any of them would show. Beside each page stands a count of the exchange table
in the same run: what a page that scanned it once would pay at least.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from rich.console import Console
from rich.table import Table
from sqlalchemy import text

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from tests_history import Life, bad, live_through, living

from router.admin.app import build_admin
from router.fakes.server import serving

PAGES = (
    "/",
    "/experiments/support",
    "/experiments/support/pairs?metric=agreement",
    "/backends",
    "/incidents",
    "/audit",
)
BAR_MS = 300.0


def multiply(life: Life, exchanges: int, looks: int) -> None:
    """Copy one exchange, its outcomes and the newest look over and over, each with a key of its own."""
    with life.store.engine.begin() as connection:
        for table, key, count in (("exchange", "id", exchanges), ("outcome", "pair", exchanges)):
            names = [
                row[1] for row in connection.execute(text(f"PRAGMA table_info({table})")) if row[1] not in {"seq", key}
            ]
            columns = ", ".join(f'"{name}"' for name in names)
            connection.execute(
                text(
                    f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) "
                    f"INSERT INTO {table} ({key}, {columns}) SELECT 'copy-' || i, {columns} "
                    f"FROM n, (SELECT * FROM {table} LIMIT 1)"
                )
            )
        names = [
            row[1] for row in connection.execute(text("PRAGMA table_info(look)")) if row[1] not in {"seq", "number"}
        ]
        columns = ", ".join(f'"{name}"' for name in names)
        connection.execute(
            text(
                f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {looks}) "
                f"INSERT INTO look (number, {columns}) SELECT 1000 + i, {columns} "
                "FROM n, (SELECT * FROM look ORDER BY seq DESC LIMIT 1)"
            )
        )


def timed_ms(url: str) -> float:
    """Return how long one request took."""
    begun = time.perf_counter()
    with urllib.request.urlopen(url, timeout=60) as response:
        response.read()
    return 1000 * (time.perf_counter() - begun)


def main() -> int:
    """Measure, print, and fail if a page is over the bar."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--exchanges", type=int, default=1_000_000)
    parser.add_argument("--looks", type=int, default=20_000)
    parser.add_argument("--repeat", type=int, default=15)
    arguments = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory() as folder, living(Path(folder)) as life:
        live_through(life, bad)
        multiply(life, arguments.exchanges, arguments.looks)
        begun = time.perf_counter()
        stored = sum(life.store.count_exchanges().values())
        scan_ms = 1000 * (time.perf_counter() - begun)
        table = Table(
            "page", "median ms", "worst ms", title=f"{stored:,} exchanges, {arguments.looks:,} looks", box=None
        )
        worst = 0.0
        with serving(build_admin(life.config, life.store)) as url:
            for page in PAGES:
                timed_ms(url + page)  # templates are compiled once
                times = [timed_ms(url + page) for _ in range(arguments.repeat)]
                worst = max(worst, statistics.median(times))
                table.add_row(page, f"{statistics.median(times):.1f}", f"{max(times):.1f}")
        table.add_row("(one count of the exchange table)", f"{scan_ms:.1f}", "")
        console.print(table)
    console.print(f"slowest median {worst:.0f} ms, bar {BAR_MS:.0f} ms")
    return int(worst > BAR_MS)


if __name__ == "__main__":
    sys.exit(main())
