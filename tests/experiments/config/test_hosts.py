"""Whatever a resolver or a client takes for a link-local address is known as one."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.config.hosts import is_loopback, is_metadata

LINK_LOCAL = st.integers(int(ipaddress.IPv4Address("169.254.0.0")), int(ipaddress.IPv4Address("169.254.255.255")))
SPELLINGS = [
    lambda n: str(ipaddress.IPv4Address(n)),
    str,
    hex,
    lambda n: f"0{n:o}",
    lambda n: f"0xA9.{hex(n >> 16 & 255)}.{n >> 8 & 255}.0{n & 255:o}",
    lambda n: f"169.254.{n & 0xFFFF}",
    lambda n: f"0251.{n & 0xFFFFFF}",
    lambda n: f"[::ffff:{ipaddress.IPv4Address(n)}]",
    lambda n: f"[64:ff9b::{ipaddress.IPv4Address(n)}]",
    lambda n: f"[::{ipaddress.IPv4Address(n)}]",
    lambda n: f"[2002:{n >> 16:x}:{n & 0xFFFF:x}::1]",
    lambda n: "".join(f"%{ord(c):02x}" for c in str(ipaddress.IPv4Address(n))),
    lambda n: "".join(chr(ord(c) + 0xFEE0) if c.isdigit() else c for c in str(ipaddress.IPv4Address(n))),
    lambda n: str(ipaddress.IPv4Address(n)).replace(".", "。"),
    lambda n: f"{ipaddress.IPv4Address(n)}.",
]


@given(number=LINK_LOCAL, spell=st.sampled_from(SPELLINGS))
def test_a_link_local_address_is_known_in_every_spelling(number, spell) -> None:
    assert is_metadata(spell(number))


@given(number=st.integers(2**24, 2**32 - 1), spell=st.sampled_from(SPELLINGS[:2]))
def test_no_other_address_is_taken_for_one(number: int, spell) -> None:
    address = ipaddress.IPv4Address(number)
    known = {"100.100.100.200", "192.0.0.192"}

    assert is_metadata(spell(number)) == (address in ipaddress.ip_network("169.254.0.0/16") or str(address) in known)


@pytest.mark.parametrize(
    "host",
    [
        "[fe80::1]",
        "[FE80::a9fe:1%25eth0]",
        "[febf::1]",
        "[fd00:ec2::254]",
        "100.100.100.200",
        "metadata.google.internal",
        "METADATA.google.internal.",
        "metadata",
        "instance-data.ec2.internal",
    ],
)
def test_the_names_and_addresses_of_clouds_are_known(host: str) -> None:
    assert is_metadata(host)


@pytest.mark.parametrize(
    "host", ["", "example.org", "10.0.0.1", "[fec0::1]", "169.253.1.1", "metadata.example", "a%zz"]
)
def test_other_hosts_are_not_metadata(host: str) -> None:
    assert not is_metadata(host)


@pytest.mark.parametrize(("host", "local"), [
    ("127.0.0.1", True), ("127.1", True), ("localhost", True), ("LOCALHOST", True), ("[::1]", True),
    ("0.0.0.0", False), ("[::]", False), ("192.168.0.1", False), ("localhost.example", False), ("", False),
])  # fmt: skip
def test_loopback_is_this_machine_alone(host: str, local: bool) -> None:
    assert is_loopback(host) is local
