"""The front door: how many may come in, how long they may stay without asking, and how they are shown out."""

import asyncio
import resource
import socket
import time

import pytest
from tests_door import GET, Door, answer, door, echo, until, until_closed

from experiments.config.serving import ClientLimits
from router.front.server import FrontDoor

ECHOED = b"GET / "


def ended(client: socket.socket) -> bool:
    """Whether a connection ends within a few seconds."""
    client.settimeout(5)
    return client.recv(1) == b""


def test_what_is_asked_is_answered_and_the_connection_is_kept() -> None:
    with door(echo) as running, running.connect() as client:
        for _ in range(3):
            client.sendall(GET)
            assert until(client, ECHOED) == b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nGET / "

    assert not running.front.counters.refused


def test_one_connection_too_many_is_told_to_come_again_and_leaves_its_place_to_others() -> None:
    with door(echo, max_connections=2) as running:
        with running.connect() as first, running.connect() as second:
            for client in (first, second):
                client.sendall(GET)
                until(client, ECHOED)
            refused = running.ask(GET)
            first.sendall(GET)
            until(first, ECHOED)
        wait_for(lambda: not running.server.server_state.connections)
        with running.connect() as third:
            third.sendall(GET)
            until(third, ECHOED)

    assert refused.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert b"\r\nretry-after: 1\r\n" in refused
    assert b"\r\ncontent-type: application/problem+json\r\n" in refused
    assert running.refused("connections") == 1


def test_there_are_never_more_connections_than_half_the_descriptors() -> None:
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]

    assert FrontDoor(ClientLimits(max_connections=10**9)).max_connections == soft // 2
    assert FrontDoor(ClientLimits(max_connections=3)).max_connections == 3


@pytest.mark.parametrize("before", [b"", GET], ids=["never asked", "asked once"])
def test_a_connection_without_a_request_is_closed_after_a_while_and_that_is_no_refusal(before: bytes) -> None:
    with door(echo, idle_timeout_s=0.2) as running, running.connect() as client:
        if before:
            client.sendall(before)
            until(client, ECHOED)
        assert ended(client)

    assert not running.front.counters.refused


def test_a_slow_application_is_no_idle_client() -> None:
    async def slow(_scope, _receive, send) -> None:
        await asyncio.sleep(0.5)
        await answer(send, b"late")

    limits = {"idle_timeout_s": 0.1, "header_timeout_s": 0.1, "body_timeout_s": 0.1, "read_timeout_s": 0.1}
    with door(slow, **limits) as running, running.connect() as client:
        client.sendall(GET)
        assert until(client, b"late").startswith(b"HTTP/1.1 200")


def test_after_the_last_connection_nothing_is_left_to_wake_up_for() -> None:
    with door(echo, idle_timeout_s=0.1) as running:
        assert running.ask(b"nonsense\r\n\r\n").startswith(b"HTTP/1.1 400")
        wait_for(lambda: not running.front.lingering)
        wait_for(lambda: running.front._sweeping is None)
        with running.connect() as client:
            assert ended(client)


def test_at_the_end_a_kept_connection_has_one_more_answer_and_is_closed_by_it() -> None:
    with door(echo) as running, running.connect() as client:
        client.sendall(GET)
        until(client, ECHOED)
        running.server.should_exit = True
        wait_for(lambda: running.front.draining)
        client.sendall(GET)
        last = until_closed(client)

    assert b"\r\nconnection: close\r\n" in last
    assert last.endswith(ECHOED)


def test_at_the_end_a_connection_that_asks_nothing_is_closed_in_a_moment() -> None:
    with door(echo) as running, running.connect() as client, running.connect() as half:
        half.sendall(GET[:10])
        client.sendall(GET)
        until(client, ECHOED)
        running.server.should_exit = True
        assert ended(client)
        assert ended(half)


def test_a_request_that_is_being_received_at_the_end_is_answered_and_the_last() -> None:
    with door(echo) as running, running.connect() as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: client\r\nContent-Length: 4\r\n\r\n")
        wait_for(lambda: running.server.server_state.tasks)
        running.server.should_exit = True
        wait_for(lambda: running.front.draining)
        time.sleep(1)  # beyond the moment in which idle ones are closed
        client.sendall(b"done")
        last = until_closed(client)

    assert b"\r\nconnection: close\r\n" in last
    assert last.endswith(b"done")


def test_the_counters_say_what_they_hold() -> None:
    with door(echo) as running:
        running.ask(b"nonsense\r\n\r\n")

    assert repr(running.front.counters) == "<ServerCounters {'malformed': 1}>"


def wait_for(condition, seconds: float = 5.0) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_door_is_its_connections_own() -> None:
    with door(echo) as one, door(echo) as other:
        one.ask(b"nonsense\r\n\r\n")

    assert isinstance(one, Door)
    assert (one.refused("malformed"), other.refused("malformed")) == (1, 0)
