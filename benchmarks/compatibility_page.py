"""Writes `docs/compatibility.md` from the table of systems and from what was noted of their runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.compatibility import ROOT, Run, System

PAGE = ROOT / "docs" / "compatibility.md"
_HEAD = """\
# What it was run with

Generated from the runs by `python -m benchmarks.compatibility`; a test fails when the page is out of date.
Each row is a command that was run on the day that it names, against the version that it names; the newest run counts.
**Passed** means that it ran and that everything in it passed. What says *simulated* ran against a server of ours that
answers as that system's documentation says, and not against the system. Nothing is written here by hand:
`docs/compatibility/systems.toml` says what is run, `docs/compatibility/runs.jsonl` what came of it.
"""
_ADD = """
## Run one yourself, or add one

```
python -m benchmarks.compatibility --only openai-sdk
TOUCHSTONE_TENSORZERO_PYTHON=VENV/bin/python python -m benchmarks.compatibility --only tensorzero
```

A row is a table of `docs/compatibility/systems.toml`: `name`, `area`, `what` (a sentence that claims no more than what
is run), `command`, `package` or `version_command` for the version, and `environment`, a variable that names the Python
of an environment of its own, where it needs one. A system that cannot be run has `not_run`, the reason, in place of a
command.
"""


def write_page(systems: Mapping[str, System], runs: Sequence[Run]) -> None:
    """Write the page anew."""
    PAGE.write_text(page(systems, runs), encoding="utf-8")


def page(systems: Mapping[str, System], runs: Sequence[Run]) -> str:
    """Return the page in Markdown.

    Args:
        systems: By their short names, in the order of the page.
        runs: The oldest first.
    """
    newest = {run.system: run for run in runs}
    areas = dict.fromkeys(system.area for system in systems.values())
    parts = [_HEAD]
    for area in areas:
        rows = [_row(system, newest.get(key)) for key, system in systems.items() if system.area == area]
        head = "| system | version | result | what was run | when (UTC) |\n|---|---|---|---|---|\n"
        parts.append(f"\n## {area}\n\n{head}{''.join(rows)}")
    return "".join(parts) + _ADD


def _row(system: System, run: Run | None) -> str:
    if system.not_run:
        cells = ["", "not run here", f"{system.what} {system.not_run}", ""]
    elif run is None:
        cells = ["", "not run yet", f"{system.what} `{system.command}`", ""]
    elif run.command != system.command:
        cells = ["", "not run yet: its command has changed", f"{system.what} `{system.command}`", ""]
    else:
        result = f"**{run.result}**" if run.result == "passed" else run.result
        where = f"{run.at}, {run.seconds:.0f} s, {run.where}, revision {run.revision}"
        cells = [run.version, f"{result}: {run.detail}", f"{system.what} `{run.command}`", where]
    return f"| {' | '.join(_cell(text) for text in (system.name, *cells))} |\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
