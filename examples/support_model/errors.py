"""What a user can mend: one class, and the import of packages that not everyone needs."""

from __future__ import annotations

import importlib
from typing import Any


class SupportModelError(Exception):
    """Something that the user can mend. The commands print it as one line and exit with 2."""


def optional(module: str, install: str) -> Any:
    """Import a package that is no dependency of the product.

    Raises:
        SupportModelError: It is not installed; the message names the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        missing = error.name or module
        raise SupportModelError(f"{missing} is not installed. Run: {install}") from error
