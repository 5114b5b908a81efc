"""Listening: an address that cannot be had is one clear line."""

import socket

import pytest

from router.processes.workers import ListenError, bind


@pytest.mark.parametrize("address", ["127.0.0.1:0", "localhost:0", "0.0.0.0:0"])
def test_a_bound_socket_takes_connections_at_once(address: str) -> None:
    with bind(address) as listening, socket.create_connection(("127.0.0.1", listening.getsockname()[1]), timeout=5):
        listening.accept()[0].close()


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_an_address_of_ipv6_stands_in_brackets() -> None:
    with bind("[::1]:0") as listening, socket.create_connection(("::1", listening.getsockname()[1]), timeout=5):
        listening.accept()[0].close()


def test_a_port_in_use_is_told_with_its_address() -> None:
    with bind("127.0.0.1:0") as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ListenError, match=f"^cannot listen on {address}: Address already in use$"):
            bind(address)


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("192.0.2.1:8080", "Cannot assign requested address"),
        ("127.0.0.1:65536", "port must be 0-65535"),
    ],
)
def test_an_address_that_cannot_be_had_is_told_with_the_reason(address: str, why: str) -> None:
    with pytest.raises(ListenError, match=f"^cannot listen on {address}: .*{why}"):
        bind(address)


def test_a_port_can_be_had_again_right_after_its_server_has_gone() -> None:
    """Its closed connections may still wait in the system for minutes: a restart must not."""
    with bind("127.0.0.1:0") as listening:
        port = listening.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            accepted, _ = listening.accept()
            accepted.close()
            client.recv(1)

    bind(f"127.0.0.1:{port}").close()
