"""Hosts in URLs and addresses: which are this machine, which are where clouds keep credentials. No name is looked up.

Resolvers take an IPv4 address in many spellings (`0xa9fea9fe`, `2852039166`, `0251.0376.43518`), and clients decode
percent escapes and full-width digits before that. All of them are read here as the resolver would.
"""

from __future__ import annotations

import ipaddress
import socket
import unicodedata
from urllib.parse import unquote

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_METADATA_NAMES = {
    "metadata",
    "metadata.google.internal",
    "metadata.goog",
    "instance-data",
    "instance-data.ec2.internal",
}
_METADATA_ADDRESSES = {
    ipaddress.ip_address("fd00:ec2::254"),  # AWS, over IPv6
    ipaddress.ip_address("fd20:ce::254"),  # Google, over IPv6
    ipaddress.ip_address("100.100.100.200"),  # Alibaba
    ipaddress.ip_address("192.0.0.192"),  # Oracle
}
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE = ipaddress.IPv6Network("::/96")


def is_metadata(host: str) -> bool:
    """Whether a host is link-local, or a known name or address of a cloud's metadata service.

    >>> [is_metadata(host) for host in ("169.254.169.254", "0xa9fea9fe", "[fe80::1%eth0]", "metadata.google.internal.")]
    [True, True, True, True]
    >>> is_metadata("10.0.0.1"), is_metadata("example.org")
    (False, False)
    """
    name = _canonical(host)
    if name in _METADATA_NAMES:
        return True
    address = _address(name)
    return address is not None and (address.is_link_local or address in _METADATA_ADDRESSES)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine and nothing else.

    >>> [is_loopback(host) for host in ("localhost", "127.0.0.2", "[::1]", "0.0.0.0", "[::]", "10.0.0.1")]
    [True, True, True, False, False, False]
    """
    name = _canonical(host)
    address = _address(name)
    return name == "localhost" or (address is not None and address.is_loopback)


def _canonical(host: str) -> str:
    name = unicodedata.normalize("NFKC", unquote(host)).replace("\u3002", ".")
    return name.lower().strip("[]").partition("%")[0].rstrip(".")


def _address(name: str) -> Address | None:
    """Return the address that a name spells, with an IPv4 address unwrapped from IPv6; None for a name proper."""
    try:
        return _unwrapped(ipaddress.IPv6Address(name)) if ":" in name else ipaddress.IPv4Address(socket.inet_aton(name))
    except (OSError, ValueError):
        return None


def _unwrapped(address: ipaddress.IPv6Address) -> Address:
    inner = address.ipv4_mapped or address.sixtofour
    if inner is None and (address in _NAT64 or (address in _COMPATIBLE and int(address) > 0xFFFF)):
        inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return inner or address
