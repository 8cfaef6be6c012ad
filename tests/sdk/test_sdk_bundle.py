"""`serinus bundle` writes one signed file, and a client starts with it where there is nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from serinus import BundleRefused, Client, bundle
from serinus.__main__ import main
from serinus.ruleset import read
from tests.rulesets import KEY, RulesetServer, encoded, prompt, until

BEFORE, AFTER = prompt("greeting"), prompt("greeting", production="v2.3")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "prompts.bundle"


@pytest.fixture
def run(server: RulesetServer, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    monkeypatch.setenv("SERINUS_URL", server.url)
    monkeypatch.setenv("SERINUS_KEY", KEY)
    return lambda *arguments: main(["bundle", *map(str, arguments)])


def write(file: Path, told: dict[str, Any], *, fetched_at: float, key: str = KEY) -> None:
    ruleset = read(encoded({"greeting": told}), None)
    bundle.write(file, bundle.Kept(ruleset, fetched_at), key=key)


def test_bundle__server_down_at_the_first_start__served_from_it(
    server: RulesetServer, connect: Callable[..., Client], run: Callable[..., int], file: Path
) -> None:
    assert run("--out", file, "--label", "production", "--label", "a b") == 0
    server.stop()

    client = connect(bundle=file)
    from_bundle = (client.get("greeting").version, client.status())
    server.change(greeting=AFTER)
    server.start()
    until(lambda: client.get("greeting").version == "v2.3")

    assert server.queries[0] == {"label": ["production", "a b"]}
    assert from_bundle[0] == "v2.2"
    assert (from_bundle[1].source, from_bundle[1].stale) == ("bundle", True)
    assert client.status().source == "live"


@pytest.mark.parametrize(("bundle_age_s", "source", "number"), [(100, "cache", "v2.2"), (-100, "bundle", "v2.3")])
def test_cache_and_bundle__the_newer_is_served(
    server: RulesetServer,
    connect: Callable[..., Client],
    file: Path,
    bundle_age_s: float,
    source: str,
    number: str,
) -> None:
    connect().close()
    server.stop()
    write(file, AFTER, fetched_at=time.time() - bundle_age_s)

    client = connect(bundle=file)

    assert (client.status().source, client.get("greeting").version) == (source, number)


def test_bundle__key_of_its_own__needed(connect: Callable[..., Client], file: Path) -> None:
    write(file, BEFORE, fetched_at=0, key="of the build")

    connect(bundle=file, bundle_key="of the build")
    with pytest.raises(BundleRefused, match="not signed with this key"):
        connect(bundle=file)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda content: content.replace(b"Extract", b"Swallow"), "not signed with this key, or it was changed"),
        (lambda content: content[:-1], "or it was changed or cut short afterwards"),
        (lambda content: content.replace(b'"fetched_at":0', b'"fetched_at":9'), "not signed with this key"),
        (lambda content: content.replace(b" 1 ", b" 2 ", 1), "it has another format than 1, the only one"),
        (lambda content: b"serinus-bundle 1 \xff\n" + content, "not signed with this key"),
        (lambda content: content.replace(b"-bundle", b"-cache", 1), "this is no serinus-bundle"),
        (lambda content: b"", "this is no serinus-bundle"),
        (lambda content: b"\xff" * 1000, "this is no serinus-bundle"),
    ],
)
def test_bundle__spoilt__client_refuses_to_start(
    connect: Callable[..., Client], file: Path, spoil: Callable[[bytes], bytes], message: str
) -> None:
    write(file, BEFORE, fetched_at=0)
    file.write_bytes(spoil(file.read_bytes()))

    with pytest.raises(BundleRefused, match=message):
        connect(bundle=file)


def test_bundle__missing__client_refuses_to_start(connect: Callable[..., Client], file: Path) -> None:
    with pytest.raises(BundleRefused, match=r"The bundle .*prompts.bundle is refused: .*No such file"):
        connect(bundle=file)


@pytest.mark.parametrize(("path", "key"), [("nul\0", KEY), (".", KEY), ("prompts.bundle", "\ud800")])
def test_bundle__path_or_key_that_cannot_be__client_refuses_to_start(
    connect: Callable[..., Client], file: Path, path: str, key: str
) -> None:
    write(file, BEFORE, fetched_at=0)

    with pytest.raises(BundleRefused, match="is refused: "):
        connect(bundle=file.with_name(path) if path != "." else file.parent, bundle_key=key)


def test_command__key_file_that_is_no_text__told(
    run: Callable[..., int], file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "key").write_bytes(b"\xff")

    code = run("--out", file, "--key-file", tmp_path / "key")

    assert code == 1
    assert "serinus bundle: --key-file: cannot read" in capsys.readouterr().err


def test_command__out_and_check__tell_what_is_in_it(
    server: RulesetServer, run: Callable[..., int], file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    codes = (run("--out", file), run("--check", file))

    wrote, checked = capsys.readouterr().out.splitlines()
    assert codes == (0, 0)
    assert wrote == checked
    assert wrote.startswith(f"{file}: 2 prompts of generation 40, fetched 2")
    assert wrote.endswith(f"digest {server.digest}")
    assert KEY.encode() not in file.read_bytes()
    assert list(file.parent.glob(".*")) == []


def test_command__check_with_another_key__fails(
    run: Callable[..., int],
    file: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SERINUS_BUNDLE_KEY", "of the build")
    assert run("--out", file) == 0

    codes = (run("--check", file), run("--check", file, "--signing-key", "another"))

    assert codes == (0, 1)
    assert "not signed with this key" in capsys.readouterr().err


def test_command__key_from_a_file(run: Callable[..., int], file: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f" {KEY}\n")
    (tmp_path / "wrong").write_text("ser_wrong")

    assert run("--out", file, "--key-file", tmp_path / "key") == 0
    assert run("--out", file, "--key-file", tmp_path / "wrong") == 1
    assert run("--out", file, "--key-file", tmp_path / "missing") == 1


def test_command__server_down_or_wrong__old_bundle_stays(
    server: RulesetServer, run: Callable[..., int], file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(file, BEFORE, fetched_at=0)
    before = file.read_bytes()

    server.misbehave = lambda request: request.tell(503, b'{"detail": "no state yet"}')
    codes = [run("--out", file)]
    server.misbehave = lambda request: request.tell(200, b"{}")
    codes.append(run("--out", file))
    server.stop()
    codes.append(run("--out", file))

    assert codes == [1, 1, 1]
    assert file.read_bytes() == before
    refused, malformed, away = capsys.readouterr().err.splitlines()
    assert "The server answered 503" in refused
    assert "Malformed: prompts: expected an object" in malformed
    assert "ConnectionRefusedError" in away


def test_command__folder_missing__fails(run: Callable[..., int], tmp_path: Path) -> None:
    assert run("--out", tmp_path / "missing" / "prompts.bundle") == 1
