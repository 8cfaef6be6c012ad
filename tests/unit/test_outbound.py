"""What may be connected to: addresses, their odd spellings, and names that change what they resolve to."""

import socket
from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from common import outbound
from common.outbound import Allowed, Refused, read_allowed

NOTHING = Allowed()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


class NameServer:
    """Stands for the system's resolver: answers the next list of addresses at each question, the last one for ever."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    def getaddrinfo(self, host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        families = {4: socket.AF_INET, 6: socket.AF_INET6}
        return [
            (families[ip_address(address).version], socket.SOCK_STREAM, 0, "", (address, port)) for address in answer
        ]


@pytest.fixture
def name_server(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> NameServer:
    name_server = NameServer(*request.param)
    monkeypatch.setattr(socket, "getaddrinfo", name_server.getaddrinfo)
    return name_server


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("0.0.0.0", "unspecified"),
        ("0.1.2.3", "unspecified"),
        ("10.0.0.1", "private"),
        ("172.16.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.168.1.1", "private"),
        ("100.64.0.1", "shared by a carrier"),
        ("100.127.255.255", "shared by a carrier"),
        ("100.100.100.200", "shared by a carrier"),  # Alibaba's metadata
        ("127.0.0.1", "loopback"),
        ("127.255.255.254", "loopback"),
        ("169.254.0.1", "link-local"),
        ("169.254.169.254", "a cloud's metadata"),
        ("168.63.129.16", "a cloud's metadata"),
        ("192.0.0.192", "reserved"),  # Oracle's metadata
        ("192.0.2.1", "reserved"),
        ("198.18.0.1", "reserved"),
        ("203.0.113.1", "reserved"),
        ("192.88.99.1", "a tunnel"),
        ("224.0.0.1", "multicast"),
        ("239.255.255.255", "multicast"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.255", "reserved"),
        ("::", "unspecified"),
        ("::1", "loopback"),
        ("::7f00:1", "IPv4 inside IPv6"),
        ("::ffff:127.0.0.1", "IPv4 inside IPv6"),
        ("::ffff:8.8.8.8", "IPv4 inside IPv6"),
        ("::ffff:0:127.0.0.1", "IPv4 inside IPv6"),
        ("64:ff9b::7f00:1", "IPv4 inside IPv6"),
        ("64:ff9b:1::a00:1", "IPv4 inside IPv6"),
        ("2002:7f00:1::", "a tunnel"),
        ("2001:0:4136:e378::1", "a tunnel"),
        ("2001:20::1", "reserved"),
        ("2001:db8::1", "reserved"),
        ("3fff::1", "reserved"),
        ("100::1", "reserved"),
        ("4000::1", "reserved"),
        ("5f00::1", "reserved"),
        ("fc00::1", "private"),
        ("fd12:3456::1", "private"),
        ("fd00:ec2::254", "a cloud's metadata"),
        ("fe80::1", "link-local"),
        ("fe80::1%2", "link-local"),
        ("fec0::1", "private"),
        ("ff02::1", "multicast"),
        ("8.8.8.8", ""),
        ("100.63.255.255", ""),
        ("100.128.0.0", ""),
        ("172.32.0.1", ""),
        ("169.253.255.255", ""),
        ("2606:4700::1111", ""),
        ("2a00:1450::1", ""),
        ("2003::1", ""),
    ],
)
def test_kind__every_sort_of_address__public_or_named(address: str, kind: str) -> None:
    assert outbound.kind_of(ip_address(address)) == kind


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001", "127.0.0.1."),
        *("0", "0.0.0.0", "10.1", "169.254.169.254", "0xa9fea9fe", "2852039166", "::1", "::ffff:127.0.0.1"),
        *("localhost", "LOCALHOST", "localhost.", "app.localhost", "fe80::1%2"),
    ],
)
def test_check_spelling__a_refused_address_in_any_spelling__refused_and_the_setting_named(host: str) -> None:
    with pytest.raises(Refused, match="SERINUS_WEBHOOK_ALLOW"):
        outbound.check_spelling(host, NOTHING)


@pytest.mark.parametrize("host", ["hooks.example", "8.8.8.8", "134744072", "2606:4700::1111", "localhost.example"])
def test_check_spelling__public_or_a_name__taken_without_a_name_server(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(socket, "getaddrinfo")

    outbound.check_spelling(host, NOTHING)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "0x7f.1", "2130706433", "0177.0.0.1", "localhost"])
def test_connect__loopback_in_any_spelling__refused(host: str, listener: socket.socket) -> None:
    with pytest.raises(Refused, match="loopback"):
        outbound.connect(host, listener.getsockname()[1], timeout_s=1, allowed=NOTHING)


@pytest.mark.parametrize("host", [".example", "hooks..example", "a" * 64 + ".example"])
def test_connect__no_host__refused(host: str) -> None:
    with pytest.raises(Refused, match="is no host"):
        outbound.connect(host, 443, timeout_s=1, allowed=NOTHING)


def test_connect__digits_of_another_script__the_address_they_become_is_checked(listener: socket.socket) -> None:
    with pytest.raises(Refused, match="loopback"):
        outbound.connect("１２７.0.0.1", listener.getsockname()[1], timeout_s=1, allowed=NOTHING)  # noqa: RUF001


@pytest.mark.parametrize("name_server", [[["8.8.8.8", "10.0.0.1"]], [["2606:4700::1111", "::1"]]], indirect=True)
def test_connect__one_of_several_answers_is_refused__no_connection_at_all(
    name_server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("connected"))

    with pytest.raises(Refused):
        outbound.connect("hooks.example", 443, timeout_s=1, allowed=NOTHING)


@pytest.mark.parametrize("name_server", [[["8.8.8.8"], ["127.0.0.1"]]], indirect=True)
def test_connect__name_that_turns_to_loopback__goes_to_the_address_that_was_checked(
    name_server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected = []
    monkeypatch.setattr(socket.socket, "connect", lambda _, address: connected.append(address))

    outbound.connect("hooks.example", 443, timeout_s=1, allowed=NOTHING).close()

    assert (connected, name_server.asked) == ([("8.8.8.8", 443)], 1)
    with pytest.raises(Refused):
        outbound.connect("hooks.example", 443, timeout_s=1, allowed=NOTHING)


@pytest.mark.parametrize("name_server", [[["127.0.0.2", "127.0.0.1"]]], indirect=True)
def test_connect__first_address_does_not_answer__the_next(name_server: NameServer, listener: socket.socket) -> None:
    port = listener.getsockname()[1]

    with outbound.connect("hooks.lan", port, timeout_s=1, allowed=read_allowed(["hooks.lan"])) as connection:
        assert connection.getpeername() == ("127.0.0.1", port)
        assert connection.gettimeout() == 1


@pytest.mark.parametrize("words", [["127.0.0.0/8"], ["10.0.0.0/8", "127.0.0.1"], ["Localhost."]])
def test_connect__allowed_by_network_address_or_name__connected(words: list[str], listener: socket.socket) -> None:
    host = "localhost" if words == ["Localhost."] else "127.0.0.1"
    allowed = read_allowed(words)

    outbound.check_spelling(host, allowed)
    outbound.connect(host, listener.getsockname()[1], timeout_s=1, allowed=allowed).close()


@pytest.mark.parametrize("words", [["10.0.0.0/8"], ["hooks.lan"], ["::1"], ["127.0.0.2/32"]])
def test_connect__something_else_is_allowed__refused(words: list[str], listener: socket.socket) -> None:
    with pytest.raises(Refused):
        outbound.connect("127.0.0.1", listener.getsockname()[1], timeout_s=1, allowed=read_allowed(words))


@pytest.mark.parametrize("word", ["10.0.0.0/33", "10.0.0.1/8", "hooks.lan/24", "hooks.lan:8080", "http://hooks.lan"])
def test_read_allowed__neither_network_nor_host__refused(word: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        read_allowed([word])
