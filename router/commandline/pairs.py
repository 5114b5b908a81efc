"""`touchstone pairs`: read the pairs of an experiment, worst first, or write them out to be labelled."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from router.commandline.common import CONFIG, ConfigOption, JsonOption, fail, known_or_fail, load_or_fail, out, reading

if TYPE_CHECKING:
    from experiments.pairs.reader import PairQuery, PairReader


def pairs(  # noqa: PLR0913, PLR0917  # the options of a command
    experiment: str,
    metric: Annotated[
        str | None, typer.Option("--metric", "-m", help="Order by it; the newest pairs first unless given.")
    ] = None,
    worst: Annotated[int | None, typer.Option(help="So many, the lowest value first.", metavar="N")] = None,
    best: Annotated[int | None, typer.Option(help="So many, the highest value first.", metavar="N")] = None,
    slice_: Annotated[str, typer.Option("--slice", help="Only of a slice.", metavar="ATTRIBUTE=VALUE")] = "",
    epoch: Annotated[int | None, typer.Option(help="The newest unless given.", metavar="N")] = None,
    cursor: Annotated[str | None, typer.Option(help="Where the page before ended, as it says.")] = None,
    export: Annotated[
        Path | None, typer.Option(help="Write them to this file, a JSON object a line, to be labelled.", dir_okay=False)
    ] = None,
    config: ConfigOption = CONFIG,
    *,
    disagreeing: Annotated[
        bool, typer.Option("--disagreeing", help="Only pairs in which one side did better.")
    ] = False,
    failed: Annotated[
        bool, typer.Option("--failed", help="Only pairs that the metric's scorer failed on; without one, a side.")
    ] = False,
    unblinded: Annotated[bool, typer.Option("--unblinded", help="Export which answer is whose, and scores.")] = False,
    json: JsonOption = False,
) -> None:
    """Show both answers of pairs side by side, with the difference marked."""
    from experiments.pairs.reader import PairQuery, PairQueryError, PairReader  # noqa: PLC0415  # the command line starts fast
    from router.pairs_view import pairs_view, safe_json  # noqa: PLC0415

    if worst is not None and best is not None:
        fail("--worst and --best exclude each other")
    if export is not None and metric is None:
        fail("--export needs --metric: what is to be labelled?")
    loaded = load_or_fail(config, fail)
    known_or_fail(loaded, experiment, fail)
    most = next((given for given in (worst, best) if given is not None), 20)
    query = PairQuery(experiment, epoch, metric, slice_, "worst" if best is None else "best", disagreeing, failed, most)
    with reading(loaded, fail) as store:
        reader = PairReader(store.engine)
        try:
            if export is not None:
                _export(reader, query._replace(cursor=cursor), export, blinded=not unblinded)
                return
            view = pairs_view(reader.page(query._replace(cursor=cursor)), metric)
        except PairQueryError as error:
            fail(str(error))
    if json:
        typer.echo(safe_json(view.json()))
        return
    for part in view.parts:
        out.print(part)


def _export(reader: PairReader, query: PairQuery, path: Path, *, blinded: bool) -> None:
    import msgspec  # noqa: PLC0415

    from experiments.pairs.labelling import exported  # noqa: PLC0415
    from experiments.pairs.query import MOST_A_PAGE, checked  # noqa: PLC0415

    written = erased = 0
    checked(query._replace(limit=min(query.limit, MOST_A_PAGE)))  # before there is a file
    try:
        with path.open("xb") as file:
            for pair in reader.each(query, query.limit):
                if pair.is_erased:
                    erased += 1
                    continue
                file.write(msgspec.json.encode(exported(pair, query.metric or "", blinded=blinded)) + b"\n")
                written += 1
    except OSError as error:
        fail(f"{path} cannot be written: {error.strerror}")
    left_out = f"; {erased} more are erased, and left out" if erased else ""
    out.print(f"{path}: {written} pairs to label{left_out}", soft_wrap=True)
