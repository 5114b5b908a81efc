"""Run a command with the system calls that a systemd unit leaves it, and without what else the kernel can take away.

systemd does this itself, where it runs; here its own list of system calls is read, and the same filter is set. Run by
the environment of `make deploy-check`: `python -m deploy.check.confined UNIT COMMAND ...`.
"""

from __future__ import annotations

import ctypes
import errno
import os
import subprocess
import sys
from pathlib import Path

_NO_NEW_PRIVILEGES, _NO_WRITABLE_CODE = 38, 65
"""`PR_SET_NO_NEW_PRIVS` and `PR_SET_MDWE` of the kernel's prctl.h; each of them is set by a 1."""


def allowed(unit: str) -> set[str]:
    """Return the names of the system calls that a unit's `SystemCallFilter=` lines leave.

    Args:
        unit: The unit's text.

    Raises:
        subprocess.CalledProcessError: `systemd-analyze` does not know a group.
    """
    # Without these nothing could be started at all: systemd adds them itself.
    names = _members("@default") | {"execve"}
    for line in unit.splitlines():
        key, _, value = line.partition("=")
        if key == "SystemCallFilter":
            found = {name for word in value.lstrip("~").split() for name in _members(word)}
            names = names - found if value.startswith("~") else names | found
    return names


def _members(word: str) -> set[str]:
    if not word.startswith("@"):
        return {word}
    command = ["systemd-analyze", "syscall-filter", word]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603
    words = [line.strip() for line in said.splitlines()[1:]]
    return {name for word in words if word and not word.startswith("#") for name in _members(word)}


def main(unit: Path, command: list[str]) -> None:
    """Confine this process, and become the command."""
    import pyseccomp  # type: ignore[import-not-found]  # noqa: PLC0415  # of that environment alone

    rules = pyseccomp.SyscallFilter(pyseccomp.ERRNO(errno.EPERM))
    for name in sorted(allowed(unit.read_text())):
        try:
            rules.add_rule(pyseccomp.ALLOW, name)
        except OSError:
            continue  # of another architecture
    libc = ctypes.CDLL(None)
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) or libc.prctl(_NO_WRITABLE_CODE, 1, 0, 0, 0):
        sys.exit("this kernel cannot take away what the unit takes away")
    rules.load()
    os.execv(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
