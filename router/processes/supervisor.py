"""The supervisor: runs N proxies and the controller of one machine, and takes up a changed configuration.

It binds the data port once and hands the socket down, so that a port in use is one clear line. Each child watches its
standard input, of which the parent holds the other end: when the parent is gone, however it went, so are the children.
A child that ends by itself is started again, at growing intervals.

On SIGHUP, or when the file has changed, the configuration is read anew, with the files that it names. A bad one is
refused with all its errors, and nothing changes but what the admin port says of it (`reload_status`). With a
good one a second set of proxies is started on the same socket; once they serve, the first set is asked to finish what
it has in flight. So no request is dropped, and no process ever holds half a configuration. The children read a copy
that was checked, never the file itself: it may be bad again by the time one is restarted.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

import structlog

from experiments.config import Config, ConfigError, load
from router.processes.child import Child
from router.processes.config_files import UnusableError, check_files, signature, signatures
from router.processes.reload_status import clear_refused, write_refused
from router.processes.workers import ListenError, bind
from router.telemetry.logs import configure_logs

_log = structlog.get_logger(__name__)
_READY_S = 90.0


class Supervisor:
    """Runs the processes of one machine.

    Args:
        config: What to run.

    Raises:
        ListenError: The data port or the admin port cannot be listened on.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._stop = threading.Event()
        self._hangup = threading.Event()
        self._seen = self._changing = signature(config.path)
        self._files = signatures(config)
        self._snapshot = _Snapshot(config.path.read_bytes())
        # The controller binds the admin port itself; asking now turns a taken port into one line instead of a loop.
        bind(config.router.admin).close()
        self._socket = _inheritable(config.router.listen)
        self._controller = self._new_controller()
        self._proxies = self._new_proxies(config, self._socket)
        self._retiring: list[tuple[float, Child]] = []
        clear_refused(Path(config.router.journal))  # what a supervisor before us refused, this one has taken up

    def run(self) -> int:
        """Run until SIGTERM or SIGINT; returns the exit code."""
        configure_logs()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        signal.signal(signal.SIGHUP, lambda *_: self._hangup.set())
        _log.info("serving", listen=self._config.router.listen, workers=len(self._proxies))
        try:
            while not self._stop.is_set():
                now = time.monotonic()
                for child in (self._controller, *self._proxies):
                    child.tend(now)
                self._retire(now)
                if self._is_changed():
                    self._reload()
                self._stop.wait(0.2)
        finally:
            self._shut_down()
        return 0

    # --- children -----------------------------------------------------------------------------------------------------

    def _command(self, *words: str) -> list[str]:
        options = ["--config", str(self._config.path), "--snapshot", str(self._snapshot.path), "--exit-with-parent"]
        return [sys.executable, "-m", "router", *words, *options]

    def _new_controller(self) -> Child:
        return Child("controller", self._command("control"))

    def _new_proxies(self, config: Config, listening: socket.socket) -> list[Child]:
        fd = listening.fileno()
        command = [*self._command("proxy"), "--fd", str(fd)]
        return [Child(f"proxy-{n}", command, (fd,), reports_ready=True) for n in range(config.router.workers)]

    def _retire(self, now: float) -> None:
        """Wait, without waiting, for proxies that finish what they have in flight."""
        for deadline, child in list(self._retiring):
            if child.has_ended():
                self._retiring.remove((deadline, child))
            elif now > deadline:
                child.wait(0)

    # --- a changed configuration --------------------------------------------------------------------------------------

    def _is_changed(self) -> bool:
        """Whether to read the file again: asked for, or it has changed and been left alone since we last looked."""
        hung_up, now = self._hangup.is_set(), signature(self._config.path)
        self._hangup.clear()
        settled = now is not None and now == self._changing
        self._changing = now
        changed = self._config.router.reload and settled and now != self._seen
        if hung_up or changed:
            self._seen = now
        return hung_up or changed

    def _reload(self) -> None:
        try:
            snapshot = _Snapshot(self._config.path.read_bytes())
            config = load(self._config.path, snapshot=snapshot.path)
        except (OSError, ConfigError) as error:
            problems = [str(p) for p in error.problems] if isinstance(error, ConfigError) else [str(error)]
            self._refuse(problems)
            return
        files = signatures(config)
        if config == self._config and files == self._files:
            clear_refused(Path(config.router.journal))
            _log.info("reload_unchanged", config=str(self._config.path))
            return
        try:
            check_files(config)
            taken_up = self._take_up(config, snapshot)
        except (ListenError, UnusableError) as error:
            self._refuse([str(error)])
            return
        if taken_up:
            self._files = files

    def _refuse(self, problems: list[str]) -> None:
        write_refused(Path(self._config.router.journal), problems, time.time())
        _log.error("reload_refused", config=str(self._config.path), problems=problems, keeping="the old configuration")

    def _take_up(self, config: Config, snapshot: _Snapshot) -> bool:
        """Start the new proxies beside the old ones, then let those finish; whether the new ones serve."""
        moved = config.router.listen != self._config.router.listen
        listening = _inheritable(config.router.listen) if moved else self._socket
        if config.router.admin != self._config.router.admin:
            bind(config.router.admin).close()
        old_snapshot, self._snapshot = self._snapshot, snapshot
        proxies = self._new_proxies(config, listening)
        if not _all_ready(proxies):
            self._snapshot = old_snapshot
            if moved:
                listening.close()
            self._refuse([f"the new proxies did not begin to serve within {_READY_S:g} s"])
            return False
        for journal in (self._config.router.journal, config.router.journal):
            clear_refused(Path(journal))
        grace_s = self._config.router.shutdown_grace_s + 5
        for child in self._proxies:
            child.ask_to_stop()
            self._retiring.append((time.monotonic() + grace_s, child))
        if moved:
            self._socket.close()
        self._config, self._proxies, self._socket = config, proxies, listening
        self._controller.ask_to_stop()
        self._controller.wait(grace_s)
        self._controller = self._new_controller()
        _log.warning("reloaded", config=str(config.path), workers=len(proxies))
        return True

    # --- the end ------------------------------------------------------------------------------------------------------

    def _shut_down(self) -> None:
        """Proxies first: the controller stays to load what they still write."""
        grace = self._config.router.shutdown_grace_s + 5
        for children in ([*self._proxies, *(child for _, child in self._retiring)], [self._controller]):
            for child in children:
                child.ask_to_stop()
            for child in children:
                child.wait(grace)
        clear_refused(Path(self._config.router.journal))
        self._socket.close()


def _inheritable(address: str) -> socket.socket:
    listening = bind(address)
    listening.set_inheritable(True)
    return listening


def _all_ready(proxies: list[Child]) -> bool:
    """Start children and wait until all of them serve; if one does not, none goes on."""
    for child in proxies:
        child.start()
    deadline = time.monotonic() + _READY_S
    if all(child.wait_until_ready(deadline) for child in proxies):
        return True
    for child in proxies:
        child.ask_to_stop()
    for child in proxies:
        child.wait(5)
    return False


class _Snapshot:
    """A copy of a configuration file, readable by us alone; deleted with the last use of this object."""

    def __init__(self, content: bytes) -> None:
        handle, name = tempfile.mkstemp(prefix="touchstone-", suffix=".toml")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        self.path = Path(name)

    def __del__(self) -> None:
        self.path.unlink(missing_ok=True)
