"""Settings from the environment: what is accepted, and that every refusal names the setting."""

from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from common.outbound import Allowed
from config import env

NAME = "SERINUS_X"
read_address = env.address, {"default": "http://localhost"}
read_integer = env.integer, {"default": 3, "least": 2}
read_flag = env.flag, {"default": False}
read_one_of = env.one_of, {"choices": ("open", "login")}
read_postgres = env.postgres, {}
read_share = env.share_bp, {"default": "5%"}
read_duration = env.duration, {"default": "14d", "least": "8d"}
read_patterns = env.patterns, {}
read_reachable = env.reachable, {}

Reader = tuple[Callable[..., Any], dict[str, Any]]


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    return lambda value: monkeypatch.setenv(NAME, value)


@pytest.mark.parametrize(
    ("reader", "value", "expected"),
    [
        (read_address, "https://serinus.example.org/", "https://serinus.example.org"),
        (read_address, "http://[::1]:8000", "http://[::1]:8000"),
        (read_address, "https://example.org/serinus", "https://example.org/serinus"),
        (read_integer, "2", 2),
        (read_flag, "True", True),
        (read_flag, "0", False),
        (read_one_of, "login", "login"),
        (read_share, "2.5%", 250),
        (read_share, "0.05", 500),
        (read_duration, "8d", timedelta(days=8)),
        (read_duration, "240h", timedelta(days=10)),
        (read_patterns, "{}", ()),
        (read_reachable, "", Allowed()),
        (read_reachable, "10.1.0.0/16, Hooks.lan", Allowed((ip_network("10.1.0.0/16"),), frozenset({"hooks.lan"}))),
    ],
)
def test_read__usable_value__taken(reader: Reader, value: str, expected: object, given: Callable[[str], None]) -> None:
    function, arguments = reader
    given(f" {value}\n")

    assert function(NAME, **arguments) == expected


@pytest.mark.parametrize(
    ("reader", "value"),
    [
        (read_reachable, "10.1.0.1/16"),
        (read_reachable, "http://hooks.lan/"),
        (read_address, "serinus.example.org"),
        (read_address, "ftp://serinus.example.org"),
        (read_address, "https://"),
        (read_address, "https://example.org:99999"),
        (read_address, "http://[::1"),
        (read_address, "https://user:password@example.org"),
        (read_address, "https://example.org/?page=1"),
        (read_address, "https://exa mple.org"),
        (read_address, ""),
        (read_integer, "1"),
        (read_integer, "-3"),
        (read_integer, "3.5"),
        (read_flag, "yes"),
        (read_one_of, "closed"),
        (read_share, "101%"),
        (read_share, "a few"),
        (read_duration, "14"),
        (read_duration, "7d"),
        (read_duration, "forever"),
        (read_duration, "99999999999999d"),
        (read_patterns, "C-[0-9]+"),
        (read_patterns, '["C-[0-9]+"]'),
        (read_patterns, '{"customer": 7}'),
        (read_patterns, '{"customer": "(C"}'),
        (read_patterns, '{"": "C"}'),
        (read_postgres, "mysql://example.org/serinus"),
        (read_postgres, "sqlite:///serinus.sqlite3"),
        (read_postgres, "postgres://user:pass/word@example.org/serinus"),
    ],
)
def test_read__unusable_value__named(reader: Reader, value: str, given: Callable[[str], None]) -> None:
    function, arguments = reader
    given(value)

    with pytest.raises(ImproperlyConfigured, match=f"^{NAME}: expected"):
        function(NAME, **arguments)


def test_postgres__unusable_address__refused_without_its_password(given: Callable[[str], None]) -> None:
    given("postgres://user:s3cr/et@example.org/serinus")

    with pytest.raises(ImproperlyConfigured) as raised:
        env.postgres(NAME)

    assert "s3cr" not in str(raised.value)


def test_postgres__no_address__none() -> None:
    assert env.postgres(NAME) is None


def test_patterns__unusable_one__named_with_what_is_wrong(given: Callable[[str], None]) -> None:
    given('{"customer": "C-[0-9]+", "lot": "(L"}')

    with pytest.raises(ImproperlyConfigured, match=r"lot: missing \)"):
        env.patterns(NAME)


def test_text__file_named__its_content(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from a file\n")
    monkeypatch.setenv(f"{NAME}_FILE", str(tmp_path / "secret"))

    assert env.text(NAME) == "from a file"


def test_text__missing_file__named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(f"{NAME}_FILE", str(tmp_path / "missing"))

    with pytest.raises(ImproperlyConfigured, match=f"^{NAME}_FILE: cannot read"):
        env.text(NAME)


def test_secret_key__first_start__made_once_for_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "new"

    key = env.secret_key(folder)

    assert len(key) >= 50
    assert env.secret_key(folder) == key
    assert (folder / "secret_key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in folder.iterdir()] == ["secret_key"]


def test_secret_key__given__no_folder_needed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SERINUS_SECRET_KEY", "given")

    assert env.secret_key(tmp_path / "never") == "given"
    assert not (tmp_path / "never").exists()


def test_writable__a_file_is_in_the_way__named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ImproperlyConfigured, match=r"^SERINUS_DATA_DIR: cannot make"):
        env.writable(tmp_path / "file" / "folder")
