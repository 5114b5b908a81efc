"""`check`, `plan`, `serve`, `proxy` and `control`: before the start, and what runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from router.commandline.common import (
    CONFIG,
    ConfigOption,
    Fail,
    JsonOption,
    fail,
    known_or_fail,
    load_or_fail,
    out,
    show,
    show_json,
)

if TYPE_CHECKING:
    from experiments.config import Config, Experiment
    from router.views import View

_SnapshotOption = Annotated[Path | None, typer.Option("--snapshot", hidden=True, help="A checked copy of the file.")]
_ParentOption = Annotated[bool, typer.Option("--exit-with-parent", hidden=True)]


def check(config: ConfigOption = CONFIG, *, json: JsonOption = False) -> None:
    """Check a configuration and say what it means; every error at once, with its line."""
    from router.upstream.warmup import WarmupError, read_all  # noqa: PLC0415  # the command line starts fast

    loaded = load_or_fail(config, fail)
    try:
        read_all(loaded.backends)
    except WarmupError as error:
        fail(str(error))
    if json:
        said = {name: describe_experiment(experiment) for name, experiment in loaded.experiments.items()}
        show_json({"path": str(loaded.path), "backends": list(loaded.backends), "experiments": said})
        return
    for line in describe(loaded):
        out.print(line, soft_wrap=True)


def describe(config: Config) -> Iterator[str]:
    """Say what a configuration means, in a few lines."""
    names = ", ".join(config.backends)
    yield f"{config.path}: fine. {len(config.backends)} backends ({names}), {len(config.experiments)} experiments."
    for experiment in config.experiments.values():
        yield f"  {experiment.name}: {describe_experiment(experiment)}"


def describe_experiment(experiment: Experiment) -> str:
    """Say what an experiment compares, and by which rules."""
    ramp = " -> ".join(f"{stage:g} %" for stage in experiment.ramp)
    guardrails = ", ".join(
        f"{g.name} (margin {g.margin * 100:g} points)" if g.margin else g.name for g in experiment.guardrails
    )
    goals = " or ".join(f"{g.name} {g.better_by * 100:g} % lower" for g in experiment.goals)
    one_of = f" (one of {experiment.cohort.count} treatments)" if experiment.cohort else ""
    return (
        f"{experiment.treatment}{one_of} against {experiment.control}, split {ramp}, "
        f"mirror {experiment.mirror_percent:g} %; "
        f"must not harm {guardrails or 'nothing'}; must reach {goals or 'nothing more'}."
    )


def plan(
    traffic: Annotated[Path, typer.Option("--traffic", "-t", help="What is expected: a TOML file.", dir_okay=False)],
    experiment: Annotated[str | None, typer.Option("--experiment", "-e", help="One of them; all unless given.")] = None,
    config: ConfigOption = CONFIG,
    *,
    json: JsonOption = False,
) -> None:
    """Say before the start how long an experiment will take, what it can see, what it costs, and what will not work."""
    show(_plan_or_fail(load_or_fail(config, fail), traffic, experiment, fail), json=json)


def _plan_or_fail(config: Config, traffic: Path, name: str | None, fail: Fail) -> View:
    """Plan one experiment, or all of a configuration; a file of expectations that is wrong is told line by line."""
    from router.planning import TrafficFileError, plan, read_traffic  # noqa: PLC0415

    chosen = [known_or_fail(config, name, fail)] if name else list(config.experiments.values())
    if not chosen:
        fail(f"no experiment in {config.path}: there is nothing to plan")
    try:
        return plan(config, chosen, read_traffic(traffic))
    except TrafficFileError as error:
        fail(str(error))


def serve(config: ConfigOption = CONFIG, *, exit_with_parent: _ParentOption = False) -> None:
    """Run proxies and controller on this machine until stopped."""
    from router.commandline.processes import watch_parent  # noqa: PLC0415

    watch_parent(enabled=exit_with_parent)
    from router.processes.config_files import UnusableError, check_files  # noqa: PLC0415
    from router.processes.supervisor import Supervisor  # noqa: PLC0415
    from router.processes.workers import ListenError  # noqa: PLC0415

    loaded = load_or_fail(config, fail)
    try:
        check_files(loaded)
        raise typer.Exit(Supervisor(loaded).run())
    except (ListenError, UnusableError) as error:
        fail(str(error))


def proxy(
    config: ConfigOption = CONFIG,
    fd: Annotated[int | None, typer.Option(hidden=True, help="An inherited listening socket.")] = None,
    ready_fd: Annotated[int | None, typer.Option(hidden=True, help="Where to say that it serves.")] = None,
    snapshot: _SnapshotOption = None,
    *,
    exit_with_parent: _ParentOption = False,
) -> None:
    """Run one proxy process; several of them need no coordination."""
    from router.commandline.processes import run_proxy_process, watch_parent  # noqa: PLC0415

    watch_parent(enabled=exit_with_parent)
    run_proxy_process(load_or_fail(config, fail, snapshot), fd, ready_fd, fail)


def record(
    config: ConfigOption = CONFIG,
    metrics: Annotated[
        str | None,
        typer.Option("--metrics", help="HOST:PORT on which this host's proxies' figures are served, at /metrics."),
    ] = None,
) -> None:
    """Load this host's journal into the store: on hosts with proxies and no controller, or beside one."""
    from router.commandline.processes import run_record_process  # noqa: PLC0415

    run_record_process(load_or_fail(config, fail), metrics, fail)


def control(
    config: ConfigOption = CONFIG, snapshot: _SnapshotOption = None, *, exit_with_parent: _ParentOption = False
) -> None:
    """Run the controller: records, scores, evaluates and decides, and serves the admin API."""
    from router.commandline.processes import run_control_process, watch_parent  # noqa: PLC0415

    watch_parent(enabled=exit_with_parent)
    run_control_process(load_or_fail(config, fail, snapshot), fail)
