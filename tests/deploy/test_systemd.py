"""The units: what systemd says of them, and that the program runs with what they leave it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from tests_deploy import DEPLOY, installed, said, tool

from experiments.config.serving import RouterSettings
from router.app import _OWN
from router.commandline.app import PANELS
from router.processes.workers import bind

UNITS = sorted(DEPLOY.glob("*.service"))
PROGRAM = "/opt/touchstone/bin/touchstone"


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_a_unit_runs_commands_that_there_are(unit: Path) -> None:
    commands = re.findall(rf"^ExecStart(?:Pre)?={PROGRAM} (\S+) --config /etc/touchstone/config.toml$", *_text(unit))
    assert commands[0] == "check"
    assert set(commands) <= {name for panel in PANELS.values() for name, _ in panel}
    assert f"touchstone-{commands[1]}" == unit.stem.rstrip("@")


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_systemd_has_nothing_to_say_against_a_unit(unit: Path, tmp_path: Path) -> None:
    verify = installed("systemd-analyze")
    program = tmp_path / "touchstone"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    here = tmp_path / unit.name.replace("@", "@9081")
    here.write_text(unit.read_text().replace(PROGRAM, str(program)))
    assert said(verify, "verify", "--man=no", str(here)) == ""


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_a_units_exposure_is_below_one_and_a_half_of_ten(unit: Path) -> None:
    said(installed("systemd-analyze"), "security", "--offline=true", "--no-pager", "--threshold=15", str(unit))


def test_a_proxy_is_given_longer_to_stop_than_its_answers_in_flight() -> None:
    [seconds] = re.findall(r"^TimeoutStopSec=(\d+)$", *_text(DEPLOY / "touchstone-proxy@.service"))
    assert int(seconds) > RouterSettings().shutdown_grace_s + 10


def test_the_units_are_confined_in_the_same_way() -> None:
    [of_all] = {unit.read_text().partition("\nNoNewPrivileges")[2] for unit in UNITS}
    assert "SystemCallFilter=@system-service" in of_all


def test_a_proxy_serves_with_the_system_calls_that_its_unit_leaves_it(tmp_path: Path) -> None:
    installed("systemd-analyze")
    with bind("127.0.0.1:0") as probe:
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    config = tmp_path / "config.toml"
    config.write_text(
        f'[router]\nlisten = "{address}"\ndefault_backend = "only"\n[backends.only]\nurl = "http://127.0.0.1:9"\n'
    )
    command = [tool("python"), "-m", "deploy.check.confined", str(DEPLOY / "touchstone-proxy@.service")]
    command += [sys.executable, "-m", "router", "proxy", "--config", str(config)]
    with (tmp_path / "log").open("wb") as log, subprocess.Popen(command, stderr=log, cwd=DEPLOY.parent) as process:
        try:
            assert _answers(f"http://{address}{_OWN}healthz", process), (tmp_path / "log").read_text()
            status = Path(f"/proc/{process.pid}/status").read_text()
            assert "NoNewPrivs:\t1" in status
            assert "Seccomp:\t2" in status  # a filter
        finally:
            process.terminate()
        # Once it is through, its server ends by the signal that it was told to stop with; systemd counts both as clean.
        assert process.wait(timeout=30) in (0, -signal.SIGTERM)


def _answers(url: str, process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            time.sleep(0.1)
        else:
            return True
    return False


def _text(unit: Path) -> tuple[str, re.RegexFlag]:
    return unit.read_text(), re.MULTILINE
