"""What the head of a request must be to be served: the rules of RFC 9110 and 9112 that the parser does not hold.

llhttp refuses by itself, in its strict mode: bare CR and LF, obs-fold, NUL and other control characters, names that are
no tokens, spaces before the colon, `Content-Length` that is not one plain number, both framings at once, and chunks
that are not exactly framed. What it lets through is refused here: whatever two servers in a row could read in two ways
is not passed on.
"""

from __future__ import annotations

import re
from functools import lru_cache

from router.front.refusals import RefusedError, malformed

_VERSIONS = frozenset({"1.0", "1.1"})
_HOST = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+,;=%-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")
_ABSOLUTE = re.compile(rb"https?://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)
_PLAIN = b"/-_.0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_PATH = re.compile(rb"/(?:[A-Za-z0-9/_.~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*")
_QUERY = re.compile(rb'[!"$-~]*')  # visible ASCII but `#`: browsers send more than the grammar has, and it is harmless
_DOTS = frozenset({b".", b".."})

SPECIAL = frozenset({b"host", b"content-length", b"transfer-encoding", b"expect"})
"""Headers of which the value, or how often they come, decides on how the request is read."""
_ONCE = SPECIAL - {b"expect"}
_NO_TRAILER = frozenset(
    {
        b"authorization",
        b"cache-control",
        b"connection",
        b"content-encoding",
        b"content-length",
        b"content-range",
        b"content-type",
        b"cookie",
        b"expect",
        b"host",
        b"max-forwards",
        b"proxy-authorization",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
_NO_TRAILER_PREFIXES = (b"x-touchstone-", b"x-forwarded-")
# TRACE would show what is added on the way and CONNECT steer it; the rest are those of RTSP and Icecast, which llhttp
# knows too.
_FOREIGN_METHODS = frozenset(
    {
        "ANNOUNCE",
        "CONNECT",
        "DESCRIBE",
        "FLUSH",
        "GET_PARAMETER",
        "PAUSE",
        "PLAY",
        "RECORD",
        "REDIRECT",
        "SETUP",
        "SET_PARAMETER",
        "SOURCE",
        "TEARDOWN",
        "TRACE",
    }
)


def check_special(name: bytes, value: bytes, seen: set[bytes]) -> bytes:
    """Return the value of a header in `SPECIAL`, without the space around it.

    Args:
        name: In lower case.
        value: As it came.
        seen: Special headers of this request so far; the name is added.

    Raises:
        RefusedError: It says something that may be read in two ways.
    """
    value = value.strip(b" \t")
    if name in _ONCE:
        if name in seen:
            raise malformed(f"the header {name.decode()!r} may come only once")
        if name == b"transfer-encoding" and value.lower() != b"chunked":
            raise malformed("the only transfer coding that is understood is 'chunked'")
        if name == b"host" and not _HOST.fullmatch(value):
            raise malformed("the header 'host' names no host")
    seen.add(name)
    return value


def check_trailer(name: bytes) -> None:
    """Refuse a trailer that says what only a header may; `name` in lower case.

    Raises:
        RefusedError: It frames, routes or authorises.
    """
    if name in _NO_TRAILER or name.startswith(_NO_TRAILER_PREFIXES):
        raise malformed("a trailer must not frame, route or authorise a request")


def check_head(version: str, method: str, seen: set[bytes]) -> None:
    """Check what only the whole head can tell.

    Args:
        version: Of HTTP.
        method: In upper case.
        seen: Special headers of the request.

    Raises:
        RefusedError: The head is not one of HTTP/1.0 or 1.1.
    """
    if version not in _VERSIONS:
        raise malformed("only HTTP/1.1 and HTTP/1.0 are spoken on this port")
    if method in _FOREIGN_METHODS:
        raise RefusedError(501, "method", "the request's method is not supported on this port")
    if version == "1.1":
        if b"host" not in seen:
            raise malformed("the header 'host' is missing")
    elif b"transfer-encoding" in seen:
        raise malformed("HTTP/1.0 has no transfer codings")


def read_target(target: bytes, method: str) -> tuple[bytes, bytes]:
    """Return path and query of a request's target.

    The host of an absolute target is checked and then of no meaning: where a request goes is configured.

    Args:
        target: As it stands in the request line.
        method: In upper case.

    Raises:
        RefusedError: The target has no path on this server, or one that another server may read as a different one.
    """
    return (_read_short if len(target) <= _SHORT else _read)(target, method)


def _read(target: bytes, method: str) -> tuple[bytes, bytes]:
    path, _, query = target.partition(b"?")
    if query and not _QUERY.fullmatch(query):
        raise malformed("the query has characters that must be percent-encoded")
    if path[:1] != b"/" or path.translate(None, _PLAIN) or b"/." in path:
        path = _unusual_path(path, method)
    return path, query


_SHORT = 256
# Most requests ask for one of a few targets. Refusals are not kept, and what is kept is bounded.
_read_short = lru_cache(maxsize=1_024)(_read)


def _unusual_path(path: bytes, method: str) -> bytes:
    if path == b"*" and method == "OPTIONS":
        return path
    absolute = _ABSOLUTE.fullmatch(path)
    if absolute is not None:
        host, path = absolute.groups()
        if not _HOST.fullmatch(host):
            raise malformed("the target names no host")
        path = path or b"/"
    if not path.startswith(b"/"):
        raise malformed("the target must be a path; this is no forward proxy")
    if not _PATH.fullmatch(path) or b"%00" in path:
        raise malformed("the path has characters that must be percent-encoded")
    if _has_dots(path):
        raise malformed("the path has '.' or '..' segments")
    return path


def _has_dots(path: bytes) -> bool:
    """Whether some server may read a segment of the path as `.` or `..`, however they are written."""
    plain = path.lower().replace(b"%2e", b".").replace(b"%2f", b"/").replace(b"%5c", b"/").replace(b"%3b", b";")
    return any(segment.partition(b";")[0] in _DOTS for segment in plain.split(b"/"))
