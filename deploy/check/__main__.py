"""Run the steps of deploy/Containerfile without a container engine, then what they made, and say what holds.

Needs root on Linux with overlay file systems, and a package index for pip.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.check.containerfile import Stage, read_copy, read_stages
from deploy.check.running import CONFIG
from deploy.check.sandbox import NAMESPACE, Root, StepFailedError, seal

_FILE = Path("deploy/Containerfile")
_PROGRAM = "opt/touchstone"
_IN_BASE = {
    *("libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libresolv.so.2"),
    *("libgcc_s.so.1", "libstdc++.so.6", "libz.so.1"),
}
"""Of the packages libc6, libgcc-s1, libstdc++6 and zlib1g, which Debian's own package manager needs."""


def main(arguments: list[str]) -> int:
    """Start again in a mount namespace; there, build and run."""
    if os.geteuid() != 0 or sys.platform != "linux":
        print("make deploy-check needs root on Linux: it mounts file systems, in a namespace of its own")
        return 2
    if arguments:
        return _inside(Path(arguments[0]))
    scratch = Path(tempfile.mkdtemp(prefix="touchstone-deploy-"))
    try:
        command = [*NAMESPACE, sys.executable, "-m", "deploy.check", str(scratch)]
        return subprocess.run(command, check=False).returncode  # noqa: S603
    finally:
        # The namespace is gone, and its mounts with it: only our own folders are left here.
        shutil.rmtree(scratch, ignore_errors=True)


def _inside(scratch: Path) -> int:
    """Build each stage on its root, seal the last one, and try it in a network of its own."""
    roots: dict[str, Root] = {}
    try:
        stages = read_stages(_FILE)
        for stage in stages:
            roots[stage.name] = build(stage, scratch / f"stage-{stage.name}", roots)
        final = roots[stages[-1].name]
        if not _is_well_made(final):
            return 1
        config = scratch / "config"
        config.mkdir()
        (config / "config.toml").write_text(CONFIG)
        sealed = seal(final, json.loads(stages[-1].last("VOLUME")), config)
    except (OSError, StepFailedError, ValueError) as error:
        print(f"FAILED  {error}")
        return 1
    command = ["unshare", "--net", "--", sys.executable, "-m", "deploy.check.running", str(sealed)]
    return subprocess.run(command, check=False).returncode  # noqa: S603


def build(stage: Stage, folder: Path, roots: Mapping[str, Root]) -> Root:
    """Carry out the steps of a stage that leave something in its file system.

    Args:
        stage: Its steps.
        folder: Scratch; empty.
        roots: The stages before it, by name.

    Raises:
        StepFailedError: A step failed.
        OSError: Something that is copied is not there.
    """
    root, here = Root(folder), "/"
    for word, value in stage.instructions:
        if word == "WORKDIR":
            here = value
            (root.path / here.lstrip("/")).mkdir(parents=True, exist_ok=True)
        elif word == "RUN":
            root.run(value, here, {})
        elif word == "COPY":
            copy = read_copy(value)
            root.copy(copy, here, roots[copy.stage].path if copy.stage else Path.cwd())
        else:
            continue
        print(f"ok      {stage.name}: {word} {value[:88]}", flush=True)
    return root


def _is_well_made(root: Root) -> bool:
    """Say whether the program belongs to root alone, and finds its libraries in the image."""
    found: dict[str, Sequence[object]] = {
        "the program belongs to root, and nobody else can write to it": writable(root.upper / _PROGRAM),
        "its libraries need nothing that the base image lacks": foreign_libraries(root),
    }
    for says, problems in found.items():
        print(f"FAILED  {says}: {', '.join(map(str, problems[:5]))}" if problems else f"ok      {says}", flush=True)
    files = [path for path in (root.upper / _PROGRAM).rglob("*") if path.is_file() and not path.is_symlink()]
    print(f"        the program with its libraries: {sum(file.stat().st_size for file in files) / 1e6:.0f} MB")
    return not any(found.values())


def foreign_libraries(root: Root) -> list[str]:
    """Return the names of shared libraries that are needed, and are in neither the program nor the base image."""
    line = f"find /{_PROGRAM} -name '*.so*' -type f -exec ldd {{}} + 2>/dev/null || true"
    said = root.run(line, "/", {})
    needed = dict(re.findall(r"^\s+(\S+) => (.*?)(?: \(0x|$)", said, re.MULTILINE))
    # What a wheel brings for another one of its own files is found when that one is loaded, and not by `ldd`.
    brought = {path.name for path in (root.upper / _PROGRAM).rglob("*.so*")}
    return sorted(needed.keys() - brought - _IN_BASE)


def writable(folder: Path) -> list[Path]:
    """Return what others than root could write to, were the file system not read-only."""
    found = [folder, *folder.rglob("*")]
    return [path for path in found if not path.is_symlink() and _is_open(path.stat())]


def _is_open(status: os.stat_result) -> bool:
    return status.st_uid != 0 or bool(status.st_mode & 0o022)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
