"""docs/reference/sdk.md names everything that an app can use."""

import dataclasses
import inspect
import re
from pathlib import Path

import pytest

import serinus
from serinus import AsyncClient, Client, Prompt, Status
from serinus.__main__ import main

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = (ROOT / "docs" / "reference" / "sdk.md").read_text(encoding="utf-8")
OPTIONS = [name for name in inspect.signature(Client).parameters if name != "self"]


def public(kind: type) -> list[str]:
    return [name for name in dir(kind) if not name.startswith("_")]


@pytest.mark.parametrize(
    "name",
    [
        *serinus.__all__,
        *public(Client),
        *public(Prompt),
        *OPTIONS,
        *(field.name for field in dataclasses.fields(Status)),
    ],
)
def test_reference__names_everything(name: str) -> None:
    assert re.search(rf"(`|serinus\.){name}[`(]", REFERENCE)


def test_async_client__has_all_that_the_client_has() -> None:
    assert set(public(Client)) <= set(public(AsyncClient))
    assert inspect.signature(AsyncClient) == inspect.signature(Client)


def test_reference__names_the_commands_options(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["bundle", "--help"])

    options = {word.strip("[],") for word in capsys.readouterr().out.split() if word.strip("[],").startswith("--")}
    assert {option for option in options if option not in REFERENCE} == {"--help"}
