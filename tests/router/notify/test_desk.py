"""A controller's notifications: delivered by the one that leads, once, and none without a channel."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests_history import CONFIG, Life, living
from tests_receiver import Receiver, eventually

from experiments.telling.escalation import Event, Severity
from experiments.telling.incidents import incident_log
from router.fakes.server import serving
from router.notify.desk import Desk, UnusableChannelError

ROOT = Path(__file__).parents[3]
CHANNEL = """
[router.notifications.channels.hook]
url = "file:hook"
secret = "file:shared"
"""


@pytest.fixture(name="receiver")
def _receiver() -> Receiver:
    return Receiver()


@pytest.fixture(name="life")
def _life(tmp_path: Path, receiver: Receiver) -> Iterator[Life]:
    """A store, and a configuration with a webhook."""
    (tmp_path / "shared").write_text("between-us")
    with serving(receiver) as url, living(tmp_path, CONFIG + CHANNEL) as life:
        (tmp_path / "hook").write_text(url)
        life.store.migrate()
        yield life


def event(now: float) -> Event:
    return Event(key="support/1/rolled_back/0", severity=Severity.CRITICAL, at=now, title="rolled back")


def titles(receiver: Receiver) -> list[str]:
    return [json.loads(body)["title"] for _, _, body in receiver.got]


def test_what_happens_is_delivered_once_and_how_often_is_logged_at_the_end(life: Life, receiver: Receiver) -> None:
    now = time.time()
    with capture_logs() as logs, Desk(life.config, life.store, lambda: True) as desk:
        desk.alerts.tell(event(now))
        desk.alerts.tick(now, ())
        desk.alerts.tick(now, ())
        arrived = eventually(lambda: titles(receiver) == ["rolled back"])

    assert arrived
    [ended] = [entry for entry in logs if entry["event"] == "courier_ended"]
    assert {name: ended[name] for name in ("channel", "delivered", "failed", "given_up")} == {
        "channel": "hook",
        "delivered": 1,
        "failed": 0,
        "given_up": 0,
    }


def test_of_two_controllers_only_the_leaders_couriers_send(life: Life, receiver: Receiver) -> None:
    now, lead = time.time(), threading.Event()
    with Desk(life.config, life.store, lead.is_set) as follower:
        follower.alerts.tell(event(now))
        follower.alerts.tick(now, ())
        time.sleep(0.3)
        before = titles(receiver)
        lead.set()
        arrived = eventually(lambda: titles(receiver) == ["rolled back"])

    assert before == []
    assert arrived


def test_f24_a_receiver_that_is_down_holds_no_tick_up_and_gets_it_when_it_is_back(
    life: Life, receiver: Receiver
) -> None:
    receiver.status = 503
    now = time.time()
    with capture_logs() as logs, Desk(life.config, life.store, lambda: True) as desk:
        desk.alerts.tell(event(now))
        desk.alerts.tick(now, ())
        refused = eventually(lambda: any(entry["event"] == "channel_is_down" for entry in logs))
        receiver.status = 200
        arrived = eventually(lambda: any(entry["event"] == "channel_is_back" for entry in logs), within_s=20)

    assert (refused, arrived) == (True, True)
    assert len({json.loads(body)["id"] for _, _, body in receiver.got}) == 1


def test_without_a_channel_nobody_is_told_and_it_is_kept(tmp_path: Path) -> None:
    now = time.time()
    with living(tmp_path) as life:
        life.store.migrate()
        with Desk(life.config, life.store, lambda: True) as desk:
            desk.alerts.tell(event(now))
            desk.alerts.tick(now, ())

        assert [one.key for one in incident_log(life.store).known(now).events] == ["support/1/rolled_back/0"]


def test_a_channel_that_cannot_be_used_is_told_without_its_address(life: Life, tmp_path: Path) -> None:
    (tmp_path / "hook").write_text("ftp://hunter2")

    with pytest.raises(UnusableChannelError, match="channel hook: the URL of a webhook begins with") as caught:
        Desk(life.config, life.store, lambda: True)

    assert "hunter2" not in str(caught.value)


def test_the_library_of_services_is_loaded_only_where_there_is_a_channel() -> None:
    code = "import sys, router.notify.desk; sys.exit('apprise' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
