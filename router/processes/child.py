"""A child process of the supervisor: kept alive, asked to end, waited for."""

from __future__ import annotations

import os
import select
import subprocess
import time
from dataclasses import dataclass, field

import structlog

_log = structlog.get_logger(__name__)
_LONGEST_PAUSE_S = 10.0


@dataclass
class Child:
    """One process to keep alive.

    Attributes:
        name: In logs.
        command: What to run.
        fds: Descriptors that it inherits.
    """

    name: str
    command: list[str]
    fds: tuple[int, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    failures: int = 0
    started_at: float = field(default=0.0)
    not_before: float = 0.0
    reports_ready: bool = False
    """Whether it takes `--ready-fd`, and says there that it serves."""
    ready_fd: int | None = None
    """Where that is heard; None once it was, or if the process ended."""

    def start(self) -> None:
        """Start the process."""
        self.started_at = time.monotonic()
        if not self.reports_ready:
            self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, pass_fds=self.fds)  # noqa: S603
            return
        self._forget_ready()
        self.ready_fd, theirs = os.pipe()
        command = [*self.command, "--ready-fd", str(theirs)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=(*self.fds, theirs))  # noqa: S603
        os.close(theirs)

    def wait_until_ready(self, deadline: float) -> bool:
        """Wait until the process serves; False if it ends before, or is still not ready at the deadline."""
        if self.ready_fd is None:
            return False
        readable, _, _ = select.select([self.ready_fd], [], [], max(0.0, deadline - time.monotonic()))
        ready = bool(readable) and os.read(self.ready_fd, 16) != b""
        self._forget_ready()
        return ready

    def _forget_ready(self) -> None:
        if self.ready_fd is not None:
            os.close(self.ready_fd)
            self.ready_fd = None

    def tend(self, now: float) -> None:
        """Start the process again if it ended, at growing intervals."""
        if self.process is not None and self.process.poll() is not None:
            _log.error("process_ended", process=self.name, code=self.process.returncode)
            self.failures = 1 if now - self.started_at > _LONGEST_PAUSE_S else self.failures + 1
            self.not_before = now + min(_LONGEST_PAUSE_S, 0.1 * 2 ** min(self.failures, 10))
            self.process = None
        if self.process is None and now >= self.not_before:
            self.start()

    def ask_to_stop(self) -> None:
        """Send SIGTERM."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def has_ended(self) -> bool:
        """Whether there is no process any more."""
        return self.process is None or self.process.poll() is not None

    def wait(self, timeout: float) -> None:
        """Wait for the process to end; kill it when the time is over."""
        if self.process is None:
            return
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            _log.error("process_killed", process=self.name, reason="it did not stop within the grace time")
            self.process.kill()
            self.process.wait()
