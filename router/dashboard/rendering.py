"""Templates -> pages: everything is escaped, nothing is loaded from elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse

# Charts write styles into the page; scripts and everything else come from files of ours alone.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class Pages:
    """Renders the templates of this package.

    Args:
        has_login: Whether those who look have shown a token, and can log out.
    """

    def __init__(self, *, has_login: bool = False) -> None:
        self._templates = Environment(
            loader=PackageLoader("router.dashboard"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= {"moment": moment, "ago": ago}
        self._templates.globals |= {"version": version("touchstone-router"), "has_login": has_login}

    def render(self, template: str, values: Mapping[str, Any] | None = None, status: int = 200) -> HTMLResponse:
        """Return a page.

        Args:
            template: Name of its file.
            values: What it shows.
            status: HTTP status.
        """
        shown = {"current": "", "rendered_at": moment(time.time()), **(values or {})}
        text = self._templates.get_template(template).render(shown)
        return HTMLResponse(text, status, headers={"content-security-policy": _POLICY})


def moment(at: float) -> str:
    """Write a time for people, UTC.

    >>> moment(1_700_000_000.0)
    '2023-11-14 22:13:20'
    """
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


def ago(seconds: float) -> str:
    """Write a length of time for people, in its largest unit that is more than one.

    >>> ago(5), ago(150), ago(7_300), ago(200_000)
    ('5 s', '2 min', '2 h', '2 days')
    """
    for unit, size in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"
