"""What the tests of the SDK share: servers, certificates, quick clients that end with the test, and no environment."""

from __future__ import annotations

import functools
import os
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from serinus import Client
from serinus.following import Follower
from tests.rulesets import KEY, QUICK, RulesetServer, prompt, serving
from tests.sdk.server import Certificate


@pytest.fixture(autouse=True)
def _no_environment_and_no_cache_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("SERINUS_") and name != "SERINUS_DATA_DIR"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    authority, path = trustme.CA(), tmp_path_factory.mktemp("tls") / "authority.pem"
    authority.cert_pem.write_to_path(path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return Certificate(path, context)


@pytest.fixture
def server() -> Iterator[RulesetServer]:
    """With two prompts, of which `order` is at 50 % of a rollout."""
    with serving({"greeting": prompt("greeting"), "order": prompt("order")}) as running:
        yield running


@pytest.fixture
def connect(server: RulesetServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Client]]:
    """Makes clients of the server that are quick to try again, and closes them after the test."""
    monkeypatch.setattr("serinus.client.Follower", functools.partial(Follower, pace=QUICK))
    made: list[Client] = []

    def client(url: str | None = None, *, key: str = KEY, **options: Any) -> Client:
        made.append(Client(url or server.url, key=key, **{"start_timeout_s": 10, **options}))
        return made[-1]

    yield client
    for each in made:
        each.close()


@pytest.fixture
def trusted(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK takes the authority of the certificate for one of the system's."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.authority))
