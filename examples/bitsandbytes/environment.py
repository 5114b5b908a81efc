"""Which Python runs the servers, and what it lacks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from examples.children import ROOT, ExampleError, missing_modules

VARIABLE = "TOUCHSTONE_HF_PYTHON"
MODULES = ("torch", "transformers", "accelerate", "bitsandbytes", "gguf", "tokenizers", "starlette", "uvicorn", "rich")
HOW = """\
They come with the extra `hf` (1.3 GB with a build of torch for CPUs, some 6 GB more with the one for CUDA):

    pip install 'touchstone-router[hf]'

They may be in an environment of their own: set TOUCHSTONE_HF_PYTHON to its python.
"""
CONVERT_TIMEOUT_S = 180


def python() -> Path:
    """Return the Python that runs the servers: this one, unless the environment names another.

    Raises:
        ExampleError: It lacks packages; the message says how to get them.
    """
    path = Path(os.environ.get(VARIABLE, sys.executable))
    if not path.exists():
        raise ExampleError(f"{VARIABLE} is {path}, which is not there")
    missing = missing_modules(path, MODULES)
    if missing:
        raise ExampleError(f"{path} lacks {', '.join(missing)}.\n{HOW}")
    return path


def convert(interpreter: Path, folder: Path) -> None:
    """Make the Hugging Face folder, unless it is there.

    Raises:
        ExampleError: It failed.
    """
    if (folder / "config.json").exists():
        return
    command = [str(interpreter), "-m", "examples.bitsandbytes.convert", str(folder)]
    try:
        subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=CONVERT_TIMEOUT_S)
    except subprocess.CalledProcessError as error:
        lines = str(error.stderr).strip().splitlines() or [str(error)]
        raise ExampleError(f"the model could not be converted: {lines[-1]}") from error
    except subprocess.TimeoutExpired as error:
        raise ExampleError(f"the model was not converted within {CONVERT_TIMEOUT_S} s") from error
