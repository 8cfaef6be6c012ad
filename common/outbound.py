"""Where this service may connect to when an address comes from outside: public hosts, and what a setting allows.

A name is resolved once. Every address that it has must be allowed, and the connection goes to one of these very
addresses: a name server that answers differently the next time is not asked again. What counts is the address that
comes out, so no spelling of it (`0x7f.1`, `2130706433`, `127.1`, `localhost.`) leads around the check.
"""

import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LOOPBACK = IPv4Address("127.0.0.1")
# By the registries of special-purpose addresses (RFC 6890) of 2025, and two addresses where clouds answer with secrets.
NOT_PUBLIC: dict[Network, str] = {
    ip_network(network): kind
    for kind, networks in {
        "unspecified": ("0.0.0.0/8", "::/128"),
        "private": ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fec0::/10"),
        "shared by a carrier": ("100.64.0.0/10",),
        "loopback": ("127.0.0.0/8", "::1/128"),
        "link-local": ("169.254.0.0/16", "fe80::/10"),
        "multicast": ("224.0.0.0/4", "ff00::/8"),
        "a cloud's metadata": ("169.254.169.254/32", "fd00:ec2::254/128", "168.63.129.16/32"),
        "IPv4 inside IPv6": ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48"),
        "a tunnel": ("2002::/16", "2001::/32", "192.88.99.0/24"),
        "reserved": (
            *("192.0.0.0/24", "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4"),
            *("::/3", "2001::/23", "2001:db8::/32", "3fff::/20", "4000::/2", "8000::/1"),  # all outside of 2000::/3 too
        ),
    }.items()
    for network in networks
}


class Refused(OSError):
    """The host is none that this service may connect to."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """What may be reached though it is not public: networks, and hosts by their name, wherever they are."""

    networks: tuple[Network, ...] = ()
    hosts: frozenset[str] = frozenset()


def read_allowed(words: Sequence[str]) -> Allowed:
    """From words such as `10.1.0.0/16`, `127.0.0.1` and `hooks.internal`. Raises ValueError."""
    networks, hosts = [], set()
    for word in words:
        try:
            networks.append(ip_network(word))
        except ValueError:
            if "/" in word or ":" in word:
                raise
            hosts.add(_plain(word))
    return Allowed(tuple(networks), frozenset(hosts))


def check_spelling(host: str, allowed: Allowed) -> None:
    """Raise Refused for a host that needs no name server to be known as not allowed. host: without brackets."""
    with suppress(ValueError):
        check(host, [_literal(host)], allowed)


def connect(host: str, port: int, *, timeout_s: float, allowed: Allowed) -> socket.socket:
    """A connection to one of the host's addresses, all of which were checked. Raises Refused, OSError.

    timeout_s: for each address; the socket keeps it.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # a part of it is empty or too long
        raise Refused(f"{host[:100]} is no host") from error
    check(host, [ip_address(place[4][0]) for place in found], allowed)
    return _first(found, timeout_s)


def check(host: str, addresses: Sequence[Address], allowed: Allowed) -> None:
    """Raise Refused unless every one of the host's addresses is public or allowed."""
    if _plain(host) in allowed.hosts:
        return
    for address in addresses:
        kind = kind_of(address)
        if kind and not any(address in network for network in allowed.networks):
            raise Refused(f"{host} is at {address} ({kind}), which SERINUS_WEBHOOK_ALLOW would have to name")


def kind_of(address: Address) -> str:
    """Why the address is not public, by the narrowest network that has it, or nothing when it is public."""
    of = [network for network in NOT_PUBLIC if address in network]
    return NOT_PUBLIC[max(of, key=lambda network: network.prefixlen)] if of else ""


def _literal(host: str) -> Address:
    """The address that the host itself is, in any spelling that resolvers understand. Raises ValueError when none."""
    if _plain(host) == "localhost" or _plain(host).endswith(".localhost"):  # RFC 6761, 6.3
        return LOOPBACK
    with suppress(ValueError):
        return ip_address(host)
    try:
        return IPv4Address(socket.inet_aton(_plain(host)))
    except OSError as error:
        raise ValueError(f"{host} is a name") from error


def _plain(host: str) -> str:
    return host.lower().rstrip(".")


def _first(places: Sequence[Any], timeout_s: float) -> socket.socket:
    failure = OSError("the host has no address")
    for place in places:
        try:
            return _open(place, timeout_s)
        except OSError as error:
            failure = error
    raise failure


def _open(place: Any, timeout_s: float) -> socket.socket:
    family, kind, protocol, _, address = place
    connection = socket.socket(family, kind, protocol)
    try:
        connection.settimeout(timeout_s)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.connect(address)
    except BaseException:
        connection.close()
        raise
    return connection
