"""What a data scientist asked for and cannot have: one line that names it, and what there is instead."""

from __future__ import annotations

from collections.abc import Iterable

from experiments.config.problems import nearest

_MOST_NAMES = 20
"""Names that an error lists."""


class WorkbenchError(ValueError):
    """It cannot be opened, or there is no such thing in it; the message says why and what there is."""


class SchemaError(WorkbenchError):
    """A store is of another version."""


def unknown(kind: str, name: str, known: Iterable[str]) -> WorkbenchError:
    """Return the error of a name that is not there.

    Args:
        kind: Of what: `experiment`, `metric`, `slice`.
        name: What was asked for.
        known: What there is.

    >>> unknown("experiment", "suport", ["support", "search"])
    WorkbenchError("no experiment 'suport' (did you mean 'support'?); there are: search, support")
    """
    names = sorted({str(found) for found in known})
    meant = nearest(name, names)
    suggestion = f" (did you mean {meant!r}?)" if meant else ""
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return WorkbenchError(
        f"no {kind} {name!r}{suggestion}; there are: {', '.join(names[:_MOST_NAMES]) or 'none'}{more}"
    )


def missing_library(what: str, module: str | None) -> WorkbenchError:
    """Return the error of a library that is not installed.

    >>> print(missing_library("to_pandas", "pandas"))
    to_pandas needs the module pandas: pip install 'touchstone-router[warehouse]'
    """
    return WorkbenchError(f"{what} needs the module {module}: pip install 'touchstone-router[warehouse]'")
