"""A rollback reaches people: from a real router, over a real webhook, signed."""

import asyncio
import json
import time
import urllib.request
from pathlib import Path

from tests_receiver import Receiver

from router.fakes.behaviour import Behaviour, sometimes_wrong
from router.fakes.server import serving
from router.notify.webhook import SIGNATURE_HEADER, verify

SECRET = "shared-with-the-receiver"
NOTIFICATIONS = """
[router.notifications.channels.hook]
url = "file:hook"
secret = "file:secret"
least = "critical"
"""


def add_webhook(config: Path, url: str) -> None:
    """Name the receiver in the configuration of a running router, which takes it up by itself."""
    (config.parent / "hook").write_text(url)
    (config.parent / "secret").write_text(SECRET)
    config.write_text(config.read_text() + NOTIFICATIONS)


def acknowledge(admin: str, key: str) -> dict[str, str]:
    body = json.dumps({"reason": "looked at it"}).encode()
    url = f"{admin}/api/v1/incidents/{key}/acknowledge"
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as response:
        return dict(json.loads(response.read()))


async def test_a_rollback_arrives_at_a_webhook_signed_and_is_open_until_somebody_acknowledges_it(served) -> None:
    receiver = Receiver()
    with serving(receiver) as url:
        router = served(ramp="[50]", mirror=100, min_days=0)
        [before] = router.pids("control")
        add_webhook(router.config, f"{url}/told")
        assert await asyncio.to_thread(router.wait_for, lambda: router.pids("control") not in ([], [before]))
        router.treatment.behaviour = Behaviour(answer=sometimes_wrong(0.3))

        sending = asyncio.ensure_future(router.send(6_000, users=3_000, per_second=250))
        arrived = await asyncio.to_thread(router.wait_for, lambda: bool(receiver.got), 40)
        sending.cancel()

    assert arrived, (router.config.parent / "serve.log").read_text()[-3000:]
    path, headers, body = receiver.got[0]
    told = json.loads(body)
    assert path == "/told"
    assert verify(SECRET, headers[SIGNATURE_HEADER], body, time.time())
    assert not verify("another secret", headers[SIGNATURE_HEADER], body, time.time())
    assert (told["severity"], told["title"]) == ("critical", "support is rolled back, control serves everyone")
    [incident] = router.get("/api/v1/incidents")
    done = acknowledge(router.admin, incident["key"])
    assert ([incident["key"]], done["actor"]) == (told["keys"], "local")
    assert router.get("/api/v1/incidents") == []
