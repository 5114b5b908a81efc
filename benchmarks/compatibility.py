"""Runs what `docs/compatibility/systems.toml` says of each system, and notes what came of it.

    python -m benchmarks.compatibility                       every system that can be run here
    python -m benchmarks.compatibility --only openai-sdk     one of them
    python -m benchmarks.compatibility --page                the page alone, from what was noted

A run appends one line to `docs/compatibility/runs.jsonl`, whatever came of it, and writes `docs/compatibility.md` anew.
Nothing is written there as passed that did not run: of a test run, at least one test must have passed; of a program,
the exit code must be 0 (2 and 3 mean that it cannot be run here, and its last line says why).
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shlex
import subprocess
import sys
import time
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, NamedTuple

import msgspec

ROOT = Path(__file__).parents[1]
SYSTEMS = ROOT / "docs" / "compatibility" / "systems.toml"
RUNS = ROOT / "docs" / "compatibility" / "runs.jsonl"
_TIMEOUT_S = 600.0
_CANNOT = {2, 3}
_LONGEST = 160
_SECRET_PATHS = re.compile(r"(?<![\w.])/(?:[\w.@+-]+/)+")
Result = Literal["passed", "failed", "skipped"]


class System(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A row of the table: `[SYSTEM]` of `systems.toml`."""

    name: str
    area: str
    what: str
    """What is run against what, in a sentence that claims no more than that."""
    command: str = ""
    """`pytest ...`, `python ...`, or any program."""
    says: str = ""
    """A pattern: the last line in which it is found tells what came of a run that passed; else the last line does."""
    environment: str = ""
    """A variable that names the Python of an environment of its own, where the command asks for one."""
    package: str = ""
    """Whose version it is; it must be installed, in the environment of its own if there is one."""
    version_command: str = ""
    """In place of a package: prints something with the version in it, first."""
    not_run: str = ""
    """Why it is never run here."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What came of running a system's command once: a line of `runs.jsonl`."""

    system: str
    version: str
    command: str
    at: str
    """Begin, UTC, to the minute."""
    result: Result
    detail: str
    seconds: float
    where: str
    """Python and machine."""
    revision: str
    """Of this repository; a `+` says that files had changed since."""


class Came(NamedTuple):
    """What came of a command."""

    result: Result
    detail: str


def systems(path: Path = SYSTEMS) -> dict[str, System]:
    """Read the table, by the systems' short names.

    Raises:
        msgspec.ValidationError: A row has unknown or missing keys.
    """
    return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), dict[str, System])


def runs(path: Path = RUNS) -> list[Run]:
    """Read what was noted, the oldest first."""
    if not path.exists():
        return []
    return [msgspec.json.decode(line, type=Run) for line in path.read_bytes().splitlines()]


def run(key: str, system: System) -> Run:
    """Run a system's command, and return what came of it.

    Args:
        key: Its short name.
        system: The row.
    """
    begun, at = time.monotonic(), datetime.now(UTC)
    found, missing = _version(system, os.environ.get(system.environment) or sys.executable)
    came = Came("skipped", missing) if missing else _carried_out(system.command, system.says)
    return Run(
        system=key,
        version=found,
        command=system.command,
        at=f"{at:%Y-%m-%d %H:%M}",
        result=came.result,
        detail=_short(came.detail),
        seconds=round(time.monotonic() - begun, 1),
        where=f"Python {platform.python_version()}, {platform.system()} {platform.machine()}",
        revision=_revision(),
    )


