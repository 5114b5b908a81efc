"""Roots to run the steps of a container file in: this machine's file system under an overlay, in a mount namespace.

A container engine starts from a base image; here the base is this machine, so what is made of it is the machine's own
Debian and Python in place of the image's. What the steps write goes into a folder of its own, and nothing outside it
changes. The process must be root, and in a mount namespace of its own: every mount ends with that.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.check.containerfile import IGNORED, Copy

_PATH = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
_PASSED_ON = ("HOME", "LANG", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
"""With pip's own and the proxies' variables: what this machine reaches its package index with."""
NAMESPACE = ("unshare", "--mount", "--propagation", "private", "--")
"""What a command must be run by to make roots."""


class StepFailedError(Exception):
    """A command failed; the message has its last lines."""


class Root:
    """A file system to run steps in.

    Args:
        folder: Scratch, on a disk; empty.
    """

    def __init__(self, folder: Path) -> None:
        self.upper, self.path = folder / "upper", folder / "root"
        for made in (self.upper, self.path, folder / "work"):
            made.mkdir(parents=True)
        mount("overlay", self.path, "overlay", f"lowerdir=/,upperdir={self.upper},workdir={folder / 'work'}")
        furnish(self.path)

    def run(self, line: str, folder: str, environment: Mapping[str, str]) -> str:
        """Run a line as root, as `RUN` does, and return what it says.

        Raises:
            StepFailedError: It did not end with 0.
        """
        here = {n: v for n, v in os.environ.items() if n in _PASSED_ON or n.startswith("PIP_") or "proxy" in n.lower()}
        command = ["chroot", str(self.path), "/bin/sh", "-ec", f"cd {shlex.quote(folder)}; {line}"]
        return command_or_fail(command, {**here, "PATH": _PATH, **environment})

    def copy(self, copy: Copy, folder: str, source: Path) -> None:
        """Do what a `COPY` says.

        Args:
            copy: What.
            folder: The working directory in this root.
            source: The build context, or the other stage's files.

        Raises:
            FileNotFoundError: A source is not there.
        """
        target = self.path / folder.lstrip("/") / copy.target.rstrip("/") if not copy.target.startswith("/") else None
        target = target or self.path / copy.target.strip("/")
        for name in copy.sources:
            found = source / name.strip("/")
            if found.is_dir():
                ignore = shutil.ignore_patterns(*IGNORED) if copy.stage is None else None
                shutil.copytree(found, target, symlinks=True, dirs_exist_ok=True, ignore=ignore)
            else:
                target.mkdir(parents=True, exist_ok=True)
                shutil.copy(found, target)


def furnish(root: Path) -> None:
    """Give a root the interpreter under the image's name, devices and processes, and hide the repository from it."""
    prefix = Path(sys.base_prefix)
    if prefix == Path("/usr"):
        (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")
    else:
        mount(prefix, root / "usr/local", options="bind,ro")
        # It finds its own library where it was built, which may be below a home that only root may enter.
        for parent in prefix.parents:
            place = root / parent.relative_to("/")
            place.chmod(place.stat().st_mode | 0o011)
    for name in ("dev", "proc"):
        mount(f"/{name}", root / name, options="rbind")
    repository = root / Path.cwd().relative_to("/")
    mount("tmpfs", repository, "tmpfs", "ro")


def seal(root: Root, volumes: Sequence[str], config: Path) -> Path:
    """Make a stage's root read-only, to root as well, but for the volumes and /tmp, and return where it is.

    Args:
        root: The stage's.
        volumes: What is mounted for writing; each belongs to whom it belongs in the stage.
        config: A folder to be mounted read-only at /etc/touchstone.
    """
    mount("overlay", root.path, "overlay", "remount,ro")
    for volume in volumes:
        place = root.path / volume.lstrip("/")
        owner = place.stat()
        mount("tmpfs", place, "tmpfs", f"uid={owner.st_uid},gid={owner.st_gid},mode={owner.st_mode & 0o777:o}")
    mount("tmpfs", root.path / "tmp", "tmpfs", "mode=1777")
    mount(config, root.path / "etc/touchstone", options="bind,ro")
    return root.path


def mount(what: str | Path, at: Path, kind: str = "none", options: str = "") -> None:
    """Mount something.

    Raises:
        StepFailedError: The kernel does not let us.
    """
    command_or_fail(["mount", "--no-mtab", "-t", kind, "-o", options, str(what), str(at)], os.environ)


def command_or_fail(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """Run a command and return what it said.

    Raises:
        StepFailedError: It did not end with 0.
    """
    done = subprocess.run(command, env=dict(environment), capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise StepFailedError(f"{shlex.join(command)} ended with {done.returncode}:\n{said}")
    return done.stdout
