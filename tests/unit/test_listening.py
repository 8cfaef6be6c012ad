"""Where the server listens, and what others call that place."""

import socket
from ipaddress import ip_address

import pytest

from config.listening import Address, Taken, require_free


@pytest.mark.parametrize(
    ("ip", "host", "url"),
    [
        ("127.0.0.1", "127.0.0.1", "http://127.0.0.1:8000"),
        ("192.0.2.7", "192.0.2.7", "http://192.0.2.7:8000"),
        ("2001:db8::7", "[2001:db8::7]", "http://[2001:db8::7]:8000"),
        ("0.0.0.0", "127.0.0.1", "http://127.0.0.1:8000"),
        ("::", "[::1]", "http://[::1]:8000"),
    ],
)
def test_address__ip__as_host_and_url(ip: str, host: str, url: str) -> None:
    address = Address(ip_address(ip), 8000)

    assert (address.host, address.url) == (host, url)


def test_require_free__free_port__fine() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    require_free(Address(ip_address("127.0.0.1"), port))


def test_require_free__listener_that_shares_its_port__taken() -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as listener:
        port = listener.getsockname()[1]

        with pytest.raises(Taken, match=f"port {port}: Address already in use; choose another --port"):
            require_free(Address(ip_address("127.0.0.1"), port))


def test_require_free__address_of_another_machine__taken() -> None:
    with pytest.raises(Taken, match=r"Cannot listen at 192\.0\.2\.7"):
        require_free(Address(ip_address("192.0.2.7"), 8000))