def _carried_out(command: str, says: str = "") -> Came:
    """Run one command from the root of the repository; what it says is its last line in which `says` is found."""
    words = shlex.split(command)
    with TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        if words[0] == "pytest":
            words = [sys.executable, "-m", "pytest", f"--junitxml={report}", "-o", "junit_family=xunit1", *words[1:]]
        elif words[0] == "python":
            words[0] = sys.executable
        try:
            done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired:
            return Came("failed", f"not done after {_TIMEOUT_S:g} s")
        except OSError as error:
            return Came("skipped", f"{words[0]}: {error.strerror}")
        if report.exists():
            return of_tests(report.read_text(encoding="utf-8"))
    said = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    found = [line for line in said if re.search(says, line)] if done.returncode == 0 else []
    last = (found or said or ["said nothing"])[-1]
    if done.returncode in _CANNOT:
        return Came("skipped", last)
    return Came("failed" if done.returncode else "passed", last)


def of_tests(report: str) -> Came:
    """Return what came of a run of pytest, from its JUnit report."""
    cases = list(ET.fromstring(report).iter("testcase"))  # pytest's own file
    skipped = [case.find("skipped") for case in cases if case.find("skipped") is not None]
    broken = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    passed = len(cases) - len(skipped) - len(broken)
    reasons = sorted({str(found.get("message")) for found in skipped if found is not None})
    beside = f"{len(skipped)} skipped: {'; '.join(reasons)}" if skipped else ""
    if broken:
        return Came("failed", f"{len(broken)} failed, the first is {broken[0].get('name')}; {passed} passed")
    if passed:
        return Came("passed", ", ".join(filter(None, [f"{passed} passed", beside])))
    return Came("skipped", beside) if skipped else Came("failed", "no test was found")


def _version(system: System, python: str) -> tuple[str, str]:
    """Return the version, and why there is none."""
    if system.package:
        return _of_package(system.package, python)
    if not system.version_command:
        return "", ""
    words = [python if word == "python" else word for word in shlex.split(system.version_command)]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    except OSError:
        return "", f"{words[0]} is not installed"
    found = re.search(r"\d+(?:\.\w+)+(?:-\d+)?", done.stdout + done.stderr)
    return (found[0], "") if found else ("", f"{words[0]} tells no version")


def _of_package(package: str, python: str) -> tuple[str, str]:
    missing = f"the package {package} is not installed"
    if python == sys.executable:
        try:
            return version(package), ""
        except PackageNotFoundError:
            return "", missing
    code = f"import importlib.metadata as m; print(m.version({package!r}))"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    return (done.stdout.strip(), "") if done.returncode == 0 else ("", missing)


def _short(text: str) -> str:
    """Return a text as one line, without the folders of this machine."""
    line = _SECRET_PATHS.sub("", " ".join(text.split()))
    return line if len(line) <= _LONGEST else line[: _LONGEST - 3] + "..."


def _revision() -> str:
    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    head = git("rev-parse", "--short", "HEAD")
    return head + ("+" if head and git("status", "--porcelain") else "")


# --- the command ------------------------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for, note it, and write the page; 1 if anything failed."""
    from benchmarks.compatibility_page import write_page  # it reads the records of this module  # noqa: PLC0415

    asked = _parser().parse_args(arguments)
    table = systems()
    unknown = sorted({*asked.only} - table.keys())
    if unknown:
        print(f"no system {unknown[0]!r}; there are: {', '.join(table)}", file=sys.stderr)
        return 2
    failed = False
    for key, system in ({} if asked.page else table).items():
        if (asked.only and key not in asked.only) or system.not_run:
            continue
        if system.environment and not os.environ.get(system.environment):
            print(f"{key}: needs an environment of its own, whose Python {system.environment} names: not run")
            continue
        done = run(key, system)
        with RUNS.open("ab") as file:
            file.write(msgspec.json.encode(done) + b"\n")
        failed |= done.result == "failed"
        print(f"{key}: {done.result}: {done.detail} ({done.seconds:.0f} s)", flush=True)
    write_page(table, runs())
    return int(failed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compatibility", description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="+", default=[], metavar="SYSTEM")
    parser.add_argument("--page", action="store_true", help="Run nothing.")
    return parser


if __name__ == "__main__":
    sys.exit(main())
