"""deploy/: what its files name exists, and what they run our own commands understand."""

import re
import shlex
import stat
import subprocess
from collections.abc import Iterator
from configparser import RawConfigParser
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
import yaml
from django.core.management import get_commands, load_command_class

from config.api_docs import DOCUMENT
from config.web_server import STOP_WITHIN_S

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
OF_SERINUS = [name for name, service in COMPOSE["services"].items() if service["image"] == "serinus"]


def parse(command: list[str]) -> str:
    """The management command that a line runs, once its own parser has understood the line."""
    manage = command.index("manage.py")
    name, *arguments = command[manage + 1 :]
    load_command_class(get_commands()[name], name).create_parser("manage.py", name).parse_args(arguments)
    return name


def settings_named(text: str) -> set[str]:
    return set(re.findall(r"\b(SERINUS_[A-Z_]+|DATABASE_[A-Z_]*URL(?:_FILE)?)\b", text))


def known_settings() -> set[str]:
    page = (ROOT / "docs" / "reference" / "settings.md").read_text()
    return {f"{name}{end}" for name in settings_named(page) for end in ("", "_FILE")}


# Dockerfile


def instructions() -> Iterator[tuple[str, str]]:
    lines = re.sub(r"\\\n", " ", (DEPLOY / "Dockerfile").read_text()).splitlines()
    for line in lines:
        if line and not line.startswith("#"):
            name, _, rest = line.strip().partition(" ")
            yield name, rest


def test_dockerfile__copies__what_exists_and_dockerignore_lets_through() -> None:
    copied = {
        path for name, rest in instructions() if name == "COPY" and "--from" not in rest for path in rest.split()[:-1]
    }
    let_through = set(re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))

    assert copied == let_through
    assert all((ROOT / path).exists() for path in copied)
    assert DOCUMENT.relative_to(ROOT).as_posix() in copied
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "benchmarks", "demo"}
    assert packages | {"static", "templates", "manage.py"} <= copied


def test_dockerfile__runs__the_web_server_as_somebody_without_rights() -> None:
    last = dict(instructions())

    assert parse(yaml.safe_load(last["CMD"])) == "run_web"
    assert int(last["USER"]) > 0
    assert "/livez" in last["HEALTHCHECK"]
    assert [rest.split()[0] for name, rest in instructions() if name == "FROM"] == ["python:3.11-slim-trixie"] * 2


def test_dockerfile__postgresql_programs__of_the_servers_version() -> None:
    (version,) = re.findall(r"postgresql-client-(\d+)", (DEPLOY / "Dockerfile").read_text())

    assert COMPOSE["services"]["postgres"]["image"] == f"postgres:{version}"


# compose.yaml


def test_compose__commands__are_ours_and_understood() -> None:
    run = {name: parse(COMPOSE["services"][name]["command"]) for name in OF_SERINUS}

    assert run == {"migrate": "migrate", "web": "run_web", "worker": "run_worker"}


@pytest.mark.parametrize("name", OF_SERINUS)
def test_compose__services__begin_in_order_with_few_rights_and_no_secret_in_sight(name: str) -> None:
    service = COMPOSE["services"][name]
    awaited = {other: need["condition"] for other, need in service["depends_on"].items()}

    assert awaited == (
        {"postgres": "service_healthy"} if name == "migrate" else {"migrate": "service_completed_successfully"}
    )
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert set(service["secrets"]) <= set(COMPOSE["secrets"])
    assert set(service["environment"]) <= known_settings()
    files = {value for key, value in service["environment"].items() if key.endswith("_FILE")}
    assert files == {f"/run/secrets/{secret}" for secret in service["secrets"]}
    assert {volume.partition(":")[0] for volume in service["volumes"]} <= set(COMPOSE["volumes"])


