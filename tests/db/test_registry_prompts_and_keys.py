from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from common.errors import Conflict, Forbidden, Invalid
from registry import services
from registry.keys import find_grant, grant_of, hash_key, stored_grant
from registry.models import ApiKey, Prompt, Sequence
from tests import make

pytestmark = pytest.mark.django_db


def test_create_prompt__is_there_without_versions() -> None:
    services.create_prompt(name="a.b-c_9", description="Reads orders", tags=["orders"], actor=make.ANNA)

    prompt = Prompt.objects.get(name="a.b-c_9")
    assert (prompt.description, prompt.tags, prompt.created_by) == ("Reads orders", ["orders"], "user:anna")
    assert not prompt.versions.exists()


@pytest.mark.parametrize("name", ["", "Orders", "-orders", "or ders", "orders\n", "é", "a" * 129, "a/b", "a\0"])
def test_create_prompt__malformed_name__refused(name: str) -> None:
    with pytest.raises(Invalid) as refused:
        services.create_prompt(name=name, actor=make.ANNA)

    assert [error.field for error in refused.value.errors] == ["name"]


def test_create_prompt__name_taken__conflict() -> None:
    make.prompt()

    with pytest.raises(Conflict) as refused:
        make.prompt()

    assert refused.value.code == "prompt_exists"


def test_issue_key__text_is_shown_and_only_its_hash_is_kept() -> None:
    key, text = services.issue_key(name="orders", scopes=["ingest", "read", "ingest"], actor=make.ANNA)

    stored = ApiKey.objects.get()
    assert stored == key
    assert text.startswith(stored.prefix)
    assert (stored.sha256, stored.scopes) == (hash_key(text), ["ingest", "read"])
    assert stored.generation == Sequence.objects.get(name="generation").value
    assert text not in {str(value) for value in vars(stored).values()}
    assert find_grant(f"Bearer {text}").scopes == {"ingest", "read"}


@pytest.mark.parametrize(
    ("fields", "field", "named"),
    [
        ({"scopes": ["read", "root"]}, "scopes", "'root'"),
        ({"scopes": []}, "scopes", "read, ingest, write, admin"),
        ({"name": " "}, "name", "whose key"),
        ({"name": "a" * 101}, "name", "100"),
    ],
)
def test_issue_key__wrong_input__names_the_field(fields: Any, field: str, named: str) -> None:
    with pytest.raises(Invalid, match=named) as refused:
        services.issue_key(**{"name": "orders", "scopes": ["read"]} | fields, actor=make.ANNA)

    assert [error.field for error in refused.value.errors] == [field]
    assert not ApiKey.objects.exists()


def test_revoke_key__is_known_no_more_and_keeps_the_first_time() -> None:
    key, text = services.issue_key(name="orders", scopes=["read"], actor=make.ANNA)

    services.revoke_key(key=key, actor=make.ANNA)
    revoked = ApiKey.objects.get()
    services.revoke_key(key=key, actor=make.ANNA)

    assert revoked.revoked_at == ApiKey.objects.get().revoked_at is not None
    assert revoked.generation > key.generation
    assert stored_grant(hash_key(text)) is None


def test_create_key__prints_the_key_alone() -> None:
    out, err = StringIO(), StringIO()

    call_command("create_key", "orders", "--scopes", "read, ingest", stdout=out, stderr=err)

    text = out.getvalue().removesuffix("\n")
    assert ApiKey.objects.get(name="orders", created_by="system:command line").sha256 == hash_key(text)
    assert err.getvalue() == ""


def test_create_key__restricted_and_expiring__stored_as_said() -> None:
    limits = ["--prompt-prefix", "orders-", "--label", "staging", "--label", "own", "--expires", "2030-01-31"]

    call_command("create_key", "orders", "--scopes", "read", *limits, stdout=StringIO())

    key = ApiKey.objects.get()
    assert (key.prompt_prefix, key.labels) == ("orders-", ["own", "staging"])
    assert key.expires_at == datetime(2030, 1, 31, tzinfo=UTC)


@pytest.mark.parametrize("limit", [("--expires", "soon"), ("--expires", "2020-01-31"), ("--prompt-prefix", "A b")])
def test_create_key__limit_that_is_none__fails(limit: tuple[str, str]) -> None:
    with pytest.raises(CommandError, match=r"expires|expected"):
        call_command("create_key", "orders", "--scopes", "read", *limit, stdout=StringIO())

    assert not ApiKey.objects.exists()


@pytest.mark.parametrize(
    "more",
    [
        {"scopes": ["write"]},
        {"scopes": ["read"], "prompt_prefix": "order"},
        {"scopes": ["read"], "prompt_prefix": ""},
        {"scopes": ["read"], "labels": []},
        {"scopes": ["read"], "labels": ["staging", "own"]},
    ],
)
def test_issue_key__more_than_its_maker_has__forbidden(more: dict[str, Any]) -> None:
    maker = grant_of("team", ["read", "ingest"], prompt_prefix="orders-", labels=["staging"])
    same = {"prompt_prefix": "orders-", "labels": ["staging"]}

    services.issue_key(
        name="n", scopes=["read"], **same | {"prompt_prefix": "orders-eu-"}, maker=maker, actor=make.ANNA
    )
    with pytest.raises(Forbidden) as refused:
        services.issue_key(name="n", **same | more, maker=maker, actor=make.ANNA)

    assert refused.value.code == "beyond_maker"
    assert ApiKey.objects.count() == 1


def test_create_key__wrong_scope__fails_naming_it() -> None:
    out = StringIO()

    with pytest.raises(CommandError, match="'root' is not a scope; expected some of read, ingest, write, admin"):
        call_command("create_key", "orders", "--scopes", "read,root", stdout=out)

    assert out.getvalue() == ""
