"""Whoever records and decides comes after the proxies where cores are short."""

import subprocess
import sys

from router.processes.priority import BEHIND_PROXIES


def test_a_process_that_gives_way_is_nicer_than_before_and_so_is_what_it_starts() -> None:
    code = (
        "import os, subprocess, sys; from router.processes.priority import give_way; before = os.nice(0); give_way(); "
        "child = subprocess.run([sys.executable, '-c', 'import os; print(os.nice(0))'], capture_output=True); "
        "print(os.nice(0) - before, int(child.stdout) - before)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert found == [str(BEHIND_PROXIES)] * 2
