"""What an experiment is and what happens to it.

`config` and `model` say what an experiment is; `assignment`, `lifecycle` and `decision` decide, purely; `recorder`,
`scorers` and `evaluation` turn exchanges into evidence; `store` keeps everything; `controller` ticks.

`open_store` is for data scientists, see `experiments.workbench`. It is loaded when it is asked for: the serving process
imports this package, and no statistics.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from experiments.workbench import open_store as open_store

__all__ = ["open_store"]


def __getattr__(name: str) -> Any:
    """Load what is asked for (PEP 562)."""
    if name == "open_store":
        from experiments.workbench import open_store  # noqa: PLC0415

        return open_store
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
