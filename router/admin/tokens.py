"""Bearer tokens of the admin API: a file of lines `name role sha256-hex [expires]`. The tokens themselves are nowhere.

A token has 256 random bits, so that one round of SHA-256 keeps it as safe as a slow hash keeps a password. `expires` is
an ISO 8601 date or time, UTC unless it says otherwise; from then on the token is refused.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

import structlog

_log = structlog.get_logger(__name__)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Role(StrEnum):
    """What a token may do."""

    READ = "read"
    """Look at everything."""
    OPERATE = "operate"
    """Look at everything, and act: drain a backend."""


class TokenFileError(Exception):
    """The file of tokens cannot be used; the message says why."""


@dataclass(frozen=True)
class Grant:
    """One line of the file."""

    name: str
    role: Role
    digest: str
    expires: datetime | None = None

    @classmethod
    def parse(cls, line: str) -> Grant:
        """Read a line.

        Raises:
            ValueError: It is no such line.
        """
        name, role, digest, *rest = line.split()
        if len(rest) > 1 or not NAME.fullmatch(name) or not _DIGEST.fullmatch(digest):
            raise ValueError("not `name role sha256-hex [expires]`")
        return cls(name, Role(role), digest, _time(rest[0]) if rest else None)

    def line(self) -> str:
        """Write the line, without its end."""
        words = [self.name, self.role.value, self.digest]
        return " ".join([*words, self.expires.isoformat()] if self.expires else words)

    def holds(self, now: datetime) -> bool:
        """Whether it has not expired."""
        return self.expires is None or now < self.expires


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


class TokenFile:
    """The grants of a file, read again whenever it changes: a line taken out is a token taken back.

    Args:
        path: The file. While it is missing, unreadable or open to every user of the machine for writing, no token is
            good.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, ...] | None = None
        self._grants: tuple[Grant, ...] = ()

    def find(self, token: str, now: datetime) -> Grant | None:
        """Return the grant of a token, in a time that tells nothing of how near a wrong one is."""
        shown, found = _digest(token), None
        for grant in self._current():
            if hmac.compare_digest(shown, grant.digest) and grant.holds(now):
                found = found or grant
        return found

    def of_digest(self, digest: str, now: datetime) -> Grant | None:
        """Return the grant of a token whose hash was good before, if it still is."""
        return next((grant for grant in self._current() if grant.digest == digest and grant.holds(now)), None)

    def _current(self) -> tuple[Grant, ...]:
        try:
            status = self._path.stat()
            seen = (status.st_mtime_ns, status.st_size, status.st_ino, status.st_mode)
            if seen != self._seen:
                self._grants = self._read(status.st_mode)
        except (OSError, UnicodeDecodeError) as error:
            if self._seen != ():
                _log.error("admin_tokens_unreadable", file=str(self._path), error=type(error).__name__)
            self._seen, self._grants = (), ()
            return ()
        self._seen = seen
        return self._grants

    def _read(self, mode: int) -> tuple[Grant, ...]:
        if mode & stat.S_IWOTH:
            _log.error("admin_tokens_refused", file=str(self._path), reason="everyone may write to it")
            return ()
        return tuple(self._sound(self._path.read_text(encoding="utf-8")))

    def _sound(self, text: str) -> Iterator[Grant]:
        for number, line in enumerate(text.splitlines(), start=1):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            try:
                yield Grant.parse(line)
            except ValueError:
                _log.error("admin_token_line_refused", file=str(self._path), line=number)


def create_token(path: Path, name: str, role: Role, expires: datetime | None = None) -> str:
    """Make a token, append its hash to the file (made with permissions 0600), and return it: it is nowhere else.

    Raises:
        TokenFileError: The name is impossible or taken, or the file cannot be written.
    """
    if not NAME.fullmatch(name):
        raise TokenFileError(f"{name!r} is no possible name: up to 64 of a-z, A-Z, 0-9, _ . @ -")
    token = secrets.token_urlsafe(32)
    try:
        _append(path, Grant(name, role, _digest(token), expires))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise TokenFileError(f"the file of tokens {path} cannot be written: {reason}") from error
    return token


def _append(path: Path, grant: Grant) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+", encoding="utf-8") as file:
        os.fchmod(descriptor, 0o600)
        text = file.read()
        if any(line.split()[:1] == [grant.name] for line in text.splitlines()):
            raise TokenFileError(f"there is a token named {grant.name!r} in {path} already; take its line out first")
        file.write("\n" if text and not text.endswith("\n") else "")
        file.write(f"{grant.line()}\n")
        file.flush()
        os.fsync(descriptor)
