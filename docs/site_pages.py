"""For the documentation site: pages that lie elsewhere in the repository, and links that lead out of the site.

A file of the repository that is no page of the site is named, without a link: a reader of the site has no repository.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

ELSEWHERE = {"ARCHITECTURE.md": "architecture.md", "CHANGELOG.md": "changelog.md"}
"""File of the repository -> page of the site."""
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that lie elsewhere."""
    from mkdocs.structure.files import File  # noqa: PLC0415  # only where a site is built

    root = Path(config.config_file_path).parent
    for source, page in ELSEWHERE.items():
        text = (root / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=relinked(text, source, page)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn the links of a page that lies in `docs/`."""
    path = page.file.src_uri
    return markdown if path in ELSEWHERE.values() else relinked(markdown, f"docs/{path}", path)


def relinked(text: str, source: str, page: str) -> str:
    """Return a page's text with its links as the site needs them.

    Args:
        text: Markdown.
        source: Where the text lies in the repository.
        page: Where it lies in the site.

    >>> relinked("[map](ARCHITECTURE.md), [keys](docs/a.md#x), [demo](examples/a.md)", "README.md", "index.md")
    '[map](architecture.md), [keys](a.md#x), demo'
    """

    def turned(found: re.Match[str]) -> str:
        words, target, anchor = found[1], found[2], found[3] or ""
        if "://" in target or target.startswith("mailto:"):
            return found[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        there = ELSEWHERE.get(path) or (path.removeprefix("docs/") if path.startswith("docs/") else None)
        if there is None:
            return words
        return f"[{words}]({posixpath.relpath(there, posixpath.dirname(page) or '.')}{anchor})"

    return _LINK.sub(turned, text)
