"""The scripts and styles of the pages: read once, compressed once, and told apart by their content."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

_KINDS = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
PLOTLY = "plotly.js"


@dataclass(frozen=True)
class _File:
    kind: str
    body: bytes
    compressed: bytes
    tag: str


async def static_file(request: Request) -> Response:
    """Answer with a file of this package, or with the charts' script from the Python package that draws them."""
    found = _file(request.path_params["name"])
    if found is None:
        raise HTTPException(404, "there is no such file")
    headers = {"etag": found.tag, "cache-control": "no-cache", "vary": "accept-encoding"}
    if request.headers.get("if-none-match") == found.tag:
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(found.compressed, media_type=found.kind, headers=headers | {"content-encoding": "gzip"})
    return Response(found.body, media_type=found.kind, headers=headers)


@cache
def _file(name: str) -> _File | None:
    kind = _KINDS.get(name.rpartition(".")[2])
    body = _read(name) if kind is not None else None
    if kind is None or body is None:
        return None
    return _File(kind, body, gzip.compress(body, 6, mtime=0), f'"{hashlib.sha256(body).hexdigest()[:16]}"')


def _read(name: str) -> bytes | None:
    if name == PLOTLY:
        from plotly.offline import get_plotlyjs  # noqa: PLC0415  # 5 MB, for pages that show a figure

        return str(get_plotlyjs()).encode()
    # By listing, so that no name leads out of the folder.
    there = {entry.name: entry for entry in files("router.dashboard").joinpath("static").iterdir()}
    return there[name].read_bytes() if name in there else None
