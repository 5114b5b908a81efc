"""One child process under a limit of memory: watched from outside, ended when it passes it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.processes import resident_mib, tree

_EVERY_S = 0.05


class Ended(NamedTuple):
    """What became of a child."""

    output: str
    """Its standard output; empty if it was ended, or failed."""
    peak_mib: float
    """Highest resident memory that was seen, of the child and its own children."""
    spill_mib: float
    """Most that lay in its folder for temporary files."""
    load: float
    """Load of the machine over a minute when it began: of two cores, 2 is all there is."""
    why: str
    """Why there is no output."""


def run_capped(module: str, arguments: list[str], scratch: Path, limit_mib: float, timeout_s: float) -> Ended:
    """Run a module of Python's in a process of its own, and end it when it passes its limit.

    Args:
        module: As in `python -m`.
        arguments: Of it.
        scratch: An empty folder; the child's temporary files go there.
        limit_mib: Of resident memory, sampled every 50 ms.
        timeout_s: Ended after so long.
    """
    load = os.getloadavg()[0]
    environment = os.environ | {"TMPDIR": str(scratch)}
    command = [sys.executable, "-m", module, *arguments]
    with (scratch / "output").open("w+") as output, (scratch / "errors").open("w+") as errors:
        child = subprocess.Popen(command, stdout=output, stderr=errors, env=environment)
        peak_mib, spill_mib, why = _watched(child, scratch, limit_mib, time.monotonic() + timeout_s)
        if not why and child.returncode:
            errors.seek(0)
            said = errors.read().strip().splitlines()
            why = said[-1][:200] if said else f"exit status {child.returncode}"
        output.seek(0)
        return Ended("" if why else output.read(), peak_mib, spill_mib, load, why)


def _watched(
    child: subprocess.Popen[bytes], scratch: Path, limit_mib: float, deadline: float
) -> tuple[float, float, str]:
    peak_mib, spill_mib = 0.0, 0.0
    while child.poll() is None:
        time.sleep(_EVERY_S)
        try:
            peak_mib = max(peak_mib, resident_mib(tree(child.pid)))
            spill_mib = max(spill_mib, _size_mib(scratch))
        except OSError:
            continue  # a process or a file that has just gone
        why = f"passed {limit_mib:,.0f} MiB" if peak_mib > limit_mib else ""
        if time.monotonic() > deadline:
            why = "took too long"
        if why:
            for pid in reversed(tree(child.pid)):
                os.kill(pid, 9)
            child.wait()
            return peak_mib, spill_mib, why
    return peak_mib, spill_mib, ""


def _size_mib(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20
