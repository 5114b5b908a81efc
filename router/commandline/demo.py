"""`touchstone demo`: the main job on real models on this machine; the same as `make demo`.

The models and their traffic are in the source checkout, not in the package: from an installed package it says so.
"""

from __future__ import annotations

import importlib.util
import runpy
import sys
from typing import Annotated

import typer

from router.commandline.common import fail

_MODULE = "examples.support_model.demo"


def demo(
    *,
    serve: Annotated[bool, typer.Option("--serve", help="Keep serving until Ctrl-C instead.")] = False,
) -> None:
    """Run the main job on real models on this machine: promoted and rolled back, in about a minute."""
    try:
        found = importlib.util.find_spec(_MODULE)
    except ModuleNotFoundError:
        found = None
    if found is None:
        fail("the demo's models are in the source checkout: run `make demo` there")
    sys.argv = ["touchstone demo", *(["--serve"] if serve else [])]
    runpy.run_module(_MODULE, run_name="__main__")
