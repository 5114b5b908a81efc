"""Where days, golden runs and decisions go beside the store: each target in a process and with a time of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess  # a fixed command of our own
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec

from experiments.config.records import Config
from router.monitoring.mlflow import Shipment as MlflowShipment
from router.monitoring.report import Report
from router.monitoring.wandb import Shipment as WandbShipment

_LIMIT_S = 180.0
_PAUSE_S = 0.5
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]*:[^/\s]*@")
_LONGEST_REASON = 200
_QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "WANDB_ERROR_REPORTING": "false"}
"""Both libraries would tell their makers that they are used, and of errors: figures go where they were asked to go."""
_SQLITE = "sqlite:///"


class SendError(Exception):
    """A target did not take the figures; says why, without credentials."""


class Sender(NamedTuple):
    """One target."""

    name: str
    """`mlflow` or `wandb`."""
    shipment: Callable[[Sequence[Report]], MlflowShipment | WandbShipment]
    """What its process is given."""

    def send(self, reports: Sequence[Report], stop: threading.Event, limit_s: float = _LIMIT_S) -> None:
        """Send reports, and wait until they are there.

        Args:
            reports: Of anything; what was sent before is brought up to date.
            stop: Ends it early.
            limit_s: Then the process is ended, with all that it has started.

        Raises:
            SendError: It failed, was broken off, or took longer.
        """
        run_module(f"router.monitoring.{self.name}", msgspec.json.encode(self.shipment(reports)), limit_s, stop)


def senders(config: Config) -> list[Sender]:
    """Return the targets that are configured."""
    settings = config.router.monitoring
    if settings is None:
        return []
    found, folder = [], config.path.absolute().parent
    if (uri := settings.mlflow_tracking_uri) is not None:
        if uri.startswith(_SQLITE):  # relative to the file, as the router's own database is
            uri = f"{_SQLITE}{folder / uri.removeprefix(_SQLITE)}"
        found.append(Sender("mlflow", partial(_to_mlflow, uri, settings.mlflow_experiment)))
    if (project := settings.wandb_project) is not None:
        mode, at = settings.wandb_mode, str(folder / settings.wandb_folder)
        found.append(
            Sender("wandb", lambda sent: WandbShipment(project=project, mode=mode, folder=at, reports=list(sent)))
        )
    return found


def _to_mlflow(uri: str, name: str, sent: Sequence[Report]) -> MlflowShipment:
    # MLflow would put artifacts below the folder that the process happens to run in.
    beside = Path(uri.removeprefix(_SQLITE)).absolute().parent if uri.startswith(_SQLITE) else None
    return MlflowShipment(
        tracking_uri=uri,
        experiment=name,
        artifact_location=(beside / "mlartifacts").as_uri() if beside is not None else None,
        reports=list(sent),
    )


def run_module(module: str, content: bytes, limit_s: float, stop: threading.Event) -> None:
    """Run one of our modules in a process of its own, and end it with all of its own when its time is up.

    Args:
        module: Its full name.
        content: Its standard input.
        limit_s: How long it may take.
        stop: Ends it early.

    Raises:
        SendError: It failed, was broken off, or took longer.
    """
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env=os.environ | _QUIET,
    )
    try:
        said = _communicate(process, content, time.monotonic() + limit_s, stop)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise SendError("broken off" if stop.is_set() else f"not done after {limit_s:g} s") from None
    if process.returncode != 0:
        raise SendError(_reason(said))


def _communicate(process: subprocess.Popen[bytes], content: bytes, until_s: float, stop: threading.Event) -> bytes:
    """Wait for a process to end, and return what it said on its standard error."""
    given: bytes | None = content
    while True:
        try:
            return process.communicate(given, timeout=_PAUSE_S)[1]
        except subprocess.TimeoutExpired:
            given = None  # it has been given already
            if stop.is_set() or time.monotonic() > until_s:
                raise


def _reason(said: bytes) -> str:
    lines = [line for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
    # The last line of a traceback names the error.
    return _CREDENTIALS.sub("***@", lines[-1].strip())[:_LONGEST_REASON] if lines else "it failed without a word"
