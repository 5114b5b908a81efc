"""For the API pages of the documentation site: docstrings as the site's Markdown needs them.

In the code an example stands without a fence, and a link leads from where a generated page lies. Here an example gets
its fence, so that a list in its output is no link, and a link to a page is turned to where the site has it.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

_EXAMPLE = re.compile(r"^(?P<indent> *)>>> .*(?:\n(?! *$).+)*", re.MULTILINE)
_PAGE_LINK = re.compile(r"\]\((?:\.\./docs/)?([\w-]+\.md)([^)]*)\)")


class Docstrings(griffe.Extension):
    """Turns all docstrings of a package once it is read."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Turn them."""
        _turn_all(pkg)


def _turn_all(found: griffe.Object) -> None:
    if found.docstring is not None:
        found.docstring.value = turned(found.docstring.value)
    for member in found.members.values():
        if not member.is_alias:
            _turn_all(member)  # type: ignore[arg-type]  # what is no alias is an object


def turned(text: str) -> str:
    r"""Return a docstring with fences around its examples and links from the site's folder `api`.

    >>> turned("Add.\n\n>>> 1 + 1\n2")
    'Add.\n\n```pycon\n>>> 1 + 1\n2\n```'
    >>> turned("See [scorers](scorers.md).")
    'See [scorers](../scorers.md).'
    """
    fenced = _EXAMPLE.sub(lambda m: f"{m['indent']}```pycon\n{m[0]}\n{m['indent']}```", text)
    return _PAGE_LINK.sub(r"](../\1\2)", fenced)
