"""Targets: which there are, and that one that fails or hangs is ended and told, without a secret."""

import threading
import time
from pathlib import Path

import pytest
from tests_history import write_config

from experiments.config import load
from experiments.config.serving import Monitoring
from router.monitoring.mlflow import Shipment as MlflowShipment
from router.monitoring.senders import SendError, run_module, senders
from router.monitoring.wandb import Shipment as WandbShipment


def test_without_a_table_there_is_no_target(tmp_path: Path) -> None:
    assert senders(load(write_config(tmp_path))) == []


def test_paths_are_relative_to_the_configuration(tmp_path: Path) -> None:
    config = load(write_config(tmp_path))
    monitoring = Monitoring(mlflow_tracking_uri="sqlite:///m.db", wandb_project="p", wandb_folder=Path("w"))
    config = config.model_copy(update={"router": config.router.model_copy(update={"monitoring": monitoring})})

    mlflow, wandb = (target.shipment([]) for target in senders(config))

    assert mlflow == MlflowShipment(
        tracking_uri=f"sqlite:///{tmp_path}/m.db",
        experiment="touchstone",
        artifact_location=(tmp_path / "mlartifacts").as_uri(),
        reports=[],
    )
    assert wandb == WandbShipment(project="p", mode="offline", folder=str(tmp_path / "w"), reports=[])


@pytest.fixture(name="module")
def _module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module that a process of its own can find; the test writes it."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path / "target_of_a_test.py"


def run(limit_s: float = 30.0, stop: threading.Event | None = None) -> None:
    run_module("target_of_a_test", b"{}", limit_s, stop or threading.Event())


def test_a_target_is_given_what_it_is_to_send(module: Path) -> None:
    module.write_text("import sys; assert sys.stdin.read() == '{}'")

    run()


def test_a_target_that_fails_says_why_without_credentials(module: Path) -> None:
    module.write_text("raise OSError('cannot reach postgresql://me:secret@host/db')")

    with pytest.raises(SendError, match=r"^OSError: cannot reach postgresql://\*\*\*@host/db$"):
        run()


def test_a_target_that_hangs_is_ended_with_what_it_has_started(module: Path, tmp_path: Path) -> None:
    started = tmp_path / "started"
    module.write_text(
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(started)!r}, 'w').write(str(child.pid))\n"
        "time.sleep(60)\n"
    )

    with pytest.raises(SendError, match="not done after 1 s"):
        run(limit_s=1.0)

    _wait_until_gone(int(started.read_text()))


def test_a_target_is_broken_off_when_the_controller_ends(module: Path) -> None:
    module.write_text("import time; time.sleep(60)")
    stop = threading.Event()
    stop.set()

    with pytest.raises(SendError, match="broken off"):
        run(stop=stop)


def _wait_until_gone(pid: int) -> None:
    until = time.monotonic() + 10
    stat = Path(f"/proc/{pid}/stat")
    while stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < until, f"process {pid} is still there"
        time.sleep(0.02)
