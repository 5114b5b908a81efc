"""`touchstone analyze`: the statistics of an experiment, summed up where its data lives."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from router.commandline.common import (
    CONFIG,
    ConfigOption,
    JsonOption,
    fail,
    known_or_fail,
    load_or_fail,
    out,
    reading,
    show_json,
)

if TYPE_CHECKING:
    from rich.table import Table

    from experiments.config import Experiment
    from experiments.warehouse import Analysis

_MANIFEST = "manifest.json"
_RUN = ("duckdb", "postgres", "spark")


EngineOption = Annotated[str, typer.Option("--engine", "-e", help="Who sums up.", metavar="duckdb|postgres|spark")]
DataOption = Annotated[
    str | None,
    typer.Option("--data", "-d", help="A folder of Parquet, or a store; the store unless given.", metavar="FOLDER|URL"),
]
SlicesOption = Annotated[
    list[str] | None,
    typer.Option("--slice", help="Only these slices; may be repeated.", metavar="ATTRIBUTE[=VALUE]"),
]
AsOfOption = Annotated[
    str | None,
    typer.Option(help="As the looks counted, or everything at once; looks where there are any.", metavar="looks|all"),
]
ScorersOption = Annotated[
    list[str] | None,
    typer.Option("--scorer", help="Which version, where a metric has several.", metavar="METRIC=VERSION"),
]
UnitsOption = Annotated[
    Path | None, typer.Option(help="Also write every unit's observations to this Parquet file.", dir_okay=False)
]
SqlOption = Annotated[
    bool, typer.Option("--show-sql", help="Print the SQL and run nothing; also for clickhouse and bigquery.")
]


def analyze(  # noqa: PLR0913, PLR0917  # the options of a command
    experiment: str,
    engine: EngineOption = "duckdb",
    data: DataOption = None,
    epoch: Annotated[int | None, typer.Option(help="The newest unless given.", metavar="N")] = None,
    slices: SlicesOption = None,
    as_of: AsOfOption = None,
    scorers: ScorersOption = None,
    memory_limit: Annotated[str, typer.Option(help="Of DuckDB; the rest goes to disk.", metavar="SIZE")] = "3GiB",
    temp_directory: Annotated[Path | None, typer.Option(help="Where DuckDB does so.", file_okay=False)] = None,
    spark_master: Annotated[str, typer.Option(help="Which Spark.", metavar="URL")] = "local[*]",
    units_out: UnitsOption = None,
    config: ConfigOption = CONFIG,
    *,
    show_sql: SqlOption = False,
    json: JsonOption = False,
) -> None:
    """Sum up an experiment in DuckDB, PostgreSQL or Spark, and say what the sums say at this one look."""
    if show_sql:
        _show_sql(known_or_fail(load_or_fail(config, fail), experiment, fail), epoch or 1, engine)
        return
    if engine not in _RUN:
        fail(f"--engine {engine!r} is none that is run: {', '.join(_RUN)}; for clickhouse and bigquery: --show-sql")
    if as_of not in {None, "looks", "all"}:
        fail(f"--as-of {as_of!r} is neither looks nor all")
    chosen: dict[str, Any] = {
        "epoch": epoch,
        "as_of": as_of,
        "units_out": units_out,
        "scorers": _versions(scorers or []),
    }
    configured, where = _configured(experiment, data, config)
    limits = {"memory": memory_limit, "temp_directory": temp_directory, "spark_master": spark_master}
    found = _found(where, configured, engine, limits, chosen)
    if slices:
        found = _of_slices(found, slices)
    if json:
        show_json(found)
        return
    out.print(_headline(found), soft_wrap=True)
    out.print(_table(found))
    for line in _remarks(found):
        out.print(line, soft_wrap=True)


def _configured(experiment: str, data: str | None, config: Path) -> tuple[Experiment | str, str]:
    """Return the experiment, by its name where the data knows its configuration, and where the data is."""
    if data is not None and ("://" in data or (Path(data) / _MANIFEST).exists() or not Path(data).is_dir()):
        return experiment, data
    loaded = load_or_fail(config, fail)
    known = known_or_fail(loaded, experiment, fail)
    if data is None:
        with reading(loaded, fail) as store:
            store.latest_epoch(experiment)  # here, where a store that is not there is told as everywhere
    return known, data or loaded.router.database


def _found(
    data: str, experiment: Experiment | str, engine: Any, limits: dict[str, Any], chosen: dict[str, Any]
) -> Analysis:
    from experiments.warehouse.records import WarehouseError  # noqa: PLC0415  # the command line starts fast

    name = experiment if isinstance(experiment, str) else experiment.name
    try:
        from experiments.warehouse import analyze as run  # noqa: PLC0415
        from experiments.warehouse.engines import Limits  # noqa: PLC0415
        from experiments.warehouse.sources import opened  # noqa: PLC0415

        with opened(data, name, engine, Limits(**limits)) as source:
            return run(source, experiment, **chosen)
    except WarehouseError as error:
        fail(str(error))
    except ModuleNotFoundError as error:
        fail(f"analyze needs the module {error.name}: pip install 'touchstone-router[warehouse]'")
    except OSError as error:
        fail(f"{error.filename or chosen['units_out']}: {error.strerror or error}")


def _show_sql(experiment: Experiment, epoch: int, engine: str) -> None:
    from experiments.warehouse.records import WarehouseError  # noqa: PLC0415

    try:
        from experiments.warehouse.sql import statements  # noqa: PLC0415

        found = statements(experiment, epoch, engine)
    except WarehouseError as error:
        fail(str(error))
    except ModuleNotFoundError as error:
        fail(f"--show-sql needs the module {error.name}: pip install 'touchstone-router[warehouse]'")
    typer.echo(f"-- {engine}: compiled, not run\n")
    typer.echo("\n\n".join(f"-- {name}\n{sql};" for name, sql in found.items()))


def _versions(given: list[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in given]
    for metric, sign, version in pairs:
        if not (metric and sign and version):
            fail(f"--scorer {metric!r} must be METRIC=VERSION")
    return {metric: version for metric, _, version in pairs}


def _of_slices(found: Analysis, wanted: list[str]) -> Analysis:
    """Keep the rows of some slices, beside those of all traffic."""
    from msgspec.structs import replace  # noqa: PLC0415

    there = {row.slice for row in found.metrics if row.slice}
    for one in wanted:
        if not any(_is_of(slice_, one) for slice_ in there):
            fail(f"--slice {one!r} is in no row; there are: {', '.join(sorted(there)) or 'none'}")
    kept = [row for row in found.metrics if not row.slice or any(_is_of(row.slice, one) for one in wanted)]
    return replace(found, metrics=kept)


def _is_of(slice_: str, wanted: str) -> bool:
    return wanted in {slice_, slice_.partition("=")[0]}


def _headline(found: Analysis) -> str:
    counted = f"as its {found.looks:,} looks counted" if found.as_of == "looks" else "everything at once"
    return (
        f"{found.experiment}, epoch {found.epoch}, {counted}: {found.exchanges:,} live exchanges, "
        f"{found.units:,} units analysed ({found.engine}, {found.seconds:.1f} s)"
    )


def _table(found: Analysis) -> Table:
    from rich.table import Table  # noqa: PLC0415

    from experiments.explain import estimate_text, interval_text, where  # noqa: PLC0415

    table = Table(
        "metric", "in", "units", "difference", "95 % at this look", "lost / won pairs", "log e: harm / safe", box=None
    )
    for row in found.metrics:
        shown: Any = row
        logs = " / ".join("-" if e is None else f"{e:+.1f}" for e in (row.log_e_harm, row.log_e_noninferior))
        table.add_row(
            row.metric + (" (live)" if row.kind == "event" else ""),
            where(row.slice),
            f"{row.units:,}",
            estimate_text(shown),
            interval_text(shown, row.interval),
            "-" if row.kind == "ratio" else f"{row.losses:,} / {row.wins:,}",
            logs if row.role == "guardrail" else "-",
        )
    return table


def _remarks(found: Analysis) -> list[str]:
    splits = [f"{s.name} units {s.log_bayes_factor:+.1f}" for s in found.splits]
    missing = [f"{c.variant} {c.complete:,} of {c.due:,}" for c in found.completeness]
    reasons: dict[str, list[str]] = {}
    for row in found.metrics:
        if row.not_estimable:
            reasons.setdefault(row.not_estimable, []).append(f"{row.metric} {row.slice}".strip())
    return [
        *(f"No interval for {', '.join(rows)}: {reason}." for reason, rows in reasons.items()),
        f"Split test, log Bayes factor: {', '.join(splits)}.",
        f"Mirrored requests that came to an end: {', '.join(missing) or 'none were due'}.",
        "No verdict: the controller decides on what it has seen at every look; `touchstone explain` shows that.",
    ]