def test_compose__host_and_further_settings__in_a_file_that_outlives_the_shell_and_git_ignores() -> None:
    page = (ROOT / "docs" / "how-to" / "deploy.md").read_text()
    (example,) = re.findall(r"cat > deploy/.env <<END\n(.*?)^END", page, re.MULTILINE | re.DOTALL)
    put_in = set(re.findall(r"\$\{(\w+)", (DEPLOY / "compose.yaml").read_text()))

    named = settings_named(example)

    assert {"SERINUS_HOST", "SERINUS_BASE_URL", "SERINUS_TRUSTED_PROXIES"} <= named <= known_settings() | put_in
    for name in OF_SERINUS:
        assert COMPOSE["services"][name]["env_file"] == [{"path": ".env", "required": False}]
        assert not (named - put_in) & set(COMPOSE["services"][name]["environment"])  # else it would not be heard
    assert "deploy/.env" in (ROOT / ".gitignore").read_text().splitlines()


def test_compose__grace__longer_than_a_web_server_takes_to_stop() -> None:
    assert all(
        int(COMPOSE["services"][name]["stop_grace_period"].removesuffix("s")) > STOP_WITHIN_S + 5
        for name in ("web", "worker")
    )


def test_make_secrets__once__what_compose_mounts__twice__refused(tmp_path: Path) -> None:
    copytree(DEPLOY, tmp_path / "deploy", ignore=lambda *_: {"secrets"})

    done = [subprocess.run([tmp_path / "deploy" / "make_secrets"], capture_output=True) for _ in range(2)]

    assert [run.returncode for run in done] == [0, 1]
    made = {f"secrets/{path.name}": path.read_text() for path in (tmp_path / "deploy" / "secrets").iterdir()}
    assert set(made) == {secret["file"] for secret in COMPOSE["secrets"].values()}
    assert len(made["secrets/secret_key"]) == 64
    assert made["secrets/postgres_password"] in made["secrets/database_url"]
    assert stat.S_IMODE((tmp_path / "deploy" / "secrets").stat().st_mode) == 0o700


# systemd


def read_unit(path: Path) -> RawConfigParser:
    """One section's values by name; of a name that is repeated the last."""
    unit = RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(path)
    return unit


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_unit__runs_a_command_of_ours__as_nobody_special(path: Path) -> None:
    service = read_unit(path)["Service"]
    line = shlex.split(service["ExecStart"])
    command = shlex.split(line[-1]) if line[:2] == ["/bin/sh", "-c"] else line

    assert parse(command) in {"migrate", "run_web", "run_worker", "serve", "backup"}
    assert service["User"] == "serinus"
    assert service["Environment"] == f"SERINUS_DATA_DIR=/var/lib/{service['StateDirectory']}"
    assert {service[name] for name in ("NoNewPrivileges", "PrivateTmp", "ProtectHome")} == {"yes"}
    assert service["ProtectSystem"] == "strict"
    assert "RemainAfterExit" not in service  # started once, it would not be started at the next upgrade


def test_manage__runs_as_the_units_do__with_what_it_is_told(tmp_path: Path) -> None:
    runner = tmp_path / "systemd-run"
    runner.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    runner.chmod(0o755)
    line = [DEPLOY / "systemd" / "manage", "create_key", "me", "--scopes", "read,write"]

    done = subprocess.run(line, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True, text=True, check=True)

    told = done.stdout.splitlines()
    unit = read_unit(DEPLOY / "systemd" / "serinus-web.service")["Service"]
    for name in ("EnvironmentFile", "WorkingDirectory"):
        assert f"--property={name}={unit[name]}" in told
    assert f"--uid={unit['User']}" in told
    assert {"--property=StateDirectory=serinus-cli", "--setenv=SERINUS_DATA_DIR=/var/lib/serinus-cli"} <= set(told)
    assert told[-5:] == ["manage.py", *map(str, line[1:])]
    assert parse(told) == "create_key"


def test_environment_example__names_only_settings() -> None:
    assert settings_named((DEPLOY / "systemd" / "environment.example").read_text()) <= known_settings()
