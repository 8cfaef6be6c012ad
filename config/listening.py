"""Where the web server listens, and under which address it is reached there."""

import errno
import socket
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from django.conf import settings

from config import env


@dataclass(frozen=True, slots=True)
class Address:
    ip: IPv4Address | IPv6Address
    port: int

    @property
    def host(self) -> str:
        """The IP as addresses and Host headers have it; one that stands for all of this machine's is its loopback."""
        ip = ip_address("127.0.0.1" if self.ip.version == 4 else "::1") if self.ip.is_unspecified else self.ip
        return f"[{ip}]" if ip.version == 6 else str(ip)

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"


class Taken(Exception):
    """Nobody else can listen there."""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--host", type=_ip, default="127.0.0.1", help="IP address to listen at (%(default)s)")
    parser.add_argument("--port", type=_whole_number(65535), default=8000, help="port to listen at (%(default)s)")
    parser.add_argument("--workers", type=_whole_number(64), default=2, help="web processes (%(default)s)")


def settle(address: Address) -> None:
    """Complete the settings by the address that the command line gives."""
    if address.host not in settings.ALLOWED_HOSTS:
        settings.ALLOWED_HOSTS.append(address.host)
    if not env.text("SERINUS_BASE_URL"):
        settings.BASE_URL = address.url


def require_free(address: Address) -> None:
    """Raises Taken when somebody listens at the address, or listening there is not allowed.

    Asked for before the web server starts, because granian shares a port with whoever lets it (SO_REUSEPORT): a second
    server would quietly take half of the first one's requests.
    """
    with socket.socket(socket.AF_INET6 if address.ip.version == 6 else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of an earlier server may linger
        try:
            probe.bind((str(address.ip), address.port))
        except OSError as error:
            hint = "; choose another --port" if error.errno == errno.EADDRINUSE else ""
            raise Taken(f"Cannot listen at {address.ip} port {address.port}: {error.strerror}{hint}") from error


def _ip(text: str) -> IPv4Address | IPv6Address:
    try:
        return ip_address("127.0.0.1" if text == "localhost" else text)
    except ValueError:
        raise ArgumentTypeError(f"expected an IP address such as 127.0.0.1 or 0.0.0.0, got {text!r}") from None


def _whole_number(most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if text.isascii() and text.isdigit() and 1 <= int(text) <= most:
            return int(text)
        raise ArgumentTypeError(f"expected a number from 1 to {most}, got {text!r}")

    return parse
