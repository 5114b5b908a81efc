"""`touchstone demo`: what it starts is the demo itself, and without a checkout it says where that is."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from router.commandline import demo
from router.commandline.app import app

ROOT = Path(__file__).parents[3]


def test_it_is_the_demo_of_the_checkout_and_passes_its_option_on(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(demo.runpy, "run_module", lambda module, **_: ran.append((module, sys.argv)))

    done = CliRunner().invoke(app, ["demo", "--serve"])

    assert done.exit_code == 0
    assert ran == [("examples.support_model.demo", ["touchstone demo", "--serve"])]


def test_without_the_checkout_it_says_where_the_models_are(tmp_path: Path) -> None:
    without = "import sys; sys.path = [p for p in sys.path if p not in (%r, '')]; sys.path.append(%r); "
    packages = tmp_path / "packages"
    packages.mkdir()
    for name in ("router", "experiments", "analysis"):
        (packages / name).symlink_to(ROOT / name)
    code = (
        without % (str(ROOT), str(packages)) + "sys.argv = ['touchstone', 'demo']; import router.cli; router.cli.main()"
    )

    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 2
    assert done.stderr == "touchstone: the demo's models are in the source checkout: run `make demo` there\n"
