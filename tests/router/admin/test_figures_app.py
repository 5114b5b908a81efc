"""What `touchstone record --metrics` serves."""

import threading
import urllib.request
from pathlib import Path

from tests_history import living

from experiments.model import Exchange
from router.admin.figures_app import build_figures
from router.admin.thread_server import ThreadServer
from router.telemetry.metrics import Metrics


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as response:
        return response.read().decode()


def test_the_proxies_figures_of_one_host_are_served_without_a_controller(tmp_path: Path) -> None:
    with living(tmp_path) as life:
        metrics = Metrics(life.journal, publish_seconds=0.01)
        metrics.start()
        metrics.observe(Exchange(id="a", at=1.0, experiment="support", served="control", status=200))
        with ThreadServer(build_figures(life.config), "127.0.0.1:0") as server:
            url = f"http://127.0.0.1:{server.port}"
            seen = threading.Event()
            for _ in range(500):
                if "touchstone_requests_total{" in (page := get(f"{url}/metrics")):
                    break
                seen.wait(0.01)
            health = get(f"{url}/healthz")
        metrics.close()

    assert "touchstone_proxies 1.0" in page
    assert 'experiment="support"' in page
    assert health == "ok\n"
