"""Starting what both examples need: the models, Triton servers in their own Python, and the router in ours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from examples.children import ROOT, Children, ExampleError, wait_for_free

RUN = ROOT / "examples-run" / "triton"
MODELS = RUN / "models"
FOLDER = Path(__file__).parent
PATH = "/v2/models/intent/infer"
ROUTER = "http://127.0.0.1:9280"
ADMIN = "http://127.0.0.1:9281"
_BUILD_TIMEOUT_S, _START_TIMEOUT_S = 300, 60


def build_models(python: Path) -> str:
    """Build the ONNX files that are missing; returns their names and sizes.

    Raises:
        ExampleError: It failed.
    """
    command = [str(python), "-m", "examples.triton.classifier", str(MODELS)]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=_BUILD_TIMEOUT_S)
    except subprocess.CalledProcessError as error:
        lines = str(error.stderr).strip().splitlines() or [str(error)]
        raise ExampleError(f"the models could not be built: {lines[-1]}") from error
    except subprocess.TimeoutExpired as error:
        raise ExampleError(f"the models were not built within {_BUILD_TIMEOUT_S} s") from error
    return ", ".join(done.stdout.strip().splitlines())


def start_triton(children: Children, python: Path, name: str, port: int, *, model: str, batching: str = "on") -> None:
    """Start one server and wait until its model is ready.

    Raises:
        ExampleError: It did not start, or a port is taken.
    """
    wait_for_free([port, port + 1, port + 2])
    command = [str(python), "-m", "examples.triton.server", "--model", str(MODELS / model)]
    children.start(name, [*command, "--port", str(port), "--batching", batching])
    children.wait_for([f"http://127.0.0.1:{port}/v2/models/intent/ready"], _START_TIMEOUT_S)


def start_router(children: Children, config: Path) -> None:
    """Start proxy and controller with an empty store, and wait until both are ready.

    Raises:
        ExampleError: They did not start, or a port is taken.
    """
    wait_for_free([9280, 9281])
    children.start("touchstone", [sys.executable, "-m", "router", "serve", "--config", str(config)])
    children.wait_for([f"{ROUTER}/_touchstone/readyz", f"{ADMIN}/readyz"], _START_TIMEOUT_S)
