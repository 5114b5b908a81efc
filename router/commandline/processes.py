"""The processes that `proxy` and `control` run, put together from the configuration."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from router.commandline.common import Fail, open_or_fail
from router.processes.priority import give_way

if TYPE_CHECKING:
    from experiments.config import Config


def run_proxy_process(config: Config, fd: int | None, ready_fd: int | None, fail: Fail) -> None:
    """Run one proxy until SIGTERM."""
    from router.processes.secrets import SecretError  # noqa: PLC0415
    from router.processes.workers import ListenError, run_proxy  # noqa: PLC0415
    from router.telemetry.tracing import TracingUnavailableError  # noqa: PLC0415
    from router.upstream.upstream import CertificateError  # noqa: PLC0415
    from router.upstream.warmup import WarmupError  # noqa: PLC0415

    store = open_or_fail(config.router.database, fail, "proxy")
    try:
        run_proxy(
            config,
            fd,
            load_routes=store.routes,
            lookup_exchange=store.find_exchange,
            load_drains=store.drains,
            ready_fd=ready_fd,
        )
    except (ListenError, SecretError, CertificateError, TracingUnavailableError, WarmupError) as error:
        fail(str(error))
    finally:
        store.close()


def run_control_process(config: Config, fail: Fail) -> None:
    """Run the controller and the admin API until SIGTERM."""
    from experiments.controller import Controller  # noqa: PLC0415
    from experiments.golden.gate import Gatekeeper  # noqa: PLC0415
    from experiments.golden.sets import GoldenError  # noqa: PLC0415
    from experiments.golden.store import GuardStore  # noqa: PLC0415
    from experiments.journal.post import RecordingPost  # noqa: PLC0415
    from experiments.journal.recorder import Recorder  # noqa: PLC0415
    from experiments.leadership import Leadership  # noqa: PLC0415
    from experiments.scorers import ScorerError  # noqa: PLC0415
    from router.admin.app import admin_server  # noqa: PLC0415
    from router.golden.probing import golden, probe  # noqa: PLC0415
    from router.monitoring.daily import DailyMonitor  # noqa: PLC0415
    from router.notify.desk import Desk, UnusableChannelError  # noqa: PLC0415
    from router.processes.secrets import SecretError  # noqa: PLC0415
    from router.processes.workers import ListenError  # noqa: PLC0415
    from router.scoring.runner import ScoringRunner  # noqa: PLC0415
    from router.telemetry.logs import configure_logs  # noqa: PLC0415
    from router.upstream.upstream import CertificateError  # noqa: PLC0415

    give_way()
    configure_logs()
    stop = _stopped_by_signal()
    store = open_or_fail(config.router.database, fail, "controller")
    pages = open_or_fail(config.router.database, fail, "pages")
    try:
        leadership = Leadership(config.router.database)
        desk = Desk(config, store, lambda: leadership.leads)
        recorder = RecordingPost(Recorder(config, store), Path(config.router.journal))
        keeper = Gatekeeper(GuardStore(store.engine), partial(golden, config), partial(probe, config))
        controller = Controller(config, store, recorder, alerts=desk.alerts, leadership=leadership, gatekeeper=keeper)
        scoring = ScoringRunner(config, store, lambda: leadership.leads)
        monitor = DailyMonitor(config, store, lambda: leadership.leads)
        with admin_server(config, pages), desk, scoring, monitor:
            controller.run(stop)
        keeper.close()
    except (
        GoldenError,
        ScorerError,
        ListenError,
        UnusableChannelError,
        SecretError,
        CertificateError,
    ) as error:
        fail(str(error))
    finally:
        pages.close()
        store.close()


def run_record_process(config: Config, metrics: str | None, fail: Fail) -> None:
    """Load this host's journal into the store until SIGTERM, and serve its proxies' figures if that is asked for."""
    from experiments.journal.post import RecordingPost, run  # noqa: PLC0415
    from experiments.journal.recorder import Recorder  # noqa: PLC0415
    from router.admin.figures_app import build_figures  # noqa: PLC0415
    from router.admin.thread_server import ThreadServer  # noqa: PLC0415
    from router.processes.workers import ListenError  # noqa: PLC0415
    from router.telemetry.logs import configure_logs  # noqa: PLC0415

    give_way()
    configure_logs()
    stop = _stopped_by_signal()
    store = open_or_fail(config.router.database, fail, "controller")
    try:
        with ExitStack() as stack:
            if metrics is not None:
                stack.enter_context(ThreadServer(build_figures(config), metrics))
            run(RecordingPost(Recorder(config, store), Path(config.router.journal)), stop)
    except ListenError as error:
        fail(str(error))
    finally:
        store.close()


def _stopped_by_signal() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def watch_parent(*, enabled: bool) -> None:
    """End this process when its parent does, however that ends: the parent holds the other end of our stdin."""
    if not enabled:
        return

    def wait() -> None:
        # The raw descriptor: a thread that waits inside `sys.stdin` would block the interpreter's end.
        while os.read(0, 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="watch-parent", daemon=True).start()
