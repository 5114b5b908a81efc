"""Which requests take the short way: those that need nothing that only the other one has."""

from typing import Any, cast

import pytest

from router.direct.entry import Entry
from router.front.entry import Head

CHAT = "/v1/chat/completions"


class Bodies:
    """Of the proxy, what the entry looks at."""

    max_body_bytes = 50_000


class Proxy:
    """Of the proxy, what the entry looks at."""

    bodies = Bodies()


def takes(method: str = "POST", path: str = CHAT, **headers: str) -> bool:
    sent = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    head = Head("1.1", method, path.encode(), path, b"", sent, keep_alive=True)
    return Entry(cast(Any, Proxy()), "/_touchstone/").begin(cast(Any, None), head) is not None


def test_a_question_to_a_model_takes_it() -> None:
    assert takes(host="router", content_length="200")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_do_not(method: str) -> None:
    assert not takes(method, content_length="200")


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"transfer_encoding": "chunked"}, id="a-body-of-unknown-length"),
        pytest.param({"content_length": "50001"}, id="a-body-that-will-be-refused"),
        pytest.param({"content_length": "200", "expect": "100-continue"}, id="a-client-that-asks-first"),
        pytest.param({"content_length": "200", "upgrade": "websocket"}, id="an-offer-of-another-protocol"),
    ],
)
def test_what_needs_more_than_a_plain_exchange_does_not(headers: dict[str, str]) -> None:
    assert not takes(**headers)


def test_our_own_paths_do_not() -> None:
    assert not takes(path="/_touchstone/v1/feedback", content_length="20")
