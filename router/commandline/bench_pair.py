"""`touchstone bench-pair`: two backends on the same golden set, speed and accuracy in one table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from router.commandline.common import CONFIG, ConfigOption, JsonOption, fail, known_or_fail, load_or_fail, show

if TYPE_CHECKING:
    from experiments.benching.benchmark import Benchmark
    from experiments.config import Config
    from router.benching.asking import Asking
    from router.benching.pairing import Pairing

_PROTOCOLS = ("openai", "ollama", "triton", "raw")
_CANNOT_TELL = 3

ExperimentArgument = Annotated[str | None, typer.Argument(help="Whose pair; or --control and --treatment.")]
ControlOption = Annotated[str | None, typer.Option(help="The original's base URL.", metavar="URL")]
TreatmentOption = Annotated[str | None, typer.Option(help="The cheaper model's base URL.", metavar="URL")]
GoldenOption = Annotated[
    Path | None, typer.Option(help="The golden set; the experiment's unless given.", dir_okay=False)
]
ProtocolOption = Annotated[str, typer.Option(help="Of both URLs.", metavar="openai|ollama|triton|raw")]
PathOption = Annotated[str | None, typer.Option(help="Where items are posted; told from the items unless given.")]
ConcurrencyOption = Annotated[int, typer.Option(min=1, help="Requests in flight.")]
WarmupOption = Annotated[int, typer.Option(min=0, help="Requests to each that are not counted.")]
ItemsOption = Annotated[int | None, typer.Option(min=1, help="So many items, drawn; all unless given.", metavar="N")]
BodyOption = Annotated[
    str | None,
    typer.Option(help="""Fields for every request, such as '{"cache_prompt": false}'.""", metavar="JSON"),
]
StreamOption = Annotated[bool, typer.Option("--stream", help="Ask for streams, to see the time to the first token.")]
PrototypesOption = Annotated[
    Path | None,
    typer.Option(help="Labelled texts: an embedding takes the label that it is nearest to.", dir_okay=False),
]
ClusterOption = Annotated[
    str | None, typer.Option(help="The tag that items which are alike share, such as template.", metavar="TAG")
]
ModelFileOption = Annotated[
    list[str] | None,
    typer.Option("--model-file", help="To show its size; may be given for each variant.", metavar="VARIANT=PATH"),
]
MarginOption = Annotated[
    float | None, typer.Option(help="A loss of this share of right answers would be accepted.", metavar="SHARE")
]


def bench_pair(  # noqa: PLR0913, PLR0917  # the options of a command
    experiment: ExperimentArgument = None,
    control: ControlOption = None,
    treatment: TreatmentOption = None,
    golden: GoldenOption = None,
    protocol: ProtocolOption = "openai",
    path: PathOption = None,
    concurrency: ConcurrencyOption = 1,
    warmup: WarmupOption = 5,
    items: ItemsOption = None,
    body: BodyOption = None,
    prototypes: PrototypesOption = None,
    cluster: ClusterOption = None,
    model_file: ModelFileOption = None,
    margin: MarginOption = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the order, and of the items that are drawn.")] = 1,
    config: ConfigOption = CONFIG,
    *,
    stream: StreamOption = False,
    json: JsonOption = False,
) -> None:
    """Benchmark a pair on a golden set: speed, memory, and accuracy by tag. Exit code 3: one of them never answered."""
    if protocol not in _PROTOCOLS:
        fail(f"--protocol {protocol!r} is none of {', '.join(_PROTOCOLS)}")
    if margin is not None and not 0 < margin < 1:
        fail(f"--margin {margin:g} must be a share above 0 and below 1: 0.02 for 2 points")
    fields = _fields(body)
    loaded = None if experiment is None else load_or_fail(config, fail)
    chosen: dict[str, Any] = {"control": control, "treatment": treatment, "golden": golden}
    chosen |= {"protocol": protocol, "path": path}
    how = {"concurrency": concurrency, "warmup": warmup, "seed": seed, "fields": fields}
    pairing, asking = _pairing(loaded, experiment, chosen, how, items)
    if stream:
        asking = asking._replace(fields=_streamed(pairing) | fields)
    what = {"model_files": _files(model_file or []), "cluster_tag": cluster}
    found = _measured(pairing, asking, prototypes, what, quiet=json)
    _show(found, margin, json=json)


def _pairing(
    loaded: Config | None, experiment: str | None, given: dict[str, Any], how: dict[str, Any], items: int | None
) -> tuple[Pairing, Asking]:
    """Return the pair and how it is asked, or say what is missing."""
    from experiments.golden.sets import GoldenError  # noqa: PLC0415  # the command line starts fast
    from router.benching.pairing import BenchError, asking_of, chosen, from_experiment, from_urls  # noqa: PLC0415
    from router.golden.runs import NoGoldenSetError  # noqa: PLC0415
    from router.processes.secrets import SecretError  # noqa: PLC0415
    from router.upstream.upstream import CertificateError  # noqa: PLC0415

    urls = (given["control"], given["treatment"])
    known = None
    if loaded is not None and experiment is not None:
        if any(urls):
            fail("either an experiment or --control and --treatment, not both")
        known = known_or_fail(loaded, experiment, fail)
    elif not all(urls) or given["golden"] is None:
        fail("name an experiment, or give --control URL, --treatment URL and --golden FILE")
    try:
        if loaded is not None and known is not None:
            pairing = from_experiment(loaded, known, given["golden"])
        else:
            pairing = from_urls(**given)
    except (BenchError, GoldenError, NoGoldenSetError, SecretError, CertificateError, ValueError) as error:
        fail(" ".join(str(error).split()))
    return chosen(pairing, items, how["seed"]), asking_of(loaded)._replace(**how)


def _measured(
    pairing: Pairing, asking: Asking, prototypes: Path | None, what: dict[str, Any], *, quiet: bool
) -> Benchmark:
    import asyncio  # noqa: PLC0415

    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415

    from experiments.golden.sets import GoldenError  # noqa: PLC0415
    from router.benching.pairing import BenchError, prototype_items  # noqa: PLC0415
    from router.benching.run import run_pair  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task("asking both", total=len(pairing.items))
        protocol = pairing.backends["control"].protocol
        try:
            return asyncio.run(
                run_pair(
                    pairing,
                    asking,
                    prototypes=prototype_items(prototypes, protocol) if prototypes else (),
                    **what,
                    progress=lambda done, _total: bar.update(task, completed=done),
                )
            )
        except (BenchError, GoldenError) as error:
            fail(" ".join(str(error).split()))
        except OSError as error:
            fail(f"--model-file {error.filename}: {error.strerror}")


def _show(found: Benchmark, margin: float | None, *, json: bool) -> None:
    from router.benching.showing import shown  # noqa: PLC0415

    view = shown(found, margin)
    show(view, json=json)
    raise typer.Exit(0 if view.ok else _CANNOT_TELL)


def _fields(body: str | None) -> dict[str, Any]:
    """Return what goes into every request."""
    import msgspec  # noqa: PLC0415

    try:
        given = msgspec.json.decode(body) if body else {}
    except msgspec.DecodeError as error:
        fail(f"--body {body!r} is no JSON: {error}")
    if not isinstance(given, dict):
        fail(f"--body {body!r} must be a JSON object")
    return given


def _streamed(pairing: Pairing) -> dict[str, Any]:
    # Without its options, a stream of OpenAI's does not report its tokens.
    openai = all(backend.protocol == "openai" for backend in pairing.backends.values())
    return {"stream": True, **({"stream_options": {"include_usage": True}} if openai else {})}


def _files(given: list[str]) -> dict[str, Path]:
    pairs = [text.partition("=") for text in given]
    for variant, sign, path in pairs:
        if variant not in {"control", "treatment"} or not sign or not path:
            fail(f"--model-file {variant + sign + path!r} must be control=PATH or treatment=PATH")
    return {variant: Path(path) for variant, _, path in pairs}
