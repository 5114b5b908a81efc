"""`docs/command-line.md`, from the commands themselves: `python -m router.commandline.reference`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from router.commandline.app import PANELS, app

_HEAD = """\
# The command line

Made from the commands by `make docs`; do not edit. `touchstone COMMAND --help` says the same in the terminal.

- Every command reads `config.toml` of the folder one is in, or what `--config` names.
- `--json` prints data instead of words, wherever something is shown; `audit` is JSON lines anyway. Progress bars and
  problems go to standard error, so standard output can always be read by a program.
- Completion of commands and options: `touchstone --install-completion` for bash, zsh, fish or PowerShell, once; or
  `touchstone --show-completion` to put it where you keep such things.

## Exit codes

| code | meaning |
|---|---|
| 0 | Done. |
| 1 | The answer is "no": a look that does not replay, a golden set that failed, refused lines, texts left over. |
| 2 | The input or the surroundings are wrong: one line on standard error says what, and what there is instead. |
| 3 | It cannot be told: a golden run that is too small. |
| 4 | A fault of Touchstone itself, in one line; in full with `TOUCHSTONE_TRACEBACK=1`, and of what `serve` runs. |
| 130 | Ended by Ctrl-C; `status --watch` ends with 0. |
"""
_KINDS = {
    "str": "text",
    "int": "integer",
    "float": "number",
    "float range": "number",
    "integer range": "integer",
    "path": "path",
}


def reference() -> str:
    """Return the whole page in Markdown."""
    found = commands()
    page = _HEAD
    for panel, members in PANELS.items():
        page += f"\n## {panel}\n" + "".join(_section(name, found.pop(name)) for name, _ in members)
    # Those of two words belong to the last panel.
    return page + "".join(_section(name, command) for name, command in found.items())


def commands() -> dict[str, Any]:
    """Return every command that does something, by the words that call it."""
    return dict(_walk(typer.main.get_command(app), ""))


def _walk(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    children = getattr(command, "commands", None)
    if children is None:
        yield name, command
        return
    for word, child in children.items():
        yield from _walk(child, f"{name} {word}".strip())


def _section(name: str, command: Any) -> str:
    shown = [parameter for parameter in command.params if not getattr(parameter, "hidden", False)]
    arguments = [parameter for parameter in shown if parameter.param_type_name == "argument"]
    options = [parameter for parameter in shown if parameter not in arguments]
    words = " ".join(_spelt(argument) for argument in arguments)
    rows = "".join(map(_row, [*(a for a in arguments if a.help), *options]))
    says = "\n".join(line.strip() for line in (command.help or "").splitlines()).strip()
    usage = f"touchstone {name} {words}".strip()
    return f"\n### `{usage}`\n\n{says}\n\n| option | value | default | meaning |\n|---|---|---|---|\n{rows}"


def _spelt(argument: Any) -> str:
    return argument.name.upper() if argument.required else f"[{argument.name.upper()}]"


def _row(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        name = f"`{_spelt(parameter)}`"
    else:
        name = ", ".join(f"`{word}`" for word in [*parameter.opts, *parameter.secondary_opts])
    is_flag = getattr(parameter, "is_flag", False)
    value = "" if is_flag else f"`{parameter.metavar or _kind(parameter)}`".replace("|", "\\|")
    meaning = " ".join((parameter.help or "").split()).replace("|", "\\|")
    return f"| {name} | {value} | {_default(parameter, is_flag=is_flag)} | {meaning} |\n"


def _kind(parameter: Any) -> str:
    descriptor = getattr(parameter, "type_descriptor", None)
    # Typer before 0.29 has the types of click.
    kind = descriptor.annotation.__name__ if descriptor is not None else parameter.type.name
    return str(_KINDS.get(kind.lower(), kind))


def _default(parameter: Any, *, is_flag: bool) -> str:
    if parameter.required:
        return "required"
    if parameter.default is None or parameter.default == "" or (is_flag and not parameter.default):
        return ""
    return f"`{str(parameter.default).lower() if is_flag else parameter.default}`"


if __name__ == "__main__":
    print(reference(), end="")
