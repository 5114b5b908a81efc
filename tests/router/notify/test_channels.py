"""Notifications arrive at real receivers; what does not arrive is told without its address."""

import json
import logging
import threading
import time
import traceback
from collections.abc import Iterator

import pytest
from pydantic import SecretStr
from tests_receiver import Receiver, note

from experiments.telling.escalation import Severity
from router.fakes.server import serving
from router.notify.channels import AppriseChannel, ChannelError, SendError, WebhookChannel, readable, scheme_of
from router.notify.webhook import SIGNATURE_HEADER, verify
from router.processes.workers import bind

TOKEN = "xoxb-s3cret-t0ken"
SECRET = SecretStr("shared")


def webhook(url: str, **changes: float) -> WebhookChannel:
    return WebhookChannel("hook", SecretStr(f"{url}/{TOKEN}?key={TOKEN}"), SECRET, **changes)


def shown(error: BaseException) -> str:
    """All of an error that a log could show."""
    return "".join(traceback.format_exception(error))


# --- our own webhook --------------------------------------------------------------------------------------------------


def test_a_receiver_gets_signed_json_that_it_can_verify() -> None:
    receiver = Receiver(status=204)
    with serving(receiver) as url:
        webhook(url).send(note("critical:k", Severity.CRITICAL))

    [(path, headers, body)] = receiver.got
    assert (path, headers["content-type"]) == (f"/{TOKEN}", "application/json")
    assert json.loads(body)["id"] == "critical:k"
    assert verify("shared", headers[SIGNATURE_HEADER], body, time.time())
    assert not verify("other", headers[SIGNATURE_HEADER], body, time.time())


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
def test_any_other_answer_is_a_failure_that_names_the_status(status: int) -> None:
    with serving(Receiver(status=status)) as url, pytest.raises(SendError) as caught:
        webhook(url).send(note())

    assert str(caught.value) == f"the receiver answered with status {status}"
    assert TOKEN not in shown(caught.value)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirection_is_not_followed(status: int) -> None:
    other = Receiver()
    with serving(other) as elsewhere:
        receiver = Receiver(status=status, headers={"location": elsewhere})
        with serving(receiver) as url, pytest.raises(SendError, match=f"status {status}"):
            webhook(url).send(note())

    assert (len(receiver.got), other.got) == (1, [])


def test_a_receiver_that_is_away_is_told_by_its_reason_alone() -> None:
    with bind("127.0.0.1:0") as free:
        port = free.getsockname()[1]
    with pytest.raises(SendError, match="Connection refused") as caught:
        webhook(f"http://127.0.0.1:{port}").send(note())

    assert TOKEN not in shown(caught.value)


def test_a_receiver_that_never_answers_is_given_up() -> None:
    gate = threading.Event()
    with serving(Receiver(gate=gate)) as url:
        begun = time.monotonic()
        with pytest.raises(SendError, match="cannot be reached"):
            webhook(url, timeout_s=0.2).send(note())
        gate.set()

    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("tail", [f"/{TOKEN} with space", f"/{TOKEN}\r\nx-evil: 1", f"/{TOKEN}\x00"])
def test_an_address_that_cannot_be_asked_is_a_failure_that_does_not_show_it(tail: str) -> None:
    channel = WebhookChannel("hook", SecretStr(f"http://127.0.0.1:1{tail}"), SECRET)

    with pytest.raises(SendError) as caught:
        channel.send(note())
    assert TOKEN not in shown(caught.value)


@pytest.mark.parametrize("url", [f"file:///{TOKEN}", f"ftp://{TOKEN}", TOKEN, "", "http://", f"http://[{TOKEN}"])
def test_what_is_not_http_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ChannelError, match="channel hook: ") as caught:
        WebhookChannel("hook", SecretStr(url), SECRET)
    assert TOKEN not in shown(caught.value)


# --- services of the library ------------------------------------------------------------------------------------------


def service(url: str) -> AppriseChannel:
    return AppriseChannel("chat", SecretStr(f"{url.replace('http://', f'json://user:{TOKEN}@')}/hook"))


def test_a_service_of_the_library_gets_title_text_and_severity() -> None:
    receiver = Receiver()
    with serving(receiver) as url:
        service(url).send(note("one", Severity.CRITICAL))

    [(path, _, body)] = receiver.got
    said = json.loads(body)
    assert path.rstrip("/") == "/hook"
    assert (said["title"], said["type"]) == ("[critical] support is held up", "failure")
    assert said["message"] == "why\nTo be acknowledged: support/1/srm"


class Lines(logging.Handler):
    """What an application that logs everything would write."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(f"{record.name}: {record.getMessage()}")


@pytest.fixture(name="lines")
def _lines() -> Iterator[list[str]]:
    """All log lines that reach the root, from DEBUG on."""
    root, handler = logging.getLogger(), Lines()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler.found
    root.setLevel(level)
    root.removeHandler(handler)


def test_what_the_service_refuses_is_a_failure_without_an_address(
    lines: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    with serving(Receiver(status=500)) as url, pytest.raises(SendError, match="did not take it: failure") as caught:
        service(url).send(note())

    written = "".join(capfd.readouterr())
    assert TOKEN not in shown(caught.value) + written
    assert "127.0.0.1" not in shown(caught.value).splitlines()[-1] + written
    assert [line for line in lines if line.startswith(("apprise", "urllib3"))] == []


@pytest.mark.parametrize("url", [f"nosuch://{TOKEN}", f"tgram://{TOKEN}", TOKEN, ""])
def test_a_service_that_is_unknown_or_incomplete_is_refused_without_its_address(
    url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ChannelError, match="channel chat: ") as caught:
        AppriseChannel("chat", SecretStr(url))
    assert TOKEN not in shown(caught.value) + "".join(capfd.readouterr())


def test_neither_channel_shows_its_address(lines: list[str]) -> None:
    channels = [webhook("http://127.0.0.1:1"), service("http://127.0.0.1:1")]

    assert [repr(channel) for channel in channels] == ["<WebhookChannel hook http://>", "<AppriseChannel chat json://>"]
    assert TOKEN not in "".join(lines)


# --- texts ------------------------------------------------------------------------------------------------------------


def test_control_characters_become_blanks_and_lines_stay() -> None:
    assert readable("a\x1b[31m\r\nb\u202ec\x00d\te") == "a [31m \nb c d e"
    assert readable("हिन्दी, naïve") == "हिन्दी, naïve"


def test_a_text_that_is_too_long_is_cut() -> None:
    assert (len(readable("x" * 4000)), readable("x" * 4001)[-6:], len(readable("x" * 9999))) == (4000, "xx ...", 4000)


@pytest.mark.parametrize(
    ("url", "scheme"),
    [("slack://a/b", "slack://"), ("MAILTO://u:p@h", "MAILTO://"), ("to ken://x", "an address without a scheme")],
)
def test_of_an_address_the_scheme_alone_is_shown(url: str, scheme: str) -> None:
    assert scheme_of(SecretStr(url)) == scheme
