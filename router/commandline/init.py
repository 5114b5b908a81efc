"""`touchstone init`: a first configuration, from a few questions or from flags."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from router.commandline.common import CONFIG, fail, out

if TYPE_CHECKING:
    from router.commandline.starting_config import Answers

_OutOption = Annotated[Path, typer.Option("--config", "-c", help="The file to write.", dir_okay=False)]


def init(  # noqa: PLR0913  # the options of a command
    config: _OutOption = CONFIG,
    control_url: Annotated[str, typer.Option(help="Base URL of the model that your users trust.")] = "",
    treatment_url: Annotated[str, typer.Option(help="Base URL of the cheaper model.")] = "",
    path: Annotated[str, typer.Option(help="Path of the requests to compare.")] = "/v1/chat/completions",
    model: Annotated[str, typer.Option(help="The `model` field of these requests; all unless given.")] = "",
    unit: Annotated[
        str, typer.Option(help="Who always gets the same model: header:NAME, cookie:NAME, body:path.to.field, request.")
    ] = "header:x-user-id",
    golden: Annotated[str, typer.Option(help="File with right answers, if there is one.")] = "",
    margin: Annotated[float, typer.Option(help="The loss that you accept, as a share: 0.02 is 2 points.")] = 0.02,
    *,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Ask nothing: take what is given, and the defaults.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that is there.")] = False,
) -> None:
    """Write a first configuration with every key explained, after a few questions or from options."""
    from router.commandline.starting_config import Answers  # noqa: PLC0415  # the command line starts fast

    if config.exists() and not force:
        fail(f"{config} is there already: --force overwrites it")
    answers = Answers(control_url, treatment_url, path, model, unit, golden, margin)
    if not yes and sys.stdin.isatty():
        answers = _asked(answers)
    if not answers.control_url or not answers.treatment_url:
        fail("--control-url and --treatment-url are needed where nobody can be asked")
    write_checked(config, answers)
    out.print(f"{config}: written. `touchstone check -c {config}` says what it means.", soft_wrap=True)


def write_checked(path: Path, answers: Answers) -> None:
    """Write a configuration that loads, or nothing at all, and say what is wrong with it."""
    from experiments.config import ConfigError, load  # noqa: PLC0415
    from router.commandline.starting_config import starting_config  # noqa: PLC0415

    part = path.with_name(f"{path.name}.part")
    try:
        part.write_text(starting_config(answers), encoding="utf-8")
        load(part, {})
        part.replace(path)
    except OSError as error:
        fail(f"{path} cannot be written: {error.strerror}")
    except ConfigError as error:
        # The lines are those of a file that is not there: what is said of them is enough.
        problems = [str(problem).partition("  ")[2] or str(problem) for problem in error.problems]
        fail("\n".join(["nothing is written, since this would not be a configuration:", *problems]))
    finally:
        part.unlink(missing_ok=True)


def _asked(given: Answers) -> Answers:
    """Ask for everything, with what is given as the default."""
    from rich.prompt import FloatPrompt, Prompt  # noqa: PLC0415

    from router.commandline.starting_config import UNITS, Answers  # noqa: PLC0415

    def ask(question: str, default: str) -> str:
        return Prompt.ask(question, console=out, default=default) if default else Prompt.ask(question, console=out)

    def ask_if_any(question: str, default: str) -> str:
        return Prompt.ask(question, console=out, default=default, show_default=bool(default))

    return Answers(
        control_url=ask("Base URL of the model that your users trust", given.control_url),
        treatment_url=ask("Base URL of the cheaper model", given.treatment_url),
        path=ask("Path of the requests to compare", given.path),
        model=ask_if_any("The `model` field of these requests (empty: all)", given.model),
        unit=ask(f"Who always gets the same model ({UNITS})", given.unit),
        golden=ask_if_any("File with right answers (empty: compare with the trusted model)", given.golden),
        margin=FloatPrompt.ask("The loss that you accept, as a share", console=out, default=given.margin),
    )
