"""A changed configuration that was refused: a small file in the journal's folder, so that the admin port can tell it.

The supervisor writes it and takes it away; the controller, which serves the admin port, is another process and only
reads it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import structlog

_log = structlog.get_logger(__name__)
FILE = "reload.json"
_MAX_PROBLEMS = 50


class RefusedConfig(msgspec.Struct, frozen=True):
    """What the supervisor did not take up; the configuration before it keeps serving."""

    since: float
    """When the first of the refusals came that no good configuration has followed, in seconds since the epoch."""
    problems: list[str]
    """Of the newest refusal, `file:line: rule` where there is a line."""

    def says(self) -> str:
        """Return it as one line."""
        began = datetime.fromtimestamp(self.since, UTC).isoformat(timespec="seconds")
        return f"the configuration on disk is refused since {began}: {'; '.join(self.problems)}"


_decode = msgspec.json.Decoder(RefusedConfig).decode


def read_refused(folder: Path) -> RefusedConfig | None:
    """Return what was refused last, or None if the configuration on disk is the one that serves."""
    try:
        return _decode((folder / FILE).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError, ValueError) as error:
        _log.warning("reload_status_unreadable", error=type(error).__name__)
        return None


def write_refused(folder: Path, problems: Sequence[str], now: float) -> None:
    """Write what was refused, whole or not at all; a full disk changes nothing but this.

    Args:
        folder: The journal's; made if it is not there.
        problems: What is wrong; only the first are kept.
        now: Wall-clock time, in seconds since the epoch.
    """
    before = read_refused(folder)
    refused = RefusedConfig(now if before is None else before.since, list(problems[:_MAX_PROBLEMS]))
    new = folder / f".{FILE}.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        new.touch(mode=0o600)
        new.write_bytes(msgspec.json.encode(refused))
        new.replace(folder / FILE)
    except OSError as error:
        _log.warning("reload_status_not_written", reason=error.strerror)


def clear_refused(folder: Path) -> None:
    """Take the file away: what is on disk is what serves."""
    try:
        (folder / FILE).unlink(missing_ok=True)
    except OSError as error:
        _log.warning("reload_status_not_removed", reason=error.strerror)
